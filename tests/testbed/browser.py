# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser on the hosts' network: Debian's Chromium, as a program for whoever drives it.

The program is Chromium to Playwright and others that start a browser and talk to it through a
pipe; it runs in a container, so this machine needs neither a browser nor a way to the hosts, and
no debugging port is open to anybody.
"""

from __future__ import annotations

import secrets
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import images, network, rootfs
from .engine import LABEL, NETWORK, Engine
from .system import lock

SUITE = "trixie"
"""The newest stable Debian gets new versions of Chromium for longest."""
# Chromium keeps decoded pictures and canvases in shared memory; Docker's own 64 MB are too few.
SHARED_MEMORY = "512m"
PROGRAM = """\
#!/bin/sh
# Chromium in a container: the pipe it is driven by, descriptors 3 and 4, is the container's
# standard input and output.
exec {command} "$@" <&3 >&4 3<&- 4>&-
"""


@dataclass(frozen=True)
class Program:
    """A program that is a browser, and the environment it needs."""

    path: Path
    environment: dict[str, str]


@contextmanager
def chromium(engine: Engine, authority: str = "") -> Iterator[Program]:
    """A Chromium on the hosts' network, for one start; its container is gone afterwards.

    It trusts the authorities in ``authority`` (PEM) besides those every browser does.

    The program takes Chromium's own options and wants ``--remote-debugging-pipe`` among them. It
    runs until it is told to end or until whoever drives it is gone.
    """
    # What is in use is not removed meanwhile.
    with lock("busy", shared=True), tempfile.TemporaryDirectory(prefix="chromium-") as folder:
        image = images.build(engine, "browser", rootfs.base(engine, SUITE))
        network.up(engine)
        container = f"ailab-hub-testbed-browser-{secrets.token_hex(4)}"
        command = [
            engine.client,
            "run",
            "--rm",
            "--interactive",
            "--init",
            f"--name={container}",
            f"--label={LABEL}=browser",
            f"--network={NETWORK}",
            f"--shm-size={SHARED_MEMORY}",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--env=AUTHORITY={authority}",
            image,
        ]
        program = Path(folder) / "chromium"
        program.write_text(PROGRAM.format(command=shlex.join(command)))
        program.chmod(0o755)
        try:
            yield Program(program, engine.environment)
        finally:
            engine("rm", "--force", container, check=False)
