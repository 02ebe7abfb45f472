# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run scenarios of molecule, two side by side: ``python -m tests.scenarios NAME ...``.

What molecule and the tests say is shown while they run, each line behind the name of its scenario.
What came of all, and why something failed, is said last.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.system import cache

SIDE_BY_SIDE = 2
ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # See callback/module_cache.py.
    "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
    "ANSIBLE_CALLBACKS_ENABLED": "module_cache",
    "AILAB_HUB_MODULE_CACHE": str(cache("modules")),
}
MOST = 12
"""Lines that are shown of one failure."""
WIDEST = 300
"""Letters that are shown of one line of a failure."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# ____ test_of_something[case] ____, the heading of a failure, and what a failing line says.
HEADING = re.compile(r"_{3,} (?P<name>.+) _{3,}")
REASON = re.compile(r"E {3,}(?P<text>.*)")
OUTCOME = re.compile(r"=+ (?P<counts>.*(?:passed|failed|skipped|error).*) in [\d.]+s.*=+")
# How Ansible and molecule begin to say what went wrong.
WRONG = re.compile(r"fatal: |\[ERROR\]: |(ERROR|CRITICAL) ")


@dataclass(frozen=True)
class Result:
    """What came of a scenario."""

    name: str
    seconds: float
    tests: str
    """How many tests passed, were skipped and failed, in pytest's words; empty if none ran."""
    failures: list[str]
    """Lines that say what failed and why; none if all passed."""


def log_of_tests(name: str) -> Path:
    """The file that a scenario's tests write to."""
    return Path(".tests", f"{name}.log")


def failed_tests(lines: Iterable[str]) -> Iterator[str]:
    """Each failed test of pytest's output, with the lines that say why."""
    reasons: list[str] = []
    for line in lines:
        if heading := HEADING.fullmatch(line):
            yield from telling(reasons)
            reasons = []
            yield heading["name"]
        elif reason := REASON.fullmatch(line):
            reasons.append(reason["text"])
    yield from telling(reasons)


def telling(reasons: list[str]) -> Iterator[str]:
    """What to show of the lines that say why a test failed: of a run's output, what went wrong in it."""
    wrong = [number for number, line in enumerate(reasons) if WRONG.match(line)]
    # What a test says itself stands before the output.
    shown = [*reasons[:1], *reasons[max(1, wrong[0]) :]] if wrong else reasons
    yield from (f"  {line[:WIDEST]}" for line in shown[:MOST])


def failed_tasks(lines: Iterable[str]) -> Iterator[str]:
    """What Ansible and molecule said went wrong, each with the lines that follow it."""
    shown = MOST
    for line in lines:
        if WRONG.match(line):
            shown = 0
        if shown < MOST:
            yield line[:WIDEST]
            shown += 1


def outcome(lines: Iterable[str]) -> str:
    """How many tests passed, failed and so on."""
    counts = [found["counts"] for line in lines if (found := OUTCOME.fullmatch(line))]
    return counts[-1] if counts else ""


def follow(name: str, path: Path, ended: threading.Event) -> None:
    """Show what is written to a file until nobody writes to it any more."""
    text = ""
    while not (last := ended.wait(0.5)) and not path.exists():
        pass
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            text += file.read()
            *whole, text = text.split("\n")
            for line in whole:
                show(name, line)
            if last:
                return
            last = ended.wait(0.5)


def show(name: str, line: str) -> None:
    """Say a line of a scenario, as one write, so that lines do not mix."""
    sys.stdout.write(f"{name}: {line}\n")
    sys.stdout.flush()


def run(name: str) -> Result:
    """Run a scenario from its first step to its last."""
    log = log_of_tests(name)
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    began = time.monotonic()
    ended = threading.Event()
    tests = threading.Thread(target=follow, args=(name, log, ended))
    tests.start()
    said = []
    try:
        with subprocess.Popen(
            ["molecule", "test", "--no-command-borders", "--report", "--scenario-name", name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | ENVIRONMENT,
            encoding="utf-8",
            errors="replace",
        ) as molecule:
            assert molecule.stdout
            for line in molecule.stdout:
                show(name, line.rstrip("\n"))
                said.append(COLOUR.sub("", line.rstrip("\n")))
    finally:
        ended.set()
        tests.join()
    written = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    counts = outcome(written)
    if molecule.returncode:
        failures = (
            list(failed_tests(written)) or list(failed_tasks(said)) or ["It did not say why."]
        )
    else:
        failures = [] if counts else ["No test ran."]
    return Result(name, time.monotonic() - began, counts, failures)


def report(results: list[Result]) -> str:
    """A table of all scenarios, and behind it what failed."""
    lines = ["", "What came of the scenarios:"]
    for result in results:
        minutes, seconds = divmod(round(result.seconds), 60)
        word = "FAILED" if result.failures else "passed"
        lines.append(
            f"  {result.name:<14} {word}  {minutes:3}:{seconds:02}  {result.tests}".rstrip()
        )
    for result in results:
        if result.failures:
            said = (
                f" (all the tests said is in {log_of_tests(result.name)})" if result.tests else ""
            )
            lines += ["", f"{result.name} failed{said}:"]
            lines += [f"  {line}" for line in result.failures]
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Run the scenarios in this order; 0 if all passed."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        results = list(pool.map(run, names))
    print(report(results), flush=True)
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
