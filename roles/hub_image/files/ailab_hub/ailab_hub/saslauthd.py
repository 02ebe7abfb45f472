# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with the accounts of the server, which its saslauthd asks PAM about.

The hub's container has the folder of one socket and none of the server's password files.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError
from traitlets import Float, Unicode

# saslauthd ends the connection if any part is longer (MAX_LOGIN_REALM_LEN, MAX_REQ_LEN).
_MAX_BYTES = 256


async def check_password(path: str, service: str, name: str, password: str) -> bool:
    """Ask saslauthd whether a password is right.

    Args:
        path: of its socket, ``mux`` in the folder it was started with.
        service: of PAM.

    Raises:
        OSError: it cannot be reached, or ends the connection.
    """
    parts = [part.encode() for part in (name, password, service, "")]
    # An empty password is right for some settings of PAM.
    if not name or not password or any(len(part) > _MAX_BYTES or b"\0" in part for part in parts):
        return False
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(b"".join(struct.pack("!H", len(part)) + part for part in parts))
        await writer.drain()
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return (await reader.readexactly(length))[:2] == b"OK"
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("saslauthd ended the connection") from error
    finally:
        writer.close()


class SaslauthdAuthenticator(Authenticator):
    """Asks a saslauthd, whose socket is in a folder the hub has."""

    socket = Unicode("/run/saslauthd/mux", config=True, help="Path of the socket of saslauthd.")
    service = Unicode("jupyterhub", config=True, help="Service of PAM, a file in /etc/pam.d.")
    timeout = Float(30.0, config=True, help="Seconds after which saslauthd counts as hanging.")

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """The name of who gave the right password; see the base class.

        Raises:
            HTTPError: saslauthd cannot be asked; the log says why.
        """
        # Two accounts that differ in capitals alone would be one user here.
        name = self.normalize_username(data["username"])
        question = check_password(self.socket, self.service, name, data["password"])
        try:
            right = await asyncio.wait_for(question, self.timeout)
        except (OSError, asyncio.TimeoutError) as error:
            reason = str(error) or f"no answer for {self.timeout:g} seconds"
            self.log.error("saslauthd cannot be asked at %s: %s", self.socket, reason)
            raise HTTPError(
                503, "The server's accounts cannot be asked. Try again later."
            ) from None
        return name if right else None
