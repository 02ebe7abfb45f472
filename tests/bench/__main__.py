# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long things take, beside the same work without the collection.

Each figure is a ratio, the median of pairs measured in turns on servers of the testbed, so that
whatever else this machine does hits both sides. A line of JSON per figure is added to
``.bench/results.jsonl``: ``figure``, ``ratio``, ``ours`` and ``beside`` (what was measured),
``ours_seconds`` and ``beside_seconds`` (a number for each pair), ``date``, ``commit``, ``suite``, ``cores``.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..live.jupyterhub_client import JupyterHubClient
from ..testbed import bases, engine, hosts, shared
from ..testbed.system import TestbedError, lock, run, step

INSTANCE = "bench"
PORT = 8000
RESULTS = hosts.CHECKOUT / ".bench" / "results.jsonl"
SCENARIO = hosts.CHECKOUT / "molecule" / "default" / "inventory"
BY_HAND = Path(__file__).parent / "by_hand.sh"
PING = """
- hosts: hub
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
"""
MODULE = """
- hosts: hub
  gather_facts: false
  tasks:
    - {module}
      loop: "{{{{ range({turns}) | list }}}}"
"""
TURNS = 20
BESIDE_DOCKER_ACCESS = {
    "stat": "ansible.builtin.stat: {path: /var/run/docker.sock}",
    "docker_host_info": "community.docker.docker_host_info:",
}
ANSWERS = """
import time, urllib.request
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:49494/lab", timeout=2)
        break
    except OSError:
        time.sleep(0.05)
"""
# What a deployed server has that the one set up by hand is given beforehand: all that is typing.
FILES = "etc/apt/keyrings etc/apt/sources.list.d etc/docker etc/ailab-hub var/lib/ailab-hub/build var/lib/ailab-hub/secrets"


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


