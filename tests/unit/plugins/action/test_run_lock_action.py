# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of the run lock, and both parts together in real runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.action.run_lock import (
    MAX_AGE,
    describe,
    has_ended,
    hours,
    process_start,
    refusal,
    this_run,
)

PATH = "/run/ailab-hub/lock"


def other(**different: Any) -> dict[str, Any]:
    """This run with some things different."""
    return {**this_run(), **different}


def test_a_run_is_told_apart_by_place_process_and_start() -> None:
    run = this_run()
    assert run["pid"] == os.getpid()
    assert run["id"].endswith(f"/{os.getpid()}/{process_start(os.getpid())}")
    assert run["controller"] == os.uname().nodename


def test_the_start_of_a_process_tells_it_from_a_later_one_of_its_number() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        start = process_start(process.pid)
        assert start.isdigit()
        process.kill()
        # Until its parent asks for it, an ended process still has its entry.
        deadline = time.monotonic() + 5
        while process_start(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process_start(process.pid) == ""
    assert process_start(process.pid) == ""


@pytest.mark.parametrize("age", [0, MAX_AGE + 1])
def test_a_living_run_here_is_never_replaced(age: int) -> None:
    assert has_ended(this_run(), this_run(), age) == ""


@pytest.mark.parametrize("different", [{"process_start": "1"}, {"pid": 2**22 + 1}])
def test_a_run_here_that_is_gone_is_replaced(different: dict[str, Any]) -> None:
    assert has_ended(other(**different), this_run(), 0) == "ended"


@pytest.mark.parametrize(
    "different",
    [
        {"boot_id": "x", "machine_id": "x", "controller": "desk"},
        {"boot_id": "x", "machine_id": "x"},
        {"boot_id": "x", "controller": "desk"},
        {"pid_namespace": "pid:[1]"},
        {"boot_id": "", "machine_id": "", "pid_namespace": ""},
    ],
)
def test_a_run_elsewhere_is_replaced_when_it_is_old(different: dict[str, Any]) -> None:
    holder = other(**different)
    assert has_ended(holder, this_run(), MAX_AGE) == ""
    assert has_ended(holder, this_run(), MAX_AGE + 1) == "old"


def test_a_run_before_the_controller_was_started_anew_is_replaced() -> None:
    assert has_ended(other(boot_id="before"), this_run(), 0) == "rebooted"


def test_a_lock_made_by_hand_is_replaced_when_it_is_old() -> None:
    assert has_ended({}, this_run(), MAX_AGE) == ""
    assert has_ended({}, this_run(), MAX_AGE + 1) == "old"
    assert describe({}) == "Somebody who wrote the lock by hand"


def test_a_refusal_names_who_where_and_since_when() -> None:
    holder = other(user="alice", controller="desk", pid=4711, since="2026-11-20T13:33:00Z")
    assert refusal(holder, this_run(), 4000, PATH) == (
        "A run of alice on desk (process 4711) holds the lock of this server since "
        "2026-11-20T13:33:00Z (1 h 6 min). Wait until it has ended. Only there can be seen whether "
        f"it still runs; if it does not, remove the file {PATH} on the server."
    )


def test_a_refusal_by_a_run_here_names_its_process() -> None:
    assert "or end it (process 4711)" in refusal(other(pid=4711), this_run(), 0, PATH)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 min"), (3599, "59 min"), (7260, "2 h 1 min")])
def test_time_spans_are_for_people(seconds: int, text: str) -> None:
    assert hours(seconds) == text


# Real runs

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Change under the lock
      block:
        - ailab.hub.run_lock:
            path: "{{ lock }}"
        - ansible.builtin.command: sh -c 'while test -e {{ busy }}; do sleep 0.1; done'
          changed_when: false
      always:
        - ailab.hub.run_lock:
            state: absent
            path: "{{ lock }}"
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Where the lock is."""
    return tmp_path / "run" / "lock"


@pytest.fixture
def start(tmp_path: Path, lock: Path, ansible_environment: dict[str, str]) -> Start:
    """Starts `ansible-playbook` with the playbook above."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAYBOOK, encoding="utf-8")

    def run(*options: str, busy: Path = tmp_path / "never") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "web1,", "-c", "local"]
        return subprocess.Popen(
            [*command, "-e", f"lock={lock} busy={busy}", *options, str(playbook)],
            env={**os.environ, **ansible_environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output = process.communicate(timeout=60)[0]
    return process.returncode, output


def test_one_run_at_a_time_and_the_next_after_one_that_was_killed(
    start: Start, lock: Path, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    busy.touch()
    with start(busy=busy) as first:
        try:
            deadline = time.monotonic() + 30
            while not lock.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert json.loads(lock.read_text())["pid"] == first.pid

            second, checking = start(), start("--check")
            for process, expected in ((second, 2), (checking, 0)):
                status, output = finish(process)
                assert status == expected, output
                assert f"(process {first.pid}) holds the lock of this server since" in output
            assert lock.exists(), "who did not get the lock must not give it back"
        finally:
            first.kill()
            # What it started on the server ends on its own.
            busy.unlink()
    assert json.loads(lock.read_text())["pid"] == first.pid

    status, output = finish(start())
    assert status == 0, output
    assert "changed=0" in output
    assert not lock.exists()


def test_an_old_lock_of_another_controller_is_taken_over_with_a_warning(
    start: Start, lock: Path
) -> None:
    lock.parent.mkdir()
    lock.write_text(json.dumps(other(boot_id="x", machine_id="x", user="alice", id="x")))
    old = time.time() - MAX_AGE - 60
    os.utime(lock, (old, old))
    status, output = finish(start())
    assert status == 0, output
    assert "A run of alice on" in output
    assert "left a lock 6 h 1 min ago; taken over" in " ".join(output.split())
    assert not lock.exists()
