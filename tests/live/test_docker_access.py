# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the access to Docker is found on real servers, and mended by what is said.

Every problem is made on all servers at once, one with Debian 12 and one with Debian 13; the command
of its hint is run as it stands.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import PROJECT, Servers

Result = dict[str, Any]
Look = Callable[..., dict[str, Result]]

SOCKET = "/run/docker.sock"
PODMAN = "/run/podman/podman.sock"
STOP = "systemctl stop docker.socket docker"
LOST = f"{STOP}; rm -rf {SOCKET}"
START = "systemctl reset-failed docker.socket docker; systemctl restart docker.socket docker"
START_PODMAN = (
    "systemctl stop podman.socket podman; systemctl reset-failed --all 'podman.s*';"
    " systemctl start podman.socket"
)
STORAGE = (
    '[storage]\\ndriver = "vfs"\\n'
    'runroot = "/run/containers/storage"\\ngraphroot = "/var/lib/containers/storage"\\n'
)
USER = "alice"
# What follows the command of a hint.
REMARK = re.compile(r"(?s)Run: (.*?)(?: \([^()]*(?:\([^()]*\)[^()]*)*\))?")
MODULE = "ailab.hub.docker_access"
# A program and its libraries are all an image needs.
IMAGE = "registry.example.org/docker-exporter:1.0"
MAKE_IMAGE = (
    "tar -C / -ch etc/passwd usr/bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6"
    f""" | docker import --change 'CMD ["sleep", "infinity"]' - {IMAGE}"""
)
# Somebody who listens there and speaks another language.
STRANGER = f"""
cat > /run/stranger.py << 'END'
import grp, os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind("{SOCKET}")
os.chown("{SOCKET}", 0, grp.getgrnam("docker").gr_gid)
os.chmod("{SOCKET}", 0o660)
listener.listen()
while True:
    connection = listener.accept()[0]
    connection.sendall(b"220 mail.example.org\\r\\n")
    connection.close()
END
systemctl stop stranger 2> /dev/null
systemd-run --quiet --collect --unit=stranger python3 /run/stranger.py
while ! test -S {SOCKET}; do sleep 0.1; done
sleep 0.5
"""


def ansible(inventories: list[str], *arguments: str) -> str:
    """Run a program of Ansible on all servers; what it says."""
    done = subprocess.run(
        [arguments[0], *(f"--inventory={item}" for item in inventories), *arguments[1:]],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return done.stdout


def on_all(servers: Servers, commands: str | dict[str, str]) -> dict[str, str]:
    """Run a shell command, or one for each server, on all servers at once; what they say."""
    if isinstance(commands, str):
        commands = dict.fromkeys(servers, commands)
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda name: servers[name].run(commands[name], timeout=300), commands)
        return dict(zip(commands, said, strict=True))


@pytest.fixture(scope="module", autouse=True)
def engines(inventories: list[str], servers: Servers) -> None:
    """All servers have Docker and Podman."""
    if not all(on_all(servers, "command -v docker || true").values()):
        ansible(inventories, "ansible-playbook", "molecule/docker_engine/converge.yml")
    # A server of the testbed has no file system that Podman can lay layers upon. Podman makes its
    # storage when it is first asked for something.
    on_all(
        servers,
        f"mkdir -p /etc/containers; printf '{STORAGE}' > /etc/containers/storage.conf;"
        "apt-get update -qq; apt-get install -y -qq --no-install-recommends podman uidmap"
        " slirp4netns dbus-user-session libnss-extrausers > /dev/null 2>&1;"
        "systemctl enable --now podman.socket; podman info",
    )


@pytest.fixture
def look(inventories: list[str], servers: Servers, tmp_path: Path) -> Look:
    """Runs the module on all servers, as root or as the user who logs in; results by server."""

    def run(*, root: bool = True, **options: Any) -> dict[str, Result]:
        become = json.dumps({"ansible_become": root})
        wanted = [f"--module-name={MODULE}", f"--args={json.dumps(options)}"]
        ansible(inventories, "ansible", "hub", *wanted, f"-e{become}", f"--tree={tmp_path}")
        return {name: json.loads((tmp_path / name).read_text()) for name in servers}

    return run


def codes(result: Result, kind: str = "problems") -> list[str]:
    return [problem["code"] for problem in result[kind]]


def command(problem: dict[str, str]) -> str:
    """The command of a problem's hint, as it stands."""
    matched = REMARK.fullmatch(problem["hint"])
    assert matched, problem
    return matched[1]


