# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `ailab.hub.hub_health`: its judgement, and what it sees of real sockets and files."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.modules import hub_health

from tests.certificates import make_certificate

Run = Callable[..., dict[str, Any]]
Serve = Callable[..., Any]
Facts = dict[str, Any]

NOW = 1_800_000_000.0
DAY = 24 * 3600
GIB = 1024**3
SITES_BELOW = "etc/nginx/sites-enabled/zz-ailab-hub"
LIST = "/containers/json?all=1&filters=" + quote(json.dumps({"label": ["ailab.hub"]}))


def iso(seconds: float) -> str:
    """A time as Docker writes it."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")


# A server to judge


def container(role: str = "hub", **other: Any) -> Facts:
    names = hub_health.CONTAINERS
    well = {
        "role": role, "name": names[role], "image": "image:1", "status": "running",
        "since": NOW - 3 * DAY, "exit_status": None, "out_of_memory": False, "restarts": 0,
        "health": "healthy", "health_output": "", "address": None,
    }  # fmt: skip
    return {**well, **other}


def certificate(**other: Any) -> Facts:
    good = {
        "path": "/etc/docker/certs.d/r/ca.crt", "use": "authority", "subject": "CN=r", "names": [],
        "fingerprint": "AA", "not_before": NOW - DAY, "not_after": NOW + 100 * DAY + 5,
        "error": None,
    }  # fmt: skip
    return {**good, **other}


HUB = {"url": "http://127.0.0.1:8000/hub/health", "status": 200, "seconds": 0.012, "version": "5.5.4", "error": None}  # fmt: skip
HEALING = {"timer": "active", "result": "success", "last_look": 7.0, "restarts": []}
LABS = {"running": 2, "ended": 1, "unhealthy": [], "out_of_memory": [], "failed": []}
DISK = {"paths": ["/"], "size": 100 * GIB, "free": 50 * GIB, "used_percent": 50, "inodes_used_percent": 5}  # fmt: skip


def server(**other: Any) -> Facts:
    """Facts of a server that is well, but for what is told."""
    well = {
        "deployed": True,
        "docker": {"answers": True, "error": None, "data_root": "/var/lib/docker"},
        "containers": [container("proxy"), container("hub")],
        "labs": LABS,
        "hub": HUB,
        "entrance": None,
        "sign_in": None,
        "healing": HEALING,
        "certificates": [certificate()],
        "disks": [DISK],
        "memory": {"total": 16 * GIB, "available": 8 * GIB},
        "clock": {"synchronized": True, "offset": 0.5},
    }
    return {**well, **other}


def odd(**other: Any) -> list[tuple[str, str]]:
    """Subject and state of all that is not well."""
    checks = hub_health.judge(server(**other), NOW)
    # Nobody is left alone with what is not well.
    assert [each for each in checks if (each["hint"] == "") != (each["state"] == "ok")] == []
    return [(each["subject"], each["state"]) for each in checks if each["state"] != "ok"]


def messages(**other: Any) -> dict[str, str]:
    return {each["subject"]: each["message"] for each in hub_health.judge(server(**other), NOW)}


def hints(**other: Any) -> str:
    return "\n".join(each["hint"] for each in hub_health.judge(server(**other), NOW))


def test_a_server_that_is_well() -> None:
    assert odd() == []
    assert messages() == {
        "jupyterhub-proxy": "running for 3 days, healthy, image image:1",
        "jupyterhub": "running for 3 days, healthy, image image:1",
        "Labs": "2 running, 1 ended",
        "Hub": "JupyterHub 5.5.4 answers within 12 ms on http://127.0.0.1:8000/hub/health",
        "Healing": "looked 7 s ago, restarted nothing in the last 24 h",
        "Certificate": "/etc/docker/certs.d/r/ca.crt: CN=r, 100 days left",
        "Disk": "/: 50 % used, 50.0 GiB free, 5 % of inodes used",
        "Memory": "8.0 GiB of 16.0 GiB available",
        "Clock": "synchronized over the network, agrees with that of the computer Ansible runs on",
    }


def test_a_bare_server() -> None:
    nothing = {"deployed": False, "containers": [], "labs": None, "hub": None, "healing": None}
    assert odd(**nothing) == [("Deployment", "broken")]
    assert "ansible-playbook -i inventory site.yml" in hints(**nothing)


def test_without_docker_its_containers_are_not_called_broken() -> None:
    found = odd(
        docker={"answers": False, "error": "nothing listens", "data_root": None},
        containers=[],
        labs=None,
        hub=None,
    )
    assert found == [("Containers", "unknown")]


@pytest.mark.parametrize(
    ("other", "state", "said", "hint"),
    [
        ({"status": "exited", "exit_status": 1, "since": NOW - 300}, "broken", "ended 5 min ago with exit status 1", "Run: docker start jupyterhub "),
        ({"status": "exited", "exit_status": 137, "out_of_memory": True}, "broken", "for lack of memory", "docker start"),
        ({"status": "created", "since": None, "exit_status": 0}, "broken", "created, never started", "docker start"),
        ({"status": "paused"}, "broken", "paused", "Run: docker unpause jupyterhub"),
        ({"status": "restarting", "restarts": 8, "exit_status": 3}, "broken", "restarted it 8 times", "docker logs --tail 50 jupyterhub"),
        ({"health": "unhealthy", "health_output": "no\nDocker"}, "broken", "unhealthy: no Docker", "docker restart jupyterhub"),
        ({"health": "starting", "since": NOW - 5}, "unknown", "running for 5 s, starting", "Look again"),
        ({"health": None}, "ok", "health not looked at by Docker", ""),
        ({"restarts": 2}, "ok", "restarted by Docker 2 times", ""),
        ({"restarts": 2, "since": NOW - 60}, "warning", "restarted by Docker 2 times", "docker logs"),
    ],
)  # fmt: skip
def test_a_container(other: Facts, state: str, said: str, hint: str) -> None:
    changed = {"containers": [container("proxy"), container(**other)]}
    assert odd(**changed) == ([] if state == "ok" else [("jupyterhub", state)])
    assert said in messages(**changed)["jupyterhub"]
    assert hint in hints(**changed)


def test_a_container_that_is_not_there() -> None:
    found = {"containers": [container("hub")], "hub": None}
    assert odd(**found) == [("jupyterhub-proxy", "broken"), ("Hub", "unknown")]
    assert "site.yml --tags jupyterhub" in hints(**found)


def test_what_is_wrong_with_labs_is_a_warning_each() -> None:
    names = [f"jupyter-{number}" for number in range(8)]
    labs = {**LABS, "unhealthy": names, "out_of_memory": ["jupyter-x"], "failed": ["jupyter-y"]}
    assert odd(labs=labs) == [("Labs", "warning")] * 3
    said = [
        each["message"]
        for each in hub_health.judge(server(labs=labs), NOW)
        if each["subject"] == "Labs"
    ]
    assert said[1].endswith("jupyter-4 and 3 more")
    assert said[2:] == [
        "ended for lack of memory: jupyter-x",
        "ended with an error: jupyter-y",
    ]


@pytest.mark.parametrize(
    ("other", "state", "said"),
    [
        ({"status": 503}, "broken", "HTTP status 503, as the proxy does not reach the hub"),
        ({"status": 404}, "broken", "HTTP status 404"),
        ({"status": None, "seconds": None, "error": "Connection refused"}, "broken", "Connection refused"),
        ({"seconds": 2.5}, "warning", "within 2500 ms"),
        ({"version": None}, "ok", "JupyterHub answers within 12 ms"),
    ],
)  # fmt: skip
def test_the_hubs_answer(other: Facts, state: str, said: str) -> None:
    hub = {**HUB, **other}
    assert odd(hub=hub) == ([] if state == "ok" else [("Hub", state)])
    assert said in messages(hub=hub)["Hub"]


def test_without_its_container_the_hub_itself_needs_no_advice() -> None:
    stopped = container(status="exited", exit_status=0)
    found = {"containers": [container("proxy"), stopped], "hub": {**HUB, "status": 503}}
    assert odd(**found) == [("jupyterhub", "broken"), ("Hub", "broken")]
    assert "Mend jupyterhub first." in hints(**found) and "restart" not in hints(**found)


RESTART = {"container": "jupyterhub", "time": NOW - 600, "reason": "timed out"}


@pytest.mark.parametrize(
    ("other", "state", "said"),
    [
        ({"timer": "inactive"}, "warning", "is off"),
        ({"timer": "missing"}, "warning", "there is no ailab-hub-heal.timer"),
        ({"timer": None}, "unknown", "does not tell"),
        ({"result": "exit-code"}, "warning", "last look failed (exit-code)"),
        ({"last_look": 4000.0}, "warning", "looked 66 min ago"),
        ({"last_look": None}, "ok", "has not looked yet"),
        ({"restarts": [RESTART]}, "warning", "last jupyterhub 10 min ago: timed out"),
        ({"restarts": [{**RESTART, "time": NOW - 7300}]}, "ok", "restarted something once in"),
        (
            {"restarts": [{**RESTART, "time": NOW - 7300}] * 3},
            "warning",
            "restarted something 3 times in",
        ),
    ],
)
def test_the_timer(other: Facts, state: str, said: str) -> None:
    healing = {**HEALING, **other}
    assert odd(healing=healing) == ([] if state == "ok" else [("Healing", state)])
    assert said in messages(healing=healing)["Healing"]


@pytest.mark.parametrize(
    ("other", "state", "said"),
    [
        ({"not_after": NOW + 21 * DAY}, "ok", "21 days left"),
        ({"not_after": NOW + 21 * DAY - 1}, "warning", "20 days left"),
        ({"not_after": NOW + 1}, "warning", "0 days left"),
        ({"not_after": NOW}, "broken", "expired 0 s ago"),
        ({"not_after": NOW - 3 * DAY}, "broken", "expired 3 days ago"),
        ({"not_before": NOW + 7200}, "broken", "not valid before 2 h from now"),
        ({"error": "there is no certificate in it"}, "broken", "there is no certificate in it"),
        ({"error": "no_openssl"}, "unknown", "there is no program openssl"),
    ],
)
def test_a_certificate(other: Facts, state: str, said: str) -> None:
    for use in ("authority", "client", "server"):
        certificates = [certificate(use=use, **other)]
        found = odd(certificates=certificates)
        assert found == ([] if state == "ok" else [("Certificate", state)])
        assert said in messages(certificates=certificates)["Certificate"]


def test_one_good_authority_in_a_file_is_enough() -> None:
    old = certificate(subject="CN=old", not_after=NOW - DAY)
    assert odd(certificates=[old, certificate()]) == [("Certificate", "warning")]
    assert (
        "also in it: CN=old, expired" in messages(certificates=[old, certificate()])["Certificate"]
    )
    assert odd(certificates=[old, old]) == [("Certificate", "broken")]


def test_of_a_chain_the_first_certificate_decides() -> None:
    old, good = certificate(use="server", not_after=NOW - DAY), certificate(use="server")
    assert odd(certificates=[old, good]) == [("Certificate", "broken")]
    assert odd(certificates=[good, old]) == [("Certificate", "warning")]


@pytest.mark.parametrize(
    ("shown", "other", "state", "said"),
    [
        ({}, {}, "ok", "shows CN=r, 100 days left"),
        ({"not_after": NOW - DAY}, {}, "broken", "expired"),
        ({"fingerprint": "BB"}, {}, "warning", "which is not the one in /https.pem"),
        ({"fingerprint": "BB", "not_after": NOW - DAY}, {}, "broken", "not the one in /https.pem"),
        ({}, {"status": 502}, "broken", "/hub/health: HTTP status 502"),
        ({}, {"status": None, "error": "timed out"}, "broken", "/hub/health: timed out"),
        (None, {"status": None, "error": "Connection refused"}, "broken", "Connection refused"),
    ],
)
def test_the_entrance(shown: Facts | None, other: Facts, state: str, said: str) -> None:
    entrance = {"address": "127.0.0.1:443", "path": "/https.pem", "status": 200, "error": None}
    facts = {
        "certificates": [certificate(use="server", path="/https.pem")],
        "entrance": {
            **entrance,
            "certificate": shown if shown is None else certificate(use="server", **shown),
            **other,
        },
    }
    assert odd(**facts) == ([] if state == "ok" else [("HTTPS", state)])
    assert said in messages(**facts)["HTTPS"]


SIGN_IN = {"kind": "oauth", "asked": "https://login.example.org/token", "problem": None, "detail": "", "accepted": True}  # fmt: skip


@pytest.mark.parametrize(
    ("other", "said", "hint"),
    [
        ({}, "the identity server answers at https://login.example.org/token and takes the hub's client_id and client_secret", ""),
        ({"accepted": None}, "the identity server answers at https://login.example.org/token", ""),
        ({"kind": "ldap", "asked": "ldap.example.org:389", "accepted": None}, "the directory answers at ldap.example.org:389", ""),
        ({"problem": "credentials", "detail": "invalid_client", "accepted": False}, "does not take the hub's client_id and client_secret (invalid_client)", "Correct them in jupyterhub_oauth"),
        ({"kind": "ldap", "problem": "credentials", "detail": "as cn=hub"}, "does not take the hub's lookup_dn_search_user and lookup_dn_search_password (as cn=hub)", "jupyterhub_ldap"),
        ({"problem": "certificate", "detail": "certificate has expired"}, "cannot be trusted: certificate has expired", "hub_image_ca_file"),
        ({"problem": "name", "detail": "its name does not resolve"}, "the hub does not reach the identity server at https://login.example.org/token: its name does not resolve", "correct the address in jupyterhub_oauth"),
        ({"kind": "lti13", "problem": "answer", "detail": "no keys"}, "does not answer as the course system does: no keys", "jupyterhub_lti13"),
        ({"kind": "pam", "asked": "/run/saslauthd/mux", "problem": "connection", "detail": "Connection refused"}, "does not reach what asks PAM", "Run: systemctl restart ailab-hub-saslauthd"),
    ],
)  # fmt: skip
def test_what_the_hub_asks_at_a_sign_in(other: Facts, said: str, hint: str) -> None:
    sign_in = {**SIGN_IN, **other}
    assert odd(sign_in=sign_in) == ([("Sign-in", "broken")] if sign_in["problem"] else [])
    assert said in messages(sign_in=sign_in)["Sign-in"]
    assert hint in hints(sign_in=sign_in)


@pytest.mark.parametrize(
    ("percent", "state"), [(84, "ok"), (85, "warning"), (94, "warning"), (95, "broken")]
)
@pytest.mark.parametrize("of", ["used_percent", "inodes_used_percent"])
def test_a_disk(of: str, percent: int, state: str) -> None:
    disks = [{**DISK, of: percent}]
    assert odd(disks=disks) == ([] if state == "ok" else [("Disk", state)])
    assert ("du --inodes" in hints(disks=disks)) == (state != "ok" and of == "inodes_used_percent")


def test_a_disk_without_a_number_of_inodes() -> None:
    disks = [{**DISK, "inodes_used_percent": None}]
    assert messages(disks=disks)["Disk"] == "/: 50 % used, 50.0 GiB free"


def test_memory_that_runs_out() -> None:
    assert odd(memory={"total": 16 * GIB, "available": GIB}) == [("Memory", "warning")]
    assert "Memory" not in messages(memory=None)


@pytest.mark.parametrize(
    ("clock", "state", "said"),
    [
        ({"synchronized": False, "offset": 0.1}, "warning", "not synchronized"),
        ({"synchronized": True, "offset": 61.0}, "warning", "61 s ahead of"),
        ({"synchronized": None, "offset": -7201.0}, "warning", "2 h behind"),
        ({"synchronized": None, "offset": -1.0}, "ok", "agrees with"),
        ({"synchronized": True, "offset": None}, "ok", "synchronized over the network"),
    ],
)
def test_the_clock(clock: Facts, state: str, said: str) -> None:
    assert odd(clock=clock) == ([] if state == "ok" else [("Clock", state)])
    assert said in messages(clock=clock)["Clock"]


def test_of_a_clock_nothing_is_known_of_nothing_is_said() -> None:
    assert "Clock" not in messages(clock={"synchronized": None, "offset": None})


# Reading


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-21T12:46:01.5Z", 1795265161.5),
        ("2026-11-21T12:46:01Z", 1795265161.0),
        ("2026-11-21T13:46:01.123456789+01:00", 1795265161.123456789),
        ("2026-11-21T07:16:01-05:30", 1795265161.0),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_of_docker(text: str | None, seconds: float | None) -> None:
    assert hub_health.parse_time(text) == seconds


def inspected(name: str = "jupyterhub", **state: Any) -> Facts:
    """What Docker says of a container that runs and is healthy, but for what is told."""
    return {
        "Name": f"/{name}",
        "RestartCount": 0,
        "Config": {"Image": "image:1"},
        "State": {
            "Status": "running", "Running": True, "ExitCode": 0, "OOMKilled": False,
            "StartedAt": iso(NOW - 3600), "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": {"Status": "healthy", "Log": [{"End": iso(NOW - 20), "Output": "\n"}]},
            **state,
        },
        "NetworkSettings": {"Ports": {}},
    }  # fmt: skip


def test_health_docker_stopped_looking_at_is_not_known() -> None:
    stale = {"Status": "unhealthy", "Log": [{"End": iso(NOW - 301), "Output": "old"}]}
    found = hub_health.parse_container("hub", inspected(Health=stale), NOW)
    assert (found["health"], found["health_output"]) == (None, "")
    fresh = {"Status": "unhealthy", "Log": [{"End": iso(NOW - 299), "Output": "bad\n"}]}
    found = hub_health.parse_container("hub", inspected(Health=fresh), NOW)
    assert (found["health"], found["health_output"]) == ("unhealthy", "bad")


def test_a_container_without_a_health_check() -> None:
    text = inspected()
    del text["State"]["Health"]
    assert hub_health.parse_container("proxy", text, NOW)["health"] is None


@pytest.mark.parametrize(
    ("bindings", "address"),
    [
        ([{"HostIp": "0.0.0.0", "HostPort": "8000"}, {"HostIp": "::", "HostPort": "8000"}], "127.0.0.1:8000"),
        ([{"HostIp": "::", "HostPort": "80"}], "[::1]:80"),
        ([{"HostIp": "192.0.2.10", "HostPort": "8001"}], "192.0.2.10:8001"),
        (None, None),
    ],
)  # fmt: skip
def test_where_the_proxy_is_reached(bindings: Any, address: str | None) -> None:
    text = {**inspected(), "NetworkSettings": {"Ports": {"8000/tcp": bindings, "8001/tcp": None}}}
    assert hub_health.parse_container("proxy", text, NOW)["address"] == address


def listed(name: str, state: str, status: str, label: str = "lab") -> Facts:
    return {
        "Id": f"id-of-{name}", "Names": [f"/{name}"], "State": state, "Status": status,
        "Labels": {"ailab.hub": label},
    }  # fmt: skip


def test_labs_are_told_apart() -> None:
    labs, killed = hub_health.parse_labs(
        [
            listed("a", "running", "Up 2 hours"),
            listed("b", "running", "Up 2 hours (unhealthy)"),
            listed("c", "exited", "Exited (0) 3 hours ago"),
            listed("d", "exited", "Exited (137) 3 hours ago"),
            listed("e", "exited", "Exited (1) 3 hours ago"),
            listed("f", "created", "Created"),
        ]
    )
    assert labs == {
        "running": 2, "ended": 3, "unhealthy": ["b"], "out_of_memory": [], "failed": ["e"],
    }  # fmt: skip
    assert killed == {"d": "id-of-d"}


UNITS = """\
Id=ailab-hub-heal.timer
LoadState={load}
ActiveState={active}
Result=success

