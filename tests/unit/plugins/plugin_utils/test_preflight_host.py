# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server can be what the variables ask for."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.modules import host_info
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_host import (
    DAEMON_DEFAULTS,
    DOCKER_KEY,
    DOCKER_PACKAGES,
    DOCKER_REPOSITORIES,
    MIN_DISK_MIB,
    MIN_MEMORY_MIB,
    PREREQUISITES,
    check_host,
    free_network,
    host_info_options,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem

ROLES = ["docker_engine", "lab_image", "hub_image", "jupyterhub"]
ROLE = Path(__file__).resolve().parents[4] / "roles" / "docker_engine"
SUPPORTED = {"Debian_12", "Debian_13", "Ubuntu_2204", "Ubuntu_2404"}
VALUES: dict[str, Any] = {
    "docker_engine_source": "docker_ce",
    "docker_engine_repository_url": "https://mirror.example.org/docker/",
    "docker_engine_daemon": {},
    "docker_engine_registry_mirrors": [],
    "lab_image_base": "exasol/ai-lab:6.0.0",
    "jupyterhub_bind_address": "127.0.0.1",
    "jupyterhub_port": 8000,
    "jupyterhub_subnet": "10.230.0.0/20",
    "jupyterhub_internal_subnet": "10.230.16.0/24",
}
HOST: dict[str, Any] = {
    "distribution": "Debian",
    "version": "12",
    "codename": "bookworm",
    "architecture": "x86_64",
    "systemd": True,
    "uid": 0,
    "python_apt": True,
    "memory_mib": 8000,
    "disk": {"path": "/var/lib/docker", "free_mib": 40000},
    "networks": [{"network": "192.168.2.0/24", "interface": "eth0"}],
    "port": {"error": None, "holder": "", "own": False},
    "packages": {},
    "accounts": {},
    "services": [],
    "docker": {
        "answers": False,
        "reason": "missing",
        "error": "there is no /x",
        "images": {},
        "daemon_json": {"own": False, "values": {}},
    },
}


def problems(
    roles: list[str] | None = None, values: dict[str, Any] | None = None, **host: Any
) -> list[Problem]:
    """Problems of a good server with some things different."""
    asked = VALUES if values is None else {**VALUES, **values}
    return list(check_host(roles or ROLES, asked, {**HOST, **host}, SUPPORTED))


def only(**different: Any) -> Problem:
    found = problems(**different)
    assert len(found) == 1, found
    return found[0]


def test_a_good_server() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("distribution", "version"), [("Debian", "13"), ("Ubuntu", "22.04"), ("Ubuntu", "24.04")]
)
def test_systems_with_a_file_of_their_own_are_known(distribution: str, version: str) -> None:
    assert problems(distribution=distribution, version=version) == []


@pytest.mark.parametrize(
    ("distribution", "version"),
    [("Debian", "11"), ("Debian", ""), ("Ubuntu", "23.10"), ("Rocky Linux", "9.4"), ("", "")],
)
def test_other_systems_are_refused_with_the_names_of_those_that_are(
    distribution: str, version: str
) -> None:
    problem = only(distribution=distribution, version=version)
    assert problem.expected == "one of Debian 12, Debian 13, Ubuntu 22.04, Ubuntu 24.04"


def test_ai_lab_needs_its_machine() -> None:
    assert only(architecture="aarch64").subject == "machine"
    assert problems(architecture="aarch64", values={"lab_image_base": "jupyter/base:1"}) == []


def test_systemd_is_needed() -> None:
    assert only(systemd=False).subject == "init system"


def test_root_is_needed() -> None:
    assert "become: true" in only(uid=1000).mend


def test_without_root_the_engines_silence_is_no_problem_of_its_own() -> None:
    assert only(uid=1000, values={"docker_engine_source": "existing"}).subject == "user"


def test_memory() -> None:
    assert only(memory_mib=MIN_MEMORY_MIB - 1).found == "1.7 GiB"
    assert problems(memory_mib=MIN_MEMORY_MIB) == []
    assert problems(memory_mib=None) == []


def test_disk() -> None:
    disk = {"path": "/data", "free_mib": MIN_DISK_MIB - 100}
    problem = only(disk=disk)
    assert problem.found == "14.9 GiB free at /data"
    assert problems(disk=disk, roles=["docker_engine"]) == []


