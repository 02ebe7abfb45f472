# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the pages are run as an administrator types them, on a deployed server.

What the page on security says is measured there, too. docs/testing.md says what the test has
otherwise than an administrator. Afterwards the server is as site.yml leaves it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.pages import DOCS, HOSTS_FILE, PROJECT, Block, blocks, pages

from .conftest import Play, Server, authority_file
from .inventories import HOST, connection, host_variables, write_inventory
from .jupyterhub_client import JupyterHubClient, JupyterHubError

ADDRESS = "192.0.2.10"
USER = "alice"
KEPT_STATE = "/root/ailab-hub-kept-by-the-tests"
# What the server of the test needs whatever a page says; the rest is left to the pages.
TESTBED_VARIABLES = re.compile(r"(testbed|docker_engine|lab_image|hub_image)_")
INVENTORY = re.compile(r"(?<=-i )inventory(?= |$)", re.MULTILINE)


@dataclass
class Desk:
    """Where an administrator sits: a fresh checkout on the controller, and a terminal on the server.

    Attributes:
        checkout: the folder commands are typed in.
        testbed: an inventory that says how the server is reached.
        page: an inventory with the variables the page has set so far.
    """

    checkout: Path
    testbed: Path
    page: Path
    server: Server
    variables: dict[str, Any] = field(default_factory=dict)
    _deployed: str = ""
    _done: set[str] = field(default_factory=set)

    def begin(self, page: Path) -> None:
        """Forget what the page before has set. A page that makes an inventory begins without one."""
        self.variables = {}
        self._write_variables()
        inventory = self.checkout / "inventory"
        shutil.rmtree(inventory, ignore_errors=True)
        if not any(block.kind == "hosts" for block in blocks(page)):
            shutil.copytree(self.checkout / "inventory.example", inventory)
            (self.checkout / HOSTS_FILE).write_text(yaml.safe_dump({"hub": {"hosts": {HOST: {}}}}))

    def follow(self, block: Block) -> None:
        """Do what a block of a page asks for; AssertionError with all it said where it fails."""
        text = block.text.replace(ADDRESS, self.server.address)
        if block.file:
            (self.checkout / block.file).write_text(text)
        elif block.is_set:
            self.variables.update(yaml.safe_load(text))
            self._write_variables()
        elif block.kind == "commands" and not block.not_run:
            self._run(block, text)

    def _run(self, block: Block, text: str) -> None:
        if block.on_server:
            command = [*self.server.ssh, "bash -ec " + shlex.quote(text)]
        else:
            if text.startswith("ansible-playbook ") and self._is_done(text):
                return
            command = ["bash", "-ec", self._with_inventories(text)]
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{block}: exit {done.returncode}\n{text}\n{done.stdout}"

    def _with_inventories(self, text: str) -> str:
        if INVENTORY.search(text) and (self.checkout / HOSTS_FILE).exists():
            named = yaml.safe_load((self.checkout / HOSTS_FILE).read_text())["hub"]["hosts"]
            # The example as it is copied names the machine the test runs on.
            assert set(named) == {HOST}, f"{text} would change {', '.join(named)}"
        return INVENTORY.sub(f"inventory -i {self.testbed} -i {self.page}", text)

    def _is_done(self, playbook: str) -> bool:
        """Whether these playbooks ran already, and nothing else was deployed since."""
        files = sorted((self.checkout / "inventory").rglob("*.yml"))
        wanted = json.dumps([self.variables, *(file.read_text() for file in files)])
        if wanted != self._deployed:
            self._deployed, self._done = wanted, set()
        is_done = playbook in self._done
        self._done.add(playbook)
        return is_done

    def _write_variables(self) -> None:
        write_inventory(self.page, {}, self.variables)

    def _environment(self) -> dict[str, str]:
        """That of a terminal in which the virtual environment is active, without settings of ours."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE")}
        path = f"{self.checkout / '.venv' / 'bin'}{os.pathsep}{kept['PATH']}"
        # This machine's DNS does not know the server of the pages.
        return {**kept, "PATH": path, "CURL_HOME": str(self.checkout.parent)}


def copy_checkout(target: Path) -> None:
    """What ``git clone`` would give, with the changes that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = PROJECT / name
        if source.is_symlink() or source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    (target / ".venv").symlink_to(sys.prefix)