Id=ailab-hub-heal.service
LoadState=loaded
ActiveState=inactive
Result=exit-code
InactiveEnterTimestampMonotonic=990000000
"""


@pytest.mark.parametrize(
    ("load", "active", "timer"),
    [
        ("loaded", "active", "active"),
        ("loaded", "inactive", "inactive"),
        ("not-found", "inactive", "missing"),
    ],
)
def test_what_systemd_says(load: str, active: str, timer: str) -> None:
    found = hub_health.parse_healing(UNITS.format(load=load, active=active), 1000.0)
    assert found == {"timer": timer, "result": "exit-code", "last_look": 10.0, "restarts": []}


def test_what_the_journal_says() -> None:
    entries: list[Facts] = [
        {"MESSAGE": "jupyterhub fails its health check and is restarted: ('127.0.0.1', 8081): timed out"},
        {"MESSAGE": "/var/run/docker.sock: refused"},
        {"MESSAGE": [255, 254]},
        {"MESSAGE": "jupyterhub-proxy fails its health check and is restarted: "},
    ]  # fmt: skip
    text = "\n".join(json.dumps({"__REALTIME_TIMESTAMP": "1500000", **each}) for each in entries)
    assert hub_health.parse_restarts(text + "\nno JSON") == [
        {"container": "jupyterhub", "time": 1.5, "reason": "('127.0.0.1', 8081): timed out"},
        {"container": "jupyterhub-proxy", "time": 1.5, "reason": ""},
    ]


def test_memory_of_a_kernel_that_tells_none() -> None:
    assert hub_health.parse_memory("MemTotal:       10 kB\n") is None


# Looking


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a server, below a folder; none is there at first."""
    monkeypatch.setattr(hub_health, "CONFIGURATION", str(tmp_path / "etc/jupyterhub_config.py"))
    monkeypatch.setattr(hub_health, "STATE", str(tmp_path / "state"))
    places = tuple(
        (f"{tmp_path}/{Path(pattern).relative_to('/')}", use)
        for pattern, use in hub_health.CERTIFICATES
    )
    monkeypatch.setattr(hub_health, "CERTIFICATES", places)
    monkeypatch.setattr(
        hub_health, "SITES", f"{tmp_path}/{Path(hub_health.SITES).relative_to('/')}"
    )
    return tmp_path


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]], host: Path) -> Run:
    """Runs the module with a short time-out, on a server without an engine if none is named."""
    return functools.partial(run_module, hub_health, socket=str(host / "none.sock"), timeout=0.5)