class Server:
    """A bare server of the testbed, with an inventory of its own."""

    def __init__(self, name: str, suite: str) -> None:
        running = engine.up()
        self.instance = f"{INSTANCE}-{name}"
        hosts.down(running, self.instance)
        hosts.Host(running, self.instance, name).up(suite, bases.up(running, suite))
        self.folder = RESULTS.parent / name
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hosts.yml").write_text(hosts.inventory(running, self.instance))
        # The path of a socket has no more than 107 characters.
        self.control = tempfile.mkdtemp(prefix="bench-")
        self.address: str = hosts.describe(running, self.instance)[name]["address"]

    def play(self, playbook: str | Path) -> None:
        """Run a playbook; raises TestbedError with its last lines if it fails."""
        inventories = [f"--inventory={self.folder}", f"--inventory={SCENARIO}"]
        run(str(Path(sys.executable).parent / "ansible-playbook"), *inventories, playbook)

    def shell(self, command: str, input: bytes | None = None) -> bytes:
        """Run a shell command as root, and return its output."""
        key = hosts.key(self.instance)
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "LogLevel=ERROR", "-o", "ControlMaster=auto", "-o", "ControlPersist=60"]
        options += ["-o", f"ControlPath={self.control}/%C"]
        ssh = ["ssh", "-i", str(key), *options, f"{hosts.USER}@{self.address}"]
        done = subprocess.run(
            [*ssh, "sudo sh -c " + shlex.quote(command)], input=input, capture_output=True
        )
        if done.returncode:
            raise TestbedError(f"{command}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def inspect(self, name: str) -> dict[str, Any]:
        """What ``docker inspect`` says."""
        answer: list[dict[str, Any]] = json.loads(self.shell(f"docker inspect {name}"))
        return answer[0]

    def down(self) -> None:
        """Remove the server."""
        shutil.rmtree(self.control)
        hosts.down(engine.up(), self.instance)


def plan(deployed: Server) -> tuple[str, bytes]:
    """What the script by_hand.sh needs to come to the same as a deployed server: names, files."""
    hub, proxy = deployed.inspect("jupyterhub"), deployed.inspect("jupyterhub-proxy")
    build = "/var/lib/ailab-hub/build"
    names = {
        "ACCOUNT_UID": hub["Config"]["User"].partition(":")[0],
        "PROXY_IMAGE": proxy["Config"]["Image"],
        "PROXY_COMMAND": proxy["Config"]["Cmd"][-1],
        "HUB_IMAGE": hub["Config"]["Image"],
        "LAB_IMAGE": deployed.shell(
            "docker image ls --filter label=ailab.hub=lab-image --format '{{.Repository}}:{{.Tag}}'"
        )
        .decode()
        .split()[0],
        "HUB_BASE": deployed.shell(f"sed -n 's/^FROM //p' {build}/hub_image/Dockerfile").decode(),
        "LAB_BASE": deployed.shell(f"sed -n 's/^FROM //p' {build}/lab_image/Dockerfile").decode(),
        "PACKAGES": deployed.shell(
            "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' docker.io docker-cli docker-ce docker-ce-cli"
            " containerd.io iptables python3-debian python3-requests 2> /dev/null | sed -n 's/^ii *//p'"
        )
        .decode()
        .replace("\n", " "),
    }
    text = "".join(f"{name}={shlex.quote(value.strip())}\n" for name, value in names.items())
    return text, deployed.shell(f"tar -c -C / {FILES}")


def by_hand(server: Server, names: str, files: bytes) -> float:
    """Set a bare server up by the script; the seconds it takes once all files are there."""
    server.shell("mkdir -p /root/by-hand && cat > /root/by-hand/plan", names.encode())
    server.shell("cat > /root/by-hand/files.tar", files)
    server.shell("cat > /root/by-hand/by_hand.sh", BY_HAND.read_bytes())
    return seconds(lambda: server.shell("sh /root/by-hand/by_hand.sh"))


def first_deployment(suite: str, pairs: int) -> tuple[Server, list[float], list[float]]:
    """Deploy bare servers by ``site.yml`` and by hand. Returns one that is deployed, too."""
    ours: list[float] = []
    beside: list[float] = []
    deployed: Server | None = None
    for _ in range(pairs):
        if deployed:
            deployed.down()
        deployed = Server("ours", suite)
        ours.append(seconds(lambda server=deployed: server.play("site.yml")))  # type: ignore[misc]
        names, files = plan(deployed)
        other = Server("hand", suite)
        beside.append(by_hand(other, names, files))
        other.down()
    assert deployed
    return deployed, ours, beside


def unchanged_run(server: Server, pairs: int) -> tuple[list[float], list[float]]:
    """Run ``site.yml`` where nothing is to be changed, and a play with one ping."""
    ping = server.folder / "ping.yml"
    ping.write_text(PING)
    for playbook in ("site.yml", ping):
        server.play(playbook)
    measured = [
        (seconds(lambda: server.play("site.yml")), seconds(lambda: server.play(ping)))
        for _ in range(pairs)
    ]
    return [ours for ours, _ in measured], [beside for _, beside in measured]


def module_run(
    server: Server, module: str, beside: str, pairs: int
) -> tuple[list[float], list[float]]:
    """Run two modules some times in a task, without what a play takes that does nothing."""
    paths = [server.folder / f"{name}.yml" for name in ("ours", "beside", "nothing")]
    for path, task, turns in zip(paths, (module, beside, beside), (TURNS, TURNS, 0), strict=True):
        path.write_text(MODULE.format(module=task, turns=turns))
        server.play(path)
    measured = []
    for _ in range(pairs):
        ours, other, nothing = (seconds(functools.partial(server.play, path)) for path in paths)
        measured.append(((ours - nothing) / TURNS, (other - nothing) / TURNS))
    return [each[0] for each in measured], [each[1] for each in measured]


def spawn(server: Server, pairs: int) -> tuple[list[float], list[float]]:
    """Start a user's server through the hub, and the same base image by ``docker run``."""
    password = server.shell("cat /var/lib/ailab-hub/secrets/shared_user_password").decode().strip()
    image = server.shell(
        "sed -n 's/^FROM //p' /var/lib/ailab-hub/build/lab_image/Dockerfile"
    ).decode()

    def docker_run() -> None:
        # AI Lab alone may listen inside its container only.
        server.shell(
            f"docker run --detach --name bench {image.strip()}"
            f" && docker exec bench python3 -c {shlex.quote(ANSWERS)}"
        )

    ours, beside = [], []
    with JupyterHubClient(f"http://{server.address}:{PORT}/") as client:
        client.login("bench", password)
        for turn in range(pairs + 1):
            once = seconds(client.start_server), seconds(docker_run)
            client.stop_server()
            server.shell("docker rm --force --volumes bench")
            # The first of each reads the image from the disk.
            if turn:
                ours.append(once[0])
                beside.append(once[1])
    return ours, beside


def report(
    figure: str, suite: str, ours: str, beside: str, times: tuple[list[float], list[float]]
) -> None:
    """Print a figure and add it to the results."""
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    line = {
        "figure": figure,
        "ratio": round(ratio, 2),
        "ours": ours,
        "beside": beside,
        "ours_seconds": [round(each, 3) for each in times[0]],
        "beside_seconds": [round(each, 3) for each in times[1]],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": run("git", "-C", hosts.CHECKOUT, "rev-parse", "--short", "HEAD").strip(),
        "suite": suite,
        "cores": os.cpu_count(),
    }
    with RESULTS.open("a") as results:
        results.write(json.dumps(line) + "\n")
    middle = [statistics.median(each) for each in times]
    print(f"{figure}: {ratio:.2f}  ({ours} {middle[0]:.2f} s, {beside} {middle[1]:.2f} s)")


def main() -> int:
    """Measure all figures. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--suite", default=os.environ.get("SUITE") or "bookworm")
    parser.add_argument("--deployments", type=int, default=3, help="pairs of first deployments")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of everything else")
    arguments = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    suite = arguments.suite
    try:
        with lock("busy", shared=True):
            with step("first deployments", live=False):
                server, *deployments = first_deployment(suite, arguments.deployments)
            report(
                "first_deployment",
                suite,
                "site.yml on a bare server",
                "the same packages, builds and starts by a shell script",
                (deployments[0], deployments[1]),
            )
            with step("runs with nothing to change", live=False):
                times = unchanged_run(server, arguments.pairs)
            report("unchanged_run", suite, "site.yml", "a play with one ping", times)
            for beside, task in BESIDE_DOCKER_ACCESS.items():
                with step(f"docker_access beside {beside}", live=False):
                    times = module_run(server, "ailab.hub.docker_access:", task, arguments.pairs)
                report(f"docker_access_{beside}", suite, "docker_access", beside, times)
            with step("spawns", live=False):
                times = spawn(server, arguments.pairs)
            report(
                "spawn",
                suite,
                "a user's server through the hub until it answers",
                "docker run of AI Lab until it answers",
                times,
            )
            server.down()
    except (TestbedError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        shared.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
