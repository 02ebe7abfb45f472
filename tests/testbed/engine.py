# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine everything else runs on: one that answers, else a private one.

The private engine keeps its data in the cache folder and has its own socket, bridge and
addresses. It runs without Docker's own iptables rules, which two engines on one machine would
take from each other; two rules of ours stand in for them.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from .system import TestbedError, cache, find, lock, require, run, say, step

LABEL = "ailab.hub.testbed"
NETWORK = "ailab-hub-testbed"
START_SECONDS = 60
STOP_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers: its client, and its address unless it is the default."""

    client: str
    address: str | None = None

    def __call__(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run the docker client and return what it printed, stripped."""
        return run(self.client, *arguments, input=input, env=self.environment, check=check).strip()

    @property
    def environment(self) -> dict[str, str]:
        # Only the classic builder is in every client from Debian 12's to today's.
        env = os.environ | {"DOCKER_BUILDKIT": "0"}
        return env | {"DOCKER_HOST": self.address} if self.address else env

    @property
    def private(self) -> bool:
        return self.address == _socket()

    def answers(self) -> bool:
        return bool(self("version", "--format", "{{.Server.Version}}", check=False))

    def inspect(self, kind: str, *names: str) -> list[dict[str, Any]]:
        """Describe objects of a kind (container, image, network); those not there are left out."""
        if not names:
            return []
        found: list[dict[str, Any]] = json.loads(
            self("inspect", f"--type={kind}", *names, check=False) or "[]"
        )
        return found

    def labelled(self, kind: str, *labels: str) -> list[str]:
        """Names of the containers or volumes (``kind``) that carry all these labels."""
        command = ["ps", "--all"] if kind == "container" else [kind, "ls"]
        field = "Names" if kind == "container" else "Name"
        filters = [f"--filter=label={label}" for label in labels]
        return self(*command, *filters, "--format", f"{{{{.{field}}}}}").split()


def running() -> Engine | None:
    """The engine in use, or None: DOCKER_HOST, the private one, the client's default."""
    if address := os.environ.get("DOCKER_HOST"):
        if engine := _connect(address):
            return engine
        if address != _socket():
            raise TestbedError(
                f"no Docker Engine answers at DOCKER_HOST={address}: unset or mend it"
            )
        return None
    return (_connect(_socket()) if _pid() else None) or _connect(None)


def up() -> Engine:
    """The engine in use; a private one is installed and started where none answers."""
    with lock("engine"):
        if engine := running():
            return engine
        if os.geteuid() != 0:
            raise TestbedError(
                "no Docker Engine answers: start one, or run as root on Debian or Ubuntu, where a private one is installed and started for you"
            )
        require("docker", "dockerd", "iptables", "ip")
        # Where systemd runs, installing the package has just started it.
        return running() or _start()


def down() -> bool:
    """Stop the private engine unless it holds a container. Returns whether none runs now."""
    with lock("engine"):
        if not _pid():
            return True
        engine = _connect(_socket())
        if engine and engine("ps", "--all", "--quiet"):
            say("the private engine stays: containers of others are in it")
            return False
        with step("stopping the private Docker Engine"):
            _stop()
        return True


def address_prefix(engine: Engine) -> str:
    """``10.N`` of the /16 that is the testbed's own on this machine."""
    return cache("engine", "prefix").read_text() if engine.private else _free_prefix()


def _free_prefix(preferred: str = "10.192") -> str:
    routes = [
        ipaddress.ip_network(word)
        for line in run("ip", "-4", "route", "show", "table", "all").splitlines()
        for word in line.split()[:2]
        if word[0].isdigit()
    ]
    for prefix in [preferred, *(f"10.{number}" for number in range(192, 224))]:
        if not any(route.overlaps(ipaddress.ip_network(f"{prefix}.0.0/16")) for route in routes):
            return prefix
    raise TestbedError("no free network for the testbed: routes overlap all of 10.192 to 10.223")


