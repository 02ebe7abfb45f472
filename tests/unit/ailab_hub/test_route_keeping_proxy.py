# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RouteKeepingProxy against an API of a proxy that forgets its routes and refuses some."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from ailab_hub.proxy import RouteKeepingProxy


class ProxyApi(ThreadingHTTPServer):
    """The API of a configurable-http-proxy.

    Attributes:
        routes: what it knows.
        refused: paths it refuses once.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.routes: dict[str, Any] = {}
        self.refused: set[str] = set()
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: ProxyApi

    def do_GET(self) -> None:
        self.server.requests += 1
        self._answer(200, json.dumps(self.server.routes).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.removeprefix("/api/routes") or "/"
        if path in self.server.refused:
            self.server.refused.discard(path)
            return self._answer(403)
        self.server.routes[path] = body
        return self._answer(201)

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[ProxyApi]:
    with ProxyApi() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def proxy(api: ProxyApi, **traits: Any) -> RouteKeepingProxy:
    """A proxy object of a hub that has just started."""
    hub = SimpleNamespace(routespec="/", host="http://127.0.0.1:8081")
    app = SimpleNamespace(hub=hub, subdomain_host="")
    return RouteKeepingProxy(
        app=app,
        hub=hub,
        **{
            "api_url": api.url,
            "auth_token": "token",
            "should_start": False,
            "route_check_interval": 0.1,
            **traits,
        },
    )


def users() -> dict[int, Any]:
    """The users of a hub: alice, whose server runs."""
    spawner = SimpleNamespace(
        ready=True,
        pending=None,
        proxy_spec="/user/alice/",
        server=SimpleNamespace(host="http://127.0.0.1:9999"),
        _log_name="alice",
    )
    return {1: SimpleNamespace(name="alice", spawners={"": spawner})}


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened, at most 10 s."""
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.01)


EVERY_ROUTE = {"/", "/user/alice"}


def test_routes_that_are_gone_come_back(api: ProxyApi) -> None:
    async def scenario() -> None:
        await proxy(api).check_routes(users(), {})
        for _ in range(2):
            api.routes.clear()
            await until(lambda: set(api.routes) == EVERY_ROUTE)

    asyncio.run(scenario())


def test_a_route_that_was_refused_is_tried_again_though_the_hubs_own_is_there(
    api: ProxyApi,
) -> None:
    async def scenario() -> None:
        await proxy(api).check_routes(users(), {})
        api.refused.add("/user/alice")
        api.routes.clear()
        await until(lambda: not api.refused and "/" in api.routes)
        await until(lambda: set(api.routes) == EVERY_ROUTE)

    asyncio.run(scenario())


def test_nothing_is_watched_before_the_hub_has_started(api: ProxyApi) -> None:
    async def scenario() -> None:
        made = proxy(api)
        await asyncio.sleep(0.3)
        assert api.requests == 0
        await made.check_routes(users(), {})
        await until(lambda: api.requests > 1)

    asyncio.run(scenario())


def test_a_proxy_the_hub_runs_itself_is_left_to_the_hub(api: ProxyApi) -> None:
    async def scenario() -> None:
        await proxy(api, should_start=True).check_routes(users(), {})
        looked = api.requests
        await asyncio.sleep(0.3)
        assert api.requests == looked

    asyncio.run(scenario())
