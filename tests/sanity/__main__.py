# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` on the collection as it is built, with nothing but a package index.

Arguments are handed on, as in ``python -m tests.sanity --test validate-modules``. What ansible-test
downloads stays in ``.cache/sanity``.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_test._internal import python_requirements

from tests import galaxy

HOME = galaxy.CHECKOUT / ".cache" / "sanity"
# Pythons that ansible-core 2.19 runs modules with.
SUPPORTED = range(8, 14)


def prepare_home() -> None:
    """Make a home folder for ansible-test, so that nothing changes in the user's."""
    for version in set(re.findall(r"\bpip='([\d.]+)'", inspect.getsource(python_requirements))):
        # ansible-test downloads this file from a server of its own, unless it is there. The pip
        # that comes with Python does as well.
        file = HOME / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import ensurepip\nensurepip.bootstrap(default_pip=True)\n")
    settings = HOME / ".config" / "pip"
    if not settings.is_symlink():
        # ansible-test hands no environment on to pip, but pip reads the user's files.
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.symlink_to(Path.home() / ".config" / "pip")


def search_path() -> str:
    """Where ansible-test finds Python: this one, and the oldest and newest others this machine has.

    A compatibility layer such as pyenv's shims would be found too, and cannot be used.
    """
    places = [Path(folder) for folder in os.environ["PATH"].split(":") if folder]
    places += sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin"))
    found: dict[int, Path] = {}
    for folder in places:
        for file in folder.glob("python3.*"):
            minor = re.fullmatch(r"python3\.(\d+)", file.name)
            if minor and int(minor[1]) in SUPPORTED and folder.name != "shims":
                found.setdefault(int(minor[1]), folder)
    own = Path(sys.executable).parent
    chosen = [own, *(found[minor] for minor in sorted({min(found), max(found)}))]
    return ":".join(dict.fromkeys([*map(str, chosen), "/usr/bin", "/bin"]))


def main() -> int:
    """Returns the exit status of ansible-test; what it said is shown if that is not 0."""
    prepare_home()
    command = [str(Path(sys.executable).with_name("ansible-test")), "sanity", *sys.argv[1:]]
    # Not inside the checkout: ansible-test asks git, which ignores the folders made here.
    with tempfile.TemporaryDirectory(prefix="ailab-hub-sanity-") as folder:
        collection = galaxy.install(galaxy.build_checkout(Path(folder)), Path(folder))
        done = subprocess.run(
            command,
            cwd=collection,
            env=os.environ | {"HOME": str(HOME), "PATH": search_path(), "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    nothing_tested = "All targets skipped" in done.stdout
    if done.returncode or nothing_tested:
        print(done.stdout)
    return done.returncode or int(nothing_tested)


if __name__ == "__main__":
    sys.exit(main())
