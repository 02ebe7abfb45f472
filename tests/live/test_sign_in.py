# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in by the lists of the inventory, and what administrators may do, on a real hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError
from .local_hub import TOKEN, LocalHub
from .sign_in import SECRETS, hub_of

pytestmark = pytest.mark.slow

USER = SECRETS["shared_user_password"]
ADMIN = SECRETS["shared_admin_password"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A hub with lists of users, on which the administrator is not in the list of users."""
    with hub_of(
        tmp_path_factory.mktemp("hub"),
        authenticator="shared-password",
        admin_users=["grace"],
        allowed_users=["alice", "mallory"],
        title="R&D <hub>",
        announcement="Down on Monday, 8 < 9 <script>alert(1)</script>",
        login_message="Staff & students",
        config={"Authenticator": {"blocked_users": ["mallory"]}},
    ) as running:
        yield running


@pytest.mark.parametrize(("name", "password"), [("alice", USER), ("grace", ADMIN), ("Alice", USER)])
def test_who_is_named_gets_in(hub: LocalHub, name: str, password: str) -> None:
    with JupyterHubClient(hub.url) as client:
        client.login(name, password)
        assert client.name == name.lower()


@pytest.mark.parametrize("name", ["bob", "mallory"])
def test_who_is_not_named_or_blocked_does_not(hub: LocalHub, name: str) -> None:
    with JupyterHubClient(hub.url) as client, pytest.raises(LoginError):
        client.login(name, USER)


def test_an_account_in_the_database_opens_nothing(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url, token=TOKEN) as service:
        service.api("POST", "users/carol")
    with JupyterHubClient(hub.url) as client, pytest.raises(LoginError):
        client.login("carol", USER)


def test_administrators_manage_users_but_do_not_get_into_their_servers(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as grace:
        grace.login("grace", ADMIN)
        grace.api("POST", "users/dora")
        grace.api("DELETE", "users/dora")
        scopes = set(grace.me()["scopes"])
        assert "admin:users" in scopes and "admin:servers" in scopes
        assert not {"access:servers", "shares", "tokens"} & scopes
        with pytest.raises(JupyterHubError) as refusal:
            grace.api("POST", "users/alice/tokens", {"note": "a way round"})
        assert refusal.value.status in (403, 404)


def test_administrators_get_into_servers_where_that_is_asked_for(tmp_path: Path) -> None:
    with (
        hub_of(
            tmp_path,
            authenticator="shared-password",
            admin_users=["grace"],
            allow_existing_users=True,
            admin_access=True,
        ) as hub,
        JupyterHubClient(hub.url) as grace,
        JupyterHubClient(hub.url) as carol,
    ):
        grace.login("grace", ADMIN)
        assert "access:servers" in grace.me()["scopes"]
        grace.api("POST", "users/carol")
        carol.login("carol", USER)


def test_pages_have_the_title_and_what_is_to_be_told_as_text(hub: LocalHub) -> None:
    login = requests.get(f"{hub.url}hub/login", timeout=30).text
    assert re.search(r"<title>\s*R&amp;D &lt;hub&gt;\s*</title>", login)
    told = "Down on Monday, 8 &lt; 9 &lt;script&gt;alert(1)&lt;/script&gt;"
    assert f"{told}<br>Staff &amp; students</div>" in login
    assert "<script>alert(1)" not in login
    with JupyterHubClient(hub.url) as alice:
        alice.login("alice", USER)
        home = alice.request("GET", "hub/home").text
    assert f"{told}</div>" in home
    assert "Approve users" not in home
