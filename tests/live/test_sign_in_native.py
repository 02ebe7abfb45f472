# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-up, approval and lock-out on a real hub."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError
from .local_hub import LocalHub
from .sign_in import SECRETS, hub_of

pytestmark = pytest.mark.slow

FIRST = SECRETS["shared_admin_password"]
PASSWORD = "correct horse battery"
LOCKED_SECONDS = 1


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with hub_of(
        tmp_path_factory.mktemp("hub"),
        authenticator="native",
        admin_users=["grace"],
        native={"allowed_failed_logins": 3, "seconds_before_next_try": LOCKED_SECONDS},
    ) as running:
        yield running


def sign_up(hub: LocalHub, name: str, password: str = PASSWORD) -> str:
    """Fill in the form of the page, and return what the hub says to it."""
    with JupyterHubClient(hub.url) as client:
        page = client.request("GET", "hub/signup").text
        token = re.search(r'name="_xsrf" value="([^"]+)"', page)
        assert token
        data = {
            "username": name,
            "signup_password": password,
            "signup_password_confirmation": password,
            "_xsrf": token[1],
        }
        answer = client.request("POST", "hub/signup", data=data).text
        said = re.search(r'<div class="alert [^>]*>(.*?)</div>', answer, re.DOTALL)
        assert said
        return " ".join(re.sub(r"<[^>]+>", " ", said[1]).split())


@pytest.fixture(scope="module")
def grace(hub: LocalHub) -> Iterator[JupyterHubClient]:
    """The administrator, logged in."""
    with JupyterHubClient(hub.url) as client:
        client.login("grace", FIRST)
        yield client


def approve(grace: JupyterHubClient, name: str, headers: dict[str, str] | None = None) -> None:
    """What the administrator's button does."""
    page = grace.request("GET", "hub/authorize")
    assert name in page.text
    sent = {"Referer": page.url} if headers is None else headers
    grace.request("GET", f"hub/authorize/{name}", headers=sent)


def log_in(hub: LocalHub, name: str, password: str = PASSWORD) -> str:
    """Log in; return why not, or nothing."""
    with JupyterHubClient(hub.url) as client:
        try:
            client.login(name, password)
        except LoginError as refusal:
            return str(refusal)
        return ""


def test_who_signs_up_gets_in_once_approved(hub: LocalHub, grace: JupyterHubClient) -> None:
    assert "sent to the admin" in sign_up(hub, "alice")
    assert "not been authorized by an administrator" in log_in(hub, "alice")
    approve(grace, "alice")
    assert log_in(hub, "alice") == ""


def test_nobody_can_sign_up_as_an_administrator(hub: LocalHub) -> None:
    assert "already in use" in sign_up(hub, "grace")
    assert "already in use" in sign_up(hub, "Grace")
    assert log_in(hub, "grace", PASSWORD)
    assert log_in(hub, "grace", FIRST) == ""


@pytest.mark.parametrize("password", ["short", "1234567890", "x" * 73])
def test_bad_passwords_are_refused(hub: LocalHub, password: str) -> None:
    assert "Something went wrong" in sign_up(hub, "weak", password)
    assert log_in(hub, "weak", password)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Referer": "https://evil.example.org/"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["a link in a mail", "another site", "another site in a browser"],
)
def test_a_link_an_administrator_follows_approves_nobody(
    hub: LocalHub, grace: JupyterHubClient, headers: dict[str, str]
) -> None:
    sign_up(hub, "eve")
    with pytest.raises(JupyterHubError) as refusal:
        approve(grace, "eve", headers)
    assert refusal.value.status == 403
    assert log_in(hub, "eve")


def test_wrong_passwords_lock_one_account_for_a_while(
    hub: LocalHub, grace: JupyterHubClient
) -> None:
    for name in ("mallory", "bob"):
        sign_up(hub, name)
        approve(grace, name)
    for _try in range(3):
        assert log_in(hub, "mallory", "a wrong password")
    assert log_in(hub, "mallory")
    assert log_in(hub, "bob") == ""
    time.sleep(LOCKED_SECONDS + 1.1)
    assert log_in(hub, "mallory") == ""


def test_a_very_long_password_is_no_error_of_the_hub(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as client, pytest.raises(LoginError) as refusal:
        client.login("grace", "x" * 5000)
    assert refusal.value.status == 403


def test_the_pages_lead_to_approval_and_to_another_password(
    hub: LocalHub, grace: JupyterHubClient
) -> None:
    home = grace.request("GET", "hub/home").text
    assert 'href="/hub/authorize"' in home
    assert 'href="/hub/change-password"' in home
    page = requests.get(f"{hub.url}hub/login", timeout=30).text
    assert 'href="/hub/authorize"' not in page


def test_users_may_not_see_the_page_of_approvals(hub: LocalHub, grace: JupyterHubClient) -> None:
    sign_up(hub, "carol")
    approve(grace, "carol")
    with JupyterHubClient(hub.url) as carol:
        carol.login("carol", PASSWORD)
        for path in ("hub/authorize", "hub/authorize/carol", "hub/change-password/grace"):
            with pytest.raises(JupyterHubError):
                carol.request("GET", path)
    assert requests.get(f"{hub.url}hub/authorize", timeout=30).status_code == 403


def test_a_name_in_the_list_is_no_approval_and_approval_does_not_replace_the_list(
    tmp_path: Path,
) -> None:
    with hub_of(
        tmp_path, authenticator="native", admin_users=["grace"], allowed_users=["alice"]
    ) as hub:
        sign_up(hub, "alice")
        sign_up(hub, "bob")
        assert log_in(hub, "alice")
        with JupyterHubClient(hub.url) as grace:
            grace.login("grace", FIRST)
            approve(grace, "alice")
            approve(grace, "bob")
        assert log_in(hub, "alice") == ""
        assert log_in(hub, "bob")
        # what was changed stays when the hub starts again
        hub.stop_hub()
        hub.start_hub()
        assert log_in(hub, "grace", FIRST) == ""
        assert log_in(hub, "alice") == ""
