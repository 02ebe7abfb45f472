# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service through which an administrator of the server administers people."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from .config import read_secret
from .errors import SettingError

NAME = "ailab-hub-admin"
# What the modules ailab.hub.jupyterhub_user, _group, _token and _info need, and no more: no right to
# make administrators, to start servers, to use them, or to give the hub another proxy.
SCOPES = (
    "admin:users",
    "admin:groups",
    "tokens",
    "read:servers",
    "delete:servers",
    "list:services",
    "read:services",
    "read:hub",
)


def add_admin_service(c: Config, token_file: str | os.PathLike[str]) -> None:
    """Add the service and its role to what the configuration `c` has of services and roles.

    Called at the end of ``jupyterhub_config.py``, so that lists set before stay as they are.

    Raises:
        SecretFileError: the token cannot be read.
        SettingError: the configuration has a service or a role of such a name already.
    """
    token = read_secret(token_file)
    # JupyterHub keeps the former tokens of a service, but removes services that are gone with
    # theirs: with a name of its own for each token, another token makes the former one void.
    name = f"{NAME}-{hashlib.sha256(token.encode()).hexdigest()[:8]}"
    service = {"name": name, "api_token": token}
    role = {
        "name": NAME,
        "description": "Administers users, groups and tokens for the server's administrator",
        "scopes": list(SCOPES),
        "services": [name],
    }
    for trait, entry in (("services", service), ("load_roles", role)):
        _append(c, trait, entry)


def _append(c: Config, trait: str, entry: dict[str, Any]) -> None:
    entries = c.JupyterHub[trait]
    if isinstance(entries, LazyConfigValue):
        # what append, extend and their like have collected for the default, which is empty
        entries = entries.get_value([])
    if not isinstance(entries, list):
        # the configuration check says so
        return
    named = [str(other.get("name")) for other in entries if isinstance(other, dict)]
    if any(name.startswith(NAME) for name in named):
        raise SettingError(
            f"JupyterHub.{trait} has an entry whose name begins with {NAME}, as the one this "
            "collection adds does; choose another name"
        )
    c.JupyterHub[trait] = [*entries, entry]
