# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Launches of LTI 1.3 that a course system signed, and those it did not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from .local_hub import LocalHub
from .sign_in import hub_of

pytestmark = pytest.mark.slow

CLIENT = "hub-at-the-course-system"
CLAIM = "https://purl.imsglobal.org/spec/lti/claim"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class CourseSystem(ThreadingHTTPServer):
    """A course system as far as a launch goes: it has a name, and publishes its key."""

    def __init__(self) -> None:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        keys = json.dumps({"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]})

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(keys.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def system() -> Iterator[CourseSystem]:
    with CourseSystem() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.fixture(scope="module")
def hub(system: CourseSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with hub_of(
        tmp_path_factory.mktemp("hub"),
        authenticator="lti13",
        allow_all=True,
        admin_users=["teacher@example.org"],
        blocked_users=["mallory@example.org"],
        lti13={
            "client_id": [CLIENT],
            "issuer": system.issuer,
            "authorize_url": f"{system.issuer}/auth",
            "jwks_endpoint": f"{system.issuer}/keys",
        },
    ) as running:
        yield running


def launch(
    hub: LocalHub,
    system: CourseSystem,
    email: str,
    key: rsa.RSAPrivateKey = KEY,
    state: str | None = None,
    **claims: Any,
) -> tuple[int, dict[str, Any]]:
    """Launch the hub as a browser does between it and the course system."""
    with requests.Session() as session:
        session.trust_env = False
        start = session.get(
            f"{hub.url}hub/lti13/oauth_login",
            params={
                "iss": system.issuer,
                "login_hint": "7",
                "target_link_uri": f"{hub.url}hub",
                "client_id": CLIENT,
            },
            allow_redirects=False,
            timeout=30,
        )
        assert start.headers["Location"].startswith(f"{system.issuer}/auth?")
        asked = {
            name: values[0]
            for name, values in parse_qs(urlsplit(start.headers["Location"]).query).items()
        }
        assert asked["redirect_uri"] == f"{hub.url}hub/lti13/oauth_callback"
        now = int(time.time())
        token = {
            "iss": system.issuer,
            "aud": CLIENT,
            "sub": "7",
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
            "email": email,
            f"{CLAIM}/message_type": "LtiResourceLinkRequest",
            f"{CLAIM}/version": "1.3.0",
            f"{CLAIM}/deployment_id": "1",
            f"{CLAIM}/target_link_uri": f"{hub.url}hub",
            f"{CLAIM}/resource_link": {"id": "lesson"},
            f"{CLAIM}/roles": [],
            **claims,
        }
        signed = jwt.encode(token, key, algorithm="RS256", headers={"kid": "1"})
        answer = session.post(
            f"{hub.url}hub/lti13/oauth_callback",
            data={"id_token": signed, "state": state or asked["state"]},
            allow_redirects=False,
            timeout=30,
        )
        home = session.get(f"{hub.url}hub/home", allow_redirects=False, timeout=30)
        if home.status_code != 200:
            return answer.status_code, {}
        me = session.get(
            f"{hub.url}hub/api/user",
            headers={
                "Referer": home.url,
                "X-XSRFToken": str(session.cookies.get("_xsrf", path="/hub/")),
            },
            timeout=30,
        )
        return answer.status_code, me.json()


def test_a_signed_launch_logs_in(hub: LocalHub, system: CourseSystem) -> None:
    status, alice = launch(hub, system, "Alice@example.org")
    assert (status, alice["name"], alice["admin"]) == (302, "alice@example.org", False)
    assert launch(hub, system, "teacher@example.org")[1]["admin"] is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": OTHER_KEY},
        {"aud": "another-tool"},
        {"iss": "https://another.example.org"},
        {"exp": int(time.time()) - 60},
        {"nonce": "of-another-launch"},
        {"state": "of-another-launch"},
        {f"{CLAIM}/version": "1.1"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_anything_else_does_not(hub: LocalHub, system: CourseSystem, wrong: dict[str, Any]) -> None:
    status, found = launch(hub, system, "teacher@example.org", **wrong)
    assert status in (400, 401)
    assert found == {}


def test_who_is_blocked_stays_out(hub: LocalHub, system: CourseSystem) -> None:
    assert launch(hub, system, "mallory@example.org") == (403, {})
