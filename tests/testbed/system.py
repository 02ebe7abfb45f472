# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the testbed needs of the machine it runs on: a cache, locks, commands, progress."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "ip": "iproute2",
    "debootstrap": "debootstrap debian-archive-keyring",
    "openssl": "openssl",
    "ssh-keygen": "openssh-client",
}
TICK = 15.0
"""Seconds between two signs of life where nobody watches a terminal."""


class TestbedError(Exception):
    """Something a person has to mend; its text is one line that says what."""


def cache(*parts: str) -> Path:
    """A path in the folder that outlives clones of this repository."""
    root = os.environ.get("AILAB_HUB_TESTBED_CACHE")
    if not root:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = str(Path(home) / "ailab-hub-testbed")
    return Path(root).absolute().joinpath(*parts)


@contextmanager
def lock(name: str, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold a lock all clones and processes of this machine agree on.

    Yields whether it is held: always, unless ``wait`` is false and another holds it.
    """
    path = cache("locks", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, mode if wait else mode | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def find(program: str) -> str | None:
    """The path of a program, also where only root looks for it."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")


def require(*programs: str) -> None:
    """Have programs installed: by apt where that is allowed, else say what is missing."""
    missing = [program for program in programs if not find(program)]
    if not missing:
        return
    packages = sorted({name for program in missing for name in PACKAGES[program].split()})
    if os.geteuid() != 0 or not find("apt-get"):
        raise TestbedError(
            f"{', '.join(missing)} is missing: install {' '.join(packages)}, or run as root on Debian or Ubuntu, where it is installed for you"
        )
    with step(f"installing {' '.join(packages)}"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=environment)
        run("apt-get", "install", "-y", "--no-install-recommends", *packages, env=environment)


def run(
    *command: str | os.PathLike[str],
    input: str | None = None,
    env: dict[str, str] | None = None,
    check: bool = True,
) -> str:
    """Run a command to its end and return what it printed.

    Raises TestbedError with the last lines of its output if it fails and ``check`` is set.
    """
    done = subprocess.run(
        [os.fspath(part) for part in command],
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        env=env,
    )
    if check and done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        shown = " ".join(os.fspath(part) for part in command[:6])
        raise TestbedError(f"{shown} ... ended with {done.returncode}:\n{tail}")
    return done.stdout


class Progress:
    """Says on stderr which steps run and for how long, so that no wait looks like a hang."""

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._live = False
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def begin(self, name: str, live: bool) -> None:
        with self._lock:
            self._live = live and sys.stderr.isatty()
            if not self._ticker.is_alive():
                self._ticker.start()
            self._running[name] = time.monotonic()
            if not self._live:
                self._say(f"   {name}")

    def end(self, name: str, mark: str) -> None:
        with self._lock:
            seconds = time.monotonic() - self._running.pop(name)
            self._say(f"{mark} {name} ({seconds:.1f} s)")

    def _tick(self) -> None:
        said = time.monotonic()
        while True:
            time.sleep(0.5)
            with self._lock:
                now = time.monotonic()
                steps = [f"{name} {now - since:.0f} s" for name, since in self._running.items()]
                if steps and (self._live or now - said >= TICK):
                    self._say(f".. {', '.join(steps)}", end="" if self._live else "\n")
                    said = now

    def _say(self, text: str, end: str = "\n") -> None:
        if self._live:
            text = "\r\033[K" + text[: shutil.get_terminal_size().columns - 1]
        print(text, end=end, file=sys.stderr, flush=True)


PROGRESS = Progress()


def say(text: str) -> None:
    """Tell whoever waits something that takes no time."""
    print(f"   {text}", file=sys.stderr, flush=True)


@contextmanager
def step(name: str, *, live: bool = True) -> Iterator[None]:
    """Show a step that may take long while it runs, and how long it took.

    A step that writes to the terminal itself is not ``live``: a line that moves would be torn.
    """
    PROGRESS.begin(name, live)
    mark = "!!"
    try:
        yield
        mark = "ok"
    finally:
        PROGRESS.end(name, mark)
