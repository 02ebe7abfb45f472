# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with a real service of OpenID Connect: groups, domains and names decide."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from .local_hub import LocalHub
from .openid_provider import OpenIDProvider, sign_in
from .sign_in import hub_of

pytestmark = pytest.mark.slow

SECRET = "secret-of-the-client-0123456789"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "alice": {"groups": ["research", "chess"]},
    "grace": {"groups": ["operators"]},
    "bob": {"groups": ["chess"]},
    "carol": {"email": "carol@Example.org", "email_verified": True},
    "dave": {"email": "dave@example.org", "email_verified": False},
    "erin": {"email": "erin@sub.example.org", "email_verified": True},
    "frank": {"email": "frank@evil-example.org", "email_verified": True},
    "heidi": {"groups": "research"},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> OpenIDProvider:
    """A service that is still to be started."""
    return OpenIDProvider(tmp_path_factory.mktemp("service"), ACCOUNTS)


@pytest.fixture(scope="module")
def hub(service: OpenIDProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A hub that lets in a group, a domain and a name, and sends its secret in a header."""
    with ExitStack() as stack:
        made = hub_of(
            tmp_path_factory.mktemp("hub"),
            authenticator="generic-oauth",
            allowed_groups=["research"],
            admin_groups=["operators"],
            allowed_users=["ivan"],
            blocked_users=["judy"],
            oauth={
                "client_id": "hub",
                "client_secret": SECRET,
                "callback_url": "http://127.0.0.1/hub/oauth_callback",
                "basic_auth": True,
                "allowed_domains": ["example.org"],
                **service.endpoints(),
            },
        )
        register(service, made, "hub", "client_secret_basic")
        stack.enter_context(service)
        yield stack.enter_context(made)


def register(service: OpenIDProvider, hub: LocalHub, client: str, method: str) -> None:
    """Have service and hub know each other, now that the hub has a port."""
    callback = f"{hub.url}hub/oauth_callback"
    text = hub.config_file.read_text()
    hub.config_file.write_text(text.replace("http://127.0.0.1/hub/oauth_callback", callback))
    service.clients.append(
        {
            "client_id": client,
            "client_secret": SECRET,
            "redirect_uris": [callback],
            "token_endpoint_auth_method": method,
        }
    )


def enter(hub: LocalHub, name: str) -> tuple[int, dict[str, Any]]:
    """The status of the last page of a sign-in, and who the hub says that is."""
    with requests.Session() as session:
        session.trust_env = False
        ask = functools.partial(session.request, timeout=30)
        last = sign_in(ask, f"{hub.url}hub/oauth_login?next=/hub/home", name)
        assert last.url.startswith(hub.url), last.url
        headers = {"Referer": last.url, "X-XSRFToken": session.cookies.get("_xsrf", path="/hub/")}
        me = session.get(f"{hub.url}hub/api/user", headers=headers, timeout=30)
        return last.status_code, me.json() if me.ok else {}


def test_a_member_of_the_group_gets_in_and_has_the_groups_of_the_service(hub: LocalHub) -> None:
    status, alice = enter(hub, "alice")
    assert (status, alice["name"], alice["admin"]) == (200, "alice", False)
    assert sorted(alice["groups"]) == ["chess", "research"]


def test_a_member_of_the_other_group_is_an_administrator(hub: LocalHub) -> None:
    status, grace = enter(hub, "grace")
    assert (status, grace["admin"]) == (200, True)


@pytest.mark.parametrize("name", ["carol", "ivan"])
def test_the_domain_or_the_name_does_as_well(hub: LocalHub, name: str) -> None:
    status, found = enter(hub, name)
    assert (status, found["name"]) == (200, name)


@pytest.mark.parametrize("name", ["bob", "dave", "erin", "frank", "heidi", "judy"])
def test_nobody_else_gets_in(hub: LocalHub, name: str) -> None:
    status, found = enter(hub, name)
    assert (status, found) == (403, {})


def test_the_secret_is_in_no_log(hub: LocalHub) -> None:
    assert "alice" in hub.log
    assert SECRET not in hub.log


def test_an_answer_nobody_asked_for_is_refused(hub: LocalHub) -> None:
    url = f"{hub.url}hub/oauth_callback?code=guessed&state=guessed"
    assert requests.get(url, timeout=30).status_code == 400


def test_a_wrong_secret_of_the_client_lets_in_nobody_and_is_in_the_log(
    tmp_path: Path,
) -> None:
    service = OpenIDProvider(tmp_path, ACCOUNTS)
    made = hub_of(
        tmp_path,
        authenticator="generic-oauth",
        allow_all=True,
        oauth={
            "client_id": "hub",
            "client_secret": "another-secret",
            "callback_url": "http://127.0.0.1/hub/oauth_callback",
            **service.endpoints(),
        },
    )
    register(service, made, "hub", "client_secret_post")
    with service, made as hub:
        status, found = enter(hub, "alice")
        assert status >= 400 and not found
        assert "invalid_client" in hub.log
        assert "another-secret" not in hub.log
