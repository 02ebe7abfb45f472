# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a jupyterhub_config.py before JupyterHub is started with it.

``python -m ailab_hub.check_config FILE [--timeout SECONDS]`` executes the file, sets every option
in the classes JupyterHub would use, and lets JupyterHub start in memory: no network, no Docker,
no database file, nothing written. All problems are found at once and printed as JSON::

    {"problems": [{"class": "DockerSpawner", "trait": "mem_limt", "line": 12, "message": "..."}],
     "warnings": [...]}

``class`` and ``trait`` are empty where a problem belongs to the whole file, ``line`` is left out
where it is not known. Each message stands for itself and holds no configured value. Warnings are
options that are deprecated or have no effect.

Exit status: 0 no problem, 1 problems, 2 wrong usage.

The file runs in a process of its own, which is stopped when the time is over, cannot print, and
takes whatever it started with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# To import JupyterHub takes one or two seconds, on a busy machine more.
_START_SECONDS = 60.0
# For a process that does not notice itself that its time is over.
_GRACE_SECONDS = 1.0


def check(file: str | os.PathLike[str], timeout: float = 60.0) -> dict[str, Any]:
    """Return the problems and warnings of a configuration file (see the module).

    Args:
        file: the configuration file.
        timeout: seconds after which the file counts as hanging.
    """
    # in memory: the file system may be read-only, and a pipe stays open as long as any process
    # the file has started
    result = os.memfd_create("result")
    starts, started = os.pipe()
    command = [sys.executable, "-m", "ailab_hub._configuration_check", os.fspath(file)]
    try:
        process = subprocess.Popen(
            [*command, str(result), str(started), str(timeout)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[result, started],
            start_new_session=True,
        )
        os.close(started)
        try:
            # the process closes its end of the pipe when the file's time begins
            select.select([starts], [], [], _START_SECONDS)
            status = process.wait(timeout + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        content = os.pread(result, os.fstat(result).st_size, 0)
    finally:
        os.close(result)
        os.close(starts)
    with contextlib.suppress(ValueError):
        report: dict[str, Any] = json.loads(content)
        return report
    return {"problems": [_problem(_ended(status, timeout))], "warnings": []}


def _problem(message: str) -> dict[str, Any]:
    return {"class": "", "trait": "", "message": message}


def _ended(status: int | None, timeout: float) -> str:
    if status is None:
        return f"the file was not read after {timeout:g} seconds"
    if status < 0:
        return f"signal {signal.Signals(-status).name} ended the process that reads the file"
    return f"the file ends the process that reads it, with status {status}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file named in the arguments, print the result, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ailab_hub.check_config",
        description="Find all mistakes in a jupyterhub_config.py. Prints JSON without any value.",
        epilog="Exit status: 0 no problem, 1 problems, 2 wrong usage.",
    )
    parser.add_argument("file", type=_readable_file, help="the configuration file")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="stop the file after this time (default 60)",
    )
    options = parser.parse_args(arguments)
    report = check(options.file, options.timeout)
    print(json.dumps(report, indent=2))
    return 1 if report["problems"] else 0


def _readable_file(text: str) -> Path:
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("expected seconds, more than 0 and at most 3600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
