# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module `ailab.hub.jupyterhub_group` makes of a group.

What it does with a hub is in tests/live/test_people.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.modules import jupyterhub_group as module

MONDAY = module.Group(frozenset({"alice", "bob"}), {"room": "A 12"})


@pytest.mark.parametrize(
    ("membership", "members"),
    [("exact", {"bob", "carol"}), ("present", {"alice", "bob", "carol"}), ("absent", {"alice"})],
)
def test_members_are_what_membership_says(membership: str, members: set[str]) -> None:
    (wanted,) = module.parse_groups([{"name": "monday", "users": ["bob", "Carol"]}])
    assert module.target(wanted, MONDAY, membership).users == members


@pytest.mark.parametrize("membership", ["exact", "present", "absent"])
def test_what_is_not_named_stays(membership: str) -> None:
    (wanted,) = module.parse_groups([{"name": "monday"}])
    assert module.target(wanted, MONDAY, membership) == MONDAY


def test_an_empty_list_means_nobody_and_empty_properties_mean_none() -> None:
    (wanted,) = module.parse_groups([{"name": "monday", "users": [], "properties": {}}])
    assert module.target(wanted, MONDAY, "exact") == module.NEW


def test_all_that_makes_no_sense_is_told_at_once() -> None:
    entries: list[dict[str, Any]] = [{"name": "x", "users": [""]}, {"name": "x"}, {"name": ""}]
    with pytest.raises(ValueError) as failure:
        module.parse_groups(entries)
    assert len(str(failure.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("groups", "state", "scopes"),
    [
        ([{"name": "x"}], "present", {"list:groups", "read:groups"}),
        ([{"name": "x", "properties": {}}], "present", {"list:groups", "read:groups", "groups"}),
        (
            [{"name": "x", "users": ["a"]}],
            "present",
            {"list:groups", "read:groups", "groups", "list:users"},
        ),
        (
            [{"name": "x", "users": ["a"]}],
            "absent",
            {"list:groups", "read:groups", "delete:groups"},
        ),
    ],
)
def test_no_more_scopes_are_needed_than_are_used(
    groups: list[dict[str, Any]], state: str, scopes: set[str]
) -> None:
    assert set(module.needed_scopes({"groups": groups, "state": state})) == scopes