def states(result: dict[str, Any]) -> dict[str, str]:
    return {each["subject"]: each["state"] for each in result["checks"]}


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class Hub(BaseHTTPRequestHandler):
    """Answers as JupyterHub does."""

    def do_GET(self) -> None:
        known = {"/hub/health": b"", "/hub/api/": b'{"version": "5.5.4"}'}
        self.send_response(200 if self.path in known else 404)
        self.end_headers()
        self.wfile.write(known.get(self.path, b""))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A hub on a port of 127.0.0.1, by HTTPS if there is a context."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as http:
        if context:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http.server_address[1]
        http.shutdown()


@pytest.fixture
def deployed(serve_docker: Serve) -> Callable[..., Any]:
    """A function that starts an engine with proxy, hub and labs; the proxy is at a port."""

    def start(port: int, *labs: Facts, **answers: Any) -> Any:
        now = time.time()
        proxy = inspected("jupyterhub-proxy", Health=None, StartedAt=iso(now - 60))
        proxy["NetworkSettings"]["Ports"] = {
            "8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]
        }
        hub = inspected(Health=None, StartedAt=iso(now - 60))
        return serve_docker(
            {
                LIST: [
                    listed("jupyterhub", "running", "Up", "hub"),
                    listed("jupyterhub-proxy", "running", "Up", "proxy"),
                    listed("ailab-hub-check", "running", "Up", "check"),
                    *labs,
                ],
                "/containers/id-of-jupyterhub/json": hub,
                "/containers/id-of-jupyterhub-proxy/json": proxy,
                "/info": {"DockerRootDir": "/"},
                **answers,
            }
        )

    return start


