# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine API on a socket that writes down what it is asked to create."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

# as the engine has it: names of containers and of volumes
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class RecordingEngine(ThreadingMixIn, UnixStreamServer):
    """Speaks as much of the API as a DockerSpawner needs and refuses what a real engine refuses.

    Attributes:
        created: the body of every accepted ``POST /containers/create``, by container name.
        image_command: ``Cmd`` of every image.
    """

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.url = f"unix://{path}"
        self.created: dict[str, dict[str, Any]] = {}
        self.image_command: list[str] = []
        self._ids = (f"{number:064x}" for number in itertools.count(1))
        self._names: dict[str, str] = {}

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """Return the status and the JSON body of the answer to one request."""
        parts = path.split("/")
        if parts == ["version"]:
            return 200, {"ApiVersion": "1.41", "Version": "20.10.24"}
        if method == "GET" and parts[0] == "images":
            return 200, {"Id": "sha256:0", "Config": {"Cmd": self.image_command}}
        if method == "POST" and parts == ["containers", "create"]:
            return self._create(query["name"][0], body)
        if method == "GET" and parts[0] == "containers":
            name = self._names.get(parts[1], parts[1])
            if name not in self.created:
                return 404, {"message": f"No such container: {parts[1]}"}
            identity = next(key for key, value in self._names.items() if value == name)
            networks = {"jupyterhub": {"IPAddress": "10.230.0.9"}}
            return 200, {
                "Id": identity,
                "State": {"Running": True},
                "Config": {"Env": self.created[name]["Env"]},
                "NetworkSettings": {"Networks": networks},
            }
        if method == "POST" and parts[0] == "containers" and parts[2] in ("start", "stop"):
            return 204, None
        return 501, {"message": f"{method} {path} is not known here"}

    def _create(self, name: str, body: dict[str, Any]) -> Any:
        if not _NAME.fullmatch(name):
            return 400, {"message": f"Invalid container name ({name})"}
        if name in self.created:
            return 409, {"message": f"Conflict. The container name {name} is already in use"}
        host_config = body["HostConfig"]
        targets = [mount["Target"] for mount in host_config.get("Mounts") or ()]
        targets += [bind.split(":")[1] for bind in host_config.get("Binds") or ()]
        for target in targets:
            if targets.count(target) > 1:
                return 400, {"message": f"Duplicate mount point: {target}"}
        for mount in host_config.get("Mounts") or ():
            if mount["Type"] == "volume" and not _NAME.fullmatch(mount["Source"]):
                return 400, {"message": f"invalid volume name {mount['Source']}"}
        self.created[name] = body
        identity = next(self._ids)
        self._names[identity] = name
        return 201, {"Id": identity, "Warnings": []}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RecordingEngine

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = re.sub(r"^v[0-9.]+/", "", unquote(url.path).lstrip("/"))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        status, answer = self.server.answer(self.command, path, parse_qs(url.query), body)
        content = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _serve

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: Any) -> None:
        """Say nothing: a test reads what was recorded."""


@contextmanager
def recording_engine(path: Path) -> Iterator[RecordingEngine]:
    """Serve a :class:`RecordingEngine` on the socket `path`."""
    with RecordingEngine(path) as engine:
        thread = threading.Thread(target=engine.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            engine.shutdown()
            thread.join()
