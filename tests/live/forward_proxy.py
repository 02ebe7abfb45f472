# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forward proxy for HTTPS that asks for a password: ``forward_proxy.py PORT CREDENTIALS LOG``.

CREDENTIALS is a file with NAME:PASSWORD. The proxy listens on 127.0.0.1 and writes a line into LOG
for every connection: allowed or denied, and where to.
"""

from __future__ import annotations

import base64
import select
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy(BaseHTTPRequestHandler):
    """Joins who asks for a connection and whom it is to."""

    expected = ""
    log = ""

    def do_CONNECT(self) -> None:
        allowed = self.headers.get("Proxy-Authorization") == self.expected
        with open(self.log, "a") as file:
            file.write(f"{'allowed' if allowed else 'denied'} {self.path}\n")
        if not allowed:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self.end_headers()
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as far:
            self.send_response(200)
            self.end_headers()
            pipes = {self.connection: far, far: self.connection}
            while True:
                for end in select.select(list(pipes), [], [], 60)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    pipes[end].sendall(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing beside the log."""


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as secret:
        credentials = base64.b64encode(secret.read().strip()).decode()
    Proxy.expected, Proxy.log = f"Basic {credentials}", sys.argv[3]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()
