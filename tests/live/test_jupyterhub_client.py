# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the end-to-end tests, against a real JupyterHub with real single-user servers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .jupyterhub_client import (
    CodeError,
    JupyterHubClient,
    JupyterHubError,
    LoginError,
    SpawnError,
)
from .local_hub import PYTHON, TOKEN, LocalHub, jupyterhub_version

PASSWORD = "a-password-for-users"

_parts = subprocess.run([PYTHON, "-c", "import jupyter_server, ipykernel"], capture_output=True)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        _parts.returncode != 0,
        reason="the single-user server needs jupyter-server and ipykernel beside JupyterHub",
    ),
]


def hub_config(folder: Path) -> dict[str, dict[str, Any]]:
    """A hub on which anybody logs in with PASSWORD and named servers can fail."""
    config: dict[str, dict[str, Any]] = {
        "Authenticator": {"allow_all": True},
        "JupyterHub": {
            "spawner_class": "simple",
            "proxy_class": "ailab_hub.proxy.RouteKeepingProxy",
            "allow_named_servers": True,
        },
        "SimpleLocalProcessSpawner": {"home_dir_template": f"{folder}/{{username}}"},
        "Spawner": {"args": ["--allow-root"], "start_timeout": 60},
    }
    if jupyterhub_version() >= (5, 3):
        config["JupyterHub"]["authenticator_class"] = "shared-password"
        config["SharedPasswordAuthenticator"] = {"user_password": PASSWORD}
    else:
        config["JupyterHub"]["authenticator_class"] = "dummy"
        config["DummyAuthenticator"] = {"password": PASSWORD}
    return config


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    folder = tmp_path_factory.mktemp("hub")
    with LocalHub(folder, hub_config(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def alice(hub: LocalHub) -> Iterator[JupyterHubClient]:
    """A user with a running server."""
    with JupyterHubClient(hub.url) as client:
        client.login("alice", PASSWORD)
        client.start_server()
        yield client
        client.stop_server()


@pytest.fixture
def admin(hub: LocalHub) -> Iterator[JupyterHubClient]:
    """The API as a service of the hub uses it."""
    with JupyterHubClient(hub.url, token=TOKEN) as client:
        yield client


def test_the_hub_tells_the_name_it_made_of_the_one_entered(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as client:
        client.login("Bob.B+c@Example.org", PASSWORD)
        assert client.name == "bob.b+c@example.org"


def test_a_wrong_password_is_told_as_the_page_tells_it(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as client:
        with pytest.raises(LoginError, match="alice: Invalid username or password"):
            client.login("alice", "wrong")
        with pytest.raises(JupyterHubError) as refusal:
            client.me()
    assert refusal.value.status == 403


def test_after_logging_out_the_session_is_over(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as client:
        client.login("carol", PASSWORD)
        client.logout()
        with pytest.raises(JupyterHubError, match="403"):
            client.me()


def test_a_cell_returns_what_it_printed_and_its_last_value(alice: JupyterHubClient) -> None:
    assert alice.run_code("print('hello')\n6 * 7") == "hello\n42\n"


def test_a_kernel_remembers_the_cells_before(alice: JupyterHubClient) -> None:
    alice.run_code("remembered = 'yes'")
    assert alice.run_code("print(remembered)") == "yes\n"


def test_an_exception_in_a_cell_is_one_here_with_the_output_before_it(
    alice: JupyterHubClient,
) -> None:
    with pytest.raises(CodeError, match="division by zero") as failure:
        alice.run_code("print('before'); 1 / 0")
    assert (failure.value.name, failure.value.output) == ("ZeroDivisionError", "before\n")


def test_a_cell_that_takes_too_long_is_given_up(alice: JupyterHubClient) -> None:
    start = time.monotonic()
    with pytest.raises(JupyterHubError, match="not done after 1 s"):
        alice.run_code("import time; time.sleep(4)", timeout=1)
    assert time.monotonic() - start < 3
    assert alice.run_code("print('works again')") == "works again\n"


def test_the_server_api_reads_and_writes_files(alice: JupyterHubClient) -> None:
    model = {"type": "file", "format": "text", "content": "text"}
    alice.server_api("PUT", "contents/a.txt", model)
    assert alice.server_api("GET", "contents/a.txt")["content"] == "text"
    assert alice.run_code("print(open('a.txt').read())") == "text\n"


def test_starting_a_running_server_changes_nothing(alice: JupyterHubClient) -> None:
    before = alice.run_code("import os; print(os.getppid())")
    assert alice.start_server() == alice.server_url()
    assert alice.run_code("print(os.getppid())") == before


def test_nobody_gets_into_the_server_of_somebody_else(
    hub: LocalHub, alice: JupyterHubClient
) -> None:
    with JupyterHubClient(hub.url) as mallory:
        mallory.login("mallory", PASSWORD)
        with pytest.raises(JupyterHubError) as refusal:
            mallory.request("GET", alice.server_url() + "api/contents")
        assert refusal.value.status == 403


def test_a_named_server_is_started_used_and_stopped(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as dave:
        dave.login("dave", PASSWORD)
        url = dave.start_server("second")
        assert url.endswith("/user/dave/second/")
        code = "import os; print(os.environ['JUPYTERHUB_SERVER_NAME'])"
        assert dave.run_code(code, server="second") == "second\n"
        assert dave.is_ready("second")
        assert not dave.is_ready()
        dave.stop_server("second")
        assert not dave.is_ready("second")


def test_after_a_stop_and_a_start_cells_run_in_a_new_kernel(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as erin:
        erin.login("erin", PASSWORD)
        erin.start_server()
        erin.run_code("old = 1")
        erin.stop_server()
        with pytest.raises(JupyterHubError):
            erin.run_code("1")
        erin.start_server()
        with pytest.raises(CodeError, match="NameError"):
            erin.run_code("old")
        erin.stop_server()


@pytest.mark.parametrize(
    ("slow", "said"),
    [
        pytest.param(30, "500 Internal Server Error", id="told by the answer"),
        pytest.param(0, "Spawn failed", id="told by an event"),
    ],
)
def test_a_server_that_does_not_start_is_an_error_in_the_hubs_words(
    tmp_path: Path, slow: int, said: str
) -> None:
    config = hub_config(tmp_path)
    config["JupyterHub"]["tornado_settings"] = {"slow_spawn_timeout": slow}
    config["Spawner"] |= {"cmd": ["false"], "http_timeout": 3}
    with LocalHub(tmp_path, config) as hub, JupyterHubClient(hub.url) as frank:
        frank.login("frank", PASSWORD)
        with pytest.raises(SpawnError, match=f"users/frank/server: .*{said}"):
            frank.start_server()


def test_an_api_token_administers_users(admin: JupyterHubClient) -> None:
    assert admin.api("POST", "users/grace")["name"] == "grace"
    assert "grace" in {user["name"] for user in admin.api("GET", "users")}
    assert admin.api("DELETE", "users/grace") is None


def test_a_users_own_token_does_what_the_session_does(hub: LocalHub) -> None:
    with JupyterHubClient(hub.url) as heidi:
        heidi.login("heidi", PASSWORD)
        scopes = ["self", "access:servers!user=heidi"]
        token = heidi.api("POST", "users/heidi/tokens", {"scopes": scopes})["token"]
    with JupyterHubClient(hub.url, token=token) as script:
        script.start_server()
        assert script.run_code("print(1)") == "1\n"
        script.stop_server()


def test_an_error_names_request_status_and_reason(admin: JupyterHubClient) -> None:
    with pytest.raises(JupyterHubError, match=r"GET .*/hub/api/users/nobody: 404 Not Found: "):
        admin.api("GET", "users/nobody")


def test_a_hub_that_is_not_there_is_an_error_with_its_address() -> None:
    said = r"GET http://127\.0\.0\.1:9/hub/login"
    client = JupyterHubClient("http://127.0.0.1:9/")
    with pytest.raises(JupyterHubError, match=said):
        client.login("alice", PASSWORD)
