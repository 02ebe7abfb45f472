# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a socket answers, `ailab.hub.docker_access` tells of it in time and with little memory."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.module_utils._docker_socket import (
    PROTOCOL,
    DockerSocketError,
    ResponseParser,
)
from ansible_collections.ailab.hub.plugins.modules import docker_access
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.conftest import VERSION, http

MIB = 1024 * 1024
# What the longest answer that is read may cost: its bytes twice, and the smallest objects of JSON.
MAX_MEMORY = 6 * MIB
TIMEOUT = 0.5
ATTEMPTS = 3

# A fixture's server takes whatever answer each example sets.
on_real_sockets = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)

KEYS = st.sampled_from([*VERSION, "SecurityOptions"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner),
    max_leaves=12,
)
LIKE_VERSION = st.fixed_dictionaries({key: JSON | st.just(VERSION[key]) for key in VERSION})
HEADERS = st.sampled_from(
    [
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: \xb2",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Connection: keep-alive",
        b"no header",
        b": ",
        b"\xff\xfe: \x00",
    ]
)
STATUS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.0 500 ",
        b"HTTP/1.1 2x0 OK",
        b"HTTP/2 200",
        b"HTTP/1.1",
    ]
)
CHUNKS = st.sampled_from(
    [b"0\r\n\r\n", b"5\r\nhello\r\n", b"ffffffffffff\r\n", b"-1\r\n", b"5;x\r\nhel", b"\r\n", b"{}"]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Bytes that come ever closer to what an engine answers."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=400))
    lines = [draw(STATUS), *draw(st.lists(HEADERS, max_size=4))]
    body = draw(st.binary(max_size=60) | st.lists(CHUNKS, max_size=5).map(b"".join))
    return (
        draw(st.lists(st.just(b"\r\n".join(lines) + b"\r\n\r\n"), max_size=2).map(b"".join)) + body
    )


def split(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data in pieces of the sizes, over and over."""
    start = turn = 0
    while start < len(data):
        yield data[start : start + sizes[turn % len(sizes)]]
        start += sizes[turn % len(sizes)]
        turn += 1


def parse(data: bytes, sizes: list[int]) -> object:
    """Status and body of what arrives in pieces, or why it is none."""
    parser = ResponseParser(1000)
    try:
        for piece in split(data, sizes):
            parser.feed(piece)
        response = parser.finish()
    except DockerSocketError as error:
        assert error.reason == PROTOCOL
        return PROTOCOL
    return response.status, response.body


@given(data=answers(), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5))
@settings(max_examples=500)
def test_an_answer_means_the_same_in_whatever_pieces_it_comes(
    data: bytes, sizes: list[int]
) -> None:
    assert parse(data, sizes) == parse(data, [len(data) + 1])


class Answering:
    """An engine's socket whose answers each example sets."""

    def __init__(self, serve: Callable[..., Any]) -> None:
        self.answer: Callable[[socket.socket, str], None] = lambda _connection, _target: None
        self.path = str(serve(lambda connection, target: self.answer(connection, target)).path)

    def look(self) -> dict[str, Any]:
        """What the module finds out about the engine."""
        return dict(docker_access.look_at_daemon(self.path, TIMEOUT))


@pytest.fixture
def engine(serve: Callable[..., Any]) -> Answering:
    """An engine that answers as an example wants."""
    return Answering(serve)


DAEMON = yaml.safe_load(docker_access.RETURN)["daemon"]["contains"]


def assert_documented(found: dict[str, Any]) -> None:
    """The documented values, of the documented types, in a form that can be sent as JSON."""
    kinds = {"bool": bool, "str": str}
    assert {key for key in found if not key.startswith("_")} == set(DAEMON)
    for key, entry in DAEMON.items():
        assert found[key] is None or type(found[key]) is kinds[entry["type"]], (key, found[key])
    assert found["reachable"] is (found["error"] is None)
    json.loads(json.dumps(found, allow_nan=False))


@given(data=answers(), sizes=st.lists(st.integers(1, 200), min_size=1, max_size=3))
@on_real_sockets
def test_no_bytes_are_too_much(engine: Answering, data: bytes, sizes: list[int]) -> None:
    def answer(connection: socket.socket, _target: str) -> None:
        for piece in split(data, sizes):
            connection.sendall(piece)

    engine.answer = answer
    assert_documented(engine.look())


@given(version=LIKE_VERSION | JSON, info=JSON)
@on_real_sockets
def test_no_json_is_too_much(engine: Answering, version: object, info: object) -> None:
    engine.answer = lambda connection, target: connection.sendall(
        http(version if target == "/version" else info)
    )
    found = engine.look()
    assert_documented(found)
    if found["reachable"]:
        docker_access.parse_api_version(found["api_version"])


@given(
    data=answers(),
    size=st.integers(1, 30),
    pause=st.sampled_from([0.001, 0.01, 0.1, 0.3]),
    ending=st.booleans(),
)
@settings(on_real_sockets, max_examples=12)
def test_no_answer_takes_longer_than_the_time_out(
    engine: Answering, data: bytes, size: int, pause: float, ending: bool
) -> None:
    ended = threading.Event()

    def answer(connection: socket.socket, _target: str) -> None:
        for piece in split(data, [size]):
            connection.sendall(piece)
            ended.wait(pause)
        while not ending and not ended.is_set():
            connection.sendall(b" ")
            ended.wait(pause)

    def seconds() -> float:
        started = time.monotonic()
        assert_documented(engine.look())
        return time.monotonic() - started

    engine.answer = answer
    try:
        # A machine that is busy may keep a process waiting; what is slow by itself always is.
        assert any(seconds() <= TIMEOUT * 1.1 for _attempt in range(ATTEMPTS))
    finally:
        ended.set()


@pytest.mark.parametrize(
    "filler",
    [b" ", b"[", b"{},", b"[],", b"0,", b'"",', b"9", b'{"a":', b"a:b\r\n", b"1\r\na\r\n", b"\xff"],
)
@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n[",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n[",
    ],
)
def test_a_huge_answer_takes_little_memory(engine: Answering, head: bytes, filler: bytes) -> None:
    body = head + filler * (docker_access.MAX_ANSWER // len(filler))
    # As long as is read, to the last byte, and far longer.
    for data in (body[: len(head) + docker_access.MAX_ANSWER - 3] + b"0]", body * 16):

        def answer(connection: socket.socket, _target: str, data: bytes = data) -> None:
            with contextlib.suppress(OSError):
                connection.sendall(data)

        engine.answer = answer
        tracemalloc.start()
        try:
            found = engine.look()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert_documented(found)
        assert peak < MAX_MEMORY
