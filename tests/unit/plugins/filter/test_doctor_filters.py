# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows and the table the playbook `ailab.hub.doctor` prints."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.filter.doctor_rows import (
    NO_ENGINE,
    USERS_ALONE,
    doctor_rows,
)
from ansible_collections.ailab.hub.plugins.filter.doctor_table import doctor_table
from ansible_collections.ailab.hub.plugins.modules.docker_access import PROBLEMS

HUB = {"subject": "Hub", "state": "ok", "message": "answers", "hint": ""}
DEPLOYMENT = {"subject": "Deployment", "state": "broken", "message": "none", "hint": "Deploy it"}
HEALTH = {"checks": [HUB]}
BARE = {"checks": [DEPLOYMENT, HUB]}
ACCESS = {
    "problems": [],
    "socket": {"path": "/var/run/docker.sock"},
    "daemon": {"engine": "docker", "version": "26.1.5"},
    "users": [],
}


def problem(code: str) -> dict[str, str]:
    return {"code": code, "message": f"{code} found", "hint": f"mend {code}"}


def with_problems(*codes: str) -> dict[str, Any]:
    return {**ACCESS, "problems": [problem(code) for code in codes]}


def pairs(rows: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(row["subject"], row["state"]) for row in rows]


def test_docker_comes_before_what_depends_on_it() -> None:
    assert doctor_rows(HEALTH, ACCESS) == [
        {
            "subject": "Docker access",
            "state": "ok",
            "message": "Docker 26.1.5 answers on /var/run/docker.sock",
            "hint": "",
        },
        HUB,
    ]


def test_users_who_may_use_docker_are_named() -> None:
    access = {**ACCESS, "users": [{"name": "alice"}, {"name": "bob"}]}
    assert doctor_rows(HEALTH, access)[0]["message"].endswith("docker.sock, alice, bob may use it")


def test_what_is_wrong_for_users_alone_is_a_warning() -> None:
    rows = doctor_rows(HEALTH, with_problems("daemon_refused", "user_missing"))
    assert pairs(rows) == [
        ("Docker access", "broken"),
        ("Docker access", "warning"),
        ("Hub", "ok"),
    ]
    assert rows[0]["message"] == "daemon_refused found" and rows[0]["hint"] == "mend daemon_refused"


def test_the_codes_that_are_told_apart_exist() -> None:
    assert set(PROBLEMS) >= USERS_ALONE | NO_ENGINE


def test_notes_are_shown_and_break_nothing() -> None:
    access = {**ACCESS, "notes": [problem("podman")]}
    rows = doctor_rows(HEALTH, access)
    assert pairs(rows) == [("Docker access", "ok")] * 2 + [("Hub", "ok")]
    assert rows[1]["message"] == "podman found"


def test_a_bare_server_needs_no_advice_on_its_socket() -> None:
    rows = doctor_rows(BARE, with_problems("group_missing", "socket_missing"))
    assert pairs(rows) == [("Deployment", "broken"), ("Docker access", "unknown"), ("Hub", "ok")]


def test_a_bare_server_with_a_broken_engine_does() -> None:
    rows = doctor_rows(BARE, with_problems("daemon_refused"))
    assert pairs(rows)[:2] == [("Deployment", "broken"), ("Docker access", "broken")]


def test_a_server_without_its_engine_needs_advice_if_it_was_deployed() -> None:
    assert pairs(doctor_rows(HEALTH, with_problems("socket_missing")))[0][1] == "broken"


@pytest.mark.parametrize("access", [{}, {"skipped": True}])
def test_a_server_that_cannot_be_reached_is_one_row(access: dict[str, Any]) -> None:
    rows = doctor_rows({"unreachable": True, "msg": "no route\nto host"}, access)
    assert pairs(rows) == [("Connection", "broken")]
    assert rows[0]["message"] == "no route to host"


def test_a_server_that_goes_away_in_between_is_one_row() -> None:
    rows = doctor_rows(HEALTH, {"unreachable": True, "msg": "gone"})
    assert pairs(rows) == [("Connection", "broken")]


def test_a_server_that_could_not_be_looked_at_is_one_row() -> None:
    rows = doctor_rows({"failed": True, "msg": "no Python"}, {})
    assert pairs(rows) == [("Server", "broken")]
    assert "no Python" in rows[0]["message"]


def test_wrong_names_of_users_hide_nothing_else() -> None:
    rows = doctor_rows(HEALTH, {"failed": True, "msg": "no list"})
    assert pairs(rows) == [("Docker access", "broken"), ("Hub", "ok")]
    assert "docker_engine_users" in rows[0]["hint"]


def test_a_table_is_aligned_and_hints_stand_alone() -> None:
    rows = [{**HUB, "state": "broken", "hint": "Run: this"}, {**HUB, "subject": "Memory"}]
    assert doctor_table(rows) == [
        "Hub     broken  answers",
        "                Run: this",
        "Memory  ok      answers",
    ]


def test_a_table_of_nothing_has_no_lines() -> None:
    assert doctor_table([]) == []
