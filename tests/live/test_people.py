# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for people, against a real JupyterHub, with the service that the role gives a hub."""

from __future__ import annotations

import functools
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.modules import module_runner

from .jupyterhub_client import JupyterHubClient
from .local_hub import LocalHub, jupyterhub_version, wait_for
from .test_route_keeping_proxy import SERVER

# isort: split
# Known to Python once tests.modules is imported.
from ansible_collections.ailab.hub.plugins.modules import jupyterhub_info, jupyterhub_user

pytestmark = pytest.mark.slow

SERVICE_TOKEN = "0123456789abcdef" * 4
NARROW_TOKEN = "a-token-that-only-lists-users"
ADMIN = "grace"
CLASS = 500

Run = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class People:
    """A hub, and the tokens to administer its people with.

    Attributes:
        service: file with the token of the service that the role adds.
        narrow: a token that lists users and may do nothing else.
        grace: the token of an administrator.
    """

    hub: LocalHub
    service: Path
    grace: str
    narrow: str = NARROW_TOKEN

    def users(self) -> set[str]:
        with JupyterHubClient(self.hub.url, token=self.grace) as client:
            return {user["name"] for user in client.api("GET", "users?limit=200")}


def hub_config(folder: Path) -> dict[str, dict[str, Any]]:
    """A hub where everybody gets in, with servers that cost nothing and a service of its own."""
    return {
        "JupyterHub": {
            "authenticator_class": "dummy",
            "spawner_class": "simple",
            "proxy_class": "ailab_hub.proxy.RouteKeepingProxy",
            "allow_named_servers": True,
            "services": [{"name": "narrow", "api_token": NARROW_TOKEN}],
            "load_roles": [{"name": "narrow", "scopes": ["list:users"], "services": ["narrow"]}],
        },
        "Authenticator": {
            "allow_all": True,
            "admin_users": {ADMIN},
            "username_pattern": "[a-z0-9@.+_ -]+$",
        },
        "SimpleLocalProcessSpawner": {"home_dir_template": f"{folder}/{{username}}"},
        "Spawner": {"cmd": [sys.executable, "-c", SERVER]},
    }


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("hub")
    token_file = folder / "admin_api_token"
    token_file.write_text(f"{SERVICE_TOKEN}\n")
    token_file.chmod(0o400)
    code = (
        "from ailab_hub.admin_service import add_admin_service\n"
        f"add_admin_service(c, {str(token_file)!r})"
    )
    with LocalHub(folder, hub_config(folder), code) as hub:
        with JupyterHubClient(hub.url) as admin:
            admin.login(ADMIN, "any")
            grace = admin.api("POST", f"users/{ADMIN}/tokens", {})["token"]
        yield People(hub, token_file, grace)


