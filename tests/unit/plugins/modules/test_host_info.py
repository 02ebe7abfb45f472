# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `ailab.hub.host_info`, on this machine, and what it reads of others."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.modules import host_info

from tests.certificates import make_certificate

Run = Callable[..., dict[str, Any]]
Serve = Callable[..., Any]

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
ailab-labs\t0000E60A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
"""
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
Local:
     |-- 10.230.0.1
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.168.2.255
        /32 link BROADCAST
     |-- 192.168.2.7
        /32 host LOCAL
"""
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4713 1
"""


DOCKER = "https://download.docker.com/linux/debian"


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Run:
    """Runs the module where no engine is."""
    options = {"socket": str(tmp_path / "none.sock"), "timeout": 1.0}

    def call(**more: Any) -> dict[str, Any]:
        host: dict[str, Any] = run_module(host_info, **{**options, **more})["host"]
        return host

    return call


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something that listens on a TCP port of this machine."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nginx that prints a configuration with one site."""
    program = tmp_path / "bin" / "nginx"
    program.parent.mkdir()
    site = "server { listen 443 ssl; server_name wiki.example.org; }"
    text = f"# configuration file /etc/nginx/sites-enabled/wiki:\n{site}\n"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -T ] && cat <<'EOF'\n{text}EOF\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.fixture
