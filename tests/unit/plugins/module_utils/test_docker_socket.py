# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP over Unix sockets, against real sockets; the parser alone, against bytes."""

from __future__ import annotations

import os
import socket
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.module_utils._docker_socket import (
    DockerSocket,
    DockerSocketError,
    ResponseParser,
)

Serve = Callable[..., Any]

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TO_THE_END = b"HTTP/1.0 200 OK\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;name=value\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH


def parse(data: bytes, size: int, max_body: int = 1000) -> bytes:
    """The body of an answer that arrives in pieces of a size."""
    parser = ResponseParser(max_body)
    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])
    response = parser.finish()
    assert response.status == 200
    body: bytes = response.body
    return body


def reason(call: Callable[[], object]) -> str:
    """Why there is no answer."""
    with pytest.raises(DockerSocketError) as error:
        call()
    found: str = error.value.reason
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("data", [LENGTH, TO_THE_END, CHUNKED, INTERIM])
def test_an_answer_is_the_same_in_pieces_of_any_size(data: bytes, size: int) -> None:
    assert parse(data, size) == b"hello"


def test_header_names_are_in_lower_case() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 404 Not Found\r\nContent-LENGTH:0\r\nApi-Version: 1.41\r\n\r\n")
    response = parser.finish()
    assert response == (404, {"content-length": "0", "api-version": "1.41"}, b"")


def test_what_follows_an_answer_is_left_alone() -> None:
    assert parse(LENGTH + b"more", 1000) == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.12200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: ²\r\n\r\nhello".encode("latin-1"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 100 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
        CHUNKED[:-2],
        CHUNKED.replace(b"2\r\nhe", b"-2\r\nhe"),
        CHUNKED.replace(b"2\r\nhe", b"0x2\r\nhe"),
        CHUNKED.replace(b"2\r\nhe", b"\r\nhe"),
        CHUNKED.replace(b"2\r\nhe", b"1\r\nhe"),
        CHUNKED.replace(b"2\r\nhe", b"ffffffff\r\nhe"),
        CHUNKED.split(b"2\r\n", maxsplit=1)[0] + b"9" * 70000,
    ],
)
@pytest.mark.parametrize("size", [1, 1000, 100000])
def test_what_is_no_answer_is_told_apart(data: bytes, size: int) -> None:
    if size == 1 and len(data) > 10000:
        size = 100
    assert reason(lambda: parse(data, size)) == "protocol"


def test_gets_an_answer(serve: Serve) -> None:
    engine = serve(LENGTH)
    assert DockerSocket(str(engine.path)).get("/version").body == b"hello"
    assert engine.targets == ["/version"]


def test_does_not_wait_for_the_end_of_a_connection_that_stays_open(serve: Serve) -> None:
    def handler(connection: socket.socket, _target: str) -> None:
        connection.sendall(LENGTH)
        connection.recv(1)

    started = time.monotonic()
    assert DockerSocket(str(serve(handler).path), timeout=5).get("/").body == b"hello"
    assert time.monotonic() - started < 1


def test_decodes_json(serve_docker: Serve) -> None:
    engine = DockerSocket(str(serve_docker({"/info": {"Name": "ü"}}).path))
    assert engine.get_json("/info") == {"Name": "ü"}


def test_what_the_engine_does_not_have_is_none(serve_docker: Serve) -> None:
    assert DockerSocket(str(serve_docker().path)).get_json("/images/x/json") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100000,
    ],
)
def test_what_is_no_json_is_told_apart(serve: Serve, answer: bytes) -> None:
    assert reason(lambda: DockerSocket(str(serve(answer).path)).get_json("/")) == "protocol"


def test_a_connection_that_breaks_is_told_apart(serve: Serve) -> None:
    engine = DockerSocket(str(serve(LENGTH[:-1]).path))
    assert reason(lambda: engine.get("/")) == "protocol"


def test_no_socket(tmp_path: Path) -> None:
    assert reason(lambda: DockerSocket(str(tmp_path / "none.sock")).get("/")) == "missing"


def test_a_file_on_the_way_to_the_socket(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert reason(lambda: DockerSocket(str(tmp_path / "file" / "x.sock")).get("/")) == "missing"


def test_a_path_longer_than_a_socket_may_have() -> None:
    assert reason(lambda: DockerSocket("/" + "x" * 200).get("/")) == "not_a_socket"


@pytest.mark.parametrize("kind", ["file", "directory", "loop", "datagram"])
def test_not_the_socket_of_an_engine(socket_folder: Path, kind: str) -> None:
    path = socket_folder / "d.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        make: dict[str, Callable[[], object]] = {
            "file": path.touch,
            "directory": path.mkdir,
            "loop": lambda: path.symlink_to(path),
            "datagram": lambda: datagram.bind(str(path)),
        }
        make[kind]()
        assert reason(lambda: DockerSocket(str(path)).get("/")) == "not_a_socket"


def test_a_socket_nobody_listens_on(serve: Serve) -> None:
    engine = serve(LENGTH)
    engine.close()
    assert reason(lambda: DockerSocket(str(engine.path)).get("/")) == "refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_right_to_open_the_socket(serve: Serve) -> None:
    engine = serve(LENGTH)
    engine.path.chmod(0o600)
    os.seteuid(65534)
    try:
        assert reason(lambda: DockerSocket(str(engine.path)).get("/")) == "denied"
    finally:
        os.seteuid(0)


def trickle(connection: socket.socket, _target: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def silence(connection: socket.socket, _target: str) -> None:
    connection.recv(1)


@pytest.mark.parametrize("handler", [trickle, silence])
def test_the_time_out_is_for_the_whole_answer(serve: Serve, handler: Callable[..., None]) -> None:
    engine = DockerSocket(str(serve(handler).path), timeout=0.3)
    started = time.monotonic()
    assert reason(lambda: engine.get("/")) == "timeout"
    assert 0.3 <= time.monotonic() - started < 1


def test_the_time_out_counts_while_the_engine_accepts_nobody(socket_folder: Path) -> None:
    path = str(socket_folder / "full.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = [DockerSocket(path).connect()]
        started = time.monotonic()
        assert reason(lambda: DockerSocket(path, timeout=0.3).get("/")) == "timeout"
        assert 0.3 <= time.monotonic() - started < 1
        waiting[0].close()


def test_an_endless_answer_takes_little_memory(serve: Serve) -> None:
    def handler(connection: socket.socket, _target: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    engine = DockerSocket(str(serve(handler).path), max_body=1024 * 1024)
    tracemalloc.start()
    try:
        assert reason(lambda: engine.get("/")) == "protocol"
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_deletion_is_asked_for_as_one(serve_docker: Serve) -> None:
    engine = serve_docker({"DELETE /images/x": []})
    assert DockerSocket(str(engine.path)).delete("/images/x").status == 200
    assert engine.targets == ["DELETE /images/x"]
