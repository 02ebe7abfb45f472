# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ailab_hub.healthcheck``: whether the hub of this container can do its work.

It must answer, and it must reach Docker. When the engine's socket is made anew on the server, for
example by an upgrade of its package, the one mounted into a running container leads nowhere, and
only a restart of the container brings the new one in.

Plain sockets, as this runs every few seconds and an import of an HTTP library would cost more than
the rest of it.
"""

from __future__ import annotations

import socket
import sys

HUB = ("127.0.0.1", 8081)
DOCKER = "/var/run/docker.sock"
SECONDS = 4.0


def answers(family: socket.AddressFamily, address: str | tuple[str, int], path: str) -> str:
    """Return an empty text if `path` is answered with status 200, else what happened instead."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(address)
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            status = connection.makefile("rb").readline(200).decode("latin-1").strip()
    except OSError as error:
        return f"{address}: {error}"
    return "" if " 200 " in f"{status} " else f"{address}{path}: {status or 'no answer'}"


def main(docker: str = DOCKER, hub: tuple[str, int] = HUB) -> int:
    """Print what is wrong; return the number of parts that do not answer."""
    found = [
        answers(socket.AF_INET, hub, "/hub/health"),
        answers(socket.AF_UNIX, docker, "/_ping"),
    ]
    problems = [text for text in found if text]
    print("\n".join(problems))
    return len(problems)


if __name__ == "__main__":
    sys.exit(main())