def docker_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of apt's with an entry for Docker's repository."""
    file = tmp_path / "apt" / "sources.list.d" / "docker.list"
    file.parent.mkdir(parents=True)
    file.write_text(
        "deb [arch=amd64] https://me:secret@download.docker.com/linux/debian bookworm stable\n"
    )
    monkeypatch.setattr(host_info.apt_sources, "SOURCES", str(tmp_path / "apt"))
    return file


def test_returns_what_the_documentation_promises(
    run: Run,
    listener: socket.socket,
    docker_list: Path,
    nginx: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    documented = yaml.safe_load(host_info.RETURN)["host"]["contains"]
    port = listener.getsockname()[1]
    monkeypatch.setattr(host_info, "PAM_FILES", (str(docker_list),))
    host = run(
        services=[{"text": "x", "name": "127.0.0.1", "port": port}],
        listen_address="127.0.0.1",
        listen_port=port,
        listen=[{"address": "127.0.0.1", "port": port}],
        nginx=True,
        apt_repositories=[DOCKER],
    )
    assert set(host) == set(documented)
    for name, entry in documented.items():
        value = host[name][0] if isinstance(host[name], list) else host[name]
        assert set(entry.get("contains", {})) == (set(value) if isinstance(value, dict) else set())


def test_knows_this_machine(run: Run) -> None:
    host = run()
    assert host["architecture"] == os.uname().machine
    assert host["uid"] == os.geteuid()
    assert host["memory_mib"] > 100
    assert host["python_requests"] == (importlib.util.find_spec("requests") is not None)
    assert host["systemd"] == os.path.isdir("/run/systemd/system")


@pytest.mark.parametrize(
    ("text", "distribution", "version", "codename"),
    [
        ('NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nVERSION_CODENAME=bookworm\n',
         "Debian", "12", "bookworm"),
        ("NAME='Ubuntu'\nVERSION_ID='24.04'\nID=ubuntu\nVERSION_CODENAME=noble\n",
         "Ubuntu", "24.04", "noble"),
        ('NAME="Debian GNU/Linux"\nID=debian\n', "Debian", "", ""),
        ('NAME="Rocky Linux"\nID="rocky"\nVERSION_ID="9.4"\n', "Rocky Linux", "9.4", ""),
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_tells_distributions_apart(
    text: str, distribution: str, version: str, codename: str
) -> None:
    assert host_info.parse_os_release("# comment\n" + text) == {
        "distribution": distribution,
        "version": version,
        "codename": codename,
    }


def test_reads_memory_in_mib() -> None:
    assert host_info.parse_memory("MemTotal:        2048000 kB\nMemFree: 1 kB\n") == 2000


def test_reads_networks_without_the_default_route() -> None:
    assert host_info.parse_routes(ROUTES) == [
        {"network": "192.168.2.0/24", "interface": "eth0"},
        {"network": "10.230.0.0/20", "interface": "ailab-labs"},
    ]


def test_reads_the_systems_own_addresses() -> None:
    assert [item["network"] for item in host_info.parse_local_addresses(FIB_TRIE)] == [
        "10.230.0.1/32",
        "192.168.2.7/32",
    ]


def test_finds_who_listens_and_not_who_is_connected() -> None:
    assert host_info.listening_inodes(TCP, 8000) == {"4711"}


def test_finds_room_for_a_folder_still_to_be_made(run: Run, tmp_path: Path) -> None:
    disk = run(data_root=str(tmp_path / "not" / "made" / "yet"))["disk"]
    assert disk["path"] == str(tmp_path)
    assert disk["free_mib"] > 0


def test_a_free_port(run: Run, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    host = run(listen_address="127.0.0.1", listen_port=port)
    assert host["port"] == {"error": None, "holder": "", "own": False}


def test_a_port_that_is_taken_and_by_whom(run: Run, listener: socket.socket) -> None:
    port = run(listen_address="127.0.0.1", listen_port=listener.getsockname()[1])["port"]
    name = Path("/proc/self/comm").read_text().strip()
    assert port == {"error": "taken", "holder": f"{name} (process {os.getpid()})", "own": False}


def test_a_port_taken_on_one_address_is_not_free_on_all(run: Run, listener: socket.socket) -> None:
    port = run(listen_address="0.0.0.0", listen_port=listener.getsockname()[1])["port"]
    assert port["error"] == "taken"


def test_an_address_the_machine_does_not_have(run: Run) -> None:
    port = run(listen_address="203.0.113.1", listen_port=8000)["port"]
    assert port["error"] == "no_such_address"


def test_looking_at_a_port_leaves_it_free(run: Run, listener: socket.socket) -> None:
    number = listener.getsockname()[1]
    listener.close()
    for _time in range(2):
        assert run(listen_address="127.0.0.1", listen_port=number)["port"]["error"] is None


@pytest.mark.parametrize(
    ("labels", "own"),
    [({"ailab.hub": "proxy"}, True), ({"ailab.hub": "lab"}, False), (None, False)],
)
def test_a_port_taken_by_a_container(
    run: Run,
    listener: socket.socket,
    serve_docker: Serve,
    labels: dict[str, str] | None,
    own: bool,
) -> None:
    port = listener.getsockname()[1]
    target = f"/containers/json?filters=%7B%22publish%22%3A%20%5B%22{port}/tcp%22%5D%7D"
    containers = [{"Names": ["/web"], "Labels": labels}]
    engine = serve_docker({target: containers, "/info": {}})
    host = run(socket=str(engine.path), listen_address="127.0.0.1", listen_port=port)
    assert host["port"] == {"error": "taken", "holder": "container web", "own": own}


def test_an_engine_that_answers(
    run: Run, serve_docker: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_info, "DAEMON_JSON", "/etc/docker/no-such-file")
    images = ["exasol/ai-lab:6.0.0", "other:1"]
    answers = {
        "/info": {"DockerRootDir": str(tmp_path), "LiveRestoreEnabled": True},
        "/images/exasol/ai-lab%3A6.0.0/json": {"Id": "sha256:0"},
    }
    host = run(socket=str(serve_docker(answers).path), images=images)
    assert host["docker"] == {
        "answers": True,
        "reason": None,
        "error": None,
        "version": "20.10.24+dfsg1",
        "api_version": "1.41",
        "data_root": str(tmp_path),
        "live_restore": True,
        "images": {"exasol/ai-lab:6.0.0": True, "other:1": False},
        "daemon_json": {"own": False, "values": {}},
        "configuration_newer_than_engine": False,
        "configuration_folder": os.path.isdir("/etc/docker"),
        "proxy_files": [],
        "nuke_script": False,
    }
    assert host["disk"]["path"] == str(tmp_path)


def test_no_engine(run: Run) -> None:
    docker = run(images=["x:1"])["docker"]
    assert (docker["answers"], docker["reason"]) == (False, "missing")
    assert docker["images"] == {"x:1": False}


@pytest.mark.parametrize("answer", [{}, [], "text", None])
def test_something_else_behind_the_socket(run: Run, serve_docker: Serve, answer: object) -> None:
    engine = serve_docker({"/version": answer})
    docker = run(socket=str(engine.path))["docker"]
    assert (docker["answers"], docker["reason"]) == (False, "protocol")


@pytest.mark.parametrize("file", ["daemon.json", "proxy.env", "proxy.conf"])
@pytest.mark.parametrize(
    ("configured", "started", "alive", "newer"),
    [(100, 200, True, False), (200, 100, True, True), (200, 100, False, False),
     (None, 100, True, False), (100, None, True, False)],
)  # fmt: skip
def test_a_configuration_the_engine_does_not_know_yet(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    configured: int | None,
    started: int | None,
    alive: bool,
    newer: bool,
) -> None:
    pid = tmp_path / "docker.pid"
    proxies = tuple(str(tmp_path / name) for name in ("proxy.env", "proxy.conf"))
    monkeypatch.setattr(host_info, "DAEMON_JSON", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(host_info, "PROXY_FILES", proxies)
    monkeypatch.setattr(host_info, "ENGINE_PID", str(pid))
    if configured is not None:
        (tmp_path / file).write_text("{}")
        os.utime(tmp_path / file, (configured, configured))
    if started is not None:
        # The largest number a process can have is below 2**22.
        pid.write_text(str(os.getpid() if alive else 2**22 + 1))
        os.utime(pid, (started, started))
    assert host_info.configuration_newer_than_engine() is newer


@pytest.fixture
def daemon_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host_info, "DAEMON_JSON", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(host_info, "DAEMON_JSON_CHECKSUM", str(tmp_path / "checksum"))
    return tmp_path / "daemon.json"


def test_a_configuration_is_the_roles_until_somebody_changes_it(daemon_json: Path) -> None:
    text = '{"mtu": 1400}\n'
    daemon_json.write_text(text)
    assert host_info.daemon_json() == {"own": False, "values": {"mtu": 1400}}
    checksum = hashlib.sha256(text.encode()).hexdigest()
    daemon_json.with_name("checksum").write_text(checksum + "\n")
    assert host_info.daemon_json() == {"own": True, "values": {"mtu": 1400}}
    daemon_json.write_text('{"mtu": 1500}\n')
    assert host_info.daemon_json() == {"own": False, "values": {"mtu": 1500}}


@pytest.mark.parametrize(
    ("text", "values"), [("", {}), (" \n", {}), ("[]", None), ("null", None), ('{"mtu": ', None)]
)
def test_a_configuration_may_be_none(
    daemon_json: Path, text: str, values: dict[str, object] | None
) -> None:
    daemon_json.write_text(text)
    assert host_info.daemon_json()["values"] == values


def test_no_password_of_a_configuration_is_told(daemon_json: Path) -> None:
    secret = "hunter2"
    proxy = f"http://user:{secret}@proxy.example.org:3128"
    values = {
        "proxies": {"http-proxy": proxy, "no-proxy": "a,b"},
        "log-opts": {"max-size": "10m", "splunk-token": secret},
        "registry-mirrors": [f"https://user:{secret}@mirror.example.org"],
        "debug": True,
    }
    daemon_json.write_text(json.dumps(values))
    told = host_info.daemon_json()["values"]
    assert told == {
        "proxies": {"http-proxy": "***", "no-proxy": "***"},
        "log-opts": {"max-size": "10m", "splunk-token": "***"},
        "registry-mirrors": ["https://***@mirror.example.org"],
        "debug": True,
    }


def test_reads_installed_packages_and_what_is_held() -> None:
    text = (
        "docker-ce 5:28.5.1-1~debian.12~bookworm hold installed\n"
        "libc6:amd64 2.36-9 install installed\n"
        "docker.io 20.10.24+dfsg1-1 deinstall config-files\n"
        "runc  unknown not-installed\n"
    )
    assert host_info.parse_packages(text) == {
        "docker-ce": {"version": "5:28.5.1-1~debian.12~bookworm", "held": True},
        "libc6": {"version": "2.36-9", "held": False},
    }


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="asks dpkg")
def test_packages_of_this_machine(run: Run) -> None:
    packages = run(packages=["dpk*", "no-such-package-anywhere"])["packages"]
    assert "dpkg" in packages
    assert packages["dpkg"]["version"][0].isdigit()
    assert "no-such-package-anywhere" not in packages
    assert run()["packages"] == {}


def test_accounts(run: Run) -> None:
    assert run(accounts=["root", "no-such-account"])["accounts"] == {
        "root": True,
        "no-such-account": False,
    }


def test_an_installation_that_was_interrupted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_info, "DPKG_UPDATES", str(tmp_path))
    assert run()["dpkg_interrupted"] is False
    (tmp_path / "0001").touch()
    assert run()["dpkg_interrupted"] is True
    monkeypatch.setattr(host_info, "DPKG_UPDATES", str(tmp_path / "none"))
    assert run()["dpkg_interrupted"] is False


# What the hub will ask when somebody signs in


TAKES_STARTTLS = bytes.fromhex("300c02010178070a010004000400")
REFUSES_STARTTLS = bytes.fromhex("300c02010178070a010204000400")


class Far(threading.Thread):
    """Somebody who shows a certificate to whoever connects, by TLS or after what LDAP says before it."""

    def __init__(self, pem: bytes, key: bytes, folder: Path, before: bytes = b"") -> None:
        super().__init__(daemon=True)
        (folder / "far.pem").write_bytes(pem + key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "far.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._before = before
        self.port = int(self._listener.getsockname()[1])
        self.start()

    def run(self) -> None:
        while True:
            raw, _address = self._listener.accept()
            with raw, contextlib.suppress(OSError):
                if self._before and raw.recv(64) == host_info.START_TLS:
                    raw.sendall(self._before)
                self._context.wrap_socket(raw, server_side=True).close()


def asked(run: Run, port: int, name: str = "localhost", tls: str = "tls", **options: Any) -> Any:
    service = {"text": "https://x", "name": name, "port": port, "tls": tls}
    (found,) = run(services=[service], **options)["services"]
    return found


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a system that trusts public authorities."""
    monkeypatch.setattr(host_info, "TRUSTED", str(tmp_path / "trusted.crt"))
    (tmp_path / "trusted.crt").touch()
    return tmp_path / "trusted.crt"


