# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's part of the run lock, on real files."""

from __future__ import annotations

import functools
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.modules import run_lock

Run = Callable[..., dict[str, Any]]

ALICE = {"id": "boot/ns/1/100", "user": "alice", "controller": "laptop", "pid": 1}
BOB = {"id": "boot/ns/2/200", "user": "bob", "controller": "desk", "pid": 2}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the lock is; its folder is not made yet."""
    return tmp_path / "run" / "lock"


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]], path: Path) -> Run:
    """Runs the module."""
    return functools.partial(run_module, run_lock, path=str(path))


def test_a_free_lock_is_taken(run: Run, path: Path) -> None:
    result = run(run=ALICE)
    assert (result["held"], result["taken_over"], result["age"]) == (True, False, 0)
    assert result["holder"]["user"] == "alice"
    assert result["holder"]["since"].endswith("Z")
    assert json.loads(path.read_text())["id"] == ALICE["id"]


def test_a_lock_is_no_change_to_the_server(run: Run) -> None:
    assert not run(run=ALICE)["changed"]
    assert not run(run=ALICE, state="absent")["changed"]


def test_nobody_but_its_owner_reads_or_replaces_it(run: Run, path: Path) -> None:
    run(run=ALICE)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_run_that_has_it_keeps_it(run: Run, path: Path) -> None:
    first = run(run=ALICE)["holder"]
    again = run(run=ALICE)
    assert (again["held"], again["holder"]) == (True, first)


def test_another_run_does_not_get_it(run: Run, path: Path) -> None:
    run(run=ALICE)
    before = path.read_bytes()
    result = run(run=BOB)
    assert (result["held"], result["holder"]["user"]) == (False, "alice")
    assert path.read_bytes() == before


def test_only_the_lock_that_was_judged_is_taken_over(run: Run) -> None:
    run(run=ALICE)
    assert not run(run=BOB, replace="another")["held"]
    result = run(run=BOB, replace=ALICE["id"])
    assert (result["held"], result["taken_over"], result["holder"]["user"]) == (True, True, "bob")


@pytest.mark.parametrize("text", ["", "by hand", "[1]", '"text"'])
def test_a_file_made_by_hand_is_a_lock_too(run: Run, path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    result = run(run=ALICE)
    assert (result["held"], result["holder"]) == (False, {})
    assert run(run=ALICE, replace="")["held"]


def test_its_age_is_told_by_the_servers_clock(run: Run, path: Path) -> None:
    run(run=ALICE)
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime - 3600))
    assert 3600 <= run(run=BOB)["age"] < 3700


def test_it_is_given_back(run: Run, path: Path) -> None:
    run(run=ALICE)
    result = run(run=ALICE, state="absent")
    assert (result["held"], result["holder"], result["age"]) == (False, None, None)
    assert list(path.parent.iterdir()) == []


def test_the_lock_of_another_run_is_left_alone(run: Run, path: Path) -> None:
    run(run=ALICE)
    result = run(run=BOB, state="absent")
    assert result["holder"]["user"] == "alice"
    assert path.exists()


def test_giving_back_what_nobody_has_is_fine(run: Run, path: Path) -> None:
    assert run(run=ALICE, state="absent")["holder"] is None
    assert not path.parent.exists()


def test_check_mode_takes_nothing(run: Run, path: Path) -> None:
    assert run(run=ALICE, check_mode=True)["holder"] is None
    assert not path.parent.exists()
    run(run=BOB)
    assert run(run=ALICE, check_mode=True, replace=BOB["id"])["holder"]["user"] == "bob"


def test_check_mode_gives_nothing_back(run: Run, path: Path) -> None:
    run(run=ALICE)
    run(run=ALICE, state="absent", check_mode=True)
    assert path.exists()


def test_of_many_at_once_one_gets_it(path: Path) -> None:
    runs = [{"id": str(number)} for number in range(16)]
    barrier = threading.Barrier(len(runs))
    held: list[str] = []

    def take(run: dict[str, str]) -> None:
        barrier.wait()
        if run_lock.take(str(path), run, None, check_mode=False)["held"]:
            held.append(run["id"])

    threads = [threading.Thread(target=take, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held == [json.loads(path.read_text())["id"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_rights_the_way_out_is_told(run: Run, tmp_path: Path) -> None:
    os.seteuid(65534)
    try:
        result = run(run=ALICE, path="/run/ailab-hub-test/lock")
    finally:
        os.seteuid(0)
    assert "this needs root (become: true)" in result["msg"]
