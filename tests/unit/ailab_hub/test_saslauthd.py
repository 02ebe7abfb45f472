# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to saslauthd, and what becomes of its answers, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from ailab_hub.saslauthd import SaslauthdAuthenticator, check_password
from tornado.web import HTTPError

SECRET = "hunter2-of-alice"


@pytest.fixture
def socket() -> Iterator[Path]:
    """A path short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "mux")


@contextlib.asynccontextmanager
async def saslauthd(socket: Path, answer: bytes | None) -> AsyncIterator[list[list[str]]]:
    """A server that reads as saslauthd does and gives one answer; None hangs. Yields questions."""
    asked: list[list[str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = []
        for _part in range(4):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            parts.append((await reader.readexactly(length)).decode())
        asked.append(parts)
        if answer is None:
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readexactly(1)
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(socket))
    async with server:
        yield asked


def ask(
    socket: Path, answer: bytes | None, name: str = "alice", password: str = SECRET
) -> tuple[bool, list[list[str]]]:
    async def run() -> tuple[bool, list[list[str]]]:
        async with saslauthd(socket, answer) as asked:
            return await check_password(str(socket), "jupyterhub", name, password), asked

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (b"\x00\x02OK", True),
        (b"\x00\x09OK reason", True),
        (b"\x00\x02NO", False),
        (b"\x00\x0fNO OK, not today", False),
        (b"\x00\x00", False),
    ],
)
def test_the_answer_decides(socket: Path, answer: bytes, right: bool) -> None:
    assert ask(socket, answer) == (right, [["alice", SECRET, "jupyterhub", ""]])


def test_letters_of_all_kinds_are_sent_as_utf_8(socket: Path) -> None:
    assert ask(socket, b"\x00\x02OK", "jürgen", "pässwörd")[1][0][:2] == ["jürgen", "pässwörd"]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", ""),
        ("", SECRET),
        ("alice", "x" * 257),
        ("x" * 257, SECRET),
        ("alice", "x\0y"),
        ("alice\0", SECRET),
    ],
)
def test_what_could_mislead_pam_is_not_sent(socket: Path, name: str, password: str) -> None:
    assert ask(socket, b"\x00\x02OK", name, password) == (False, [])


@pytest.mark.parametrize("answer", [b"", b"\x00", b"\x00\x02O"])
def test_a_connection_that_ends_early_is_an_error(socket: Path, answer: bytes) -> None:
    with pytest.raises(OSError, match="ended the connection"):
        ask(socket, answer)


def sign_in(socket: Path, answer: bytes | None, name: str = "Alice") -> str | None:
    async def run() -> str | None:
        authenticator = SaslauthdAuthenticator(socket=str(socket), timeout=0.2)
        data = {"username": name, "password": SECRET}
        async with saslauthd(socket, answer) as asked:
            found = await authenticator.authenticate(None, data)
            assert asked[0][0] == "alice"
            return found

    return asyncio.run(run())


def test_the_name_is_that_of_the_hub(socket: Path) -> None:
    assert sign_in(socket, b"\x00\x02OK") == "alice"
    assert sign_in(socket, b"\x00\x02NO") is None


def test_a_saslauthd_that_hangs_is_given_up(socket: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HTTPError) as refusal:
        sign_in(socket, None)
    assert refusal.value.status_code == 503
    assert "no answer for 0.2 seconds" in caplog.text
    assert SECRET not in caplog.text


def test_a_saslauthd_that_is_not_there_is_named(
    socket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authenticator = SaslauthdAuthenticator(socket=str(socket))
    with pytest.raises(HTTPError) as refusal:
        asyncio.run(authenticator.authenticate(None, {"username": "alice", "password": SECRET}))
    assert refusal.value.status_code == 503
    assert str(socket) in caplog.text