def assert_mended(servers: Servers, look: Look, *rounds: list[str], **options: Any) -> None:
    """Find exactly these problems, follow all hints, find those that showed up behind; then none."""
    for expected in rounds:
        found = look(**options)
        assert {name: codes(result) for name, result in found.items()} == {
            name: expected for name in servers
        }
        on_all(servers, {name: "\n".join(map(command, found[name]["problems"])) for name in found})
    for name, result in look(**options).items():
        assert result["ok"], (name, result["problems"])


def made(code: str, command: str, *later: list[str], beside: list[str] | None = None) -> Any:
    """A case: what makes a problem, those beside it, and those that show up once it is mended."""
    return pytest.param(command, [[code, *(beside or [])], *later], id=code)


@pytest.fixture
def well(servers: Servers) -> None:
    """Docker answers, and alice may use it, whatever a failed test left behind."""
    on_all(
        servers,
        f"(timeout 5 docker version && id -nG {USER} | grep -qw docker) > /dev/null 2>&1 || {{"
        f" getent group docker || groupadd --system docker; {START};"
        f" id {USER} || useradd --create-home {USER}; usermod -aG docker {USER}; }}",
    )


@pytest.mark.usefixtures("well")
def test_nothing_is_wrong(look: Look, servers: Servers) -> None:
    found = look(users=[USER, "root"], min_api_version="1.41", fail_on_problems=True)
    for name, result in found.items():
        assert (result["ok"], result["problems"], result["notes"]) == (True, [], [])
        assert result["changed"] is False
        assert result["socket"]["realpath"] == SOCKET
        gid = int(servers[name].run("getent group docker | cut -d: -f3"))
        assert result["socket"]["gid"] == result["group"]["gid"] == gid
        version = servers[name].run("docker version -f '{{.Server.Version}}'").strip()
        assert result["daemon"]["version"] == version
        assert (result["daemon"]["rootless"], result["daemon"]["userns_remap"]) == (False, False)


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("made", "rounds"),
    [
        made("socket_missing", LOST),
        made("socket_is_directory", f"{LOST}; mkdir {SOCKET}"),
        made("socket_link_broken", f"{LOST}; ln -s /run/gone.sock {SOCKET}"),
        made("socket_link_loop", f"{LOST}; ln -s docker.sock {SOCKET}"),
        made("socket_not_a_socket", f"{LOST}; touch {SOCKET}"),
        made("socket_group_wrong", f"chgrp root {SOCKET}"),
        made("socket_group_unknown", "groupmod --gid 45678 docker"),
        made("socket_group_denied", f"chmod 640 {SOCKET}"),
        made("socket_world_writable", f"chmod 666 {SOCKET}"),
        made(
            "group_missing",
            f"groupmod --gid 45679 docker; chgrp docker {SOCKET}; groupdel docker",
            ["socket_group_unknown", "user_not_in_group"],
        ),
        made("user_not_in_group", f"gpasswd --delete {USER} docker"),
        made("daemon_refused", STOP),
        made("daemon_timeout", "systemctl kill --signal=STOP docker"),
        made("daemon_protocol", f"{LOST}; {STRANGER}"),
    ],
)
def test_a_problem_is_found_and_mended(
    servers: Servers, look: Look, made: str, rounds: list[list[str]]
) -> None:
    on_all(servers, made)
    assert_mended(servers, look, *rounds, users=[USER], timeout=2)


@pytest.mark.usefixtures("well")
def test_a_user_that_is_missing(servers: Servers, look: Look) -> None:
    on_all(servers, "! id carol || userdel carol")
    assert_mended(servers, look, ["user_missing"], ["user_not_in_group"], users=["carol"])


@pytest.mark.usefixtures("well")
def test_a_socket_lost_while_its_unit_runs_is_made_anew(servers: Servers, look: Look) -> None:
    on_all(servers, f"rm {SOCKET}")
    assert_mended(servers, look, ["socket_missing"], users=[USER])


@pytest.mark.usefixtures("well")
def test_all_problems_are_found_at_once(servers: Servers, look: Look) -> None:
    on_all(servers, f"{STOP}; chmod 606 {SOCKET}; chgrp root {SOCKET}; gpasswd -d {USER} docker")
    together = [
        "daemon_refused",
        "socket_group_wrong",
        "socket_group_denied",
        "socket_world_writable",
    ]
    assert_mended(servers, look, together, ["user_not_in_group"], users=[USER])