@pytest.mark.parametrize(("tls", "before"), [("tls", b""), ("ldap", TAKES_STARTTLS)])
def test_a_service_and_its_certificate(
    run: Run, tmp_path: Path, trusted: Path, tls: str, before: bytes
) -> None:
    pem, key = make_certificate(name="localhost")
    port = Far(pem, key, tmp_path, before).port
    assert asked(run, port, tls=tls, authorities=pem.decode())["problem"] is None
    found = asked(run, port, tls=tls)
    assert found["problem"] == "certificate" and "self" in found["detail"]
    assert asked(run, port, tls="none")["problem"] is None
    trusted.unlink()
    assert asked(run, port, tls=tls)["problem"] is None


@pytest.mark.parametrize(
    ("days", "name", "said"),
    [(-2, "localhost", "expired"), (9, "other.example.org", "'localhost'")],
)
@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_a_service_that_is_wrong(
    run: Run, tmp_path: Path, days: int, name: str, said: str
) -> None:
    pem, key = make_certificate(days, name)
    found = asked(run, Far(pem, key, tmp_path).port, authorities=pem.decode())
    assert found["problem"] == "certificate" and said in found["detail"]


def test_a_service_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(host_info, "SERVICE_SECONDS", 0.2)
        found = asked(run, port)
        assert found == {"problem": "connection", "detail": "no answer within 0.2 s"}
    assert asked(run, port) == {"problem": "connection", "detail": "Connection refused"}
    assert asked(run, port, name="no-such-name.invalid")["problem"] == "name"


