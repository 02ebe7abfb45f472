# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role docker_engine does to servers, from bare ones on, each test going on from the last.

All runs go to all servers at once: one with Debian 12, one with Debian 13.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROJECT, Play, Server, Servers

PLAYBOOK = "molecule/docker_engine/converge.yml"
DOCKER = "https://download.docker.com/linux/debian"
MIRROR = "http://packages.testbed/linux/debian"
BY_HAND = f"deb [arch=amd64] {DOCKER}/ bookworm stable # by hand"
SOURCES = "/etc/apt/sources.list.d"
PROXY_PORT = 3128
PROXY_PASSWORD = "hunter2%40%22x"
PROXY = f"http://proxy:{PROXY_PASSWORD}@127.0.0.1:{PROXY_PORT}"
PROXY_FILES = (
    "/etc/docker/ailab-hub-proxy.env",
    "/etc/systemd/system/docker.service.d/ailab-hub-proxy.conf",
)
IMAGE = "registry.testbed:5000/docker-engine-test/sleep"
# A program and its libraries are all an image needs.
MAKE_IMAGE = (
    "tar -C / -ch usr/bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6"
    " | docker import - "
)
MANIFEST = "dpkg -l; find /etc /var/lib/apt /var/lib/dpkg -type f | sort | xargs sha256sum"

Converge = Callable[..., Play]


@pytest.fixture
def converge(play: Callable[..., Play]) -> Converge:
    """Run the role on all servers with some variables, twice; the second run must change nothing."""

    def run(*arguments: str, again: bool = True, **variables: Any) -> Play:
        options = ["-e", json.dumps(variables), *arguments]
        done = play(*options, playbook=PLAYBOOK)
        assert done.returncode == 0, done.output
        if again:
            second = play(*options, playbook=PLAYBOOK)
            assert (second.returncode, second.counts["changed"]) == (0, 0), second.output
        return done

    return run


@pytest.fixture(scope="module")
def versions(servers: Servers) -> dict[str, list[str]]:
    """All of the two versions of docker-ce, the newer one first, by server."""
    command = "apt-cache madison docker-ce | cut -d'|' -f2"
    return {name: server.run(command).split() for name, server in servers.items()}


def installed(server: Server, package: str = "docker-ce") -> str:
    """The installed version of a package; empty if it is not."""
    query = f"dpkg-query -W -f='${{db:Status-Status}} ${{Version}}' {package} 2>/dev/null || true"
    state, _, version = server.run(query).partition(" ")
    return version if state == "installed" else ""


def engine_pid(server: Server) -> str:
    """The process of the engine: another one after a restart."""
    return server.run("systemctl show --value -p MainPID docker").strip()


def sleeper(server: Server) -> list[str]:
    """When the container all tests share was started, and whether it runs."""
    return server.run("docker inspect -f '{{.State.StartedAt}} {{.State.Running}}' sleeper").split()


def release(version: str) -> str:
    """28.5.1 of 5:28.5.1-1~debian.12~bookworm."""
    return version.partition(":")[2].partition("-")[0]


def by_server(values: dict[str, str]) -> str:
    """A template that is another value on each server."""
    return "{{ " + json.dumps(values) + "[inventory_hostname] }}"


# A bare server, on which other tools left broken entries of Docker's repository


def test_a_dry_run_shows_what_stops_apt_and_changes_nothing(
    servers: Servers, play: Callable[..., Play]
) -> None:
    bookworm, trixie = servers.values()
    bookworm.run(
        f"echo 'deb [signed-by=/etc/apt/keyrings/gone.gpg] {MIRROR} bookworm stable' > {SOURCES}/docker.list;"
        f"echo '{BY_HAND}' >> /etc/apt/sources.list"
    )
    trixie.run(
        "echo key > /etc/apt/keyrings/docker.asc;"
        f"printf 'Types: deb\\nURIs: {DOCKER}\\nSuites: trixie\\nComponents: stable\\nSigned-By: /etc/apt/keyrings/docker.asc\\n' > {SOURCES}/docker.sources;"
        f"echo 'deb [signed-by=/usr/share/keyrings/docker-archive-keyring.gpg] {DOCKER} trixie stable' > {SOURCES}/docker.list"
    )
    assert "is not signed" in bookworm.run("! apt-get update 2>&1")
    assert "Conflicting values set for option Signed-By" in trixie.run("! apt-get update 2>&1")
    before = {name: server.run(MANIFEST) for name, server in servers.items()}
    done = play("--check", "--diff", playbook=PLAYBOOK)
    assert done.returncode == 0, done.output
    assert f"-{BY_HAND}" in done.output
    follows = f"python3-requests, python3-debian, {MIRROR}, docker-ce,"
    assert " ".join(done.output.split()).count(f"Would follow in apt: {follows}") == 2
    assert before == {name: server.run(MANIFEST) for name, server in servers.items()}


