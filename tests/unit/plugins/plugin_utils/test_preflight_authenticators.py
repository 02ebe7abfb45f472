# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that lets in everybody by omission, or nobody, is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_authenticators import (
    check_sign_in,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    Problem,
    convert,
)

SPECS = Path(__file__).parents[4] / "roles/jupyterhub/meta/argument_specs.yml"
OPTIONS = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]


def problems(authenticator: str, **variables: Any) -> list[Problem]:
    """What is wrong with variables, given without prefix; the others have their defaults."""
    given = {"authenticator": authenticator, **variables}
    values = {}
    for name, spec in OPTIONS.items():
        value = given.pop(name.removeprefix("jupyterhub_"), spec.get("default"))
        converted = convert(name, spec, value)
        assert not converted.problems, converted.problems
        values[name] = converted.value
    assert not given, f"unknown variables: {given}"
    return list(check_sign_in(values))


def said(authenticator: str, **variables: Any) -> list[str]:
    return [str(problem) for problem in problems(authenticator, **variables)]


# -- nobody and everybody -------------------------------------------------------------------------


@pytest.mark.parametrize("authenticator", ["shared-password", "dummy", "custom.Authenticator"])
def test_who_lets_in_nobody_is_told_what_decides(authenticator: str) -> None:
    (problem,) = problems(authenticator)
    assert problem.subject == "jupyterhub_allowed_users"
    assert "lets nobody in" in problem.found
    for name in ("jupyterhub_admin_users", "jupyterhub_allowed_users", "jupyterhub_allow_all"):
        assert name in problem.mend


@pytest.mark.parametrize(
    "variables",
    [
        {"admin_users": ["admin"]},
        {"allowed_users": ["alice"]},
        {"allow_all": True},
        {"allow_existing_users": True},
        {"config": {"Authenticator": {"allow_all": True}}},
        {"config": {"SharedPasswordAuthenticator": {"allowed_users": ["alice"]}}},
        {"extra_config": "c.Authenticator.allowed_users = read('users')"},
        {"allow_all": True, "blocked_users": ["mallory"]},
    ],
    ids=str,
)
def test_one_way_in_is_enough(variables: dict[str, Any]) -> None:
    assert said("shared-password", **variables) == []


def test_settings_of_another_authenticator_let_nobody_in() -> None:
    config = {
        "LDAPAuthenticator": {"allowed_groups": ["cn=hub"]},
        "DockerSpawner": {"remove": True},
    }
    assert len(problems("shared-password", config=config)) == 1


def test_null_lets_in_nobody_on_purpose() -> None:
    assert problems("null") == []


# -- what contradicts itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "everybody", [{"allow_all": True}, {"config": {"Authenticator": {"allow_all": True}}}], ids=str
)
def test_a_list_that_everybody_is_on_anyway_is_refused(everybody: dict[str, Any]) -> None:
    (problem,) = problems("shared-password", allowed_users=["alice"], **everybody)
    assert problem.subject == "jupyterhub_allow_all"
    assert "jupyterhub_allowed_users, which has no effect" in problem.found


@pytest.mark.parametrize("name", ["admin_users", "allowed_users"])
def test_a_name_is_not_let_in_and_blocked(name: str) -> None:
    (problem,) = problems("shared-password", blocked_users=["Eve"], **{name: ["eve", "alice"]})
    assert problem.subject == "jupyterhub_blocked_users"
    assert f'"eve", also in jupyterhub_{name}' in problem.found


@pytest.mark.parametrize("name", ["allowed_groups", "admin_groups"])
def test_groups_need_an_authenticator_that_tells_them(name: str) -> None:
    (problem,) = problems("shared-password", admin_users=["admin"], **{name: ["staff"]})
    assert problem.subject == f"jupyterhub_{name}"
    assert "shared-password, which tells no groups" in problem.found


def test_where_a_variable_has_a_wrong_type_nothing_is_said() -> None:
    assert list(check_sign_in({"jupyterhub_authenticator": "shared-password"})) == []