def _socket() -> str:
    return f"unix://{cache('engine', 'docker.sock')}"


def _clients() -> list[str]:
    # A newest client may refuse an old engine, to which the distribution's own always speaks.
    found = [find("docker"), "/usr/bin/docker"]
    return [path for path in dict.fromkeys(found) if path and os.path.exists(path)]


def _connect(address: str | None) -> Engine | None:
    engines = (Engine(client, address) for client in _clients())
    return next((engine for engine in engines if engine.answers()), None)


def _pid() -> int | None:
    """Process id of the private engine while it lives, whatever an old pidfile says."""
    try:
        pid = int(cache("engine", "pid").read_text())
        with open(f"/proc/{pid}/cmdline") as file:
            return pid if str(cache("engine", "data")) in file.read().split("\0") else None
    except (OSError, ValueError):
        return None


def _start() -> Engine:
    folder = cache("engine")
    folder.mkdir(parents=True, exist_ok=True)
    if len(_socket()) > len("unix://") + 107:
        raise TestbedError(f"{folder} is too long a path for a socket: set AILAB_HUB_TESTBED_CACHE")
    with step("starting a private Docker Engine"):
        prefix = _make_bridge()
        # A killed engine leaves these behind, and the next takes zombies for living processes.
        for stale in ("pid", "exec/containerd/containerd.pid"):
            (folder / stale).unlink(missing_ok=True)
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    find("dockerd") or "dockerd",
                    f"--host={_socket()}",
                    *("--data-root", str(folder / "data")),
                    f"--exec-root={folder / 'exec'}",
                    f"--pidfile={folder / 'pid'}",
                    f"--bridge={_bridge(prefix)}",
                    f"--default-address-pool=base={prefix}.128.0/17,size=24",
                    "--iptables=false",
                    "--ip6tables=false",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if engine := _connect(_socket()):
                return engine
            time.sleep(0.2)
        process.terminate()
        raise TestbedError(f"the private Docker Engine does not start: see {folder / 'log'}")


def _stop() -> None:
    deadline = time.monotonic() + STOP_SECONDS
    if pid := _pid():
        os.kill(pid, signal.SIGTERM)
    while _pid():
        if time.monotonic() > deadline:
            raise TestbedError(f"the private Docker Engine (process {pid}) does not stop")
        time.sleep(0.2)
    # An engine that followed a killed one does not know of the mount that one made.
    run("umount", "--recursive", cache("engine", "data"), check=False)
    prefix = cache("engine", "prefix").read_text()
    for rule in _rules(prefix):
        run("iptables", *rule.replace("-I", "-D").split(), check=False)
    run("ip", "link", "delete", _bridge(prefix), check=False)


def _bridge(prefix: str) -> str:
    return f"ailab-tb{prefix.removeprefix('10.')}"


def _rules(prefix: str) -> list[str]:
    network = f"{prefix}.0.0/16"
    return [
        f"-t nat -I POSTROUTING -s {network} ! -d {network} -j MASQUERADE",
        f"-I FORWARD -s {network} -j ACCEPT",
        f"-I FORWARD -d {network} -j ACCEPT",
    ]


def _make_bridge() -> str:
    """Make the default bridge and its rules, or take up those a killed engine left behind.

    Returns the prefix of the addresses: that of the last time, which the engine's network has.
    """
    file = cache("engine", "prefix")
    prefix = file.read_text() if file.exists() else _free_prefix()
    if not run("ip", "link", "show", _bridge(prefix), check=False):
        prefix = _free_prefix(prefix)
        file.write_text(prefix)
        run("ip", "link", "add", _bridge(prefix), "type", "bridge")
        run("ip", "address", "add", f"{prefix}.0.1/24", "dev", _bridge(prefix))
        run("ip", "link", "set", _bridge(prefix), "up")
    for rule in _rules(prefix):
        run("iptables", *rule.replace("-I", "-D").split(), check=False)
        run("iptables", *rule.split())
    return prefix
