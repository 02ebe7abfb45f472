# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook `ailab.hub.doctor` on a deployed server: what is broken for real is found, and its hint mends it."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.certificates import make_certificate

from .conftest import Play, Server
from .test_hub import await_health

ROW = re.compile(r"^ +(\S.*?)  +(ok|warning|broken|unknown)  +(\S.*)$")
TIMER = "ailab-hub-heal.timer"
# What stands alone behind "Run:", without what else the hint says.
COMMAND = re.compile(r"\brun: (.+?)(?: \([^()]*\))?$", re.IGNORECASE)
REGISTRY = "/etc/docker/certs.d/expired.example.org"
FULL = "/var/lib/ailab-hub"


@dataclass(frozen=True)
class Row:
    """A row of the doctor's table."""

    subject: str
    state: str
    message: str
    hint: str = ""

    @property
    def command(self) -> str:
        """What the hint says to run on the server."""
        found = COMMAND.search(self.hint)
        assert found, self
        return found[1]


@dataclass(frozen=True)
class Answer:
    """What a run of the doctor came to."""

    play: Play
    rows: list[Row]

    def of(self, subject: str) -> list[Row]:
        return [row for row in self.rows if row.subject == subject]

    @property
    def broken(self) -> set[str]:
        return {row.subject for row in self.rows if row.state == "broken"}


def rows_of(table: str) -> list[Row]:
    """The rows of a table; what stands below one without a state is its hint."""
    rows: list[Row] = []
    for line in table.splitlines():
        if found := ROW.match(line):
            rows.append(Row(*found.groups()))
        elif rows and line.startswith("    "):
            rows[-1] = Row(rows[-1].subject, rows[-1].state, rows[-1].message, line.strip())
    return rows


@pytest.fixture
def doctor(play: Callable[..., Play]) -> Callable[..., Answer]:
    def examine(*arguments: str) -> Answer:
        done = play(*arguments, playbook="playbooks/doctor.yml", timeout=120)
        tables = done.output.partition("TASK [What was found")[2].partition("\n\n")[0]
        return Answer(done, rows_of(tables))

    return examine


@pytest.fixture(autouse=True)
def server_as_before(server: Server, url: str) -> Iterator[None]:
    """Each test begins and ends with a server that is well, whatever it found and mended."""
    await_health(url)
    yield
    server.run(
        "systemctl kill --signal=CONT docker.service; systemctl reset-failed --all 'docker.s*';"
        "systemctl start docker.socket docker.service;"
        f"systemctl enable --quiet --now {TIMER};"
        f"while mountpoint --quiet {FULL}; do umount {FULL}; done; rm -rf {REGISTRY};"
        "chmod 0660 /run/docker.sock;"
        "docker ps --all --quiet --filter name=doctors-lab | xargs --no-run-if-empty docker rm --force;"
        # Docker's socket may be another one than the one that is mounted into the hub.
        "docker start jupyterhub-proxy jupyterhub;"
        "docker exec jupyterhub python3 -m ailab_hub.healthcheck || docker restart jupyterhub",
    )
    await_health(url)


def test_a_hub_that_is_well(doctor: Callable[..., Answer], server: Server) -> None:
    look = "docker ps --all --no-trunc --format '{{.ID}} {{.State}}'; ls -lR /etc/ailab-hub /etc/docker"
    before = server.run(look)
    answer = doctor()
    assert answer.play.returncode == 0, answer.play.output
    assert answer.play.counts["changed"] == 0
    subjects = [row.subject for row in answer.rows]
    for subject in (
        "Docker access", "jupyterhub-proxy", "jupyterhub", "Labs", "Hub", "Healing", "Disk",
        "Memory", "Clock",
    ):  # fmt: skip
        assert subject in subjects, answer.play.output
    # What other tests have broken was healed, and is told for an hour. How full the machine is
    # that runs the tests is its own affair.
    telling = [row for row in answer.rows if row.subject not in ("Healing", "Disk", "Memory")]
    # Docker looks at the health for the first time half a minute after a start.
    assert [row for row in telling if row.state != "ok" and ", starting" not in row.message] == []
    assert answer.of("Healing")[0].message.startswith("looked ")
    # Others write to the disk of the machine that runs the tests.
    used = int(server.run("df --output=pcent / | tail -n 1").strip(" %\n"))
    told = re.search(r"(\d+) % used", answer.of("Disk")[0].message)
    assert told and abs(int(told[1]) - used) <= 1
    assert server.run(look) == before