def test_a_bare_server_gets_dockers_packages(servers: Servers, converge: Converge) -> None:
    done = converge("--diff")
    assert f"-{BY_HAND}" in done.output
    for server in servers.values():
        assert "~debian." in installed(server, "docker-ce-cli")
        assert server.run("docker version -f '{{.Server.Version}}'").strip() in server.run(
            "dockerd --version"
        )
        assert server.run("grep -rl docker /etc/apt/sources.list*").split() == [
            f"{SOURCES}/docker.sources"
        ]
        server.run("apt-get update -qq -o APT::Update::Error-Mode=any")
        assert server.run("stat -c '%a %U' /etc/apt/keyrings/docker.asc").split() == ["644", "root"]
        server.run(
            f"{MAKE_IMAGE} {IMAGE} && docker push -q {IMAGE} &&"
            f" docker run -d --name sleeper --restart unless-stopped {IMAGE} sleep infinity"
        )


def test_the_newest_version_was_taken(servers: Servers, versions: dict[str, list[str]]) -> None:
    assert {name: installed(server) for name, server in servers.items()} == {
        name: newer for name, (newer, _older) in versions.items()
    }


def test_a_dry_run_afterwards_finds_nothing(play: Callable[..., Play]) -> None:
    done = play("--check", "--diff", playbook=PLAYBOOK)
    assert (done.returncode, done.counts["changed"]) == (0, 0), done.output


# Versions


def test_another_version_is_taken_and_held_and_containers_run_on(
    servers: Servers, converge: Converge, versions: dict[str, list[str]]
) -> None:
    before = {name: sleeper(server) for name, server in servers.items()}
    older = {name: older for name, (_newer, older) in versions.items()}
    asked = by_server({name: release(version) for name, version in older.items()})
    converge(docker_engine_version=asked, docker_engine_hold=True)
    for name, server in servers.items():
        assert installed(server) == installed(server, "docker-ce-cli") == older[name]
        held = server.run("apt-mark showhold").split()
        assert held == ["containerd.io", "docker-ce", "docker-ce-cli"]
        assert sleeper(server) == before[name]


def test_without_a_version_there_is_no_upgrade_and_no_restart(
    servers: Servers, converge: Converge, versions: dict[str, list[str]]
) -> None:
    before = {name: engine_pid(server) for name, server in servers.items()}
    assert converge(again=False).counts["changed"] == 0
    for name, server in servers.items():
        assert installed(server) == versions[name][1]
        assert "docker-ce" in server.run("apt-mark showhold")
        assert engine_pid(server) == before[name]


def test_a_held_version_is_changed_when_asked(
    servers: Servers, converge: Converge, versions: dict[str, list[str]]
) -> None:
    newer = {name: newer for name, (newer, _older) in versions.items()}
    first, second = newer
    # One as apt knows it, the other with the epoch alone.
    asked = by_server({first: newer[first], second: f"5:{release(newer[second])}"})
    converge(docker_engine_version=asked, docker_engine_hold=False)
    for name, server in servers.items():
        assert installed(server) == newer[name]
        assert server.run("apt-mark showhold") == ""
        assert sleeper(server)[1] == "true"


def test_an_engine_that_was_started_too_often_is_started_all_the_same(
    servers: Servers, converge: Converge
) -> None:
    for server in servers.values():
        said = server.run("for _ in 1 2 3 4 5; do systemctl restart docker || break; done 2>&1")
        assert "attempted too often" in said
        assert server.run("systemctl is-active docker || true").strip() == "failed"
    converge()
    for server in servers.values():
        assert server.run("systemctl is-active docker").strip() == "active"
        assert sleeper(server)[1] == "true"


# Keys