def test_a_bare_server_is_said_to_be_bare(run: Run) -> None:
    result = run()
    assert (result["ok"], result["deployed"], result["changed"]) == (False, False, False)
    assert set(states(result)) <= {"Deployment", "Disk", "Memory", "Clock"}
    assert states(result)["Deployment"] == "broken"


def test_a_hub_behind_its_proxy(run: Run, deployed: Callable[..., Any]) -> None:
    with serving() as port:
        engine = deployed(port, listed("jupyter-a", "running", "Up 2 hours"))
        result = run(socket=str(engine.path), timeout=5)
    assert result["deployed"]
    assert [each["name"] for each in result["containers"]] == ["jupyterhub-proxy", "jupyterhub"]
    assert result["labs"]["running"] == 1
    hub = result["hub"]
    assert (hub["status"], hub["version"], hub["error"]) == (200, "5.5.4", None)
    assert hub["url"] == f"http://127.0.0.1:{port}/hub/health" and 0 < hub["seconds"] < 5
    found = states(result)
    assert {found[name] for name in ("jupyterhub-proxy", "jupyterhub", "Labs", "Hub")} == {"ok"}


def test_containers_are_asked_for_once(
    run: Run, deployed: Callable[..., Any], says: Callable[[str], None]
) -> None:
    says("")
    labs = [listed(f"jupyter-{number}", "running", "Up 2 hours") for number in range(30)]
    with serving() as port:
        engine = deployed(port, *labs)
        run(socket=str(engine.path), timeout=5)
    assert len(engine.targets) == 4