@pytest.mark.usefixtures("well")
def test_an_api_that_is_too_old(look: Look) -> None:
    for result in look(min_api_version="9.9").values():
        assert codes(result) == ["api_too_old"]
        assert "min_api_version" in result["problems"][0]["hint"]
    for result in look(min_api_version="1.41").values():
        assert result["ok"]


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    "member",
    [
        pytest.param("usermod --gid docker {user}", id="primary"),
        # A source of names besides the server's own files, as a directory service is one.
        pytest.param(
            "sed -i 's/^group:.*/group: files extrausers/' /etc/nsswitch.conf;"
            ' echo "docker:x:$(getent group docker | cut -d: -f3):{user}"'
            " > /var/lib/extrausers/group",
            id="nss",
        ),
    ],
)
def test_a_membership_of_any_kind_counts(servers: Servers, look: Look, member: str) -> None:
    on_all(servers, "useradd --no-user-group bob")
    try:
        for result in look(users=["bob"]).values():
            assert codes(result) == ["user_not_in_group"]
        on_all(servers, member.format(user="bob"))
        for result in look(users=["bob"]).values():
            assert result["ok"], result["problems"]
            assert "bob" not in result["group"]["members"]
            assert result["users"][0]["in_group"] is True
    finally:
        on_all(servers, "userdel bob; rm -f /var/lib/extrausers/group")


# The session