def test_a_repository_with_another_key_is_refused(
    servers: Servers, play: Callable[..., Play]
) -> None:
    before = {name: server.run(MANIFEST) for name, server in servers.items()}
    checksum = "sha256:" + hashlib.sha256(b"another").hexdigest()
    variables = {"docker_engine_repository_key_checksum": checksum}
    done = play("-e", json.dumps(variables), playbook=PLAYBOOK)
    assert done.returncode != 0
    assert "did not match" in done.output
    assert before == {name: server.run(MANIFEST) for name, server in servers.items()}


def test_the_key_may_come_from_the_controller(
    servers: Servers, converge: Converge, tmp_path: Path
) -> None:
    key = tmp_path / "docker.asc"
    key.write_text(next(iter(servers.values())).run("cat /etc/apt/keyrings/docker.asc"))
    for server in servers.values():
        server.run("rm /etc/apt/keyrings/docker.asc")
    converge(
        docker_engine_repository_key_file=str(key),
        docker_engine_repository_key_checksum="sha256:" + "0" * 64,
    )
    for server in servers.values():
        assert server.run("cat /etc/apt/keyrings/docker.asc") == key.read_text()


# Proxies


def test_the_engine_pulls_through_a_proxy(servers: Servers, converge: Converge) -> None:
    script = (PROJECT / "tests/live/forward_proxy.py").read_text()
    before = {name: (sleeper(server), engine_pid(server)) for name, server in servers.items()}
    for server in servers.values():
        server.run(
            f"cat > /root/forward_proxy.py << 'END'\n{script}END\n"
            "echo 'proxy:hunter2@\"x' > /root/credentials;"
            "systemd-run -q --unit=forward-proxy python3 /root/forward_proxy.py"
            f" {PROXY_PORT} /root/credentials /root/proxy.log"
        )
    done = converge("--diff", "-vvv", docker_engine_https_proxy=PROXY)
    assert PROXY_PASSWORD not in done.output
    for name, server in servers.items():
        started, pid = before[name]
        assert (sleeper(server), engine_pid(server) != pid) == (started, True)
        assert server.run(f"stat -c '%a %U' {PROXY_FILES[0]}").split() == ["600", "root"]
        for command in (f"cat {PROXY_FILES[1]}", "systemctl show docker", "ps axww"):
            assert "hunter2" not in server.run(f"runuser -u admin -- {command}")
        server.run(f"docker pull -q {IMAGE}")
        lines = server.run("cat /root/proxy.log").splitlines()
        assert lines and set(lines) == {"allowed registry.testbed:5000"}


def test_a_proxy_that_is_taken_out_leaves_nothing_behind(
    servers: Servers, converge: Converge
) -> None:
    before = {name: (sleeper(server), engine_pid(server)) for name, server in servers.items()}
    converge()
    for name, server in servers.items():
        started, pid = before[name]
        assert (sleeper(server), engine_pid(server) != pid) == (started, True)
        server.run("rm /root/proxy.log")
        server.run(f"docker pull -q {IMAGE} && test ! -e /root/proxy.log")
        server.run(" && ".join(f"test ! -e {path}" for path in PROXY_FILES))
        assert "PROXY" not in server.run(f"tr '\\0' '\\n' < /proc/{engine_pid(server)}/environ")
        server.run("systemctl stop forward-proxy")


# From one source to the other


def test_another_source_alone_moves_nothing(servers: Servers, converge: Converge) -> None:
    before = {name: server.run(MANIFEST) for name, server in servers.items()}
    pids = {name: engine_pid(server) for name, server in servers.items()}
    done = converge(again=False, docker_engine_source="distro")
    assert done.counts["changed"] == 0, done.output
    assert done.output.count("Set docker_engine_replace: true to move") == len(servers)
    assert before == {name: server.run(MANIFEST) for name, server in servers.items()}
    assert pids == {name: engine_pid(server) for name, server in servers.items()}


def test_a_server_moves_to_the_distributions_engine_when_asked(
    servers: Servers, converge: Converge
) -> None:
    before = {name: server.run("cat /etc/docker/daemon.json") for name, server in servers.items()}
    converge(docker_engine_source="distro", docker_engine_replace=True)
    for name, server in servers.items():
        assert installed(server, "docker.io") and not installed(server)
        assert sleeper(server)[1] == "true"
        assert IMAGE in server.run("docker image ls")
        assert server.run("cat /etc/docker/daemon.json") == before[name]
        server.run(f"test ! -e {SOURCES}/docker.sources && apt-get update -qq")


