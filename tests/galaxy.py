# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as Galaxy has it: built from a clean copy of this checkout.

``python -m tests.galaxy FOLDER`` builds it there and prints the path of the tarball.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def tracked_files() -> list[str]:
    """Every file git tracks, relative to the checkout; those that are deleted just now are left out."""
    return _listed("--cached")


def working_files() -> list[str]:
    """The same with those git would track: what a commit of everything would hold."""
    return _listed("--cached", "--others", "--exclude-standard")


def _listed(*options: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", *options],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    names = {name for name in done.stdout.split("\0") if name}
    return sorted(
        name for name in names if (CHECKOUT / name).is_symlink() or (CHECKOUT / name).is_file()
    )


def copy(names: Iterable[str], folder: Path) -> None:
    """Copy files of the checkout into a folder, with their modes; links stay links."""
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target, follow_symlinks=False)


def build(source: Path, folder: Path) -> Path:
    """Build a collection as ``ansible-galaxy collection build`` does. Returns the tarball's path.

    Raises CalledProcessError if it cannot be built.
    """
    printed = _galaxy("build", "--output-path", str(folder), "--force", str(source))
    return Path(printed.split(" at ")[-1].strip())


def install(tarball: Path, folder: Path) -> Path:
    """Install a built collection alone below a folder. Returns the folder of the collection."""
    arguments = ("install", "--no-deps", "--force", "--collections-path", str(folder), str(tarball))
    # Else it warns that nobody will find the collection there.
    _galaxy(*arguments, ANSIBLE_COLLECTIONS_PATH=str(folder))
    return folder / "ansible_collections" / "ailab" / "hub"


def _galaxy(*arguments: str, **environment: str) -> str:
    command = [str(Path(sys.executable).with_name("ansible-galaxy")), "collection", *arguments]
    environment = os.environ | environment
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return done.stdout


def build_checkout(folder: Path) -> Path:
    """Build the collection from a copy of the working files. Returns the tarball's path."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as source:
        copy(working_files(), Path(source))
        return build(Path(source), folder)


if __name__ == "__main__":
    print(build_checkout(Path(sys.argv[1]).absolute()))
