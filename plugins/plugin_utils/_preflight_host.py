# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server can be what the variables ask for. No I/O.

It is told by what the module ailab.hub.host_info returned, whose RETURN documents the dictionary.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_checks import (
    LINUX_USER,
    network,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_https import (
    PACKAGES as HTTPS_PACKAGES,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_https import (
    check_https_host,
    https_host_options,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_identity import (
    check_identity_host,
    identity_host_options,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem

Host = Mapping[str, Any]
Values = Mapping[str, Any]

# The AI Lab image takes 4 GB, and as much again while it is built; the rest is for the hub's image
# and the first users' files.
MIN_DISK_MIB = 15 * 1024
# A machine sold with 2 GiB shows its kernel's own share less. Hub, proxy and one lab need 1 GiB.
MIN_MEMORY_MIB = 1792
# Bridges of the roles themselves: their addresses are ours to use again.
OWN_BRIDGES = frozenset({"ailab-labs", "ailab-int"})
# Exasol publishes the AI Lab for this machine alone; other bases may exist for others.
AI_LAB = "exasol/ai-lab"
AI_LAB_ARCHITECTURE = "x86_64"
# Where to look for a network that is free: largest private block first.
PRIVATE_BLOCKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
SUGGESTIONS_TRIED = 4096

# Docker's packages for Debian and Ubuntu as its repository has them, the distributions' own, and what
# the role docker_engine installs besides.
DOCKER_PACKAGES = ("docker*", "containerd*", "runc", "iptables")
PREREQUISITES = ("ca-certificates", "python3-debian", "python3-requests")
# Where Docker's packages are, and were, whatever mirror is used now.
DOCKER_REPOSITORIES = (
    "https://download.docker.com/linux/debian",
    "https://download.docker.com/linux/ubuntu",
    "https://apt.dockerproject.org/repo",
)
DOCKER_KEY = "/etc/apt/keyrings/docker.asc"
ENGINES = frozenset({"docker-ce", "docker.io"})
# What the role writes into daemon.json of itself.
DAEMON_DEFAULTS: Mapping[str, Any] = {
    "live-restore": True,
    "log-driver": "local",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "default-address-pools": [{"base": "10.230.128.0/17", "size": 24}],
}

_SUBNETS = ("jupyterhub_subnet", "jupyterhub_internal_subnet")


def host_info_options(values: Values) -> dict[str, Any]:
    """What to ask the server, as options of ailab.hub.host_info."""
    options: dict[str, Any] = {}
    if (address := values.get("jupyterhub_bind_address")) and (
        port := values.get("jupyterhub_port")
    ):
        options = {"listen_address": address, "listen_port": port}
    if base := values.get("lab_image_base"):
        options["images"] = [base]
    if source := values.get("docker_engine_source"):
        options["packages"] = [*DOCKER_PACKAGES, *PREREQUISITES]
        if source != "existing":
            mirror = (values.get("docker_engine_repository_url") or "").rstrip("/")
            mirrored = [f"{mirror}/{name}" for name in ("debian", "ubuntu")] if mirror else []
            options["apt_repositories"] = [*dict.fromkeys([*mirrored, *DOCKER_REPOSITORIES])]
            options["apt_keys"] = [DOCKER_KEY]
    # What is no name at all is told by itself.
    if users := [*filter(LINUX_USER.fullmatch, values.get("docker_engine_users") or ())]:
        options["accounts"] = users
    if https := https_host_options(values):
        options.update(https)
        options["packages"] = [*options.get("packages", ()), *HTTPS_PACKAGES]
    options.update(identity_host_options(values))
    data_root = (values.get("docker_engine_daemon") or {}).get("data-root")
    if isinstance(data_root, str):
        options["data_root"] = data_root
    return options


def check_host(
    roles: Collection[str], values: Values, host: Host, supported: Collection[str]
) -> Iterator[Problem]:
    """All problems of a server.

    :arg roles: names of the roles that are about to run.
    :arg values: converted variables by full name; one that has a problem itself is left out.
    :arg host: what ailab.hub.host_info returned.
    :arg supported: systems by the names of their files in the roles' C(vars), such as C(Debian_12).
    """
    yield from _check_system(values, host, supported)
    yield from _check_rights(host)
    yield from _check_size(roles, values, host)
    if "docker_engine" in roles:
        yield from _check_engine(values, host)
    if "jupyterhub" in roles:
        yield from _check_port(values, host)
        yield from _check_networks(values, host)
        yield from check_identity_host(values, host)
    if "hub_https" in roles:
        yield from check_https_host(values, host)


def _check_system(values: Values, host: Host, supported: Collection[str]) -> Iterator[Problem]:
    system = f"{host['distribution']} {host['version']}".strip()
    if system.replace(" ", "_").replace(".", "") not in supported:
        yield Problem(
            "operating system",
            system or "an unknown one",
            "one of " + ", ".join(sorted(map(_system_name, supported))),
            "Use a server with one of these; nothing is tried on others.",
        )
    base = values.get("lab_image_base") or AI_LAB
    if host["architecture"] != AI_LAB_ARCHITECTURE and AI_LAB in base:
        yield Problem(
            "machine",
            host["architecture"],
            AI_LAB_ARCHITECTURE,
            "AI Lab exists for it alone. Take such a server, or another image as lab_image_base.",
        )
    if not host["systemd"]:
        yield Problem(
            "init system",
            "no systemd",
            "systemd",
            "Use a server or virtual machine; a plain container has no init system.",
        )


def _system_name(file: str) -> str:
    """C(Ubuntu 22.04) of C(Ubuntu_2204), as the roles name the files of their differences."""
    name, _underscore, version = file.rpartition("_")
    return f"{name} {version}" if len(version) < 4 else f"{name} {version[:-2]}.{version[-2:]}"


def _check_rights(host: Host) -> Iterator[Problem]:
    if host["uid"] != 0:
        yield Problem(
            "user",
            f"user id {host['uid']}",
            "root",
            "Set become: true (on the command line: --become, and --ask-become-pass if sudo asks).",
        )


def _check_size(roles: Collection[str], values: Values, host: Host) -> Iterator[Problem]:
    memory = host["memory_mib"]
    if memory is not None and memory < MIN_MEMORY_MIB:
        yield Problem("memory", _gib(memory), "2 GiB or more", "Give the server more memory.")
    disk = host["disk"]
    there = any(host["docker"]["images"].values())
    if "lab_image" in roles and not there and disk["free_mib"] < MIN_DISK_MIB:
        yield Problem(
            "disk",
            f"{_gib(disk['free_mib'])} free at {disk['path']}",
            f"{MIN_DISK_MIB // 1024} GiB for the lab image",
            "Make room (docker image prune, for instance), or put the engine's data on a larger "
            "disk with docker_engine_daemon: {data-root: FOLDER}.",
        )


def _gib(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB"


def _check_engine(values: Values, host: Host) -> Iterator[Problem]:
    source = values.get("docker_engine_source")
    if source in ("distro", "docker_ce") and not host["python_apt"]:
        yield Problem(
            "python3-apt",
            "no such package",
            "it, since packages are installed with it",
            "Run: apt-get install python3-apt",
        )
    # Without root the engine keeps silent anyway, which is reported.
    if source == "existing" and not host["docker"]["answers"] and host["uid"] == 0:
        yield Problem(
            "docker_engine_source",
            f"existing, but {host['docker']['error']}",
            "an engine that answers",
            "Start it (systemctl start docker), or set docker_engine_source: docker_ce to have one "
            "installed.",
        )
    foreign = host["docker"]["answers"] and not ENGINES & set(host["packages"])
    if foreign and values.get("docker_engine_replace"):
        yield Problem(
            "docker_engine_replace",
            "true, but the engine that answers is of neither docker-ce nor docker.io",
            "an engine whose packages are known",
            "Remove that engine first, or set docker_engine_source: existing to keep it.",
        )
    yield from _check_daemon_json(values, host, foreign)
    for name, known in host["accounts"].items():
        if not known:
            yield Problem(
                "docker_engine_users",
                f"no account {name} on the server",
                "accounts the server has",
                "Create it, or correct the name.",
            )


def _check_daemon_json(values: Values, host: Host, foreign: bool) -> Iterator[Problem]:
    """What another than the role wrote into daemon.json must not get lost: not even by a default."""
    daemon, mirrors = (
        values.get(f"docker_engine_{name}") for name in ("daemon", "registry_mirrors")
    )
    left_alone = values.get("docker_engine_source") == "existing" or foreign
    found = host["docker"]["daemon_json"]
    if daemon is None or mirrors is None or found["own"]:
        return
    if left_alone and not daemon and not mirrors:
        return
    if found["values"] is None:
        yield Problem(
            "daemon.json of the server",
            "no object in JSON",
            "one the run can read before it replaces it",
            "Correct /etc/docker/daemon.json, or move it away.",
        )
        return
    named = {*daemon, *(("registry-mirrors",) if mirrors else ())}
    lost = {
        key: value
        for key, value in found["values"].items()
        if key not in named and DAEMON_DEFAULTS.get(key) != value
    }
    if lost:
        changed = " or change" if DAEMON_DEFAULTS.keys() & lost.keys() else ""
        each = "each" if len(lost) > 1 else "it"
        yield Problem(
            "daemon.json of the server",
            ", ".join(f"{key}: {_shown(value)}" for key, value in lost.items())
            + f", which the run would take out{changed}",
            "nothing but what docker_engine_daemon names and the role's defaults",
            f"Copy {each} from /etc/docker/daemon.json to docker_engine_daemon, or name {each} there "
            "with null to drop it.",
        )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_port(values: Values, host: Host) -> Iterator[Problem]:
    port = host["port"]
    if not port or not port["error"] or port["own"]:
        return
    address, number = values["jupyterhub_bind_address"], values["jupyterhub_port"]
    if port["error"] == "taken":
        yield Problem(
            "jupyterhub_port",
            f"{number} taken by {port['holder'] or 'something on the server'}",
            "a free port",
            "Stop what holds it, or set jupyterhub_port to another one.",
        )
    elif port["error"] == "no_such_address":
        yield Problem(
            "jupyterhub_bind_address",
            f"{address}, which the server does not have",
            "one of the server's own addresses",
            "Set it to one of those that 'ip address' shows there, or to 0.0.0.0 for all.",
        )
    elif port["error"] != "denied" or host["uid"] == 0:
        found = f"{address} and port {number}: {port['error']}"
        yield Problem("jupyterhub_port", found, "a port to listen on", "Choose another one.")


def _check_networks(values: Values, host: Host) -> Iterator[Problem]:
    taken = list(_taken_networks(host["networks"]))
    ours = {name: found for name in _SUBNETS if (found := network(values.get(name)))}
    for name, subnet in ours.items():
        for other, interface in taken:
            if not subnet.overlaps(other):
                continue
            others = [item for item, _interface in taken]
            others += [item for key, item in ours.items() if key != name]
            free = free_network(subnet.prefixlen, others)
            where = f" (interface {interface})" if interface else " (an address of its own)"
            yield Problem(
                name,
                f"{subnet}, which overlaps {other} of the server{where}",
                "a network the server does not use",
                f"Set {name} to a free one, such as {free}." if free else f"Set {name} to another.",
            )
            break


def _taken_networks(
    entries: Iterable[Mapping[str, str]],
) -> Iterator[tuple[ipaddress.IPv4Network, str]]:
    networks = [(ipaddress.IPv4Network(item["network"]), item["interface"]) for item in entries]
    own = [item for item, interface in networks if interface in OWN_BRIDGES]
    for item, interface in networks:
        if interface in OWN_BRIDGES or item.prefixlen == 0:
            continue
        if not interface and any(item.subnet_of(bridge) for bridge in own):
            continue
        yield item, interface


def free_network(prefix: int, taken: Iterable[ipaddress.IPv4Network]) -> str:
    """A private network of a size that overlaps none of those taken; empty if none was found."""
    blocked = list(taken)
    for block in map(ipaddress.IPv4Network, PRIVATE_BLOCKS):
        if prefix < block.prefixlen:
            continue
        for index, candidate in enumerate(block.subnets(new_prefix=prefix)):
            if index >= SUGGESTIONS_TRIED:
                break
            if not any(candidate.overlaps(item) for item in blocked):
                return str(candidate)
    return ""


def unreachable(error: str) -> Problem:
    """The problem of a server that could not be asked."""
    return Problem(
        "server",
        f"no answer: {error}",
        "a server that Ansible reaches and that has Python 3.8 or newer",
        "Try: ansible HOST -m ansible.builtin.ping",
    )