def test_dockers_packages_as_the_source_keep_the_distributions_engine(
    servers: Servers, converge: Converge
) -> None:
    pids = {name: engine_pid(server) for name, server in servers.items()}
    done = converge(again=False)
    assert done.counts["changed"] == 0, done.output
    assert done.output.count("It is of docker.io") == len(servers)
    assert done.output.count("Set docker_engine_replace: true to move") == len(servers)
    assert pids == {name: engine_pid(server) for name, server in servers.items()}


def test_a_server_moves_to_dockers_packages_when_asked(
    servers: Servers, converge: Converge
) -> None:
    before = {name: server.run("cat /etc/docker/daemon.json") for name, server in servers.items()}
    converge(docker_engine_replace=True)
    for name, server in servers.items():
        assert installed(server) and not installed(server, "docker.io")
        assert sleeper(server)[1] == "true"
        assert server.run("cat /etc/docker/daemon.json") == before[name]


def test_purging_the_former_packages_leaves_images_and_containers_alone(servers: Servers) -> None:
    for server in servers.values():
        server.run("apt-get purge -y -qq docker.io")
        server.run("systemctl reset-failed --all 'docker.s*'; systemctl restart docker")
        assert IMAGE in server.run("docker image ls")
        assert sleeper(server)[1] == "true"


def test_an_installation_that_was_interrupted_is_finished(
    servers: Servers, converge: Converge
) -> None:
    for server in servers.values():
        server.run("apt-get remove -y -qq python3-debian")
        # What a killed dpkg leaves behind.
        server.run("dpkg-query -s ca-certificates > /var/lib/dpkg/updates/0000")
        assert "dpkg was interrupted" in server.run("! apt-get install -y python3-debian 2>&1")
    converge()
    for server in servers.values():
        assert installed(server, "python3-debian")


# An engine somebody set up by hand


def test_what_somebody_wrote_by_hand_is_refused_until_it_is_named(
    servers: Servers, converge: Converge, play: Callable[..., Play]
) -> None:
    by_hand = json.dumps({"data-root": "/var/lib/docker", "debug": True})
    for server in servers.values():
        server.run(
            f"rm /etc/docker/ailab-hub-daemon.sha256; echo '{by_hand}' > /etc/docker/daemon.json;"
            "systemctl reset-failed --all 'docker.s*'; systemctl restart docker"
        )
        assert server.run("docker info -f '{{.LiveRestoreEnabled}}'").strip() == "false"
    before = {name: sleeper(server) for name, server in servers.items()}
    done = play(playbook=PLAYBOOK)
    assert done.returncode != 0
    assert "data-root: /var/lib/docker, debug: true, which the run would take out" in done.output
    for server in servers.values():
        assert server.run("cat /etc/docker/daemon.json").strip() == by_hand
    converge(docker_engine_daemon={"data-root": "/var/lib/docker", "debug": None})
    for name, server in servers.items():
        # Without live-restore the engine would have ended it.
        assert sleeper(server) == before[name]
        assert server.run("docker info -f '{{.LiveRestoreEnabled}}'").strip() == "true"
    # What the role wrote itself may go.
    converge()


# Accounts


def test_a_dry_run_puts_a_new_account_into_the_group_and_a_misspelt_one_is_refused(
    servers: Servers, play: Callable[..., Play]
) -> None:
    named = json.dumps({"docker_engine_users": ["admin", "games"]})
    done = play("--check", "-e", named, playbook=PLAYBOOK)
    assert (done.returncode, done.counts["changed"]) == (0, len(servers)), done.output
    done = play("-e", json.dumps({"docker_engine_users": ["alcie"]}), playbook=PLAYBOOK)
    assert done.returncode != 0
    assert "no account alcie on the server" in done.output
    for server in servers.values():
        server.run("! getent passwd alcie")


# Registries


def test_a_registry_that_refuses_the_server_says_why_without_the_password(
    play: Callable[..., Play],
) -> None:
    registry = {"name": "packages.testbed:5001", "username": "alice", "password": "hunter2secret"}
    named = json.dumps({"docker_engine_registries": [registry]})
    assert play("--check", "-e", named, playbook=PLAYBOOK).returncode == 0
    done = play("-vvv", "-e", named, playbook=PLAYBOOK)
    assert done.returncode != 0
    assert "Logging into packages.testbed:5001 for user alice failed" in done.output
    # The command line of the run itself, which -vvv shows, has it.
    assert "hunter2secret" not in done.output.replace(named, "")