def test_a_lab_that_was_killed_for_lack_of_memory(run: Run, deployed: Callable[..., Any]) -> None:
    killed = "Exited (137) 5 minutes ago"
    answers = {
        "/containers/id-of-jupyter-a/json": inspected("jupyter-a", OOMKilled=True),
        "/containers/id-of-jupyter-b/json": inspected("jupyter-b", OOMKilled=False),
    }
    with serving() as port:
        labs = [listed(f"jupyter-{letter}", "exited", killed) for letter in "abc"]
        engine = deployed(port, *labs, **answers)
        result = run(socket=str(engine.path), timeout=5)
    # The third is gone by the time it is asked for.
    assert result["labs"]["out_of_memory"] == ["jupyter-a"]
    assert result["labs"]["ended"] == 3


def test_a_proxy_nobody_answers_at(run: Run, deployed: Callable[..., Any]) -> None:
    with serving() as port:
        pass
    result = run(socket=str(deployed(port).path), timeout=5)
    assert (result["ok"], states(result)["Hub"]) == (False, "broken")
    assert result["hub"]["error"] == "Connection refused"


@pytest.mark.parametrize("answer", [b"SSH-2.0\r\n", b"", b"HTTP/1.1 2xx OK\r\n\r\n"])
def test_a_proxy_that_is_none(run: Run, deployed: Callable[..., Any], answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = listener.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        result = run(socket=str(deployed(listener.getsockname()[1]).path), timeout=5)
        listener.shutdown(socket.SHUT_RDWR)
    assert states(result)["Hub"] == "broken"
    assert result["hub"]["error"]


def test_a_hub_that_answers_by_the_drop(run: Run, deployed: Callable[..., Any]) -> None:
    """Each byte comes in time; the whole answer does not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _address = listener.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nA: b\r\n"[:1])
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        begun = time.monotonic()
        result = run(socket=str(deployed(listener.getsockname()[1]).path), timeout=0.5)
        assert time.monotonic() - begun < 4
    assert states(result)["Hub"] == "broken"


# The engine


def deploy(host: Path) -> None:
    write(host / "etc/jupyterhub_config.py", "c = get_config()\n")


def test_an_engine_that_hangs(run: Run, serve: Serve, host: Path) -> None:
    deploy(host)

    def hang(connection: socket.socket, _target: str) -> None:
        connection.recv(1)

    begun = time.monotonic()
    result = run(socket=str(serve(hang).path))
    assert time.monotonic() - begun < 4
    assert states(result)["Containers"] == "unknown"
    assert "within 0.5 s" in result["docker"]["error"]
    assert result["deployed"] and result["disks"]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42",
    ],
)
def test_something_else_behind_the_socket(
    run: Run, serve: Serve, host: Path, answer: bytes
) -> None:
    deploy(host)
    result = run(socket=str(serve(answer).path), timeout=5)
    assert states(result)["Containers"] == "unknown"
    assert result["docker"]["answers"] is False and result["docker"]["error"]


def test_no_engine(run: Run, host: Path) -> None:
    deploy(host)
    result = run()
    assert "there is no" in result["docker"]["error"]
    assert (states(result)["Containers"], result["ok"]) == ("unknown", True)


# Certificates


def test_certificates_are_found_and_read(run: Run, host: Path) -> None:
    folder = host / "etc/docker/certs.d/r:5000"
    good, key = make_certificate()
    write(folder / "ca.crt", b"some words\n" + good + make_certificate(-3, "old")[0])
    write(folder / "client.cert", make_certificate(5, "client")[0])
    write(folder / "client.key", key)
    result = run(timeout=10)
    found = [(each["use"], each["subject"]) for each in result["certificates"]]
    assert found == [
        ("authority", "CN=hub.example.org"),
        ("authority", "CN=old"),
        ("client", "CN=client"),
    ]
    first = result["certificates"][0]
    assert first["names"] == ["hub.example.org"] and first["error"] is None
    assert 99 * DAY < first["not_after"] - time.time() < 100 * DAY
    assert len(first["fingerprint"]) == 95
    shown = [each["state"] for each in result["checks"] if each["subject"] == "Certificate"]
    assert shown == ["warning", "warning"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "there is no certificate in it"),
        ("words", "there is no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", "a certificate that openssl cannot read"),
    ],
)  # fmt: skip
def test_a_file_without_a_certificate(run: Run, host: Path, content: str, error: str) -> None:
    write(host / "etc/docker/certs.d/r/ca.crt", content)
    result = run(timeout=10)
    assert result["certificates"][0]["error"] == error
    assert states(result)["Certificate"] == "broken"


def test_without_openssl_certificates_are_unknown(
    run: Run, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(host / "etc/docker/certs.d/r/ca.crt", make_certificate()[0])
    monkeypatch.setenv("PATH", str(host))
    result = run()
    assert states(result)["Certificate"] == "unknown"
    assert "apt-get install openssl" in str(result["checks"])


def test_a_program_that_hangs_is_left(
    run: Run, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(host)
    write(host / "etc/docker/certs.d/r/ca.crt", make_certificate()[0])
    sleep = shutil.which("sleep")
    for name in ("openssl", "systemctl", "timedatectl"):
        write(host / name, f"#!/bin/sh\nexec {sleep} 60\n").chmod(0o755)
    monkeypatch.setenv("PATH", str(host))
    begun = time.monotonic()
    result = run()
    assert time.monotonic() - begun < 4
    assert (states(result)["Certificate"], states(result)["Healing"]) == ("broken", "unknown")


SITE = """\
# listen 192.0.2.1:443 ssl;
map $http_upgrade $connection {{
    default upgrade;
}}

server {{
    listen 127.0.0.1:80;
    server_name hub.example.org;
    return 301 https://hub.example.org$request_uri;
}}

server {{
    listen {address}:{port} ssl;
    listen [::]:443 ssl;
    server_name *.hub.example.org hub.example.org;
    ssl_certificate {path};
    ssl_certificate_key {path};
}}
"""


@pytest.mark.parametrize(
    ("address", "reached"),
    [("0.0.0.0", "127.0.0.1:443"), ("[::]", "[::1]:443"), ("192.0.2.10", "192.0.2.10:443")],
)
def test_the_entrance_is_where_nginx_says(address: str, reached: str) -> None:
    found = hub_health.parse_site(SITE.format(address=address, port=443, path="/a b/c.pem"))
    assert found and found["address"] == reached
    assert (found["server_name"], found["path"]) == ("hub.example.org", "/a b/c.pem")


def test_a_site_without_https_is_no_entrance() -> None:
    assert hub_health.parse_site(SITE.partition("server {{\n    listen {address}")[0]) is None


@pytest.fixture
def entrance(host: Path) -> Callable[..., contextlib.AbstractContextManager[int]]:
    """A function that starts an HTTPS entrance with a certificate, by the site of nginx that says so."""

    @contextlib.contextmanager
    def start(pem: bytes, key: bytes, *, in_file: bytes = b"") -> Iterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(write(host / "served.pem", pem + key))
        with serving(context) as port:
            point_at(port, in_file or pem + key)
            yield port

    def point_at(port: int, content: bytes) -> None:
        path = write(host / "certificate.pem", content)
        write(host / SITES_BELOW, SITE.format(address="127.0.0.1", port=port, path=path))

    return start


def test_the_entrance_shows_its_certificate(
    run: Run, host: Path, entrance: Callable[..., contextlib.AbstractContextManager[int]]
) -> None:
    with entrance(*make_certificate()) as port:
        result = run(timeout=10)
    found, (in_file,) = result["entrance"], result["certificates"]
    assert (found["address"], found["status"], found["error"]) == (f"127.0.0.1:{port}", 200, None)
    assert found["certificate"]["fingerprint"] == in_file["fingerprint"]
    assert (states(result)["HTTPS"], in_file["path"]) == ("ok", str(host / "certificate.pem"))


def test_an_entrance_that_shows_another_certificate(
    run: Run, entrance: Callable[..., contextlib.AbstractContextManager[int]]
) -> None:
    with entrance(*make_certificate(), in_file=make_certificate()[0]):
        result = run(timeout=10)
    assert states(result)["HTTPS"] == "warning"


def test_an_entrance_that_is_not_there(
    run: Run, entrance: Callable[..., contextlib.AbstractContextManager[int]]
) -> None:
    with entrance(*make_certificate()):
        pass
    result = run(timeout=10)
    assert (states(result)["HTTPS"], result["entrance"]["certificate"]) == ("broken", None)
    assert result["entrance"]["error"] == "Connection refused"


def test_an_entrance_without_encryption(run: Run, host: Path) -> None:
    path = write(host / "certificate.pem", make_certificate()[0])
    with serving() as port:
        write(host / SITES_BELOW, SITE.format(address="127.0.0.1", port=port, path=path))
        result = run(timeout=10)
    assert states(result)["HTTPS"] == "broken"


def test_an_entrance_that_hangs(run: Run, host: Path) -> None:
    path = write(host / "certificate.pem", make_certificate()[0])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        write(host / SITES_BELOW, SITE.format(address="127.0.0.1", port=port, path=path))
        begun = time.monotonic()
        result = run()
        assert time.monotonic() - begun < 4
    assert (states(result)["HTTPS"], bool(result["entrance"]["error"])) == ("broken", True)


# What the hub asks at a sign-in


@pytest.fixture
def says(host: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that has the program docker print a text, as the hub's package does in its container."""

    def say(text: str) -> None:
        script = f"#!/bin/sh\necho \"$*\" > {host}/asked\ncat << 'END'\n{text}\nEND\n"
        write(host / "bin/docker", script).chmod(0o755)
        monkeypatch.setenv("PATH", f"{host}/bin{os.pathsep}{os.environ['PATH']}")

    return say


def test_the_hub_itself_is_asked(
    run: Run, host: Path, deployed: Callable[..., Any], says: Callable[[str], None]
) -> None:
    says(json.dumps({**SIGN_IN, "problem": "certificate", "detail": "has expired"}))
    engine = deployed(9)
    result = run(socket=str(engine.path))
    assert (states(result)["Sign-in"], result["sign_in"]["detail"]) == ("broken", "has expired")
    command = "exec jupyterhub python3 -m ailab_hub.identity"
    assert (host / "asked").read_text() == f"--host unix://{engine.path} {command}\n"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({**SIGN_IN, "kind": ""}), "No module named ailab_hub"]
)
def test_a_hub_that_asks_nobody_or_has_an_older_package(
    run: Run, deployed: Callable[..., Any], says: Callable[[str], None], text: str
) -> None:
    says(text)
    result = run(socket=str(deployed(9).path))
    assert result["sign_in"] is None
    assert "Sign-in" not in states(result)


