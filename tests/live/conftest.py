# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests: a deployed server, its hub, and the main job to run again.

The inventories are named by the option ``--inventory``, once or more, as for ``ansible-playbook``.
"""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.plugins.loader import init_plugin_loader

from .jupyterhub_client import JupyterHubClient

PROJECT = Path(__file__).resolve().parents[2]

# Ansible's own import machinery, for tests that take variables the way a run does.
init_plugin_loader([str(PROJECT / "collections")])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--inventory",
        action="append",
        default=[],
        help="an Ansible inventory whose group hub is deployed",
    )


@dataclass(frozen=True)
class Server:
    """A deployed server, reached by SSH as Ansible reaches it."""

    address: str
    ssh: tuple[str, ...]

    def run(self, command: str, *, check: bool = True, timeout: float = 120) -> str:
        """Run a shell command as root and return its output; AssertionError with all it said where it fails."""
        done = subprocess.run(
            [*self.ssh, "sudo sh -c " + shlex.quote(command)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    @property
    def controller(self) -> str:
        """The address of this machine, as the server finds it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self.address, 22))
            return str(probe.getsockname()[0])

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what ``docker inspect`` says of one container, volume, network or image."""
        answer: list[dict[str, Any]] = json.loads(self.run(f"docker inspect {shlex.quote(name)}"))
        return answer[0]


Servers = dict[str, Server]


@dataclass(frozen=True)
class Play:
    """What a run of ``ansible-playbook`` came to."""

    returncode: int
    output: str

    @property
    def counts(self) -> dict[str, int]:
        """Sums over the servers of the recap's ok, changed, failed, ..."""
        counts: dict[str, int] = {}
        for line in self.output.rpartition("PLAY RECAP")[2].splitlines()[1:]:
            if not line.startswith("localhost"):
                for name, number in re.findall(r"(\w+)=(\d+)", line):
                    counts[name] = counts.get(name, 0) + int(number)
        return counts


@pytest.fixture(scope="session")
def inventories(request: pytest.FixtureRequest) -> list[str]:
    return list(request.config.getoption("--inventory"))


@pytest.fixture(scope="session")
def play(inventories: list[str]) -> Callable[..., Play]:
    """Run a playbook of the project with further arguments."""

    def run(*arguments: str, playbook: str = "site.yml", timeout: float = 900) -> Play:
        command = [
            "ansible-playbook",
            *(f"--inventory={inventory}" for inventory in inventories),
            playbook,
            *arguments,
        ]
        done = subprocess.run(
            command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Play(done.returncode, done.stdout)

    return run


@pytest.fixture(scope="session")
def servers(inventories: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All servers of the inventory by name."""
    command = ["ansible-inventory", *(f"--inventory={item}" for item in inventories), "--list"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found = json.loads(listed.stdout)
    folder = tmp_path_factory.mktemp("ssh")
    connected = {}
    for name in found["hub"]["hosts"]:
        values = found["_meta"]["hostvars"][name]
        options = shlex.split(values["ansible_ssh_common_args"])
        options += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60"]
        options += ["-o", f"ControlPath={folder}/{name}"]
        key = values["ansible_ssh_private_key_file"]
        login = f"{values['ansible_user']}@{values['ansible_host']}"
        connected[name] = Server(values["ansible_host"], ("ssh", "-i", key, *options, login))
    yield connected
    for connection in connected.values():
        subprocess.run([*connection.ssh, "-O", "exit"], capture_output=True, check=False)


@pytest.fixture(scope="session")
def server(servers: Servers) -> Server:
    """The first server of the inventory."""
    return next(iter(servers.values()))


def authority_file(server: Server, folder: Path) -> str | None:
    """Write the certificate of the server's own authority; None where users come by plain HTTP."""
    site, authority = "/etc/nginx/sites-enabled/zz-ailab-hub", "/var/lib/ailab-hub/https/ca.crt"
    text = server.run(f"test ! -e {site} || cat {authority}")
    if not text:
        return None
    (folder / "ca.crt").write_text(text)
    return str(folder / "ca.crt")


@pytest.fixture(scope="session")
def ca_file(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """The certificate of the server's own authority; None where users come by plain HTTP."""
    return authority_file(server, tmp_path_factory.mktemp("https"))


@pytest.fixture(scope="module")
def names(server: Server) -> Iterator[None]:
    """This machine knows the server by names of example.org, as the DNS of a real one does."""
    ask = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **options: Any) -> Any:
        is_ours = isinstance(host, str) and host.endswith(".example.org")
        return ask(server.address if is_ours else host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", answer)
        yield


@pytest.fixture(scope="session")
def url(server: Server, ca_file: str | None) -> str:
    return f"https://{server.address}/" if ca_file else f"http://{server.address}:8000/"


@pytest.fixture
def login(
    server: Server, url: str, ca_file: str | None
) -> Iterator[Callable[[str], JupyterHubClient]]:
    """Log a user in, with the password the first run made on the server; all are logged out in the end."""
    password = server.run("cat /var/lib/ailab-hub/secrets/shared_user_password").strip()
    clients: list[JupyterHubClient] = []

    def enter(name: str) -> JupyterHubClient:
        client = JupyterHubClient(url, ca_file=ca_file)
        clients.append(client)
        client.login(name, password)
        return client

    yield enter
    for client in clients:
        client.close()