def test_a_service_that_knows_no_starttls(run: Run, tmp_path: Path) -> None:
    pem, key = make_certificate(name="localhost")
    port = Far(pem, key, tmp_path, REFUSES_STARTTLS).port
    found = asked(run, port, tls="ldap")
    assert found == {"problem": "connection", "detail": "it refuses StartTLS"}


def test_a_service_the_hub_uses_already_is_left_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = tmp_path / "jupyterhub_config.py"
    configuration.write_text("c.OAuthenticator.token_url = 'https://x'\n")
    monkeypatch.setattr(host_info, "HUB_CONFIGURATION", str(configuration))
    assert asked(run, 9) == {"problem": None, "detail": ""}


def test_what_the_accounts_of_the_server_need(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("unit", "service", "folder")
    monkeypatch.setattr(host_info, "PAM_FILES", tuple(str(tmp_path / name) for name in names))
    assert run()["pam_files"] == []
    (tmp_path / "folder").mkdir()
    (tmp_path / "unit").touch()
    assert run()["pam_files"] == [str(tmp_path / "unit"), str(tmp_path / "folder")]


def test_entries_of_apts_sources(run: Run, docker_list: Path) -> None:
    assert run(apt_repositories=[DOCKER + "/"])["apt_sources"] == [
        {
            "path": str(docker_list),
            "fields": {
                "types": "deb",
                "uris": "https://***@download.docker.com/linux/debian",
                "suites": "bookworm",
                "components": "stable",
                "arch": "amd64",
            },
        }
    ]
    assert run()["apt_sources"] == []


def test_keys_apt_can_read(run: Run, tmp_path: Path) -> None:
    key, hidden, missing = (tmp_path / name for name in ("key.asc", "hidden.asc", "missing.asc"))
    for file, mode in ((key, 0o644), (hidden, 0o600)):
        file.write_text("key")
        file.chmod(mode)
    assert run(apt_keys=[str(key), str(hidden), str(missing)])["apt_keys"] == {
        str(key): hashlib.sha256(b"key").hexdigest(),
        str(hidden): None,
        str(missing): None,
    }


def test_works_in_check_mode(run_module: Callable[..., dict[str, Any]]) -> None:
    result = functools.partial(run_module, host_info, check_mode=True)()
    assert result["changed"] is False


def test_refreshes_are_told_as_the_roles_have_remembered_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_info, "REFRESHED", str(tmp_path / "*_image.json"))
    (tmp_path / "lab_image.json").write_text('{"word": "2026-12", "time": ""}')
    (tmp_path / "hub_image.json").write_text('{"word": "20')
    (tmp_path / "other_image.json").write_text("[]")
    assert run()["refreshed"] == {"lab_image": {"word": "2026-12", "time": ""}}


