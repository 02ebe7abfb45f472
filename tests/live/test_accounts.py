# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signs people in to a deployed server: its own accounts, with secrets replaced under them, then a service.

The tests follow each other. They end with a server that is as its inventory says.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .authority import Authority
from .conftest import Play, Server
from .inventories import host_variables
from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError
from .openid_provider import OpenIDProvider
from .test_doctor import Row, rows_of
from .tls_front import TlsFront

URL = "https://hub1.example.org/"
SECRETS = "/var/lib/ailab-hub/secrets"
ROTATED = ("admin_api_token", "cookie_secret", "crypt_keys", "proxy_token", "remote_user_secret")
UNIT = "ailab-hub-saslauthd.service"
SOCKET_FOLDER = "/run/ailab-hub-saslauthd"
OF_PAM = ("/etc/pam.d/ailab-hub", f"/etc/systemd/system/{UNIT}", SOCKET_FOLDER)
FIRST, SECOND = "first-password-of-alan", "second-password-of-alan"
# In the inventory of the scenario everybody gets in.
NAMED = {"jupyterhub_allow_all": False, "jupyterhub_config": {"DockerSpawner": {"mem_limit": "1G"}}}
PAM = {
    **NAMED,
    "jupyterhub_authenticator": "pam",
    "jupyterhub_allowed_users": ["alan", "robot", "grace", "ghost", "root"],
}
CLIENT_SECRET = "secret-of-the-client-0123456789"

pytestmark = pytest.mark.usefixtures("names")
Enters = Callable[[str, str], bool]


@pytest.fixture(scope="module")
def deploy(play: Callable[..., Play]) -> Callable[..., Play]:
    """Run the part of site.yml that is the hub with some variables otherwise."""

    def run(*arguments: str, **variables: Any) -> Play:
        done = play("--tags=jupyterhub", "--extra-vars", json.dumps(variables), *arguments)
        assert done.returncode == 0, done.output
        return done

    return run


@pytest.fixture
def enters(ca_file: str) -> Enters:
    """Whether somebody gets in with a password."""

    def enter(name: str, password: str) -> bool:
        with JupyterHubClient(URL, ca_file=ca_file) as client:
            try:
                client.login(name, password)
            except LoginError:
                return False
            return True

    return enter


