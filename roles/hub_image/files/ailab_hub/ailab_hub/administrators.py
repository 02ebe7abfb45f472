# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators may do."""

from __future__ import annotations

from typing import Any

from jupyterhub import roles

# Into a user's server, and by detours: a share of it, a token in the user's name.
_INTO_SERVERS = frozenset({"access:servers", "shares", "tokens"})

# JupyterHub's own list, however often the configuration is read in one process.
_get_default_roles = roles.get_default_roles


def _default_roles() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _get_default_roles()
    for role in found:
        if role["name"] == "admin":
            role["scopes"] = [scope for scope in role["scopes"] if scope not in _INTO_SERVERS]
    return found


def keep_administrators_out_of_servers() -> None:
    """Take the scopes that lead into users' servers out of JupyterHub's role ``admin``.

    JupyterHub refuses to start with another definition of this role, and its option
    ``admin_access`` has had no effect since version 2. So this changes the definition itself.
    """
    roles.get_default_roles = _default_roles
