# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What signs people in on a deployed server: its own accounts, and secrets that are replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import Play, Server
from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError

SECRETS = "/var/lib/ailab-hub/secrets"
ROTATED = ("cookie_secret", "proxy_token", "crypt_keys", "remote_user_secret")
FIRST, SECOND = "first-password-of-alan", "second-password-of-alan"

Deploy = Callable[..., Play]


@pytest.fixture(scope="module")
def deploy(play: Callable[..., Play], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Run the part of site.yml that is the hub with other variables; the former ones come back."""

    def run(**variables: Any) -> Play:
        file = tmp_path_factory.mktemp("variables") / "values.json"
        file.write_text(
            json.dumps({f"jupyterhub_{key}": value for key, value in variables.items()})
        )
        done = play("--tags=jupyterhub", f"--extra-vars=@{file}")
        assert done.returncode == 0, done.output
        return done

    yield run
    run()


def enters(url: str, name: str, password: str) -> bool:
    """Whether somebody gets in."""
    with JupyterHubClient(url) as client:
        try:
            client.login(name, password)
        except LoginError:
            return False
        return True


def set_password(server: Server, name: str, password: str) -> None:
    server.run(f"echo {name}:{password} | chpasswd")


@pytest.fixture
def accounts(server: Server) -> Iterator[None]:
    """A person's account and a program's on the server."""
    server.run("useradd alan && useradd --system robot && useradd Grace --badname")
    for name in ("alan", "robot", "Grace"):
        set_password(server, name, FIRST)
    yield
    server.run("userdel alan; userdel robot; userdel Grace")


@pytest.mark.usefixtures("accounts")
def test_accounts_of_the_server_sign_in_and_the_hub_has_no_password_file(
    deploy: Deploy, server: Server, url: str
) -> None:
    named = {
        "authenticator": "pam",
        "allow_all": False,
        "allowed_users": ["alan", "robot", "grace", "root"],
    }
    deploy(**named)
    assert enters(url, "alan", FIRST)
    assert not enters(url, "alan", SECOND)
    # the account of a program, and one whose name the hub would take for another
    assert not enters(url, "robot", FIRST)
    assert not enters(url, "Grace", FIRST)
    set_password(server, "alan", SECOND)
    assert not enters(url, "alan", FIRST)
    assert enters(url, "alan", SECOND)
    server.run("usermod --expiredate 1 alan")
    assert not enters(url, "alan", SECOND)
    server.run("usermod --expiredate '' alan")

    mounts = [mount["Source"] for mount in server.inspect("jupyterhub")["Mounts"]]
    assert "/run/ailab-hub-saslauthd" in mounts
    assert not [path for path in mounts if path.startswith("/etc/") and "ailab-hub" not in path]
    # the account of the labs' users is no member of the group
    socket = "/run/ailab-hub-saslauthd/mux"
    assert server.run(f"sudo -u admin test -e {socket} || echo out of reach").strip()
    assert deploy(**named).counts["changed"] == 0

    server.run("systemctl stop ailab-hub-saslauthd")
    with JupyterHubClient(url) as client, pytest.raises(JupyterHubError) as refusal:
        client.login("alan", SECOND)
    assert refusal.value.status == 503
    server.run("systemctl start ailab-hub-saslauthd")
    assert enters(url, "alan", SECOND)
    shown = server.run("docker logs jupyterhub 2>&1; journalctl --no-pager")
    assert FIRST not in shown and SECOND not in shown


def test_new_secrets_log_everybody_out_and_end_nobodys_work(
    deploy: Deploy, play: Callable[..., Play], server: Server, url: str
) -> None:
    deploy()
    password = server.run(f"cat {SECRETS}/shared_user_password").strip()
    read = f"cd {SECRETS} && sha256sum {' '.join(ROTATED)}"
    before = server.run(read).splitlines()
    with JupyterHubClient(url) as alice:
        alice.login("alice", password)
        alice.start_server()
        alice.run_code("kept = 42")
        lab = server.inspect("jupyter-alice")["Id"]
        done = play("--diff", "-vvv", playbook="playbooks/rotate_secrets.yml")
        assert done.returncode == 0, done.output
        assert "all users have to log in to the hub again" in done.output
        after = server.run(read).splitlines()
        assert not set(before) & set(after)
        for name in ROTATED:
            assert server.run(f"head -1 {SECRETS}/{name}").strip() not in done.output
        with pytest.raises(JupyterHubError):
            alice.me()
        alice.logout()
        alice.login("alice", password)
        assert server.inspect("jupyter-alice")["Id"] == lab
        assert alice.run_code("print(kept)").strip() == "42"
        alice.stop_server()
    assert deploy().counts["changed"] == 0
