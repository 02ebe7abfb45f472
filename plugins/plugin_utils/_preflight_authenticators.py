# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the variables for signing in let in whom they should. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import (
    KINDS,
    effective,
    sections,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem, describe

Values = Mapping[str, Any]

PREFIX = "jupyterhub_"
# Without all of these nothing can be said about who gets in.
NEEDED = (
    "jupyterhub_authenticator",
    "jupyterhub_admin_users",
    "jupyterhub_allowed_users",
    "jupyterhub_blocked_users",
    "jupyterhub_allowed_groups",
    "jupyterhub_admin_groups",
    "jupyterhub_allow_all",
    "jupyterhub_allow_existing_users",
    "jupyterhub_config",
)


def check_sign_in(values: Values) -> Iterator[Problem]:
    """All problems of who may sign in, and how.

    :arg values: converted values by full name; a variable with a problem of its type is left out.
    """
    own = {
        name.removeprefix(PREFIX): value
        for name, value in values.items()
        if name.startswith(PREFIX)
    }
    if not own.get("authenticator") or any(name not in values for name in NEEDED):
        return
    yield from _contradictions(own)
    yield from _groups(own)
    yield from _nobody(own)


def _contradictions(own: Values) -> Iterator[Problem]:
    everybody = effective(own, "allow_all")
    for name in ("allowed_users", "allowed_groups"):
        if everybody and own[name]:
            yield Problem(
                f"{PREFIX}allow_all",
                f"true, beside {PREFIX}{name}, which has no effect then",
                "one of them",
                f"Set {PREFIX}allow_all: false to let in only whom you named, or take out "
                f"{PREFIX}{name}.",
            )
    blocked = {name.lower() for name in own["blocked_users"]}
    for name in ("admin_users", "allowed_users"):
        if both := sorted(blocked & {user.lower() for user in own[name]}):
            yield Problem(
                f"{PREFIX}blocked_users",
                f"{', '.join(map(describe, both))}, also in {PREFIX}{name}",
                "each name in one of the two lists",
                "Take it out of one of them.",
            )


def _groups(own: Values) -> Iterator[Problem]:
    name = own["authenticator"]
    kind = KINDS.get(name)
    for variable, known in (
        ("allowed_groups", kind and kind.groups),
        ("admin_groups", kind and kind.admin_groups),
    ):
        if own[variable] and not known:
            which = [item for item, other in KINDS.items() if getattr(other, _FIELDS[variable])]
            yield Problem(
                f"{PREFIX}{variable}",
                f"a list, with {PREFIX}authenticator: {name}, which tells no groups here",
                "nothing" + (f": it is for {', '.join(which)}" if which else ""),
                f"Take it out; name users in {PREFIX}{_USERS[variable]}, or set the authenticator's "
                f"own traits in {PREFIX}config.",
            )


_FIELDS = {"allowed_groups": "groups", "admin_groups": "admin_groups"}
_USERS = {"allowed_groups": "allowed_users", "admin_groups": "admin_users"}


def _nobody(own: Values) -> Iterator[Problem]:
    # It lets in nobody on purpose: a hub that programs alone use.
    if own["authenticator"] == "null":
        return
    named = ("admin_users", "allowed_users", "allow_all", "allow_existing_users",
             "allowed_groups", "admin_groups")  # fmt: skip
    if any(own[name] for name in named) or _allows_otherwise(own):
        return
    yield Problem(
        f"{PREFIX}allowed_users",
        "a configuration that lets nobody in",
        "somebody who may log in",
        f"Name administrators in {PREFIX}admin_users and users in {PREFIX}allowed_users, or set "
        f"{PREFIX}allow_all: true for everybody the authenticator knows.",
    )


def _allows_otherwise(own: Values) -> bool:
    """Whether settings of the authenticator itself may let somebody in."""
    if re.search(r"\b(allow|admin)\w*\s*=", own.get("extra_config") or ""):
        return True
    traits = {
        name: value
        for section in sections(own)
        for name, value in dict((own["config"] or {}).get(section) or {}).items()
    }
    return any(value for name, value in traits.items() if str(name).startswith(("allow", "admin_")))
