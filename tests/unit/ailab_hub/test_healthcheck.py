# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ailab_hub import healthcheck


@contextmanager
def answering(listener: socket.socket, answer: bytes) -> Iterator[None]:
    """Answer one connection of a listening socket."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    listener.listen()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield
        thread.join(5)


GOOD = b"HTTP/1.1 200 OK\r\n\r\n"
BAD = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"


@pytest.mark.parametrize(
    ("hub", "docker", "wrong"), [(GOOD, GOOD, 0), (BAD, GOOD, 1), (GOOD, BAD, 1), (b"", b"", 2)]
)
def test_both_parts_must_answer(hub: bytes, docker: bytes, wrong: int, tmp_path: Path) -> None:
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "docker.sock"))
    address = tcp.getsockname()
    with answering(tcp, hub), answering(unix, docker):
        assert healthcheck.main(str(tmp_path / "docker.sock"), address) == wrong


def test_a_socket_whose_engine_is_gone_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "docker.sock"
    gone = socket.socket(socket.AF_UNIX)
    gone.bind(str(path))
    gone.close()
    assert healthcheck.main(str(path), ("127.0.0.1", 1)) == 2
    assert f"{path}: " in capsys.readouterr().out