def test_no_room_is_needed_for_an_image_that_is_there() -> None:
    docker = {**HOST["docker"], "answers": True, "images": {"exasol/ai-lab:6.0.0": True}}
    assert problems(disk={"path": "/data", "free_mib": 1}, docker=docker) == []


@pytest.mark.parametrize("source", ["docker_ce", "distro"])
def test_packages_are_installed_with_python3_apt(source: str) -> None:
    problem = only(python_apt=False, values={"docker_engine_source": source})
    assert problem.mend == "Run: apt-get install python3-apt"
    existing = {"docker_engine_source": "existing"}
    docker = {**HOST["docker"], "answers": True}
    assert problems(python_apt=False, values=existing, docker=docker) == []


def test_an_existing_engine_answers() -> None:
    problem = only(values={"docker_engine_source": "existing"})
    assert problem.found == "existing, but there is no /x"


def daemon_json(values: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """What the engine says of itself where daemon.json has some values."""
    return {**HOST["docker"], "daemon_json": {"own": False, "values": values}, **more}


def test_the_roles_own_entries_are_known() -> None:
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    assert variables["_docker_engine_daemon_defaults"] == DAEMON_DEFAULTS


def test_what_somebody_wrote_into_daemon_json_is_not_lost() -> None:
    found = {"data-root": "/srv/docker", "live-restore": True, "bip": "10.1.0.1/24", "debug": True}
    problem = only(docker=daemon_json(found), values={"docker_engine_daemon": {"debug": None}})
    assert problem.found == (
        "data-root: /srv/docker, bip: 10.1.0.1/24, which the run would take out"
    )
    assert "null" in problem.mend


def test_defaults_change_nothing_somebody_wrote_into_daemon_json() -> None:
    found = {**DAEMON_DEFAULTS, "log-driver": "journald", "log-opts": {}}
    problem = only(docker=daemon_json(found))
    assert problem.found == (
        "log-driver: journald, log-opts: {}, which the run would take out or change"
    )


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (dict(DAEMON_DEFAULTS), {}),
        ({"data-root": "/srv/docker"}, {"docker_engine_daemon": {"data-root": "/srv/docker"}}),
        ({"data-root": "/srv/docker"}, {"docker_engine_daemon": {"data-root": None}}),
        ({"log-driver": "journald"}, {"docker_engine_daemon": {"log-driver": "json-file"}}),
        (
            {"registry-mirrors": ["https://a"]},
            {"docker_engine_registry_mirrors": ["https://mirror.example.org"]},
        ),
    ],
)
def test_a_daemon_json_that_keeps_what_nobody_named(
    found: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert problems(docker=daemon_json(found), values=asked) == []


def test_what_the_role_wrote_into_daemon_json_may_go() -> None:
    own = {"own": True, "values": {"data-root": "/srv/docker"}}
    assert problems(docker={**HOST["docker"], "daemon_json": own}) == []


def test_a_daemon_json_nobody_can_read_is_not_replaced() -> None:
    assert only(docker=daemon_json(None)).found == "no object in JSON"


def test_an_existing_engines_daemon_json_counts_once_the_role_writes_it() -> None:
    docker = daemon_json({"data-root": "/srv/docker"}, answers=True)
    values: dict[str, Any] = {"docker_engine_source": "existing"}
    assert problems(docker=docker, values=values) == []
    values["docker_engine_daemon"] = {"debug": True}
    assert only(docker=docker, values=values).found.startswith("data-root: /srv/docker,")


def test_the_accounts_that_get_the_right_to_use_docker_exist() -> None:
    users = {"docker_engine_users": ["alice", "alcie", "-x"]}
    assert host_info_options({**VALUES, **users})["accounts"] == ["alice", "alcie"]
    problem = only(values=users, accounts={"alice": True, "alcie": False})
    assert (problem.subject, problem.found) == (
        "docker_engine_users",
        "no account alcie on the server",
    )


@pytest.mark.parametrize("package", ["docker-ce", "docker.io"])
def test_an_engine_of_either_source_can_be_replaced(package: str) -> None:
    docker = {**HOST["docker"], "answers": True}
    packages = {package: {"version": "1", "held": False}}
    assert problems(values={"docker_engine_replace": True}, docker=docker, packages=packages) == []


def test_an_engine_nobody_knows_cannot_be_replaced() -> None:
    docker = {**HOST["docker"], "answers": True}
    assert problems(docker=docker) == []
    problem = only(values={"docker_engine_replace": True}, docker=docker)
    assert problem.subject == "docker_engine_replace"


def test_a_port_somebody_else_has() -> None:
    problem = only(port={"error": "taken", "holder": "nginx (process 7)", "own": False})
    assert (problem.subject, problem.found) == (
        "jupyterhub_port",
        "8000 taken by nginx (process 7)",
    )


def test_the_port_of_the_hubs_own_proxy() -> None:
    assert problems(port={"error": "taken", "holder": "container x", "own": True}) == []


def test_an_address_of_another_server() -> None:
    problem = only(port={"error": "no_such_address", "holder": "", "own": False})
    assert problem.subject == "jupyterhub_bind_address"


def test_a_port_that_cannot_be_used_for_another_reason() -> None:
    assert "out of luck" in only(port={"error": "out of luck", "holder": "", "own": False}).found


def test_a_port_only_root_may_use_is_free_for_the_engine() -> None:
    denied = {"error": "denied", "holder": "", "own": False}
    assert only(port=denied, uid=1000).subject == "user"


def test_a_network_the_server_uses() -> None:
    networks = [{"network": "10.0.0.0/8", "interface": "tun0"}]
    first, second = problems(networks=networks)
    assert first.subject == "jupyterhub_subnet"
    assert "overlaps 10.0.0.0/8 of the server (interface tun0)" in first.found
    assert "such as 172.16.0.0/20" in first.mend
    assert second.subject == "jupyterhub_internal_subnet"


def test_an_address_the_server_has() -> None:
    problem = only(networks=[{"network": "10.230.16.9/32", "interface": ""}])
    assert problem.subject == "jupyterhub_internal_subnet"
    assert "(an address of its own)" in problem.found


def test_the_hubs_own_networks_may_be_used_again() -> None:
    networks = [
        {"network": "10.230.0.0/20", "interface": "ailab-labs"},
        {"network": "10.230.16.0/24", "interface": "ailab-int"},
        {"network": "10.230.0.1/32", "interface": ""},
        {"network": "10.230.16.1/32", "interface": ""},
    ]
    assert problems(networks=networks) == []


def test_a_value_with_a_problem_of_its_own_is_left_alone() -> None:
    assert list(check_host(ROLES, {}, {**HOST, "port": None}, SUPPORTED)) == []
    assert problems(values={"jupyterhub_subnet": "nonsense"}) == []


def test_suggests_a_network_that_is_really_free() -> None:
    taken = [ipaddress.IPv4Network(item) for item in ("10.0.0.0/8", "172.16.0.0/12")]
    assert free_network(20, taken) == "192.168.0.0/20"
    assert free_network(20, [ipaddress.IPv4Network("0.0.0.0/0")]) == ""
    assert free_network(12, taken) == ""


def test_asks_the_server_for_what_the_variables_name() -> None:
    daemon = {"data-root": "/data/docker"}
    assert host_info_options({**VALUES, "docker_engine_daemon": daemon}) == {
        "listen_address": "127.0.0.1",
        "listen_port": 8000,
        "images": ["exasol/ai-lab:6.0.0"],
        "data_root": "/data/docker",
        "packages": [*DOCKER_PACKAGES, *PREREQUISITES],
        "apt_repositories": [
            "https://mirror.example.org/docker/debian",
            "https://mirror.example.org/docker/ubuntu",
            *DOCKER_REPOSITORIES,
        ],
        "apt_keys": [DOCKER_KEY],
    }
    assert host_info_options({}) == {}


def test_of_an_existing_engine_only_packages_are_asked_for() -> None:
    options = host_info_options({"docker_engine_source": "existing"})
    assert options == {"packages": [*DOCKER_PACKAGES, *PREREQUISITES]}


def test_the_role_means_the_files_the_server_is_asked_for() -> None:
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert variables["_docker_engine_key"] == DOCKER_KEY
    proxies = {variables["_docker_engine_proxy_env"], variables["_docker_engine_proxy_drop_in"]}
    assert proxies == set(host_info.PROXY_FILES)


def test_the_default_is_dockers_own_repository() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    url = defaults["docker_engine_repository_url"]
    assert {f"{url}/debian", f"{url}/ubuntu"} <= set(DOCKER_REPOSITORIES)
