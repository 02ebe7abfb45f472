# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in by headers of an entrance: both headers are needed, and forged ones refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from .local_hub import LocalHub
from .sign_in import SECRETS, hub_of

pytestmark = pytest.mark.slow

SECRET = SECRETS["remote_user_secret"]
ENTRANCE = {"X-Ailab-Hub-Entrance": SECRET}
PAGES = {
    "login_page": "https://login.example.org/",
    "denied_page": "https://login.example.org/denied",
    "logout_page": "https://login.example.org/logout",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with hub_of(
        tmp_path_factory.mktemp("hub"),
        authenticator="remote-user",
        allowed_groups=["SAM-SSLVPNSAMUsers"],
        admin_groups=["operators"],
        admin_users=["grace"],
        blocked_users=["mallory"],
        remote_user={"groups_separator": ";", **PAGES},
    ) as running:
        yield running


def headers(name: str, groups: str = "chess;SAM-SSLVPNSAMUsers") -> dict[str, str]:
    """What the entrance sends for somebody."""
    return {**ENTRANCE, "X-Remote-User": name, "X-Remote-Groups": groups}


def visit(hub: LocalHub, sent: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Where the page that logs in leads to, and who the hub says that is."""
    with requests.Session() as session:
        session.trust_env = False
        first = session.get(f"{hub.url}hub/login?next=/hub/home", headers=sent, timeout=30,
                            allow_redirects=False)  # fmt: skip
        leads_to = first.headers.get("Location", str(first.status_code))
        page = session.get(f"{hub.url}hub/home", timeout=30, allow_redirects=False)
        if page.status_code != 200:
            return leads_to, {}
        token = session.cookies.get("_xsrf", path="/hub/")
        answer = session.get(
            f"{hub.url}hub/api/user",
            headers={"Referer": page.url, "X-XSRFToken": str(token)},
            timeout=30,
        )
        return leads_to, answer.json()


def test_who_the_entrance_names_gets_in_with_the_role(hub: LocalHub) -> None:
    leads_to, alice = visit(hub, headers("Alice"))
    assert leads_to == "/hub/home"
    assert (alice["name"], alice["admin"]) == ("alice", False)
    assert sorted(alice["groups"]) == ["SAM-SSLVPNSAMUsers", "chess"]


def test_a_role_makes_an_administrator_and_its_loss_none_any_more(hub: LocalHub) -> None:
    assert visit(hub, headers("oscar", "operators"))[1]["admin"] is True
    assert visit(hub, headers("oscar"))[1]["admin"] is False
    assert visit(hub, headers("grace", ""))[1]["admin"] is True


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("bob", ""),
        ("bob", "chess"),
        ("bob", "sam-sslvpnsamusers"),
        ("bob", "chess,SAM-SSLVPNSAMUsers"),
        ("mallory", "SAM-SSLVPNSAMUsers"),
    ],
)
def test_without_the_role_or_blocked_one_is_sent_elsewhere(
    hub: LocalHub, name: str, groups: str
) -> None:
    assert visit(hub, headers(name, groups)) == (PAGES["denied_page"], {})


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"X-Remote-User": "grace"},
        {"X-Remote-User": "grace", "X-Ailab-Hub-Entrance": ""},
        {"X-Remote-User": "grace", "X-Ailab-Hub-Entrance": "x" * len(SECRET)},
        {"X-Remote-User": "grace", "X-Ailab-Hub-Entrance": SECRET[:-1]},
        {"X-Remote-User": "grace", "X-Ailab-Hub-Entrance": "\u00fc".encode().decode("latin-1")},
        {"X_Remote_User": "grace", "X_Ailab_Hub_Entrance": SECRET},
        {**ENTRANCE, "X-Remote-User": ""},
        ENTRANCE,
    ],
    ids=str,
)
def test_no_header_alone_lets_anybody_in(hub: LocalHub, forged: dict[str, str]) -> None:
    assert visit(hub, forged) == (PAGES["login_page"], {})


@pytest.mark.parametrize("twice", ["X-Remote-User: alice", f"X-Ailab-Hub-Entrance: {SECRET}"])
def test_a_header_that_is_there_twice_is_none(hub: LocalHub, twice: str) -> None:
    """What an entrance that forgets to take out the visitor's own would send."""
    target = urlsplit(hub.url)
    assert target.hostname and target.port
    lines = [f"{name}: {value}" for name, value in headers("grace").items()]
    request = "\r\n".join(
        ["GET /hub/login HTTP/1.1", f"Host: {target.netloc}", "Connection: close", *lines, twice]
    )
    with socket.create_connection((target.hostname, target.port), timeout=30) as connection:
        connection.sendall(f"{request}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert f"location: {PAGES['login_page']}\r\n" in answer
    assert "jupyterhub-hub-login=" not in answer


def test_headers_count_on_the_page_for_logging_in_alone(hub: LocalHub) -> None:
    for path in ("hub/home", "hub/api/users", "hub/api/user"):
        answer = requests.get(
            f"{hub.url}{path}", headers=headers("grace"), timeout=30, allow_redirects=False
        )
        assert answer.status_code in (302, 403), path
        assert "/hub/home" not in answer.headers.get("Location", "").partition("?")[0]


def test_logging_out_leads_to_the_central_sign_in_and_not_in_again(hub: LocalHub) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{hub.url}hub/login", headers=headers("alice"), timeout=30)
        left = session.get(f"{hub.url}hub/logout", timeout=30, allow_redirects=False)
        assert left.headers["Location"] == PAGES["logout_page"]
        again = session.get(f"{hub.url}hub/home", timeout=30, allow_redirects=False)
        assert again.status_code == 302


def test_the_secret_is_in_no_log(hub: LocalHub) -> None:
    assert "somebody forges headers" in hub.log
    assert SECRET not in hub.log
