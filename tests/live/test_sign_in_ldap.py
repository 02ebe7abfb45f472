# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with a real directory over TLS, whose certificate is checked."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import (
    authenticator_traits,
)
from tornado.web import HTTPError
from traitlets.config import Config

from .authority import Authority
from .directory import GROUPS, NAME, PEOPLE, SEARCHER, SEARCHER_PASSWORD, Directory
from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError
from .local_hub import PACKAGE, LocalHub, free_port
from .sign_in import checked, hub_of

sys.path.insert(0, str(PACKAGE))

from ailab_hub.ldap import PatientLDAPAuthenticator

pytestmark = pytest.mark.slow

ALICE = "password of alice: ü"
BOB = "password-of-bob"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    with Directory(
        tmp_path_factory.mktemp("directory"),
        {"alice": ALICE, "bob": BOB},
        {"research": ["alice"], "chess": ["alice", "bob"]},
    ) as running:
        yield running


def hub_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, authority: Path, **variables: Any
) -> LocalHub:
    """A hub that trusts an authority as the hub image does, by its environment."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    return hub_of(folder, authenticator="ldap", **variables)


def test_a_template_and_a_group_over_starttls(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_with(
        tmp_path,
        monkeypatch,
        directory.authority.certificate,
        allowed_groups=[f"cn=research,{GROUPS}"],
        ldap={
            "server_address": NAME,
            "server_port": directory.port,
            "bind_dn_template": [f"uid={{username}},{PEOPLE}"],
        },
    ) as hub:
        assert enter(hub, "alice", ALICE) == "alice"
        # the right password, but in the other group alone
        refused(hub, "bob", BOB)
        for password in ("wrong", "", " "):
            refused(hub, "alice", password)
        for name in ("alice,dc=x", "*", "ali*", "alice)(uid=*", "Alice\\"):
            refused(hub, name, ALICE)
        assert ALICE not in hub.log
        directory_that_hangs(hub)


def directory_that_hangs(hub: LocalHub) -> None:
    """While one sign-in waits for a directory, the hub answers everybody else."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        hub.stop_hub()
        with hub.config_file.open("a") as config:
            config.write(f"c.LDAPAuthenticator.server_port = {port}\n")
        hub.start_hub()
        waiting = threading.Thread(target=refused, args=(hub, "alice", ALICE), daemon=True)
        waiting.start()
        connection, _address = silent.accept()
        with connection:
            time.sleep(0.5)
            for _request in range(5):
                assert requests.get(f"{hub.url}hub/health", timeout=2).ok
            assert waiting.is_alive()
        waiting.join(30)
        assert not waiting.is_alive()


def test_a_search_with_a_technical_account_over_ldaps(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_with(
        tmp_path,
        monkeypatch,
        directory.authority.certificate,
        allowed_users=["bob"],
        ldap={
            "server_address": NAME,
            "server_port": directory.secure_port,
            "tls_strategy": "on_connect",
            "user_search_base": PEOPLE,
            "user_attribute": "uid",
            "lookup_dn_search_user": SEARCHER,
            "lookup_dn_search_password": SEARCHER_PASSWORD,
        },
    ) as hub:
        assert enter(hub, "bob", BOB) == "bob"
        refused(hub, "bob", "wrong")
        refused(hub, "alice", ALICE)
        assert SEARCHER_PASSWORD not in hub.log


@pytest.mark.parametrize("mistake", ["another authority", "another name", "nobody there"])
def test_a_directory_that_cannot_be_trusted_gets_no_password(
    directory: Directory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    mistake: str,
) -> None:
    authority = directory.authority.certificate
    address, port = NAME, directory.port
    if mistake == "another authority":
        authority = Authority(tmp_path, "Another authority").certificate
    elif mistake == "another name":
        address = "127.0.0.1"
    else:
        port = free_port()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    options = {
        "server_address": address,
        "server_port": port,
        "bind_dn_template": [f"uid={{username}},{PEOPLE}"],
    }
    values = checked(
        {
            "jupyterhub_authenticator": "ldap",
            "jupyterhub_allow_all": True,
            "jupyterhub_ldap": options,
        }
    )
    authenticator = PatientLDAPAuthenticator(config=Config(authenticator_traits(values)))
    with pytest.raises(HTTPError) as refusal, caplog.at_level(logging.ERROR):
        asyncio.run(authenticator.authenticate(None, {"username": "alice", "password": ALICE}))
    assert refusal.value.status_code == 503
    assert "directory of users cannot be asked" in str(refusal.value)
    assert f"The directory {address} cannot be asked" in caplog.text
    assert ALICE not in caplog.text


def enter(hub: LocalHub, name: str, password: str) -> str:
    with JupyterHubClient(hub.url) as client:
        client.login(name, password)
        return client.name


def refused(hub: LocalHub, name: str, password: str) -> None:
    with JupyterHubClient(hub.url) as client, pytest.raises((LoginError, JupyterHubError)):
        client.login(name, password)