@pytest.fixture
def new_session(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ansible logs in anew, as a user in no group."""
    on_all(servers, "usermod --groups '' admin")
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("ANSIBLE_SSH_CONTROL_PATH_DIR", folder)
        yield


@pytest.mark.usefixtures("new_session")
def test_without_root_it_says_what_it_cannot_tell(servers: Servers, look: Look) -> None:
    for result in look(root=False, users=[USER]).values():
        assert codes(result) == ["user_untested", "daemon_denied"]
        assert all("become: true" in problem["hint"] for problem in result["problems"])
        assert result["users"][0]["can_access"] is None
    assert all(result["ok"] for result in look(users=[USER]).values())


SESSION = """
- hosts: hub
  gather_facts: false
  become: false
  tasks:
    - ailab.hub.docker_access:
        users: [admin]
      register: before
    - ansible.builtin.command: sudo usermod --append --groups docker admin
    - ailab.hub.docker_access:
      register: after
    - ansible.builtin.meta: reset_connection
    - ailab.hub.docker_access:
        users: [admin]
        fail_on_problems: true
      register: again
    - ansible.builtin.assert:
        that:
          - before.problems | map(attribute='code') == ['user_not_in_group', 'daemon_denied']
          - after.problems | map(attribute='code') == ['relogin_needed']
          - "'meta: reset_connection' in after.problems[0].hint"
          - after.session.user == 'admin' and not after.session.effective
          - again.session.effective and again.users[0].can_access
"""


@pytest.mark.usefixtures("new_session")
def test_a_session_older_than_its_membership_begins_anew(
    servers: Servers, inventories: list[str], tmp_path: Path
) -> None:
    playbook = tmp_path / "session.yml"
    playbook.write_text(SESSION)
    output = ansible(
        inventories,
        "ansible-playbook",
        "--extra-vars={ansible_become: false}",
        str(playbook),
    )
    assert output.count("failed=0") == len(servers), output


# Podman


@pytest.fixture
def podman(servers: Servers) -> Iterator[None]:
    """Podman answers, and its socket is as Debian makes it."""
    on_all(
        servers,
        "getent group podman > /dev/null || groupadd --system podman;"
        f"usermod --append --groups podman {USER}; {START_PODMAN};"
        f"chmod 700 /run/podman; chgrp root {PODMAN}",
    )
    yield
    on_all(servers, START_PODMAN)


@pytest.mark.usefixtures("podman")
def test_podman_behind_the_socket_is_named(servers: Servers, look: Look) -> None:
    for name, result in look(socket=f"unix://{PODMAN}", group="root").items():
        assert result["ok"], result["problems"]
        assert codes(result, "notes") == ["daemon_is_podman"]
        version = servers[name].run("podman version -f '{{.Client.Version}}'").strip()
        assert (result["daemon"]["engine"], result["daemon"]["version"]) == ("podman", version)


@pytest.mark.usefixtures("podman")
@pytest.mark.parametrize(
    ("made", "rounds"),
    [
        made("socket_group_wrong", "true", beside=["user_folder_closed"]),
        made("user_folder_closed", f"chgrp podman {PODMAN}"),
        made(
            "socket_missing",
            f"systemctl stop podman.socket podman; rm {PODMAN}",
            ["socket_group_wrong", "user_folder_closed"],
        ),
        made(
            "daemon_refused",
            f"chmod 711 /run/podman; systemctl stop podman.socket podman; chgrp podman {PODMAN}",
            ["socket_group_wrong"],
        ),
    ],
)
def test_a_problem_of_podmans_socket_is_found_and_mended(
    servers: Servers, look: Look, made: str, rounds: list[list[str]]
) -> None:
    on_all(servers, made)
    assert_mended(servers, look, *rounds, socket=PODMAN, group="podman", users=[USER])


@pytest.mark.usefixtures("podman", "new_session")
def test_a_folder_the_session_may_not_enter(servers: Servers, look: Look) -> None:
    on_all(servers, f"chgrp podman {PODMAN}")
    for name, result in look(root=False, socket=PODMAN, group="podman").items():
        assert codes(result) == ["socket_folder_closed"]
        servers[name].run(command(result["problems"][0]))
    for result in look(root=False, socket=PODMAN, group="podman").values():
        assert codes(result) == ["daemon_denied"]


@pytest.mark.usefixtures("podman")
def test_a_link_to_podmans_socket_that_waits_for_it(servers: Servers, look: Look) -> None:
    on_all(
        servers, f"systemctl stop podman.socket podman; rm {PODMAN}; ln -sf {PODMAN} /run/p.sock"
    )
    assert_mended(servers, look, ["socket_link_broken"], socket="/run/p.sock", group="root")


def test_an_engine_without_root_is_named(servers: Servers, look: Look) -> None:
    paths = {}
    for name, server in servers.items():
        server.run(f"loginctl enable-linger {USER}")
        uid = server.run(f"id -u {USER}").strip()
        paths[name] = f"/run/user/{uid}/podman/podman.sock"
        server.run(f"systemctl --user --machine={USER}@ enable --now podman.socket")
    (path,) = set(paths.values())
    for result in look(socket=path, group=USER).values():
        assert result["ok"], result["problems"]
        assert codes(result, "notes") == ["daemon_is_podman", "daemon_is_rootless"]
        assert f"user {USER}" in result["notes"][1]["message"]
    on_all(servers, f"systemctl --user --machine={USER}@ stop podman.socket podman; rm {path}")
    assert_mended(servers, look, ["socket_missing"], socket=path, group=USER)


@pytest.fixture
def remapped(servers: Servers) -> Iterator[None]:
    """Docker maps the users of containers to others."""
    for server in servers.values():
        server.run(
            "cp /etc/docker/daemon.json /root/daemon.json; python3 -c 'import json;"
            ' path = "/etc/docker/daemon.json"; found = json.load(open(path));'
            ' open(path, "w").write(json.dumps({**found, "userns-remap": "default"}))\'; ' + START
        )
    yield
    on_all(servers, f"mv /root/daemon.json /etc/docker/daemon.json; {START}")


@pytest.mark.usefixtures("remapped")
def test_an_engine_that_maps_users_is_named(look: Look) -> None:
    for result in look(users=[USER]).values():
        assert (result["ok"], codes(result, "notes")) == (True, ["daemon_remaps_users"])


# Its page


@pytest.mark.usefixtures("well")
def test_the_examples_run_as_they_stand(
    servers: Servers, inventories: list[str], tmp_path: Path
) -> None:
    listed = subprocess.run(
        ["ansible-doc", "--json", MODULE], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    examples = json.loads(listed.stdout)[MODULE]["examples"]
    assert len(yaml.safe_load(examples)) > 5
    on_all(servers, f"useradd --no-user-group bob; {MAKE_IMAGE}")
    playbook = tmp_path / "examples.yml"
    indented = "\n".join(f"    {line}" for line in examples.splitlines())
    playbook.write_text(f"- hosts: hub\n  gather_facts: false\n  tasks:\n{indented}\n")
    refused = ansible(inventories, "ansible-playbook", str(playbook))
    assert refused.count("failed=0") == len(servers), refused
    assert "User bob is not in group docker" in refused
    on_all(servers, "usermod --append --groups docker bob")
    allowed = ansible(inventories, "ansible-playbook", str(playbook))
    assert allowed.count("failed=0") == len(servers), allowed
    for server in servers.values():
        groups = server.inspect("exporter")["HostConfig"]["GroupAdd"]
        assert groups == [server.run("stat -c %g /run/docker.sock").strip()]
    on_all(servers, f"docker rm --force exporter; docker image rm {IMAGE}; userdel bob")
