# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket in the place of Docker's that passes calls on, and can keep the answer to one to itself.

Runs on a server under test, as ``docker_tap.py DOCKER_SOCKET FOLDER``. Docker's socket is moved
into the folder meanwhile, and is back when the process is told to end.

What sessions ask Docker to change (POST, PUT, DELETE) is written to ``FOLDER/calls``, a line
each; services and containers are not meant. ``FOLDER/number`` says which of these lines is the one
that is carried out without whoever asked ever hearing of it. ``FOLDER/held`` appears then; once it
is removed, the connection is closed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

CHANGING = (b"POST ", b"PUT ", b"DELETE ")


def asked_by_a_session(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end is a process of somebody who logged in."""
    peer: socket.socket = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid = struct.unpack("3i", credentials)[0]
    with suppress(OSError):
        return "user.slice" in Path(f"/proc/{pid}/cgroup").read_text()
    return False


class Tap:
    """What all connections share."""

    def __init__(self, docker: Path, folder: Path) -> None:
        self.listening = docker
        self.docker = folder / "docker.sock"
        self.folder = folder

    async def serve(self) -> None:
        """Take the place of Docker's socket until the process is told to end."""
        owner = self.listening.stat()
        self.listening.rename(self.docker)
        end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, end.set)
        try:
            await asyncio.start_unix_server(self.connect, self.listening)
            os.chown(self.listening, owner.st_uid, owner.st_gid)
            self.listening.chmod(0o660)
            await end.wait()
        finally:
            shutil.move(self.docker, self.listening)

    def is_to_be_held(self, call: str) -> bool:
        """Note a call, and say whether it is the one."""
        calls = self.folder / "calls"
        with calls.open("a") as file:
            file.write(call + "\n")
        return len(calls.read_text().splitlines()) == int((self.folder / "number").read_text())

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, in both directions."""
        docker_reader, docker_writer = await asyncio.open_unix_connection(self.docker)
        counts = asked_by_a_session(writer)
        held = False

        async def ask() -> None:
            nonlocal held
            while chunk := await reader.read(65536):
                # Clients send a call's first line at the beginning of a packet of its own.
                if counts and chunk.startswith(CHANGING):
                    held = self.is_to_be_held(chunk.split(b" HTTP/")[0].decode(errors="replace"))
                docker_writer.write(chunk)
                await docker_writer.drain()
            docker_writer.write_eof()

        async def answer() -> None:
            while chunk := await docker_reader.read(65536):
                if held:
                    (self.folder / "held").touch()
                    while (self.folder / "held").exists():
                        await asyncio.sleep(0.1)
                    break
                writer.write(chunk)
                await writer.drain()
            writer.close()

        with suppress(OSError):
            await asyncio.gather(ask(), answer())


if __name__ == "__main__":
    asyncio.run(Tap(Path(sys.argv[1]), Path(sys.argv[2])).serve())
