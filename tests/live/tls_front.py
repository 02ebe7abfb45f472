# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS in front of a service of this machine that has none."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType


class TlsFront:
    """Listens as long as it is entered, and passes on what comes.

    Args:
        port: of the service, on loopback.
        key: file of the private key.
        certificate: file of the certificate.
        address: where to listen.

    Attributes:
        port: where it listens.
    """

    def __init__(self, port: int, key: Path, certificate: Path, address: str = "127.0.0.1") -> None:
        self._behind = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server((address, 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> TlsFront:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def show(self, key: Path, certificate: Path) -> None:
        """Have another certificate from now on."""
        self._context.load_cert_chain(certificate, key)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _address = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(raw,), daemon=True).start()

    def _pass_on(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError), raw:
            raw.settimeout(10)
            with (
                self._context.wrap_socket(raw, server_side=True) as near,
                socket.create_connection(("127.0.0.1", self._behind), timeout=10) as far,
                selectors.DefaultSelector() as ends,
            ):
                ends.register(near, selectors.EVENT_READ, far)
                ends.register(far, selectors.EVENT_READ, near)
                while ready := ends.select(30):
                    for key, _events in ready:
                        end, other = key.fileobj, key.data
                        assert isinstance(end, socket.socket)
                        data = end.recv(65536)
                        if not data:
                            return
                        while isinstance(end, ssl.SSLSocket) and end.pending():
                            data += end.recv(65536)
                        other.sendall(data)
