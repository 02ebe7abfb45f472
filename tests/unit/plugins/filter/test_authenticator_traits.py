# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables for signing in become JupyterHub's own traits, and each of these exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.filter.authenticator_traits import FilterModule
from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import effective
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import convert

SPECS = Path(__file__).parents[4] / "roles/jupyterhub/meta/argument_specs.yml"
OPTIONS = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]


def checked(authenticator: str, **variables: Any) -> dict[str, Any]:
    """All variables of the role as the preflight hands them on, without prefix."""
    given = {"authenticator": authenticator, **variables}
    return {
        name.removeprefix("jupyterhub_"): convert(
            name, spec, given.get(name.removeprefix("jupyterhub_"), spec.get("default"))
        ).value
        for name, spec in OPTIONS.items()
    }


def traits(authenticator: str, **variables: Any) -> dict[str, Any]:
    result: Any = FilterModule().filters()["authenticator_traits"](
        checked(authenticator, **variables)
    )
    return dict(result)


def test_by_default_the_lists_alone_decide() -> None:
    assert traits("shared-password", admin_users=["admin"], allowed_users=["alice", "admin"]) == {
        "JupyterHub": {"authenticator_class": "shared-password"},
        "Authenticator": {
            "admin_users": ["admin"],
            "allowed_users": ["alice", "admin"],
            "blocked_users": [],
            "allow_all": False,
            "allow_existing_users": False,
        },
    }


def test_administrators_need_not_be_in_the_list_of_users() -> None:
    assert traits("dummy", admin_users=["admin"])["Authenticator"]["allowed_users"] == ["admin"]


def test_a_class_is_named_as_it_is() -> None:
    assert traits("a.b.C")["JupyterHub"] == {"authenticator_class": "a.b.C"}


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({}, False),
        ({"Authenticator": {"allow_all": True}}, True),
        ({"C": {"allow_all": True}}, True),
        ({"C": {"allow_all": False}, "Authenticator": {"allow_all": True}}, False),
        ({"D": {"allow_all": True}}, False),
    ],
    ids=str,
)
def test_what_is_set_by_class_counts_over_the_variables(
    config: dict[str, Any], value: object
) -> None:
    assert effective(checked("a.b.C", config=config), "allow_all") is value
