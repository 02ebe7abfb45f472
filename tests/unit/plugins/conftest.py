# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Unix sockets that answer as an engine does, or as one should not."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Handler = Callable[[socket.socket, str], None]


class Engine:
    """A server on a Unix socket; a handler gets each connection and the target asked for."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.path = path
        self.targets: list[str] = []
        self._handler = handler
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536).decode("latin-1")
            # Whoever only opens the socket, to see whether that is allowed, asks for nothing.
            if request:
                method, target = request.split(" ")[:2]
                # What is more than a question shows.
                target = target if method == "GET" else f"{method} {target}"
                self.targets.append(target)
                self._handler(connection, target)

    def close(self) -> None:
        """Stop listening; the socket stays, as after an engine that was killed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def http(body: object, status: str = "200 OK") -> bytes:
    """An answer as Docker sends it."""
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder everybody may enter, with a path short enough for sockets (108 bytes in all)."""
    with tempfile.TemporaryDirectory(prefix="ailab-hub-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def serve(socket_folder: Path) -> Iterator[Callable[[Handler | bytes], Engine]]:
    """A function that starts a server with a handler, or with one answer to everything."""
    engines: list[Engine] = []

    def start(handler: Handler | bytes) -> Engine:
        def always(connection: socket.socket, _target: str) -> None:
            connection.sendall(handler if isinstance(handler, bytes) else b"")

        path = socket_folder / f"{len(engines)}.sock"
        engines.append(Engine(path, always if isinstance(handler, bytes) else handler))
        return engines[-1]

    yield start
    for engine in engines:
        with contextlib.suppress(OSError):
            engine.close()


CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBozCCAUmgAwIBAgIUFIhOorr0SVYuESxRBHtgC8V16S0wCgYIKoZIzj0EAwIw
JjEkMCIGA1UEAwwbVGVzdCBhdXRob3JpdHkgb2YgYWlsYWIuaHViMCAXDTI2MTEy
MDE0MjM0N1oYDzIxMjYxMDI3MTQyMzQ3WjAmMSQwIgYDVQQDDBtUZXN0IGF1dGhv
cml0eSBvZiBhaWxhYi5odWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASxwXgk
lwiVsEVJ2G+m0R8/wW8NbBIWSxCB368sYxtg4SXST4GPNwQz1rfo2qd5XAc6+yPS
PG58tKqozt0yI6dPo1MwUTAdBgNVHQ4EFgQUVQ61PcISjRYgeUJw0luMTnkZ3D0w
HwYDVR0jBBgwFoAUVQ61PcISjRYgeUJw0luMTnkZ3D0wDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiAqIIHXyVH/VPZmAKRgXbzS1WcIRxd6+b/ykcuE
bms1OwIhAOC3HmffEIAQ+broGvytmrPS4je6t0wLRfawlLWXZmJK
-----END CERTIFICATE-----
"""


@pytest.fixture
def certificate() -> str:
    """A certificate of an authority that signed nothing else; its key was thrown away."""
    return CERTIFICATE


VERSION: Mapping[str, Any] = {
    "Components": [{"Name": "Engine", "Version": "20.10.24+dfsg1"}],
    "Version": "20.10.24+dfsg1",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.12",
    "Os": "linux",
    "Arch": "amd64",
}
INFO: Mapping[str, Any] = {"SecurityOptions": ["name=seccomp,profile=default"]}


@pytest.fixture
def serve_docker(serve: Callable[[Handler | bytes], Engine]) -> Callable[..., Engine]:
    """A function that starts an engine with answers (JSON by target) of its own."""

    def start(answers: Mapping[str, object] | None = None) -> Engine:
        known = {"/version": VERSION, "/info": INFO, **(answers or {})}

        def handler(connection: socket.socket, target: str) -> None:
            if target in known:
                connection.sendall(http(known[target]))
            else:
                connection.sendall(http({"message": "page not found"}, "404 Not Found"))

        return serve(handler)

    return start
