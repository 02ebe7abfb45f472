# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of scenarios, with small ones that have no server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import PROJECT
from tests.scenarios.__main__ import MOST, WIDEST, Result, failed_tests, report

TESTS = {
    "default": "def test_good() -> None:\n    pass\n",
    "bad": "def test_good() -> None:\n    pass\n\n\ndef test_bad() -> None:\n    assert 'found' == 'expected', 'x' * 1000\n",
    "broken": "def test_broken(missing: None) -> None:\n    pass\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the settings and the tests' playbook of this one, and scenarios of its own."""
    tmp_path = tmp_path_factory.mktemp("project")
    # molecule looks for its settings where a checkout begins.
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".config").symlink_to(PROJECT / ".config")
    (tmp_path / "ansible.cfg").symlink_to(PROJECT / "ansible.cfg")
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--inventory', action='append')\n"
    )
    (tmp_path / "molecule").mkdir()
    (tmp_path / "molecule" / "shared").symlink_to(PROJECT / "molecule" / "shared")
    for name, code in TESTS.items():
        (tmp_path / f"test_{name}.py").write_text(code)
        scenario(tmp_path, name, f"ansible: {{env: {{LIVE_TESTS: test_{name}.py}}}}", "verify")
    scenario(tmp_path, "empty", "ansible: {playbooks: {verify: missing.yml}}", "verify")
    scenario(tmp_path, "refused", "ansible: {playbooks: {converge: refused.yml}}", "converge")
    (tmp_path / "molecule" / "refused" / "refused.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.fail:\n        msg: The server is on fire.\n"
    )
    return tmp_path


def scenario(project: Path, name: str, settings: str, sequence: str) -> None:
    """Write a scenario of one step."""
    folder = project / "molecule" / name
    (folder / "inventory").mkdir(parents=True)
    (folder / "molecule.yml").write_text(f"{settings}\nscenario: {{test_sequence: [{sequence}]}}\n")


@pytest.fixture(scope="module")
def ran(project: Path) -> tuple[int, str]:
    """Exit code and output of a run of all of them."""
    (project / ".tests").mkdir()
    (project / ".tests" / "refused.log").write_text("___ test_of_an_earlier_run ___\nE   x\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.scenarios", "bad", "refused", "broken", "empty", "default"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_progress_is_shown(ran: tuple[int, str]) -> None:
    _, output = ran
    assert re.search(r"(?m)^default: test_default.py::test_good PASSED", output), output
    assert re.search(r"(?m)^bad: test_bad.py::test_bad FAILED", output), output


def test_what_failed_and_why_is_said_last(ran: tuple[int, str]) -> None:
    code, output = ran
    assert code == 1
    table, *failures = output.partition("What came of the scenarios:\n")[2].split("\n\n")
    assert [" ".join(re.sub(r"\d+:\d\d", "", line).split()) for line in table.splitlines()] == [
        "bad FAILED 1 failed, 1 passed",
        "refused FAILED",
        "broken FAILED 1 error",
        "empty FAILED",
        "default passed 1 passed",
    ]
    bad, refused, broken, empty = failures
    assert bad.startswith("bad failed (all the tests said is in .tests/bad.log):\n  test_bad\n")
    assert "'found' == 'expected'" in bad
    assert max(map(len, bad.splitlines())) < 310
    assert "The server is on fire." in refused
    assert "earlier" not in refused
    assert "ERROR at setup of test_broken" in broken
    assert "fixture 'missing' not found" in broken
    assert empty == "empty failed:\n  No test ran.\n"


def test_all_that_passed_is_a_table() -> None:
    passed = Result("https", seconds=1010.4, tests="85 passed, 1 skipped", failures=[])
    assert report([passed]).splitlines()[2:] == [
        "  https          passed   16:50  85 passed, 1 skipped"
    ]


def test_the_worst_failure_is_some_lines_long() -> None:
    lines = [
        "____ test_a[b c] ____",
        "_ _ _ _",
        *["E   " + "x" * 1000] * 100,
        "____ test_b ____",
        "E   y",
    ]
    first, *rest = failed_tests(lines)
    assert (first, rest[-2:]) == ("test_a[b c]", ["test_b", "  y"])
    assert len(rest) == MOST + 2
    assert len(rest[0]) == WIDEST + 2


def test_of_a_runs_output_the_failed_task_is_shown() -> None:
    said = [
        "AssertionError: ansible-playbook",
        *["  ok: [hub1]"] * 100,
        "fatal: [hub1]: FAILED! =>",
    ]
    lines = [
        "____ test_a ____",
        *[f"E   {line}" for line in said],
        "E       msg: The disk is full.",
    ]
    assert list(failed_tests(lines)) == [
        "test_a",
        "  AssertionError: ansible-playbook",
        "  fatal: [hub1]: FAILED! =>",
        "  msg: The disk is full.",
    ]
