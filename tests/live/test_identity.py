# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ailab_hub.identity`` with real services: what is wrong with each is told apart."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .authority import Authority
from .directory import NAME, PEOPLE, SEARCHER, SEARCHER_PASSWORD, Directory
from .local_hub import PACKAGE, PYTHON, free_port
from .openid_provider import OpenIDProvider
from .sign_in import hub_of
from .tls_front import TlsFront

pytestmark = pytest.mark.slow

SECRET = "secret-of-the-client-0123456789"
WRONG = "another-secret-9876543210"


def ask(folder: Path, authority: Path | None = None, **variables: Any) -> dict[str, Any]:
    """What it says with such variables; the hub itself is not started."""
    hub = hub_of(folder, **{"allow_all": True, **variables})
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    if authority:
        environment["SSL_CERT_FILE"] = str(authority)
    done = subprocess.run(
        [PYTHON, "-m", "ailab_hub.identity", str(hub.config_file)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )
    for secret in (SECRET, WRONG, SEARCHER_PASSWORD):
        assert secret not in done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[tuple[str, TlsFront]]:
    """The address of a service that knows one client, and what shows its certificate."""
    provider = OpenIDProvider(tmp_path_factory.mktemp("service"), {})
    callbacks = {"redirect_uris": ["https://hub.example.org/hub/oauth_callback"]}
    for client, method in (("posts", "client_secret_post"), ("has-header", "client_secret_basic")):
        registered = {"client_id": client, "client_secret": SECRET, **callbacks}
        provider.clients.append({**registered, "token_endpoint_auth_method": method})
    with provider, TlsFront(provider.port, *authority.sign(NAME)) as front:
        yield f"https://{NAME}:{front.port}", front


def settings(address: str, **options: Any) -> dict[str, Any]:
    """Variables for a service of OpenID Connect."""
    oauth = {
        "client_id": "posts",
        "client_secret": SECRET,
        "callback_url": "https://hub.example.org/hub/oauth_callback",
        "authorize_url": f"{address}/auth",
        "token_url": f"{address}/token",
        "userdata_url": f"{address}/me",
        **options,
    }
    return {"authenticator": "generic-oauth", "oauth": oauth}


@pytest.mark.parametrize("options", [{}, {"client_id": "has-header", "basic_auth": True}])
def test_a_service_that_knows_the_hub(
    service: tuple[str, TlsFront], authority: Authority, tmp_path: Path, options: dict[str, Any]
) -> None:
    found = ask(tmp_path, authority.certificate, **settings(service[0], **options))
    assert found == {
        "kind": "oauth",
        "asked": f"{service[0]}/token",
        "problem": None,
        "detail": "",
        "accepted": True,
    }


@pytest.mark.parametrize(
    "options",
    [
        {"client_secret": WRONG},
        {"client_id": "has-header", "client_secret": WRONG, "basic_auth": True},
        {"client_id": "nobody"},
    ],
)
def test_a_service_that_does_not_know_the_hub(
    service: tuple[str, TlsFront], authority: Authority, tmp_path: Path, options: dict[str, Any]
) -> None:
    found = ask(tmp_path, authority.certificate, **settings(service[0], **options))
    assert (found["problem"], found["accepted"]) == ("credentials", False)
    assert found["detail"] == "invalid_client"


def test_an_authority_nobody_named(service: tuple[str, TlsFront], tmp_path: Path) -> None:
    found = ask(tmp_path, **settings(service[0]))
    assert found["problem"] == "certificate"
    assert "unable to get local issuer certificate" in found["detail"]


def test_a_certificate_of_another_name(
    service: tuple[str, TlsFront], authority: Authority, tmp_path: Path
) -> None:
    address = service[0].replace(NAME, "127.0.0.1")
    found = ask(tmp_path, authority.certificate, **settings(address))
    assert found["problem"] == "certificate"
    assert "not valid for '127.0.0.1'" in found["detail"]


def test_a_certificate_that_has_ended(authority: Authority, tmp_path: Path) -> None:
    with TlsFront(free_port(), *authority.sign(NAME, days=-2)) as front:
        address = f"https://{NAME}:{front.port}"
        found = ask(tmp_path, authority.certificate, **settings(address))
    assert (found["problem"], found["detail"]) == ("certificate", "certificate has expired")


def test_a_service_that_is_down(tmp_path: Path) -> None:
    found = ask(tmp_path, **settings(f"https://{NAME}:{free_port()}"))
    assert (found["problem"], found["detail"]) == ("connection", "Connection refused")


def test_a_service_that_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = ask(tmp_path, **settings(f"https://{NAME}:{silent.getsockname()[1]}"))
    assert (found["problem"], found["detail"]) == ("connection", "no answer within 4 s")


def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    found = ask(tmp_path, **settings("https://login.invalid"))
    assert (found["problem"], found["detail"]) == ("name", "its name does not resolve")


def test_an_address_of_something_else(
    service: tuple[str, TlsFront], authority: Authority, tmp_path: Path
) -> None:
    options = {"token_url": f"{service[0]}/.well-known/openid-configuration"}
    found = ask(tmp_path, authority.certificate, **settings(service[0], **options))
    assert found["problem"] == "answer"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    with Directory(tmp_path_factory.mktemp("directory"), {"alice": "any-password"}, {}) as running:
        yield running


def by_directory(directory: Directory, **options: Any) -> dict[str, Any]:
    """Variables for a directory in which users are looked for."""
    ldap = {
        "server_address": NAME,
        "server_port": directory.port,
        "user_search_base": PEOPLE,
        "user_attribute": "uid",
        "lookup_dn_search_user": SEARCHER,
        "lookup_dn_search_password": SEARCHER_PASSWORD,
        **options,
    }
    return {"authenticator": "ldap", "ldap": ldap}


@pytest.mark.parametrize("strategy", ["before_bind", "on_connect"])
def test_a_directory(directory: Directory, tmp_path: Path, strategy: str) -> None:
    port = {"before_bind": directory.port, "on_connect": directory.secure_port}[strategy]
    variables = by_directory(directory, tls_strategy=strategy, server_port=port)
    found = ask(tmp_path, directory.authority.certificate, **variables)
    assert (found["kind"], found["problem"], found["accepted"]) == ("ldap", None, True)
    assert found["asked"] == f"{NAME}:{port}"


def test_a_directory_where_nobody_is_looked_for(directory: Directory, tmp_path: Path) -> None:
    ldap = {"server_address": NAME, "server_port": directory.port}
    ldap["bind_dn_template"] = [f"uid={{username}},{PEOPLE}"]
    found = ask(tmp_path, directory.authority.certificate, authenticator="ldap", ldap=ldap)
    assert (found["problem"], found["accepted"]) == (None, None)


def test_a_directory_that_does_not_know_the_account(directory: Directory, tmp_path: Path) -> None:
    variables = by_directory(directory, lookup_dn_search_password=WRONG)
    found = ask(tmp_path, directory.authority.certificate, **variables)
    assert (found["problem"], found["accepted"]) == ("credentials", False)
    assert found["detail"] == f"as {SEARCHER}"


@pytest.mark.parametrize("strategy", ["before_bind", "on_connect"])
def test_a_directory_of_another_authority(
    directory: Directory, authority: Authority, tmp_path: Path, strategy: str
) -> None:
    port = {"before_bind": directory.port, "on_connect": directory.secure_port}[strategy]
    variables = by_directory(directory, tls_strategy=strategy, server_port=port)
    found = ask(tmp_path, authority.certificate, **variables)
    assert found["problem"] == "certificate", found


def test_a_directory_under_another_name(directory: Directory, tmp_path: Path) -> None:
    variables = by_directory(directory, server_address="127.0.0.1")
    found = ask(tmp_path, directory.authority.certificate, **variables)
    assert found["problem"] == "certificate", found


def test_a_directory_that_is_down_or_unknown(directory: Directory, tmp_path: Path) -> None:
    for name, options in (
        ("connection", {"server_port": free_port()}),
        ("name", {"server_address": "ldap.invalid"}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        found = ask(folder, directory.authority.certificate, **by_directory(directory, **options))
        assert found["problem"] == name, found


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """An address on loopback that always says the same."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [(200, b'{"keys": [{"kty": "RSA"}]}', None), (200, b"<html>", "answer"), (404, b"", "answer")],
)
def test_the_keys_of_a_course_system(
    tmp_path: Path, status: int, body: bytes, problem: str | None
) -> None:
    with answering(status, body) as address:
        lti13 = {
            "client_id": ["tool"],
            "issuer": "https://moodle.example.org",
            "authorize_url": "https://moodle.example.org/auth",
            "jwks_endpoint": address,
        }
        found = ask(tmp_path, authenticator="lti13", lti13=lti13)
    assert (found["kind"], found["problem"]) == ("lti13", problem), found


def test_the_accounts_of_the_server(tmp_path: Path) -> None:
    path = str(tmp_path / "mux")
    config = {"SaslauthdAuthenticator": {"socket": path}}
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
    found = ask(tmp_path / "before", authenticator="pam", config=config)
    assert (found["kind"], found["problem"]) == ("pam", "connection")
    assert found["detail"] == "No such file or directory"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        found = ask(tmp_path / "after", authenticator="pam", config=config)
    assert (found["asked"], found["problem"]) == (path, None)


def test_nobody_is_asked_where_the_hub_itself_knows(tmp_path: Path) -> None:
    variables: dict[str, Any] = {"admin_users": ["grace"], "allow_all": False}
    assert ask(tmp_path, authenticator="native", **variables)["kind"] == ""


def test_a_configuration_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("raise ValueError('no')")
    command = [PYTHON, "-m", "ailab_hub.identity", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