def test_tries_further_ports(run: Run, listener: socket.socket) -> None:
    taken = {"address": "127.0.0.1", "port": listener.getsockname()[1]}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        free = {"address": "127.0.0.1", "port": other.getsockname()[1]}
    found = run(listen=[taken, free])["ports"]
    assert [entry["error"] for entry in found] == ["taken", None]
    assert f"(process {os.getpid()})" in found[0]["holder"]
    assert {**found[1], **free} == found[1]


def test_looks_names_up(run: Run) -> None:
    found = run(names=["localhost", "nobody.invalid", "a" * 70 + ".example.org"])["names"]
    assert "127.0.0.1" in found.pop("localhost")
    assert set(map(len, found.values())) == {0}


def test_sees_paths(run: Run, tmp_path: Path) -> None:
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    paths = [str(tmp_path), str(dangling), str(tmp_path / "nowhere")]
    assert run(paths=paths)["paths"] == dict(zip(paths, (True, True, False), strict=True))


def test_reads_the_sites_of_an_nginx(run: Run, nginx: None) -> None:
    assert run(nginx=True)["nginx"] == [
        {
            "path": "/etc/nginx/sites-enabled/wiki",
            "names": ["wiki.example.org"],
            "listens": ["443 ssl"],
            "certificate": "",
        }
    ]
    assert run()["nginx"] == []


def test_tells_the_time(run: Run) -> None:
    before = time.time()
    assert before <= run()["time"] <= time.time()
