# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed is finished by the next, and the one after has nothing to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROJECT, Play, Server

DOCKER_TAP = Path(__file__).parent / "docker_tap.py"
TAP = "/run/docker-tap"
"""Folder on the server of the socket that keeps an answer to itself."""
KILL_SECONDS = 300
"""By then a run has come to where it is to be killed, or has ended."""


def descendants(pid: int) -> list[int]:
    """Return the processes a process has begun, and those they have begun."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [each for child in children for each in (int(child), *descendants(int(child)))]
    return []


class Run:
    """A run of ``ansible-playbook`` that can be killed with all its processes, as a power cut on the controller does."""

    def __init__(self, inventories: list[str], arguments: list[str], log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [
                    "ansible-playbook",
                    *(f"--inventory={inventory}" for inventory in inventories),
                    *arguments,
                ],
                cwd=PROJECT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def reaches(self, condition: Callable[[], bool]) -> bool:
        """Wait for a condition. Returns False if the run ends before."""
        deadline = time.monotonic() + KILL_SECONDS
        while not condition():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return True

    def kill(self) -> None:
        # Ansible's workers are in sessions of their own, so no group has them all.
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def run(inventories: list[str], tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Begin a run of ``site.yml``; what is left of it in the end is killed."""
    runs: list[Run] = []

    def begin(*arguments: str) -> Run:
        runs.append(Run(inventories, ["site.yml", *arguments], tmp_path / f"run{len(runs)}.log"))
        return runs[-1]

    yield begin
    for each in runs:
        if each.process.poll() is None:
            each.kill()


@pytest.fixture(scope="module", autouse=True)
def server_as_before(play: Callable[..., Play], server: Server) -> Iterator[None]:
    """The server ends as the scenario's inventory says."""
    yield
    done = play()
    assert done.returncode == 0, done.output


def assert_is_finished_by_the_next(play: Callable[..., Play], *arguments: str) -> None:
    """The next run does the rest, and the one after has nothing to do."""
    done = play(*arguments)
    assert done.returncode == 0, done.output
    assert done.counts["failed"] == 0, done.output
    done = play(*arguments)
    assert done.returncode == 0, done.output
    assert done.counts["changed"] == 0, done.output


@pytest.mark.parametrize(
    ("role", "task", "seconds", "values"),
    [
        (
            "docker_engine",
            "The engine runs with its configuration",
            0,
            {"docker_engine_daemon": {"max-concurrent-downloads": 4}},
        ),
        ("lab_image", "The lab image is built", 2, {"lab_image_pip_packages": ["cowsay==6.1"]}),
        ("hub_image", "The hub image is built", 4, {"hub_image_pip_packages": ["cowsay==6.1"]}),
        (
            "jupyterhub",
            "Secrets exist",
            1,
            {"jupyterhub_user_password": "another-password", "jupyterhub_default_url": "/lab"},
        ),
        (
            "hub_https",
            "Nginx runs with it",
            0,
            {
                "hub_https_certificate": "internal",
                "hub_https_hostname": "hub1.example.org",
                "jupyterhub_bind_address": "127.0.0.1",
            },
        ),
    ],
    ids=["docker_engine", "lab_image", "hub_image", "jupyterhub", "hub_https"],
)
def test_killed_at_a_changing_task(
    role: str,
    task: str,
    seconds: float,
    values: dict[str, Any],
    run: Callable[..., Run],
    play: Callable[..., Play],
    tmp_path: Path,
) -> None:
    (tmp_path / "values.json").write_text(json.dumps(values))
    arguments = [f"--tags={role}", f"--extra-vars=@{tmp_path / 'values.json'}"]
    killed = run(*arguments)
    assert killed.reaches(lambda: f"{role} : {task}]" in killed.log.read_text())
    time.sleep(seconds)
    killed.kill()
    assert "PLAY RECAP" not in killed.log.read_text()
    assert_is_finished_by_the_next(play, *arguments)


@pytest.fixture
def tap(server: Server) -> Iterator[Callable[[int], None]]:
    """Put a tap in the place of Docker's socket. Returns how to tell it which answer to keep; 0 is none."""
    server.run(
        f"mkdir -p {TAP} && cat > {TAP}/docker_tap.py <<'END'\n{DOCKER_TAP.read_text()}\nEND\n"
        f"systemd-run --quiet --collect --unit=docker-tap python3 {TAP}/docker_tap.py /run/docker.sock {TAP};"
        f"until [ -S {TAP}/docker.sock ] && [ -S /run/docker.sock ]; do sleep 0.05; done"
    )

    def hold(number: int) -> None:
        server.run(f"cd {TAP}; rm -f calls held; echo {number} > number")

    yield hold
    server.run(
        f"rm -f {TAP}/held; systemctl stop docker-tap; rm -r {TAP}; docker restart jupyterhub"
    )


RESET = """
docker rm --force $(docker ps --all --quiet --filter label=ailab.hub)
docker network rm jupyterhub jupyterhub-internal
rm -f /etc/ailab-hub/jupyterhub_config.py
"""


def test_killed_at_every_call_of_the_daemon(
    run: Callable[..., Run],
    play: Callable[..., Play],
    tap: Callable[[int], None],
    server: Server,
    tmp_path: Path,
) -> None:
    # Both images are there: what is left is the role jupyterhub.
    hub = server.inspect("jupyterhub")["Config"]
    images = {
        "jupyterhub_lab_image": hub["Labels"]["ailab.hub.lab-image"],
        "jupyterhub_hub_image": hub["Image"],
    }
    (tmp_path / "images.json").write_text(json.dumps(images))
    arguments = [
        "--tags=jupyterhub",
        "--skip-tags=lab_image,hub_image",
        f"--extra-vars=@{tmp_path / 'images.json'}",
    ]
    made: list[str] = []
    while True:
        tap(0)
        server.run(RESET)
        tap(len(made) + 1)
        killed = run(*arguments)
        if not killed.reaches(lambda: bool(server.run(f"ls {TAP}/held 2> /dev/null || true"))):
            break
        killed.kill()
        made.append(server.run(f"cat {TAP}/calls").splitlines()[-1])
        tap(0)
        assert_is_finished_by_the_next(play, *arguments)
        left = server.run("docker ps --all --quiet --filter label=ailab.hub=check")
        assert left == "", f"{made[-1]} left a container behind"
    tap(0)
    assert killed.process.returncode == 0, killed.log.read_text()
    print("\n".join(made))
    paths = " ".join(made)
    for call in ("/networks/create", "/containers/create", "/start", "/exec"):
        assert call in paths
