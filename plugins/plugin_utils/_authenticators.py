# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which classes and traits of JupyterHub the variables for signing in stand for. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Values = Mapping[str, Any]
Traits = dict[str, dict[str, Any]]


class Kind(NamedTuple):
    """An authenticator that has variables of its own.

    Attributes:
        authenticator_class: what JupyterHub is told to use.
        sections: the classes whose traits it has, its own first, without Authenticator.
        groups: whether jupyterhub_allowed_groups means something to it.
        admin_groups: whether jupyterhub_admin_groups does.
    """

    authenticator_class: str
    sections: tuple[str, ...]
    groups: bool = False
    admin_groups: bool = False


KINDS: dict[str, Kind] = {
    "dummy": Kind("dummy", ("DummyAuthenticator",)),
    "shared-password": Kind("shared-password", ("SharedPasswordAuthenticator",)),
}


def sections(values: Values) -> tuple[str, ...]:
    """The classes in jupyterhub_config that set traits of the authenticator, its own first."""
    name = values.get("authenticator") or ""
    kind = KINDS.get(name)
    own = kind.sections if kind else (name.rpartition(".")[2],)
    return (*own, "Authenticator")


def authenticator_traits(values: Values) -> Traits:
    """The traits by class that the variables of role jupyterhub for signing in stand for.

    :arg values: converted values by the names of the variables without C(jupyterhub_).
    """
    name = values["authenticator"]
    kind = KINDS.get(name)
    admins = values.get("admin_users", [])
    general: dict[str, Any] = {
        "admin_users": admins,
        # With some authenticators JupyterHub refuses administrators unless they are in this list.
        "allowed_users": [*dict.fromkeys([*values.get("allowed_users", []), *admins])],
        "blocked_users": values.get("blocked_users", []),
        "allow_all": values.get("allow_all", False),
        "allow_existing_users": values.get("allow_existing_users", False),
    }
    return {
        "JupyterHub": {"authenticator_class": kind.authenticator_class if kind else name},
        "Authenticator": general,
    }


def effective(values: Values, trait: str) -> Any:
    """The value of a trait of the authenticator as the variables and jupyterhub_config set it.

    :returns: None where neither sets it.
    """
    config = values.get("config") or {}
    typed = authenticator_traits(values)
    for section in sections(values):
        for source in (config, typed):
            traits = source.get(section)
            if isinstance(traits, Mapping) and trait in traits:
                return traits[trait]
    return None
