# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service through which an administrator of the server administers people."""

from __future__ import annotations

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
        SettingError: the configuration has a service or a role of this name already.
    """
    service = {"name": NAME, "api_token": read_secret(token_file)}
    role = {
        "name": NAME,
        "description": "Administers users, groups and tokens for the server's administrator",
        "scopes": list(SCOPES),
        "services": [NAME],
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
    if any(isinstance(other, dict) and other.get("name") == NAME for other in entries):
        raise SettingError(
            f"JupyterHub.{trait} has an entry of the name {NAME}, which is the one of the service "
            "that this collection adds; choose another name"
        )
    c.JupyterHub[trait] = [*entries, entry]