BREAKS = f"""
systemctl disable --quiet --now {TIMER}
mkdir -p {REGISTRY}
cat > {REGISTRY}/ca.crt
image=$(docker inspect --format '{{{{.Image}}}}' jupyterhub)
lab="docker run --detach --label ailab.hub=lab"
$lab --name doctors-lab-1 --memory 16m $image python3 -c 'b"x" * 10**9'
$lab --name doctors-lab-2 $image sh -c 'exit 3'
$lab --name doctors-lab-3 --health-cmd false --health-interval 1s --health-retries 1 $image sleep 600
docker stop --time 5 jupyterhub
until docker ps --all | grep -q 'Exited (137).* doctors-lab-1'; do sleep 0.2; done
until docker ps | grep -q '(unhealthy).* doctors-lab-3'; do sleep 0.2; done
chmod o+rw /run/docker.sock
mount -t tmpfs -o size=1m,mode=700 doctor {FULL}
head -c 1000K /dev/zero > {FULL}/full
"""
MENDED_BY_HAND = (
    f"umount {FULL}; rm -r {REGISTRY}; docker rm --force doctors-lab-1 doctors-lab-2 doctors-lab-3"
)


def test_all_that_is_broken_is_found_at_once_and_mended_by_its_hint(
    doctor: Callable[..., Answer], server: Server, url: str
) -> None:
    expired = make_certificate(-3, "expired.example.org")[0].decode()
    server.run(f"printf %s {shlex.quote(expired)} | (set -e\n{BREAKS})")
    answer = doctor()
    assert answer.play.returncode == 2, answer.play.output
    found = {(row.subject, row.state): row for row in answer.rows}
    assert answer.broken == {"Docker access", "jupyterhub", "Hub", "Certificate", "Disk"}
    assert "everybody on this host" in found["Docker access", "broken"].message
    assert found["jupyterhub", "broken"].message.startswith("exited, ended ")
    assert found["Hub", "broken"].hint == "Mend jupyterhub first."
    assert f"{TIMER} is off" in found["Healing", "warning"].message
    assert "CN=expired.example.org, expired 3 days ago" in found["Certificate", "broken"].message
    assert found["Disk", "broken"].message.startswith(f"{FULL}: ")
    assert [row.message for row in answer.of("Labs") if row.state == "warning"] == [
        "unhealthy: doctors-lab-3",
        "ended for lack of memory: doctors-lab-1",
        "ended with an error: doctors-lab-2",
    ]
    # The folder first: what is started in the meantime would take what lies over it.
    server.run(MENDED_BY_HAND)
    for key in (("Docker access", "broken"), ("jupyterhub", "broken"), ("Healing", "warning")):
        server.run(found[key].command)
    await_health(url)
    answer = doctor()
    assert (answer.play.returncode, answer.broken) == (0, set()), answer.play.output
    assert f"{TIMER} is off" not in answer.play.output and "doctors-lab" not in answer.play.output


def test_a_proxy_that_is_stopped(doctor: Callable[..., Answer], server: Server, url: str) -> None:
    server.run("docker stop --time 5 jupyterhub-proxy")
    answer = doctor()
    assert (answer.play.returncode, answer.broken) == (2, {"jupyterhub-proxy"})
    assert answer.of("Hub")[0].hint == "Mend jupyterhub-proxy first."
    server.run(answer.of("jupyterhub-proxy")[0].command)
    await_health(url)
    answer = doctor()
    assert (answer.play.returncode, answer.broken) == (0, set()), answer.play.output


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("systemctl stop docker.socket docker.service", "docker.sock"),
        (
            "kill -STOP $(systemctl show --value --property MainPID docker.service)",
            "did not answer within",
        ),
    ],
    ids=["stopped", "hanging"],
)
def test_an_engine(
    command: str, said: str, doctor: Callable[..., Answer], server: Server, url: str
) -> None:
    server.run(command)
    begun = time.monotonic()
    answer = doctor()
    assert time.monotonic() - begun < 60
    assert (answer.play.returncode, answer.broken) == (2, {"Docker access"}), answer.play.output
    assert said in answer.of("Docker access")[0].message
    assert answer.of("Containers")[0].state == "unknown"
    # What needs no engine is known all the same.
    assert answer.of("Disk") and answer.of("Healing")
    server.run(answer.of("Docker access")[0].command)
    await_health(url)
    assert doctor().of("Docker access")[0].state == "ok"


def test_a_server_that_cannot_be_reached_is_named_and_hides_no_other(
    doctor: Callable[..., Answer], tmp_path: Path
) -> None:
    # Port 9 is of a service nobody runs.
    away = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    (tmp_path / "more.yml").write_text(yaml.safe_dump({"hub": {"hosts": {"away1": away}}}))
    answer = doctor(f"--inventory={tmp_path / 'more.yml'}")
    assert (answer.play.returncode, answer.broken) == (2, {"Connection"}), answer.play.output
    assert "Broken on away1: Connection" in answer.play.output
    assert answer.of("Hub")[0].state == "ok"
