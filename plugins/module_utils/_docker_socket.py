# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's API over its Unix socket, with nothing but the standard library.

http.client would need 46 ms to import, a third of a whole module run. More important, its time-out
starts anew with each byte: an engine that hangs in the middle of an answer would hang the caller.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import time
import typing as t

DEFAULT_SOCKET = "/var/run/docker.sock"
# An answer of the requests made here has some ten KiB; /containers/json with 1000 labs has 2 MiB.
MAX_BODY = 8 * 1024 * 1024
MAX_HEAD = 64 * 1024
RECEIVE_SIZE = 64 * 1024
# How often a full queue of the engine is tried again; Unix sockets do not tell when it has room.
RETRY_SECONDS = 0.02

# Why there is no answer. Part of the documented result of modules: never rename one.
MISSING = "missing"
NOT_A_SOCKET = "not_a_socket"
DENIED = "denied"
REFUSED = "refused"
TIMEOUT = "timeout"
PROTOCOL = "protocol"


class DockerSocketError(Exception):
    """There is no usable answer. `reason` is one of the constants above, the text a sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Response(t.NamedTuple):
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class ResponseParser:
    """Turns bytes as they arrive into one HTTP/1 answer. No I/O.

    Feed it until `response` is there; at the end of the stream call `finish`. Raises
    DockerSocketError(PROTOCOL) for what is no HTTP or too large.
    """

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self.response: Response | None = None
        self._max_body = max_body
        self._buffer = bytearray()
        self._status = 0
        self._headers: dict[str, str] | None = None
        self._body = bytearray()
        self._length: int | None = None
        self._chunked = False
        # Bytes of the current chunk that are still to come; None between two chunks.
        self._chunk: int | None = None
        self._in_trailer = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.response:
            return
        self._buffer += data
        while self._headers is None and self._read_head():
            pass
        if self._headers is not None and not self.response:
            self._read_body()

    def finish(self) -> Response:
        """Take the end of the stream. Returns the answer."""
        to_the_end = not self._chunked and self._length is None
        if self.response is None and self._headers is not None and to_the_end:
            self._complete()
        if self.response is None:
            raise _protocol_error(
                "half an answer" if self._buffer or self._headers is not None else "no answer"
            )
        return self.response

    def _read_head(self) -> bool:
        """Read the status line and the headers if all are there; true if there may be more."""
        if not b"HTTP/1.".startswith(bytes(self._buffer[:7])):
            raise _protocol_error("something that is not HTTP")
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(self._buffer) > MAX_HEAD:
                raise _protocol_error(f"headers of more than {MAX_HEAD // 1024} KiB")
            return False
        status_line, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        code = status_line[9:12]
        if not (code.isascii() and code.isdigit() and status_line[8] == " "):
            raise _protocol_error("a status line that is not HTTP")
        if code.startswith("1"):
            return True
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise _protocol_error("a header that is not HTTP")
            headers[name.strip().lower()] = value.strip()
        self._status, self._headers = int(code), headers
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length")
        if length is not None and not self._chunked:
            if not (length.isascii() and length.isdigit()) or len(length) > 15:
                raise _protocol_error("a length that is no number")
            self._length = int(length)
            self._limit(self._length)
        if self._status in (204, 304):
            self._length = 0
        return False

    def _read_body(self) -> None:
        if self._chunked:
            while self._read_chunk():
                pass
            return
        self._body += self._buffer
        self._buffer.clear()
        self._limit(len(self._body) if self._length is None else self._length)
        if self._length is not None and len(self._body) >= self._length:
            del self._body[self._length :]
            self._complete()

    def _read_chunk(self) -> bool:
        """Read one size line, one piece of a chunk or one trailer line; false if more must come."""
        if self._chunk:
            piece = self._buffer[: self._chunk]
            self._body += piece
            self._limit(len(self._body))
            del self._buffer[: len(piece)]
            self._chunk -= len(piece)
            return self._chunk == 0
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise _protocol_error("a broken chunk")
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if self._in_trailer:
            if not line:
                self._complete()
            return bool(line)
        if self._chunk == 0:
            if line:
                raise _protocol_error("a broken chunk")
            self._chunk = None
            return True
        size = line.split(b";")[0].strip()
        if not size or len(size) > 12 or size.strip(b"0123456789abcdefABCDEF"):
            raise _protocol_error("a broken chunk")
        self._chunk = int(size, 16)
        if self._chunk == 0:
            self._in_trailer = True
        self._limit(len(self._body) + self._chunk)
        return True

    def _limit(self, size: int) -> None:
        if size > self._max_body:
            raise _protocol_error(f"an answer of more than {self._max_body // 1024} KiB")

    def _complete(self) -> None:
        self.response = Response(self._status, self._headers or {}, bytes(self._body))


def _protocol_error(what: str) -> DockerSocketError:
    return DockerSocketError(PROTOCOL, f"{what} came from the socket")


class DockerSocket:
    """A Docker Engine (or what stands in for it) behind a Unix socket."""

    def __init__(
        self, path: str = DEFAULT_SOCKET, timeout: float = 10.0, max_body: int = MAX_BODY
    ) -> None:
        """path: of the socket. timeout: seconds for a whole answer. max_body: bytes."""
        self.path = path
        self.timeout = timeout
        self.max_body = max_body

    def get(self, target: str) -> Response:
        """Send one GET request; target is path and query, such as C(/version).

        Raises DockerSocketError with the reason there is no answer.
        """
        return self._request("GET", target)

    def delete(self, target: str) -> Response:
        """Send one DELETE request, as C(get) does."""
        return self._request("DELETE", target)

    def _request(self, method: str, target: str) -> Response:
        deadline = time.monotonic() + self.timeout
        request = f"{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
        parser = ResponseParser(self.max_body)
        connection = self.connect(deadline)
        try:
            connection.settimeout(_remaining(deadline))
            connection.sendall(request.encode("ascii"))
            while parser.response is None:
                connection.settimeout(_remaining(deadline))
                data = connection.recv(RECEIVE_SIZE)
                if not data:
                    return parser.finish()
                parser.feed(data)
            return parser.response
        except socket.timeout as exc:
            raise self._timed_out() from exc
        except OSError as exc:
            raise DockerSocketError(PROTOCOL, f"the connection broke: {exc.strerror}") from exc
        finally:
            connection.close()

    def get_json(self, target: str) -> t.Any:
        """The answer to a GET request, decoded. None where the engine says there is no such thing.

        Raises DockerSocketError, also for other errors of the engine and for what is no JSON.
        """
        response = self.get(target)
        if response.status == 404:
            return None
        if response.status != 200:
            raise _protocol_error(f"the HTTP status {response.status}")
        try:
            return json.loads(response.body.decode("utf-8"))
        except (ValueError, RecursionError) as exc:
            raise _protocol_error("an answer that is no JSON") from exc

    def connect(self, deadline: float | None = None) -> socket.socket:
        """A connection, for as long as there is time (of the monotonic clock).

        Raises DockerSocketError with the reason there is none.
        """
        if deadline is None:
            deadline = time.monotonic() + self.timeout
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            while True:
                connection.settimeout(_remaining(deadline))
                try:
                    connection.connect(self.path)
                    return connection
                except BlockingIOError:
                    # The engine's queue is full: it hangs, or is about to take us.
                    time.sleep(min(RETRY_SECONDS, _remaining(deadline)))
        except socket.timeout as exc:
            connection.close()
            raise self._timed_out() from exc
        except OSError as exc:
            connection.close()
            raise self._no_connection(exc) from exc

    def _timed_out(self) -> DockerSocketError:
        text = f"no answer from {self.path} within {self.timeout:g} s"
        return DockerSocketError(TIMEOUT, text)

    def _no_connection(self, error: OSError) -> DockerSocketError:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return DockerSocketError(MISSING, f"there is no {self.path}")
        if error.errno in (errno.EACCES, errno.EPERM):
            return DockerSocketError(DENIED, f"no right to open {self.path}")
        if error.errno == errno.ECONNREFUSED and not self._is_socket():
            return DockerSocketError(NOT_A_SOCKET, f"{self.path} is not a socket")
        if error.errno == errno.ECONNREFUSED:
            return DockerSocketError(REFUSED, f"nothing listens on {self.path}")
        if error.errno in (errno.ELOOP, errno.EPROTOTYPE, errno.ENOTSOCK):
            return DockerSocketError(NOT_A_SOCKET, f"{self.path}: {error.strerror}")
        text = error.strerror or str(error)
        return DockerSocketError(NOT_A_SOCKET, f"{self.path}: {text}")

    def _is_socket(self) -> bool:
        try:
            return stat.S_ISSOCK(os.stat(self.path).st_mode)
        except OSError:
            return False


def _remaining(deadline: float) -> float:
    """Seconds until the deadline. Raises socket.timeout when there are none."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise socket.timeout
    return remaining