@pytest.fixture
def run(people: People, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a module; with the service's token unless another one is given."""
    runner = module_runner(capsys, monkeypatch)

    def call(module: Any, **options: Any) -> dict[str, Any]:
        if "token" not in options:
            options.setdefault("token_file", str(people.service))
        return runner(module, **{"url": people.hub.url, **options})

    return call


@pytest.fixture
def user(run: Run) -> Run:
    return functools.partial(run, jupyterhub_user)


@pytest.fixture
def info(run: Run) -> Run:
    return functools.partial(run, jupyterhub_info)


_numbers = itertools.count()


@pytest.fixture
def names() -> list[str]:
    """Three names nobody has had yet."""
    number = next(_numbers)
    return [f"{name}{number}" for name in ("alice", "bob", "carol")]


def start_server(people: People, name: str, server: str = "") -> None:
    """Have a user's server run."""
    path = f"users/{name}/servers/{server}" if server else f"users/{name}/server"
    with JupyterHubClient(people.hub.url, token=people.grace) as admin:
        admin.api("POST", path)
        wait_for(
            lambda: bool(admin.api("GET", f"users/{name}")["servers"][server]["ready"]),
            30,
            "the server runs",
        )


# -- users ---------------------------------------------------------------------------------------


def test_users_are_added_once(user: Run, people: People, names: list[str]) -> None:
    first = user(users=names)
    assert (first["changed"], first["added"]) == (True, names)
    assert set(names) <= people.users()
    second = user(users=names)
    assert (second["changed"], second["added"]) == (False, [])


def test_names_are_compared_as_the_hub_keeps_them(user: Run, names: list[str]) -> None:
    user(users=names)
    assert not user(users=[names[0].upper()])["changed"]
    assert user(users=[names[0].upper()], state="absent")["removed"] == [names[0]]


def test_a_name_that_needs_quoting_is_added_and_removed(user: Run, people: People) -> None:
    name = "erika.b+c d@example.org"
    assert user(users=[name])["added"] == [name]
    assert user(users=[name], state="absent")["removed"] == [name]
    assert name not in people.users()


def test_a_dry_run_tells_the_same_and_changes_nothing(
    user: Run, people: People, names: list[str]
) -> None:
    before = people.users()
    foreseen = user(users=names, check_mode=True, diff=True)
    assert people.users() == before
    done = user(users=names, diff=True)
    assert foreseen == done
    assert done["diff"] == {
        "before": {"users": {}},
        "after": {"users": {name: {"admin": False} for name in names}},
    }
    removal = user(users=names, state="absent", check_mode=True, diff=True)
    assert removal["removed"] == names and removal["diff"]["after"] == {"users": {}}
    assert set(names) <= people.users()


def test_users_are_removed_once(user: Run, people: People, names: list[str]) -> None:
    user(users=names)
    assert user(users=names, state="absent")["removed"] == names
    assert not user(users=names, state="absent")["changed"]
    assert not set(names) & people.users()


def test_purge_leaves_only_the_users_named_and_administrators(
    user: Run, people: People, names: list[str]
) -> None:
    user(users=names)
    result = user(users=names[:1], purge=True)
    assert set(names[1:]) <= set(result["removed"])
    assert result["kept"] == [ADMIN]
    assert people.users() == {ADMIN, names[0]}


def test_purge_never_removes_who_asks(user: Run, people: People, names: list[str]) -> None:
    result = user(users=names[:1], purge=True, purge_admins=True, token=people.grace)
    assert result["kept"] == [ADMIN] and ADMIN in people.users()


def test_purge_removes_administrators_only_where_that_is_said(
    user: Run, people: People, names: list[str]
) -> None:
    user(users=[{"name": names[0], "admin": True}], token=people.grace)
    assert user(users=names[1:2], purge=True)["kept"] == [names[0], ADMIN]
    done = user(users=names[1:2], purge=True, purge_admins=True, token=people.grace)
    assert done["removed"] == [names[0]]


def test_purge_with_an_empty_list_is_refused(user: Run, people: People) -> None:
    before = people.users()
    result = user(users=[], purge=True)
    assert result["failed"] and "would remove everybody" in result["msg"]
    assert people.users() == before


def test_the_right_of_administrators_is_given_and_taken(
    user: Run, people: People, names: list[str]
) -> None:
    admin = functools.partial(user, token=people.grace)
    mixed = [{"name": names[0], "admin": True}, names[1]]
    assert admin(users=mixed)["added"] == names[:2]
    assert not admin(users=mixed)["changed"]
    taken = admin(users=names[:2], admin=False, diff=True)
    assert taken["updated"] == names[:1]
    assert taken["diff"]["before"] == {"users": {names[0]: {"admin": True}}}
    assert admin(users=names[:2])["changed"] is False


def test_who_is_no_administrator_is_told_so_before_any_change(
    user: Run, people: People, names: list[str]
) -> None:
    result = user(users=[names[0], {"name": names[1], "admin": True}])
    assert f"the right of {names[1]} is to change" in result["msg"]
    assert "service ailab-hub-admin, who is no administrator" in result["msg"]
    assert "jupyterhub_admin_users" in result["msg"]
    assert not set(names) & people.users()


def test_who_asks_cannot_remove_themselves(user: Run, people: People) -> None:
    result = user(users=[ADMIN], state="absent", token=people.grace)
    assert result["failed"] and "lets nobody remove themselves" in result["msg"]


def test_a_user_whose_server_runs_is_not_removed_unless_that_is_said(
    user: Run, people: People, names: list[str]
) -> None:
    user(users=names)
    start_server(people, names[1])
    start_server(people, names[1], "second")
    refused = user(users=names, state="absent")
    assert f"have servers that run: {names[1]}." in refused["msg"]
    assert "stop_servers: true" in refused["msg"]
    assert set(names) <= people.users()
    servers = [f"{names[1]}/", f"{names[1]}/second"]
    foreseen = user(users=names, state="absent", stop_servers=True, check_mode=True)
    done = user(users=names, state="absent", stop_servers=True)
    assert foreseen["stopped"] == done["stopped"] == servers
    assert done["removed"] == names
    assert people.hub.routes() is not None
    assert not [path for path in people.hub.routes() or {} if names[1] in path]


def test_names_the_hub_refuses_are_all_named_and_nobody_is_added(
    user: Run, people: People, names: list[str]
) -> None:
    result = user(users=[names[0], "no!", "way?"])
    assert "Invalid usernames: no!, way?" in result["msg"]
    assert names[0] not in people.users()


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ([12], "entry 1: found 12, expected a name .one of digits alone needs quotes"),
        ([{"name": "a", "groups": []}], "entry 1 has groups, expected name and admin"),
        ([{"admin": True}], "entry 1: found an empty name"),
        ([{"name": "a", "admin": "yes"}], "admin: 'yes', expected true or false"),
        (["a/b", ""], "(?s)entry 1: 'a/b' has a slash.*entry 2: found an empty name"),
        (["a", {"name": "A", "admin": True}], "a is named twice, with different values"),
    ],
)
def test_entries_that_make_no_sense_are_named(user: Run, users: list[Any], said: str) -> None:
    result = user(users=users)
    assert result["failed"]
    assert re.search(said, result["msg"]), result["msg"]


