# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `ailab.hub.docker_access`, against real sockets, files, users and processes.

The accounts daemon (whose primary group is daemon) and nobody exist on every Linux.
"""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import pwd
import re
import shlex
import socket
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.modules import docker_access

from tests.unit.plugins.conftest import VERSION, http

Run = Callable[..., dict[str, Any]]
Serve = Callable[..., Any]

DAEMON = grp.getgrnam("daemon").gr_gid
NOBODY = pwd.getpwnam("nobody").pw_uid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]]) -> Run:
    """Runs the module for group daemon with a short time-out."""
    return functools.partial(run_module, docker_access, group="daemon", timeout=0.3)


@pytest.fixture
def engine(serve_docker: Serve) -> Any:
    """An engine whose socket is right: group daemon, mode 0660."""
    started = serve_docker()
    os.chown(started.path, 0, DAEMON)
    started.path.chmod(0o660)
    return started


@contextlib.contextmanager
def session(uid: int, groups: list[int]) -> Iterator[None]:
    """A session of another user, with the groups it got at its login."""
    before = os.getgroups()
    os.setgroups(groups)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(before)


def codes(result: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in result["problems"]]


def test_nothing_is_wrong(run: Run, engine: Any) -> None:
    result = run(socket=str(engine.path), users=["daemon", "root"], min_api_version="1.41")
    assert result["problems"] == []
    assert result["ok"] is True
    assert result["changed"] is False


def test_tells_what_it_saw(run: Run, engine: Any) -> None:
    link = engine.path.parent / "link.sock"
    link.symlink_to(engine.path)
    result = run(socket=str(link), users=["daemon"])
    assert result["socket"] == {
        "path": str(link),
        "realpath": str(engine.path),
        "exists": True,
        "type": "socket",
        "owner": "root",
        "uid": 0,
        "group": "daemon",
        "gid": DAEMON,
        "mode": "0660",
        "world_accessible": False,
    }
    assert result["group"] == {
        "name": "daemon",
        "exists": True,
        "gid": DAEMON,
        "members": grp.getgrnam("daemon").gr_mem,
        "matches_socket": True,
    }
    assert result["users"] == [
        {"name": "daemon", "exists": True, "in_group": True, "can_access": True}
    ]
    assert result["session"] == {
        "user": "root",
        "uid": 0,
        "groups": sorted({*os.getgroups(), os.getegid()}),
        "effective": True,
    }
    assert result["daemon"] == {
        "reachable": True,
        "error": None,
        "engine": "docker",
        "version": "20.10.24+dfsg1",
        "api_version": "1.41",
        "min_api_version": "1.12",
        "os": "linux",
        "arch": "amd64",
        "rootless": False,
        "userns_remap": False,
    }


def test_works_in_check_mode(run: Run, engine: Any) -> None:
    assert run(socket=str(engine.path), check_mode=True)["ok"]


KINDS: dict[type, str] = {bool: "bool", dict: "dict", int: "int", list: "list", str: "str"}


def mismatches(value: Any, entry: dict[str, Any], place: str) -> list[str]:
    """What of a value is not as its documentation says."""
    if value is None and "V(null)" in str(entry["description"]):
        return []
    if KINDS.get(type(value)) != entry["type"]:
        return [f"{place} is {value!r}"]
    if entry["type"] == "list":
        inner = {**entry, "type": entry["elements"]}
        return [each for item in value for each in mismatches(item, inner, place)]
    if entry["type"] != "dict":
        return []
    contains: dict[str, Any] = entry["contains"]
    found = [f"{place}.{key} is not in both" for key in contains.keys() ^ value.keys()]
    for key in contains.keys() & value.keys():
        found += mismatches(value[key], contains[key], f"{place}.{key}")
    return found


def test_the_result_is_what_the_documentation_promises(
    run: Run, serve_docker: Serve, tmp_path: Path
) -> None:
    documented = yaml.safe_load(docker_access.RETURN)
    known: dict[str, Any] = {"type": "dict", "description": "", "contains": documented}
    info = {"SecurityOptions": ["name=rootless", "name=userns"]}
    for path in (serve_docker({"/info": info}).path, tmp_path / "none"):
        result = run(socket=str(path), users=["nobody", "no-such-user"])
        assert result["problems"]
        ansible = {key: result.pop(key) for key in ("changed", "warnings", "invocation")}
        assert ansible["changed"] is False
        assert mismatches(result, known, "result") == []


def test_every_value_of_the_documentation_has_a_type_and_a_sample() -> None:
    def values(entries: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, entry in entries.items():
            yield name, entry
            yield from values(entry.get("contains", {}))

    for name, entry in values(yaml.safe_load(docker_access.RETURN)):
        assert entry["type"] in KINDS.values(), name
        assert entry["returned"] == "always", name
        assert "contains" in entry or "sample" in entry, name


# What is not wrong and yet worth knowing


def notes(result: dict[str, Any]) -> list[str]:
    assert result["ok"] or result["problems"], "a note is no problem"
    return [note["code"] for note in result["notes"]]


@pytest.mark.parametrize("rootless", [False, True])
def test_podman_is_told_apart(run: Run, serve_docker: Serve, rootless: bool) -> None:
    components = [{"Name": "Podman Engine"}, {"Name": "Conmon"}]
    answer = {"Components": components, "Version": "4.3.1", "ApiVersion": "1.41"}
    info = {"host": {"security": {"rootless": rootless}}}
    result = run(socket=str(serve_docker({"/version": answer, "/v1.0.0/libpod/info": info}).path))
    assert result["daemon"]["engine"] == "podman"
    assert result["daemon"]["rootless"] is rootless
    assert notes(result) == ["daemon_is_podman", *(["daemon_is_rootless"] if rootless else [])]
    assert result["notes"][0]["message"] == "Podman 4.3.1 answers in the place of Docker."


@pytest.mark.parametrize(
    ("option", "key", "note"),
    [
        ("name=rootless", "rootless", "daemon_is_rootless"),
        ("name=userns", "userns_remap", "daemon_remaps_users"),
    ],
)
def test_an_engine_with_less_rights_is_told_apart(
    run: Run, serve_docker: Serve, option: str, key: str, note: str
) -> None:
    options = ["name=seccomp,profile=default", option]
    result = run(socket=str(serve_docker({"/info": {"SecurityOptions": options}}).path))
    assert result["daemon"][key] is True
    assert notes(result) == [note]


@pytest.mark.parametrize("info", [None, {}, [], {"SecurityOptions": None}, {"SecurityOptions": 1}])
def test_an_engine_that_tells_its_version_alone_will_do(
    run: Run, serve_docker: Serve, info: object
) -> None:
    result = run(socket=str(serve_docker({"/info": info}).path))
    assert result["daemon"]["reachable"] is True
    assert not result["daemon"]["rootless"]


def test_an_engine_that_hangs_after_its_version_hangs(run: Run, serve: Serve) -> None:
    def handler(connection: socket.socket, target: str) -> None:
        if target == "/version":
            connection.sendall(http(VERSION))
        else:
            connection.recv(1)

    started = time.monotonic()
    result = run(socket=str(serve(handler).path))
    assert time.monotonic() - started < 2
    assert "daemon_timeout" in codes(result)
    assert result["daemon"]["version"] == VERSION["Version"]


def test_asks_the_engine_for_nothing_if_told_so(run: Run, engine: Any) -> None:
    result = run(socket=str(engine.path), probe_daemon=False)
    assert engine.targets == []
    assert (result["ok"], result["daemon"]["reachable"]) == (True, None)


# The socket


def test_no_socket(run: Run, tmp_path: Path) -> None:
    result = run(socket=str(tmp_path / "none.sock"))
    assert codes(result) == ["socket_missing"]
    assert "systemctl enable docker.socket docker" in result["problems"][0]["hint"]


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/run/none/podman.sock", "systemctl restart podman.socket podman ("),
        ("/run/user/1/podman/podman.sock", "systemctl --user --machine=daemon@ restart podman.soc"),
        ("/run/user/1/docker.sock", "systemctl --user --machine=daemon@ restart docker ("),
        ("/run/user/54321/docker.sock", "systemctl --user --machine=54321@ restart docker ("),
    ],
)
def test_hints_name_the_units_of_the_engine(run: Run, path: str, command: str) -> None:
    result = run(socket=path)
    assert codes(result) == ["socket_missing"]
    assert command in result["problems"][0]["hint"]


def test_a_link_to_podmans_socket_stays(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    path.symlink_to(tmp_path / "podman.sock")
    (problem,) = run(socket=str(path))["problems"]
    assert problem["code"] == "socket_link_broken"
    assert problem["hint"].startswith("Run: systemctl enable podman.socket podman; ")


def test_commands_stand_as_a_shell_needs_them(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "it's; here"
    path.mkdir()
    (problem,) = run(socket=str(path))["problems"]
    assert problem["hint"].startswith(f"Run: rmdir {shlex.quote(str(path))} && {{ systemctl ")
    assert f"{path} is a directory" in problem["message"]


def test_a_folder_the_session_may_not_enter(run: Run, engine: Any) -> None:
    engine.path.parent.chmod(0o700)
    with session(NOBODY, [DAEMON]):
        result = run(socket=str(engine.path))
    assert codes(result) == ["socket_folder_closed"]
    assert result["problems"][0]["hint"].startswith(f"Run: chmod o+x {engine.path.parent} (")


def test_a_socket_of_another_kind(run: Run, socket_folder: Path) -> None:
    path = socket_folder / "datagram.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(path))
        os.chown(path, 0, DAEMON)
        path.chmod(0o660)
        assert codes(run(socket=str(path))) == ["daemon_protocol"]


@pytest.mark.parametrize(
    ("kind", "code", "type_"),
    [
        ("directory", "socket_is_directory", "directory"),
        ("file", "socket_not_a_socket", "file"),
        ("pipe", "socket_not_a_socket", "other"),
        ("broken", "socket_link_broken", "broken_link"),
        ("loop", "socket_link_loop", "link_loop"),
    ],
)
def test_something_else_in_place_of_the_socket(
    run: Run, tmp_path: Path, kind: str, code: str, type_: str
) -> None:
    path = tmp_path / "docker.sock"
    make: dict[str, Callable[[], object]] = {
        "directory": path.mkdir,
        "file": path.touch,
        "pipe": lambda: os.mkfifo(path),
        "broken": lambda: path.symlink_to(tmp_path / "gone"),
        "loop": lambda: path.symlink_to(path),
    }
    make[kind]()
    result = run(socket=str(path))
    assert codes(result) == [code]
    assert (result["socket"]["exists"], result["socket"]["type"]) == (True, type_)


@pytest.mark.parametrize(
    ("gid", "mode", "code"),
    [
        (0, 0o660, "socket_group_wrong"),
        (54321, 0o660, "socket_group_unknown"),
        (DAEMON, 0o600, "socket_group_denied"),
        (DAEMON, 0o640, "socket_group_denied"),
        (DAEMON, 0o666, "socket_world_writable"),
    ],
)
def test_rights_of_the_socket(run: Run, engine: Any, gid: int, mode: int, code: str) -> None:
    os.chown(engine.path, 0, gid)
    engine.path.chmod(mode)
    result = run(socket=str(engine.path), users=["daemon"])
    assert codes(result) == [code]
    assert result["users"][0]["can_access"] is (code == "socket_world_writable")


def test_no_group(run: Run, engine: Any) -> None:
    result = run(socket=str(engine.path), group="no-such-group", users=["daemon"])
    assert codes(result) == ["group_missing"]
    assert (result["group"]["gid"], result["users"][0]["in_group"]) == (None, False)


# Users


def test_no_user(run: Run, engine: Any) -> None:
    result = run(socket=str(engine.path), users=["no-such-user", "nul\0"])
    assert codes(result) == ["user_missing"] * 2
    assert result["users"][0]["can_access"] is False


def test_a_user_outside_the_group(run: Run, engine: Any) -> None:
    result = run(socket=str(engine.path), users=["nobody", "daemon"])
    assert codes(result) == ["user_not_in_group"]
    assert result["problems"][0]["hint"] == "Run: usermod --append --groups daemon nobody"
    assert [user["can_access"] for user in result["users"]] == [False, True]


def test_a_user_in_the_group_by_a_directory_service(
    run: Run, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, DAEMON])
    result = run(socket=str(engine.path), users=["nobody"])
    assert (result["ok"], result["users"][0]["in_group"]) == (True, True)


def test_the_owner_of_a_socket_needs_no_group(run: Run, engine: Any) -> None:
    os.chown(engine.path, NOBODY, DAEMON)
    result = run(socket=str(engine.path), users=["nobody"])
    assert result["ok"]
    assert not result["users"][0]["in_group"]


def test_a_folder_the_user_may_not_enter(run: Run, engine: Any) -> None:
    engine.path.parent.chmod(0o700)
    result = run(socket=str(engine.path), users=["daemon"])
    assert codes(result) == ["user_folder_closed"]
    assert result["problems"][0]["hint"] == f"Run: chmod o+x {engine.path.parent}"


@contextlib.contextmanager
def old_session() -> Iterator[None]:
    """A session of daemon that began before daemon got its group."""
    os.setegid(NOBODY)
    try:
        with session(pwd.getpwnam("daemon").pw_uid, []):
            yield
    finally:
        os.setegid(0)


def test_a_session_older_than_its_membership_need_not_be_named(run: Run, engine: Any) -> None:
    with old_session():
        result = run(socket=str(engine.path))
    assert codes(result) == ["relogin_needed"]
    assert "User daemon is in group daemon, but this session" in result["problems"][0]["message"]


def test_a_session_without_the_group(run: Run, engine: Any) -> None:
    with session(NOBODY, []):
        result = run(socket=str(engine.path), users=["nobody"])
    assert codes(result) == ["user_not_in_group", "daemon_denied"]


def test_a_session_older_than_its_membership(run: Run, engine: Any) -> None:
    with old_session():
        result = run(socket=str(engine.path), users=["daemon"])
    assert codes(result) == ["relogin_needed"]
    assert "meta: reset_connection" in result["problems"][0]["hint"]
    assert result["daemon"]["error"] == "denied"
    assert result["users"][0] == {
        "name": "daemon", "exists": True, "in_group": True, "can_access": False,
    }  # fmt: skip
    assert not result["session"]["effective"]


def test_a_session_with_its_membership(run: Run, engine: Any) -> None:
    with session(NOBODY, [DAEMON]):
        result = run(socket=str(engine.path))
    assert (result["ok"], result["session"]["effective"]) == (True, True)
    assert DAEMON in result["session"]["groups"]


def test_only_root_can_test_other_users(run: Run, engine: Any) -> None:
    with session(NOBODY, [DAEMON]):
        result = run(socket=str(engine.path), users=["daemon"])
    assert codes(result) == ["user_untested"]
    assert result["users"][0]["can_access"] is None


def test_a_users_test_leaves_the_module_as_it_was(run: Run, engine: Any) -> None:
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    run(socket=str(engine.path), users=["daemon", "nobody"])
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# The engine


def test_an_engine_that_left_its_socket_behind(run: Run, engine: Any) -> None:
    engine.close()
    result = run(socket=str(engine.path), users=["daemon"])
    assert codes(result) == ["daemon_refused"]
    assert result["daemon"]["error"] == "refused"
    assert result["users"][0]["can_access"], "rights are told apart from an engine that is down"


def test_an_engine_that_hangs(run: Run, serve: Serve) -> None:
    def handler(connection: socket.socket, _target: str) -> None:
        connection.recv(1)

    path = serve(handler).path
    os.chown(path, 0, DAEMON)
    path.chmod(0o660)
    started = time.monotonic()
    assert codes(run(socket=str(path))) == ["daemon_timeout"]
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{'ApiVersion':1}",
        b'HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{"ApiVersion":"x","Version":"1.0"} ',
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2 * docker_access.MAX_ANSWER,
    ],
)
def test_something_else_behind_the_socket(run: Run, serve: Serve, answer: bytes) -> None:
    path = serve(answer).path
    os.chown(path, 0, DAEMON)
    path.chmod(0o660)
    result = run(socket=str(path))
    assert codes(result) == ["daemon_protocol"]
    assert result["daemon"]["reachable"] is False


@pytest.mark.parametrize(
    ("wanted", "found"), [("1.41", []), ("1.9", []), ("1.42", ["api_too_old"])]
)
def test_the_version_of_the_api(run: Run, engine: Any, wanted: str, found: list[str]) -> None:
    assert codes(run(socket=str(engine.path), min_api_version=wanted)) == found


# Options


@pytest.mark.parametrize("form", ["unix://{}", "{}"])
def test_takes_the_forms_of_docker_host(run: Run, engine: Any, form: str) -> None:
    assert run(socket=form.format(engine.path))["socket"]["path"] == str(engine.path)


def test_takes_docker_host_from_the_environment(
    run: Run, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
    assert run()["ok"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"socket": "tcp://127.0.0.1:2375"}, "tcp://127.0.0.1:2375 is no Unix socket"),
        ({"socket": "ssh://host"}, "ssh://host is no Unix socket"),
        ({"socket": "docker.sock"}, "no full path"),
        ({"min_api_version": "1"}, "'1' is no version of the API"),
        ({"min_api_version": "latest"}, "'latest' is no version of the API"),
        ({"timeout": 0}, "the timeout 0.0 is no number of seconds"),
        ({"timeout": "nan"}, "the timeout nan is no number of seconds"),
        ({"timeout": "inf"}, "the timeout inf is no number of seconds"),
    ],
)
def test_refuses_options_that_make_no_sense(
    run: Run, options: dict[str, str], message: str
) -> None:
    result = run(**options)
    assert result["failed"]
    assert message in result["msg"]


def test_fails_on_problems_if_told_so(run: Run, tmp_path: Path) -> None:
    result = run(socket=str(tmp_path / "x"), users=["no-such-user"], fail_on_problems=True)
    assert result["failed"]
    assert len(result["msg"].splitlines()) == 2
    assert codes(result) == ["socket_missing", "user_missing"]


# What is said


def test_problems_come_in_the_order_to_mend_them(run: Run, engine: Any) -> None:
    engine.close()
    os.chown(engine.path, 0, 54321)
    engine.path.chmod(0o606)
    result = run(socket=str(engine.path), users=["no-such-user", "daemon"])
    found = codes(result)
    assert found == [
        "daemon_refused",
        "socket_group_unknown",
        "socket_group_denied",
        "socket_world_writable",
        "user_missing",
    ]


@pytest.mark.parametrize("kind", ["problems", "notes"])
def test_every_code_is_documented(kind: str) -> None:
    text = str(yaml.safe_load(docker_access.RETURN)[kind]["contains"]["code"])
    known = {"problems": docker_access.PROBLEMS, "notes": docker_access.NOTES}[kind]
    assert set(re.findall(r"V\((\w+)\)", text)) == set(known)


def test_every_message_and_hint_can_be_filled_in(tmp_path: Path) -> None:
    report = docker_access.investigate(str(tmp_path / "x"), "daemon", [], 1.0, True)
    fields = {*docker_access._fields(report), "min_api_version"}
    for texts in (*docker_access.PROBLEMS.values(), *docker_access.NOTES.values()):
        assert all(texts)
        for text in texts:
            names = {name for _text, name, *_rest in string.Formatter().parse(text) if name}
            assert names <= fields