def set_password(server: Server, name: str, password: str) -> None:
    """Change a password without a word of it in the journal, which has the commands of sudo."""
    command = [*server.ssh, "sudo chpasswd"]
    subprocess.run(command, input=f"{name}:{password}\n", text=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def accounts(server: Server) -> Iterator[None]:
    """A person's account, a program's, and one with a capital in its name."""
    server.run("useradd alan && useradd --system robot && useradd --badname Grace")
    for name in ("alan", "robot", "Grace"):
        set_password(server, name, FIRST)
    yield
    server.run("userdel alan; userdel robot; userdel Grace")


@pytest.fixture(scope="module")
def signs_in_accounts(accounts: None, deploy: Callable[..., Play], server: Server) -> None:
    """The hub asks for the accounts of the server."""
    deploy("--diff", "-vvv", **PAM)


@pytest.fixture
def doctor(play: Callable[..., Play]) -> Callable[[], Row]:
    """What the doctor says of the sign-in."""

    def examine() -> Row:
        done = play("-vvv", playbook="playbooks/doctor.yml", timeout=120)
        assert CLIENT_SECRET not in done.output
        table = done.output.partition("TASK [What was found")[2].partition("\n\n")[0]
        (row,) = [row for row in rows_of(table) if row.subject == "Sign-in"]
        assert done.returncode == (2 if row.state == "broken" else 0), done.output
        return row

    return examine


@pytest.mark.usefixtures("signs_in_accounts")
def test_an_account_of_a_person_gets_in_and_no_other(server: Server, enters: Enters) -> None:
    assert enters("alan", FIRST)
    assert not enters("alan", SECOND)
    assert not enters("ghost", FIRST)
    # the account of a program, and one whose name the hub takes for another
    assert not enters("robot", FIRST)
    assert not enters("Grace", FIRST)
    server.run("usermod --expiredate 1 alan")
    assert not enters("alan", FIRST)
    server.run("usermod --expiredate '' --lock alan")
    assert not enters("alan", FIRST)
    server.run("usermod --unlock alan")
    assert enters("alan", FIRST)


@pytest.mark.usefixtures("signs_in_accounts")
def test_a_changed_password_counts_at_once(server: Server, enters: Enters) -> None:
    set_password(server, "alan", SECOND)
    assert not enters("alan", FIRST)
    assert enters("alan", SECOND)


@pytest.mark.usefixtures("signs_in_accounts")
def test_the_container_has_a_socket_and_no_password_file(server: Server) -> None:
    mounts = [mount["Source"] for mount in server.inspect("jupyterhub")["Mounts"]]
    assert SOCKET_FOLDER in mounts
    assert not [path for path in mounts if path.startswith("/etc/") and "ailab-hub" not in path]
    assert "no such user" in server.run("docker exec jupyterhub id alan 2>&1", check=False)
    # Guessing is for the hub alone, which has those wait who do it.
    assert server.run(f"sudo -u alan test -e {SOCKET_FOLDER}/mux || echo closed") == "closed\n"


@pytest.mark.usefixtures("signs_in_accounts")
def test_when_nobody_asks_pam_the_page_says_so_and_the_hub_goes_on(
    server: Server, enters: Enters, ca_file: str, doctor: Callable[[], Row]
) -> None:
    assert doctor().state == "ok"
    server.run(f"systemctl stop {UNIT}")
    with JupyterHubClient(URL, ca_file=ca_file) as client:
        with pytest.raises(JupyterHubError, match="accounts cannot be asked") as refusal:
            client.login("alan", SECOND)
        assert refusal.value.status == 503
        assert client.request("GET", "hub/health").status_code == 200
    assert "saslauthd cannot be asked at" in server.run("docker logs --since 1m jupyterhub 2>&1")
    row = doctor()
    assert row.state == "broken" and "does not reach what asks PAM" in row.message
    server.run(row.command)
    assert enters("alan", SECOND)


@pytest.mark.usefixtures("signs_in_accounts")
def test_new_secrets_log_everybody_out_and_end_nobodys_work(
    play: Callable[..., Play], deploy: Callable[..., Play], server: Server, ca_file: str
) -> None:
    fingerprints = f"cd {SECRETS} && sha256sum {' '.join(ROTATED)}"
    rights = f"cd {SECRETS} && stat -c '%a %U %G %n' *"
    # Its name has the fingerprint of what is in it.
    before, modes = server.run(fingerprints).splitlines(), server.run(rights)
    with JupyterHubClient(URL, ca_file=ca_file) as alan:
        alan.login("alan", SECOND)
        alan.start_server()
        alan.run_code("kept = 42")
        lab = server.inspect("jupyter-alan")["Id"]
        done = play(
            "--diff", "-vvv", "-e", json.dumps(PAM), playbook="playbooks/rotate_secrets.yml"
        )
        assert done.returncode == 0, done.output
        assert "all users have to log in to the hub again" in " ".join(done.output.split())
        assert not set(before) & set(server.run(fingerprints).splitlines())
        assert server.run(rights) == modes
        for name in ROTATED:
            assert server.run(f"head -n 1 {SECRETS}/{name}").strip() not in done.output
        with pytest.raises(JupyterHubError):
            alan.me()
        alan.logout()
        alan.login("alan", SECOND)
        assert server.inspect("jupyter-alan")["Id"] == lab
        deadline = time.monotonic() + 15
        while True:
            try:
                assert alan.run_code("print(kept)").strip() == "42"
                break
            except JupyterHubError:
                # The proxy is another one: a browser connects again as this does.
                assert time.monotonic() < deadline
                time.sleep(0.5)
        alan.stop_server()
    assert deploy(**PAM).counts["changed"] == 0


@pytest.mark.usefixtures("signs_in_accounts")
def test_no_password_is_in_a_log(server: Server) -> None:
    shown = server.run("docker logs jupyterhub 2>&1; journalctl --no-pager")
    assert "alan" in shown
    assert FIRST not in shown and SECOND not in shown


class Service:
    """A service of OpenID Connect on this machine, by HTTPS and an authority of its own.

    Attributes:
        variables: what has the hub use it.
    """

    def __init__(self, folder: Path, address: str, authorities: str) -> None:
        self.authority = Authority(folder)
        self.address = address
        self.provider = OpenIDProvider(folder, {})
        self.front = TlsFront(self.provider.port, *self.authority.sign(address), address)
        self.url = f"https://{address}:{self.front.port}"
        trusted = folder / "trusted.pem"
        trusted.write_text(authorities + self.authority.certificate.read_text())
        self.variables = {
            **NAMED,
            "jupyterhub_authenticator": "generic-oauth",
            "jupyterhub_allowed_users": ["alice"],
            "jupyterhub_oauth": self.settings(self.url),
            "hub_image_ca_file": str(trusted),
        }

    def settings(self, url: str) -> dict[str, str]:
        return {
            "client_id": "hub",
            "client_secret": CLIENT_SECRET,
            "callback_url": f"{URL}hub/oauth_callback",
            "authorize_url": f"{url}/auth",
            "token_url": f"{url}/token",
            "userdata_url": f"{url}/me",
        }

    def running(self, secret: str) -> OpenIDProvider:
        """The service itself, to be entered, with a secret of the hub."""
        client = {"client_id": "hub", "client_secret": secret}
        client["token_endpoint_auth_method"] = "client_secret_post"
        self.provider.clients[:] = [{**client, "redirect_uris": [f"{URL}hub/oauth_callback"]}]
        return self.provider


@pytest.fixture(scope="module")
def service(
    server: Server, inventories: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Service:
    authorities = host_variables(inventories).get("testbed_ca_file")
    text = Path(authorities).read_text() if authorities else ""
    return Service(tmp_path_factory.mktemp("service"), server.controller, text)


@pytest.fixture(scope="module")
def asks_the_service(
    signs_in_accounts: None,
    deploy: Callable[..., Play],
    play: Callable[..., Play],
    server: Server,
    service: Service,
) -> Iterator[None]:
    """The hub sends people to the service. Before, it asked for the accounts of the server."""
    there = f"ls -d {' '.join(OF_PAM)} 2> /dev/null; systemctl is-active {UNIT}"
    before = server.run(there)
    configuration = server.run("cat /etc/ailab-hub/jupyterhub_config.py")
    with service.front:
        # who signed its certificate is not known yet
        untold = {**service.variables, "hub_image_ca_file": ""}
        refused = play("--tags=jupyterhub", "-e", json.dumps(untold))
        said = " ".join(refused.output.split())
        assert refused.returncode == 2 and "Nothing was changed" in said, refused.output
        assert "whose certificate cannot be trusted (unable to get local issuer" in said
        assert "jupyterhub_oauth.token_url" in said
        assert server.run("cat /etc/ailab-hub/jupyterhub_config.py") == configuration
        announced = deploy("--check", **service.variables)
        assert "Nobody asks PAM for the hub" in announced.output
        assert server.run(there) == before
        done = deploy("--diff", "-vvv", **service.variables)
        assert CLIENT_SECRET not in done.output
        assert server.run(there, check=False).split() == ["inactive"]
        yield


@pytest.mark.usefixtures("asks_the_service")
def test_what_is_wrong_with_the_service_is_said_in_one_sentence(
    service: Service, doctor: Callable[[], Row]
) -> None:
    with service.running("another-secret-of-the-client"):
        row = doctor()
        assert row.state == "broken" and "does not take the hub's client_id and" in row.message
        assert "jupyterhub_oauth" in row.hint
    with service.running(CLIENT_SECRET):
        row = doctor()
        assert row.state == "ok" and "takes the hub's client_id and client_secret" in row.message
        service.front.show(*service.authority.sign(service.address, days=-2))
        row = doctor()
        assert row.state == "broken" and "certificate has expired" in row.message


@pytest.mark.usefixtures("asks_the_service")
def test_a_service_that_is_down_is_no_reason_not_to_deploy_unless_it_is_new(
    service: Service,
    play: Callable[..., Play],
    deploy: Callable[..., Play],
    doctor: Callable[[], Row],
) -> None:
    service.front.__exit__(None, None, None)
    row = doctor()
    assert row.state == "broken" and "does not reach the identity server" in row.message
    assert deploy(**service.variables).counts["changed"] == 0
    with socket.create_server((service.address, 0)) as listener:
        elsewhere = f"https://{service.address}:{listener.getsockname()[1]}"
    changed = {**service.variables, "jupyterhub_oauth": service.settings(elsewhere)}
    refused = play("--tags=jupyterhub", "-e", json.dumps(changed))
    said = " ".join(refused.output.split())
    assert refused.returncode == 2 and "Nothing was changed" in said, refused.output
    assert "which does not answer the server (Connection refused)" in said


def test_all_is_as_before(deploy: Callable[..., Play], server: Server, enters: Enters) -> None:
    deploy()
    assert enters("alice", server.run(f"cat {SECRETS}/shared_user_password").strip())
    assert deploy().counts["changed"] == 0
