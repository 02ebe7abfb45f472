# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy: its routes survive its restart."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets import Float

# How long one look at the proxy's API may take; with the pause below it stays under the promise.
_CONNECT_SECONDS = 2.0
# The pause between looks while the proxy is away, so that its routes are back as it returns.
_AWAY_SECONDS = 1.0


class RouteKeepingProxy(ConfigurableHTTPProxy):
    """A configurable-http-proxy run by somebody else, whose routes come back after a restart.

    configurable-http-proxy keeps its routes in memory. JupyterHub alone puts them back when it
    next looks at the activity of all users, after up to ``JupyterHub.last_activity_interval``
    (300 s). Here the hub looks every few seconds whether its own route is still there; a proxy
    without it is a new one.
    """

    route_check_interval = Float(
        5.0,
        min=0.1,
        config=True,
        help="""Seconds between two looks at the proxy's routes.

        Used only where ``should_start`` is False: a proxy JupyterHub started itself is watched
        by JupyterHub.
        """,
    )

    _watch: asyncio.Task[None] | None = None

    async def check_routes(
        self,
        user_dict: Mapping[Any, Any],
        service_dict: Mapping[str, Any],
        routes: dict[str, Any] | None = None,
    ) -> None:
        """Put every route right that is missing, wrong or stale.

        JupyterHub calls this as soon as it has started: from then on the proxy is watched.
        """
        await super().check_routes(user_dict, service_dict, routes)
        if self._watch is None and not self.should_start:
            self._watch = asyncio.create_task(self._keep_routes(user_dict, service_dict))

    async def _keep_routes(
        self, user_dict: Mapping[Any, Any], service_dict: Mapping[str, Any]
    ) -> None:
        incomplete = False
        while True:
            pause = self.route_check_interval
            try:
                # asked first: JupyterHub's own requests retry for 30 s and log each attempt
                if not await asyncio.to_thread(_accepts_connections, self.api_url):
                    pause = min(pause, _AWAY_SECONDS)
                else:
                    routes = await self.get_all_routes()
                    if incomplete or self.hub.routespec not in routes:
                        incomplete = True
                        self.log.warning("The proxy has lost its routes: restoring them")
                        await self.check_routes(user_dict, service_dict, routes)
                        incomplete = False
            except Exception as error:
                # whatever it was, the routes of every user depend on the next look
                self.log.warning("Cannot restore the routes of the proxy yet: %s", error)
            await asyncio.sleep(pause)


def _accepts_connections(api_url: str) -> bool:
    """Whether somebody listens at the address of the proxy's API."""
    url = urlsplit(api_url)
    try:
        if url.scheme == "http+unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(_CONNECT_SECONDS)
                client.connect(unquote(url.netloc))
        else:
            port = url.port or (443 if url.scheme == "https" else 80)
            socket.create_connection((url.hostname or "", port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
