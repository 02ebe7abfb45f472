# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images built here, named by what went into them, so that an unchanged one is never rebuilt."""

from __future__ import annotations

import hashlib
from pathlib import Path

from . import rootfs
from .engine import LABEL, Engine
from .system import TestbedError, lock, say, step

RECIPES = Path(__file__).parent / "recipes"


def build(engine: Engine, recipe: str, base: str, **arguments: str) -> str:
    """Build ``recipes/<recipe>`` on an image, unless that was done before. Returns its name.

    ``arguments`` are the recipe's build arguments.
    """
    folder = RECIPES / recipe
    content = hashlib.sha256(f"{base} {sorted(arguments.items())}".encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content.update(f"{file.relative_to(folder)} {file.stat().st_mode & 0o111}\0".encode())
        content.update(file.read_bytes())
    suite = base.rpartition(":")[2].partition("-")[0]
    name = f"ailab-hub-testbed/{recipe}:{suite}-{content.hexdigest()[:12]}"
    with lock(f"{recipe}-{suite}"):
        if not engine.inspect("image", name):
            options = [f"--build-arg={key.upper()}={value}" for key, value in arguments.items()]
            command = ["build", "--force-rm", f"--build-arg=BASE={base}", *options]
            command += [f"--tag={name}", f"--label={LABEL}=image", str(folder)]
            with step(f"building {recipe} ({suite})"):
                try:
                    engine(*command)
                except TestbedError as error:
                    # Downloads fail now and then; steps that worked are not done again.
                    say(f"{error}\n   building {recipe} again after this")
                    engine(*command)
    return name


def host(engine: Engine, suite: str) -> str:
    """The image hosts start from. Returns its name."""
    return build(engine, "host", rootfs.base(engine, suite))