def test_without_a_hub_that_runs_nobody_is_asked(
    run: Run, host: Path, says: Callable[[str], None]
) -> None:
    deploy(host)
    says(json.dumps(SIGN_IN))
    assert run()["sign_in"] is None
    assert not (host / "asked").exists()


# Disks and clock


def test_disks_are_told_once_with_their_folders(run: Run, host: Path) -> None:
    (host / "state").mkdir()
    result = run()
    paths = [path for disk in result["disks"] for path in disk["paths"]]
    assert {"/", str(host / "state")} <= set(paths)
    status, disk = os.statvfs("/"), result["disks"][0]
    assert disk["size"] == status.f_blocks * status.f_frsize
    usage = shutil.disk_usage("/")
    assert abs(disk["used_percent"] - 100 * usage.used / (usage.used + usage.free)) < 2


def test_the_engine_that_is_down_had_its_data_elsewhere(
    run: Run, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "data").mkdir()
    daemon = write(host / "daemon.json", json.dumps({"data-root": str(host / "data")}))
    monkeypatch.setattr(hub_health, "DAEMON_JSON", str(daemon))
    assert str(host / "data") in str(run()["disks"])


def test_a_clock_that_is_off(run: Run) -> None:
    result = run(controller_time=time.time() + 3600)
    assert -3601 < result["clock"]["offset"] < -3590
    assert states(result)["Clock"] == "warning"


# The result


def test_works_in_check_mode(run: Run) -> None:
    assert run(check_mode=True)["checks"]


def test_the_result_is_what_the_documentation_promises(
    run: Run,
    host: Path,
    deployed: Callable[..., Any],
    entrance: Callable[..., contextlib.AbstractContextManager[int]],
    says: Callable[[str], None],
) -> None:
    says(json.dumps(SIGN_IN))
    documented = yaml.safe_load(hub_health.RETURN)
    with serving() as port, entrance(*make_certificate()):
        result = run(socket=str(deployed(port).path), timeout=10)
    assert set(documented) == set(result) - {"changed", "invocation", "warnings"}
    for name, entry in documented.items():
        value = result[name][0] if entry["type"] == "list" else result[name]
        if "contains" in entry:
            assert set(entry["contains"]) == set(value), name
    assert set(documented["certificates"]["contains"]) == set(result["entrance"]["certificate"])
