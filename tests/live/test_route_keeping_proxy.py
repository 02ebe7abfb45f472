# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RouteKeepingProxy with a real JupyterHub and a real configurable-http-proxy that goes away."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from .jupyterhub_client import JupyterHubClient
from .local_hub import TOKEN, LocalHub, wait_for

pytestmark = pytest.mark.slow

# The promise to users.
BACK_SECONDS = 10

# A server of a user that costs nothing: it answers any request of the hub and of the user.
SERVER = """
import http.server, os, signal, urllib.parse
signal.signal(signal.SIGINT, signal.SIG_DFL)
address = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"server of " + os.environ["JUPYTERHUB_USER"].encode())
http.server.ThreadingHTTPServer((address.hostname, address.port), Handler).serve_forever()
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A hub on which alice's server runs."""
    config: dict[str, dict[str, Any]] = {
        "JupyterHub": {
            "authenticator_class": "dummy",
            "spawner_class": "simple",
            "proxy_class": "ailab_hub.proxy.RouteKeepingProxy",
        },
        "Authenticator": {"allow_all": True},
        "SimpleLocalProcessSpawner": {"home_dir_template": f"{tmp_path}/{{username}}"},
        "Spawner": {"cmd": [sys.executable, "-c", SERVER]},
    }
    with LocalHub(tmp_path, config) as running, JupyterHubClient(running.url, token=TOKEN) as admin:
        admin.api("POST", "users/alice")
        admin.api("POST", "users/alice/server")
        wait_for(lambda: alice_is_reached(running), 30, "alice's server is reached")
        yield running


def alice_is_reached(hub: LocalHub) -> bool:
    """Whether the proxy leads to alice's server."""
    try:
        return requests.get(f"{hub.url}user/alice/", timeout=2).text == "server of alice"
    except requests.RequestException:
        return False


def hub_is_reached(hub: LocalHub) -> bool:
    """Whether the proxy leads to the hub."""
    try:
        return requests.get(f"{hub.url}hub/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def log_since(hub: LocalHub, start: int) -> list[str]:
    """Warnings and errors the hub has logged after its first `start` characters of log."""
    return [line for line in hub.log[start:].splitlines() if line[:2] in ("[W", "[E", "[C")]


def test_all_routes_are_back_within_ten_seconds_of_a_restart(hub: LocalHub) -> None:
    hub.kill_proxy()
    time.sleep(3)
    hub.start_proxy()
    seconds = wait_for(lambda: hub_is_reached(hub), BACK_SECONDS, "the hub is reached again")
    wait_for(lambda: alice_is_reached(hub), BACK_SECONDS - seconds, "alice's server, too")
    routes = hub.routes()
    assert routes is not None
    assert set(routes) == {"/", "/user/alice"}


def test_a_restart_too_short_to_be_seen_is_noticed_by_the_missing_routes(hub: LocalHub) -> None:
    hub.kill_proxy()
    hub.start_proxy()
    wait_for(lambda: alice_is_reached(hub), BACK_SECONDS, "alice's server is reached again")


def test_the_log_is_quiet_while_the_proxy_is_away_and_says_once_that_it_is_back(
    hub: LocalHub,
) -> None:
    start = len(hub.log)
    hub.kill_proxy()
    time.sleep(8)
    assert log_since(hub, start) == []
    hub.start_proxy()
    wait_for(lambda: alice_is_reached(hub), BACK_SECONDS, "alice's server is reached again")
    said = [line for line in log_since(hub, start) if "lost its routes" in line]
    assert len(said) == 1, hub.log[start:]


def test_routes_of_a_proxy_that_stays_are_left_alone(hub: LocalHub) -> None:
    start = len(hub.log)
    before = hub.routes()
    time.sleep(6)
    assert log_since(hub, start) == []
    after = hub.routes()
    assert before is not None
    assert after is not None
    assert [set(before), set(after)] == [{"/", "/user/alice"}] * 2


def test_a_second_restart_is_mended_like_the_first(hub: LocalHub) -> None:
    for _ in range(2):
        hub.kill_proxy()
        hub.start_proxy()
        wait_for(lambda: alice_is_reached(hub), BACK_SECONDS, "alice's server is reached again")


def test_the_hub_stops_without_an_error(hub: LocalHub) -> None:
    start = len(hub.log)
    hub.stop_hub()
    assert [line for line in log_since(hub, start) if not line.startswith("[C")] == []
    assert "Traceback" not in hub.log[start:]