def test_a_token_that_lacks_a_scope_is_told_which_before_any_change(
    user: Run, people: People, names: list[str]
) -> None:
    result = user(users=names, token=people.narrow, purge=True)
    said = result["msg"]
    assert "The token of service narrow from the option token lacks the scopes" in said
    assert "admin:users to add users; delete:users to remove users" in said
    assert "load_roles" in said
    assert people.narrow not in json.dumps(result)


def test_a_token_the_hub_does_not_know_is_told(user: Run, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong-token-0123456789")
    file.chmod(0o600)
    result = user(users=["a"], token_file=str(file))
    assert f"does not know the token from {file}" in result["msg"]


def test_a_class_of_500_is_added_and_removed_in_seconds(
    people: People, user: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pupils = [f"pupil{number:03}" for number in range(CLASS)]
    seconds = {}
    for what, options in {
        "add": {},
        "again": {},
        "remove": {"state": "absent"},
    }.items():
        start = time.monotonic()
        result = user(users=pupils, **options)
        seconds[what] = time.monotonic() - start
        assert not result.get("failed"), result
        assert result["changed"] == (what != "again")
    with capsys.disabled():
        figures = ", ".join(f"{what} {figure:.1f} s" for what, figure in seconds.items())
        print(f"\n{CLASS} users of JupyterHub {jupyterhub_version()}: {figures}")
    assert seconds["add"] < 60 and seconds["again"] < 20 and seconds["remove"] < 90


# -- what the hub tells --------------------------------------------------------------------------


def test_version_owner_and_parts_of_the_hub_are_told(info: Run, people: People) -> None:
    told = info()
    assert told["changed"] is False
    assert told["version"].startswith(".".join(map(str, jupyterhub_version())))
    assert told["api_url"] == f"{people.hub.url}hub/api"
    assert told["caller"]["kind"] == "service" and told["caller"]["name"] == "ailab-hub-admin"
    assert told["caller"]["admin"] is False and "list:users" in told["caller"]["scopes"]
    assert told["hub"]["authenticator"] == "jupyterhub.auth.DummyAuthenticator"
    assert told["hub"]["spawner"] == "jupyterhub.spawner.SimpleLocalProcessSpawner"
    assert {service["name"] for service in told["services"]} == {"ailab-hub-admin", "narrow"}
    assert "routes" not in told


def test_users_are_told_with_their_servers(
    info: Run, user: Run, people: People, names: list[str]
) -> None:
    user(users=names)
    start_server(people, names[2], "second")
    told = info(gather=["users"], users=[names[2].upper(), names[0], "nobody"])["users"]
    assert [entry["name"] for entry in told] == [names[0], names[2]]
    assert told[0]["servers"] == [] and told[0]["admin"] is False and told[0]["created"]
    (server,) = told[1]["servers"]
    assert server["name"] == "second" and server["ready"] is True and server["pending"] is None
    assert server["url"] == f"/user/{names[2]}/second/" and server["started"]
    active = info(gather=["users"], servers="active")["users"]
    assert [entry["name"] for entry in active] == [names[2]]
    idle = {entry["name"] for entry in info(gather=["users"], servers="inactive")["users"]}
    assert names[0] in idle and names[2] not in idle
    user(users=names, state="absent", stop_servers=True)


def test_more_users_than_a_page_holds_are_all_told(info: Run, user: Run) -> None:
    many = [f"page{number:03}" for number in range(230)]
    user(users=many)
    told = [entry["name"] for entry in info(gather=["users"])["users"]]
    assert told == sorted(told) and set(many) <= set(told)
    user(users=many, state="absent")


def test_routes_take_a_scope_the_service_does_not_have(info: Run, people: People) -> None:
    refused = info(gather=["routes"])
    assert "lacks the scope proxy. Expected: proxy for gather: [routes]" in refused["msg"]
    (route, *_) = info(gather=["routes"], token=people.grace)["routes"]
    assert route["path"] == "/" and route["target"].startswith("http://127.0.0.1:")
