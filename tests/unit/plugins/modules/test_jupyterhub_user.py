# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module `ailab.hub.jupyterhub_user` plans. What it does is in tests/live/test_people.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.modules import jupyterhub_user as module

FOUND: dict[str, dict[str, Any]] = {
    "alice": {"admin": False},
    "bob": {"admin": False},
    "grace": {"admin": True},
}


def plan(wanted: dict[str, bool | None], **options: Any) -> module.Plan:
    defaults: dict[str, Any] = {"purge": False, "purge_admins": False, "caller": ""}
    return module.plan_present(wanted, FOUND, **{**defaults, **options})


def test_entries_are_names_or_dictionaries() -> None:
    assert module.parse_users(["Alice", {"name": "bob", "admin": True}], None) == {
        "alice": None,
        "bob": True,
    }


def test_the_option_admin_is_for_entries_that_do_not_say() -> None:
    entries = ["alice", {"name": "bob", "admin": True}, {"name": "carol"}]
    assert module.parse_users(entries, False) == {"alice": False, "bob": True, "carol": False}


def test_a_name_that_is_there_twice_counts_once() -> None:
    assert module.parse_users(["alice", "ALICE"], None) == {"alice": None}


def test_users_who_are_missing_are_added_without_the_right_of_administrators() -> None:
    assert plan({"carol": None, "alice": None}).add == {"carol": False}


def test_users_who_are_there_keep_their_right_unless_it_is_named() -> None:
    assert plan({"grace": None, "alice": None}).is_empty()
    assert plan({"grace": False, "alice": True}).update == {"alice": True, "grace": False}


def test_nobody_is_removed_without_purge() -> None:
    assert plan({"carol": None}).remove == []


def test_purge_removes_the_others_but_no_administrator() -> None:
    planned = plan({"carol": None}, purge=True)
    assert (planned.remove, planned.kept) == (["alice", "bob"], ["grace"])


def test_purge_removes_administrators_where_that_is_said_but_not_who_asks() -> None:
    planned = plan({"carol": None}, purge=True, purge_admins=True, caller="bob")
    assert (planned.remove, planned.kept) == (["alice", "grace"], ["bob"])


def test_only_users_who_are_there_are_removed() -> None:
    assert module.plan_absent(["bob", "nobody", "alice"], FOUND).remove == ["alice", "bob"]


@pytest.mark.parametrize(
    ("user", "active"),
    [
        ({}, []),
        ({"servers": None}, []),
        ({"servers": {"": {"ready": True}, "b": {"pending": "spawn"}}}, ["", "b"]),
        ({"servers": {"": {"stopped": True}, "b": {"stopped": False}}}, ["b"]),
    ],
)
def test_servers_that_run_start_or_stop_are_in_the_way(
    user: dict[str, Any], active: list[str]
) -> None:
    assert module.active_servers(user) == active


@pytest.mark.parametrize(
    ("options", "scopes"),
    [
        ({"state": "present"}, {"list:users", "admin:users"}),
        (
            {"state": "present", "purge": True},
            {"list:users", "admin:users", "delete:users", "read:servers"},
        ),
        (
            {"state": "absent", "stop_servers": True},
            {"list:users", "delete:users", "read:servers", "delete:servers"},
        ),
    ],
)
def test_no_more_scopes_are_needed_than_are_used(options: dict[str, Any], scopes: set[str]) -> None:
    defaults = {"purge": False, "stop_servers": False}
    assert set(module.needed_scopes({**defaults, **options})) == scopes
