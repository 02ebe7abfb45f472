# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.filter.split_secret_traits import split_secret_traits

SECRET: list[tuple[str, Any]] = [
    ("client_secret", "x"),
    ("user_password", "x"),
    ("auth_token", "x"),
    ("keys", ["x"]),
    ("lookup_dn_search_password", "x"),
    ("environment", {"AWS_SECRET_ACCESS_KEY": "x"}),
    ("environment", {"DB_PASS": "x"}),
    ("environment", {"MYSQL_PWD": "x"}),
    ("services", [{"name": "culler", "api_token": "x"}]),
    ("db_url", "postgresql://hub:x@db.example.org/hub"),
    ("password", "x"),
]
SHOWN: list[tuple[str, Any]] = [
    ("mem_limit", "4G"),
    ("cookie_secret_file", "/run/secrets/cookie_secret"),
    ("minimum_password_length", 12),
    ("check_common_password", True),
    ("token_url", "https://login.example.org/token"),
    ("db_url", "sqlite:////srv/jupyterhub/jupyterhub.sqlite"),
    ("username_pattern", "a:b@c"),
    ("allowed_users", ["token"]),
]


@pytest.mark.parametrize(("trait", "value"), SECRET)
def test_a_secret_is_not_shown(trait: str, value: Any) -> None:
    assert split_secret_traits({"Class": {trait: value}}) == {
        "shown": {},
        "secret": {"Class": {trait: value}},
    }


@pytest.mark.parametrize(("trait", "value"), SHOWN)
def test_what_is_no_secret_is_shown(trait: str, value: Any) -> None:
    assert split_secret_traits({"Class": {trait: value}}) == {
        "shown": {"Class": {trait: value}},
        "secret": {},
    }