@pytest.fixture(scope="module")
def desk(
    inventories: list[str],
    server: Server,
    play: Callable[..., Play],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    found = host_variables(inventories)
    folder = tmp_path_factory.mktemp("desk")
    needed = {name: value for name, value in found.items() if TESTBED_VARIABLES.match(name)}
    # What the name of a server in an inventory is by default, where nothing else says how it is reached.
    write_inventory(folder / "testbed", connection(found), {**needed, "hub_https_hostname": HOST})
    copy_checkout(folder / "checkout")
    (folder / ".curlrc").write_text(f'resolve = "{HOST}:443:{server.address}"\n')
    yield Desk(folder / "checkout", folder / "testbed", folder / "page", server)
    # The page that removes the hub has taken its secrets, which other tests may know already.
    server.run(
        f"test ! -d {KEPT_STATE} || (rm -rf /var/lib/ailab-hub && mv {KEPT_STATE} /var/lib/ailab-hub)"
    )
    done = play()
    assert done.returncode == 0, done.output


@pytest.fixture
def alice(server: Server, url: str, names: None, tmp_path: Path) -> Iterator[JupyterHubClient]:
    """A user whose server runs, by HTTPS once a page has deployed it."""
    authority = authority_file(server, tmp_path)
    address = f"https://{HOST}/" if authority else url
    deadline = time.monotonic() + 180
    while not _is_well(address, authority):
        assert time.monotonic() < deadline, "the hub does not answer"
        time.sleep(0.5)
    password = server.run("cat /var/lib/ailab-hub/secrets/shared_user_password").strip()
    with JupyterHubClient(address, ca_file=authority) as client:
        client.login(USER, password)
        client.start_server()
        yield client


def _is_well(url: str, authority: str | None) -> bool:
    try:
        return requests.get(f"{url}hub/health", timeout=5, verify=authority or True).ok
    except requests.RequestException:
        return False


def hold_images(server: Server) -> None:
    """Have a container of each image the roles built: such images are not pruned."""
    server.run(
        "for image in $(docker image ls --quiet --filter label=ailab.hub | sort -u);"
        " do docker create --label ailab.hub.held=true $image true; done"
    )


def let_go(server: Server) -> None:
    server.run("docker ps --all --quiet --filter label=ailab.hub.held | xargs -r docker rm")


REACHED_FROM_A_CELL = {
    "the hub, which asks for a token": ("jupyterhub", 8081, True),
    "another user's lab, which asks for a token": ("jupyter-bob", 8888, True),
    "the server itself": ("{gateway}", 22, True),
    "the proxy's API on the labs' network": ("jupyterhub-proxy", 8001, False),
    "the proxy's API on the internal network": ("{proxy}", 8001, False),
    "the hub on the internal network": ("{hub}", 8081, False),
}


def test_a_cell_reaches_what_the_page_on_security_says(
    server: Server, url: str, alice: JupyterHubClient
) -> None:
    password = server.run("cat /var/lib/ailab-hub/secrets/shared_user_password").strip()
    networks = {
        name: server.inspect(name)["NetworkSettings"]["Networks"]
        for name in ("jupyterhub", "jupyterhub-proxy")
    }
    addresses = {
        "gateway": networks["jupyterhub"]["jupyterhub"]["Gateway"],
        "hub": networks["jupyterhub"]["jupyterhub-internal"]["IPAddress"],
        "proxy": networks["jupyterhub-proxy"]["jupyterhub-internal"]["IPAddress"],
    }
    targets = {
        what: (host.format(**addresses), port)
        for what, (host, port, _) in REACHED_FROM_A_CELL.items()
    }
    code = f"""
import json, socket
def answers(host, port):
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return False
    return True
print(json.dumps({{what: answers(*target) for what, target in {targets!r}.items()}}))
"""
    with JupyterHubClient(url) as bob:
        bob.login("bob", password)
        bob.start_server()
        found = json.loads(alice.run_code(code))
        with pytest.raises(JupyterHubError) as refused:
            alice.request("GET", f"{url}user/bob/api/contents")
        bob.stop_server()
    assert refused.value.status == 403
    assert found == {what: open_ for what, (_, _, open_) in REACHED_FROM_A_CELL.items()}


def test_code_in_a_cell_has_no_rights_beyond_its_account(alice: JupyterHubClient) -> None:
    code = """
import os, pathlib, subprocess
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(os.getuid(), os.getgroups(), int(status["CapPrm"], 16), subprocess.run(["sudo", "-n", "id"], capture_output=True).returncode)
"""
    assert alice.run_code(code).strip() == "1001 [] 0 1"


@pytest.mark.parametrize(
    ("name", "has_socket"), [("jupyterhub", True), ("jupyterhub-proxy", False)]
)
def test_hub_and_proxy_are_kept_in_as_the_page_on_security_says(
    name: str, has_socket: bool, server: Server
) -> None:
    inspected = server.inspect(name)
    host = inspected["HostConfig"]
    assert host["CapDrop"] == ["ALL"] and host["ReadonlyRootfs"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not inspected["Config"]["User"].startswith(("0", "root"))
    mounted = [mount["Destination"] for mount in inspected["Mounts"]]
    assert ("/var/run/docker.sock" in mounted) == has_socket


LAST = DOCS / "remove.md"
PAGES = sorted((page for page in pages() if blocks(page)), key=lambda page: page == LAST)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_the_commands_of_a_page_work(page: Path, desk: Desk, alice: JupyterHubClient) -> None:
    desk.begin(page)
    if page == LAST:
        desk.server.run(f"rm -rf {KEPT_STATE} && cp -a /var/lib/ailab-hub {KEPT_STATE}")
    try:
        for block in blocks(page):
            if page == LAST:
                # The page removes these containers as well, as they have the label of their image.
                hold_images(desk.server)
            desk.follow(block)
    finally:
        if page == LAST:
            let_go(desk.server)
