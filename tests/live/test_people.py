# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for people, against a real JupyterHub, with the service that the role gives a hub."""

from __future__ import annotations

import errno
import functools
import itertools
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.modules import ROOT, module_runner

from .jupyterhub_client import JupyterHubClient, JupyterHubError
from .local_hub import LocalHub, jupyterhub_version, wait_for
from .test_route_keeping_proxy import SERVER

# isort: split
# Known to Python once tests.modules is imported.
from ansible_collections.ailab.hub.plugins.modules import (
    jupyterhub_group,
    jupyterhub_info,
    jupyterhub_token,
    jupyterhub_user,
)

pytestmark = pytest.mark.slow

TOKEN_FILE = "admin_api_token"
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

    @property
    def version(self) -> str:
        return ".".join(map(str, jupyterhub_version()))

    def users(self) -> set[str]:
        """The names of all users."""
        with JupyterHubClient(self.hub.url, token=self.grace) as client:
            return {
                user["name"]
                for offset in range(0, 1000, 200)
                for user in client.api("GET", f"users?limit=200&offset={offset}")
            }


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


def with_service(folder: Path) -> str:
    """The end of a configuration with the service the role adds, and a file with its token."""
    token_file = folder / TOKEN_FILE
    token_file.write_text(f"{SERVICE_TOKEN}\n")
    token_file.chmod(0o400)
    return (
        "from ailab_hub.admin_service import add_admin_service\n"
        f"add_admin_service(c, {str(token_file)!r})"
    )


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("hub")
    with LocalHub(folder, hub_config(folder), code=with_service(folder)) as hub:
        with JupyterHubClient(hub.url) as admin:
            admin.login(ADMIN, "any")
            grace = admin.api("POST", f"users/{ADMIN}/tokens", {})["token"]
        yield People(hub, folder / TOKEN_FILE, grace)


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
def group(run: Run) -> Run:
    return functools.partial(run, jupyterhub_group)


@pytest.fixture
def token(run: Run) -> Run:
    return functools.partial(run, jupyterhub_token)


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
    assert (
        "service ailab-hub-admin-" in result["msg"] and "who is no administrator" in result["msg"]
    )
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


def test_a_class_of_500_comes_and_goes_in_seconds(
    people: People, user: Run, group: Run, info: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pupils = [f"pupil{number:03}" for number in range(CLASS)]
    seconds = {}
    for what, call, is_change in (
        ("added", functools.partial(user, users=pupils), True),
        ("added again", functools.partial(user, users=pupils), False),
        ("grouped", functools.partial(group, groups=[{"name": "class", "users": pupils}]), True),
        ("told", info, False),
        ("removed", functools.partial(user, users=pupils, state="absent"), True),
    ):
        start = time.monotonic()
        result = call()
        seconds[what] = time.monotonic() - start
        assert not result.get("failed"), result
        assert result["changed"] == is_change
        if what == "told":
            told = {entry["name"]: entry["groups"] for entry in result["users"]}
            assert [told[pupil] for pupil in pupils] == [["class"]] * CLASS
    with capsys.disabled():
        figures = ", ".join(f"{what} {figure:.1f} s" for what, figure in seconds.items())
        print(f"\n{CLASS} users, JupyterHub {people.version}: {figures}")
    assert not set(pupils) & people.users()
    assert max(seconds.values()) < 90


# -- groups --------------------------------------------------------------------------------------


@pytest.fixture
def groups(names: list[str]) -> list[str]:
    """Two names of groups nobody has had yet, one of them hard to put into an address."""
    return [f"{names[0]}'s group", f"{names[1]}/ä%2F group"]


def told_groups(info: Run, names: list[str]) -> dict[str, dict[str, Any]]:
    """What the hub tells of groups, by their names."""
    found = {entry.pop("name"): entry for entry in info(gather=["groups"])["groups"]}
    return {name: entry for name, entry in found.items() if name in names}


def test_groups_are_made_with_members_and_properties_once(
    group: Run, user: Run, info: Run, names: list[str], groups: list[str]
) -> None:
    user(users=names)
    wanted = [
        {"name": groups[0], "users": names[:2], "properties": {"room": "A 12", "seats": [1, 2]}},
        {"name": groups[1], "users": [names[2].upper()]},
    ]
    done = group(groups=wanted)
    assert (done["changed"], done["added"]) == (True, groups)
    assert told_groups(info, groups) == {
        groups[0]: {"users": names[:2], "properties": {"room": "A 12", "seats": [1, 2]}},
        groups[1]: {"users": names[2:], "properties": {}},
    }
    assert {entry["name"]: entry["users"] for entry in done["groups"]} == {
        groups[0]: names[:2],
        groups[1]: names[2:],
    }
    assert not group(groups=wanted)["changed"]


@pytest.mark.parametrize(
    ("membership", "left"), [("exact", [1]), ("present", [0, 1]), ("absent", [0])]
)
def test_members_become_what_membership_says(
    group: Run,
    user: Run,
    info: Run,
    names: list[str],
    groups: list[str],
    membership: str,
    left: list[int],
) -> None:
    user(users=names)
    group(groups=[{"name": groups[0], "users": names[:1]}])
    change = {"groups": [{"name": groups[0], "users": [names[1]]}], "membership": membership}
    assert group(**change)["changed"] == (membership != "absent")
    assert told_groups(info, groups)[groups[0]]["users"] == [names[number] for number in left]
    assert not group(**change)["changed"]


def test_what_is_not_named_of_a_group_stays(
    group: Run, user: Run, info: Run, names: list[str], groups: list[str]
) -> None:
    user(users=names)
    group(groups=[{"name": groups[0], "users": names, "properties": {"a": 1}}])
    assert not group(groups=[{"name": groups[0]}])["changed"]
    assert group(groups=[{"name": groups[0], "properties": {}}])["updated"] == groups[:1]
    assert told_groups(info, groups)[groups[0]] == {"users": names, "properties": {}}
    assert group(groups=[{"name": groups[0], "users": []}])["updated"] == groups[:1]
    assert told_groups(info, groups)[groups[0]]["users"] == []


def test_a_dry_run_with_groups_tells_the_same_and_changes_nothing(
    group: Run, user: Run, info: Run, names: list[str], groups: list[str]
) -> None:
    user(users=names)
    group(groups=[{"name": groups[0], "users": names[:1]}])
    wanted = {"groups": [{"name": groups[0], "users": names[1:2]}, {"name": groups[1]}]}
    before = told_groups(info, groups)
    foreseen = group(**wanted, check_mode=True, diff=True)
    assert told_groups(info, groups) == before
    assert foreseen == group(**wanted, diff=True)
    assert foreseen["diff"]["before"] == {
        "groups": {groups[0]: {"users": names[:1], "properties": {}}}
    }
    assert foreseen["diff"]["after"] == {
        "groups": {
            groups[0]: {"users": names[1:2], "properties": {}},
            groups[1]: {"users": [], "properties": {}},
        }
    }


def test_groups_are_removed_once_and_their_members_stay(
    group: Run, user: Run, info: Run, people: People, names: list[str], groups: list[str]
) -> None:
    user(users=names)
    group(groups=[{"name": name, "users": names} for name in groups])
    absent = {"groups": [{"name": name} for name in groups], "state": "absent"}
    assert group(**absent, check_mode=True)["removed"] == groups
    assert group(**absent)["removed"] == groups
    assert not group(**absent)["changed"]
    assert told_groups(info, groups) == {}
    assert set(names) <= people.users()


def test_members_the_hub_does_not_know_are_all_named_before_any_change(
    group: Run, info: Run, names: list[str], groups: list[str]
) -> None:
    wanted = [{"name": groups[0], "users": names[:2]}, {"name": groups[1], "users": names[2:]}]
    refused = group(groups=wanted)
    assert f"{groups[0]}: the hub has no user {names[0]}, {names[1]}." in refused["msg"]
    assert f"{groups[1]}: the hub has no user {names[2]}." in refused["msg"]
    assert "ailab.hub.jupyterhub_user" in refused["msg"]
    assert told_groups(info, groups) == {}
    foreseen = group(groups=wanted, check_mode=True)
    assert foreseen["changed"] and len(foreseen["warnings"]) == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([{"name": "x"}, {"name": "x"}], "groups: x is named twice"),
        ([{"name": ".."}], "entry 1 has the name '..'"),
        ([{"name": "x", "users": [1]}], "groups: x: users: found 1, expected a name"),
    ],
)
def test_groups_that_make_no_sense_are_named(
    group: Run, wanted: list[dict[str, Any]], said: str
) -> None:
    assert said in group(groups=wanted)["msg"]


def test_groups_of_the_sign_in_are_left_to_it_or_told_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = hub_config(tmp_path)
    config["Authenticator"]["manage_groups"] = True
    with LocalHub(tmp_path, config, code=with_service(tmp_path)) as hub:
        result = module_runner(capsys, monkeypatch)(
            jupyterhub_group,
            url=hub.url,
            token_file=str(tmp_path / TOKEN_FILE),
            groups=[{"name": "monday"}],
        )
    if jupyterhub_version() >= (5, 3):
        assert result["added"] == ["monday"]
    else:
        assert "Authenticator.manage_groups is on" in result["msg"]


# -- tokens --------------------------------------------------------------------------------------


@pytest.fixture
def alice(user: Run, names: list[str]) -> str:
    """A user of the hub."""
    user(users=names)
    return names[0]


@pytest.fixture
def mine(token: Run, alice: str, tmp_path: Path) -> Run:
    """Asks for a token of alice's in the file `token`."""
    return functools.partial(token, user=alice, note="nightly", path=str(tmp_path / "token"))


def owner_of(people: People, file: Path) -> tuple[str, set[str]] | None:
    """Whose the token in a file is, and its scopes; None if the hub does not know it."""
    with JupyterHubClient(people.hub.url, token=file.read_text().strip()) as client:
        try:
            model = client.me()
        except JupyterHubError:
            return None
    return model["name"], set(model["scopes"])


def notes_of(people: People, name: str) -> list[str]:
    """The notes of a user's tokens."""
    with JupyterHubClient(people.hub.url, token=people.grace) as client:
        return sorted(
            token["note"] for token in client.api("GET", f"users/{name}/tokens")["api_tokens"]
        )


def test_a_token_is_made_once_in_a_file_only_its_owner_reads(
    mine: Run, people: People, alice: str, tmp_path: Path
) -> None:
    done = mine(scopes=["read:users!user"])
    assert done["changed"] and done["reasons"] == ["missing"]
    file = tmp_path / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    owner = owner_of(people, file)
    assert owner is not None and owner[0] == alice
    assert f"read:users!user={alice}" in owner[1]
    again = mine(scopes=["read:users!user"])
    assert not again["changed"] and again["id"] == done["id"]
    assert again["scopes"] == done["scopes"]


def test_the_token_is_in_no_result(mine: Run, tmp_path: Path) -> None:
    results = [mine(diff=True), mine(diff=True), mine(expires_in=60, diff=True)]
    assert (tmp_path / "token").read_text().strip() not in json.dumps(results)
    assert [result["changed"] for result in results] == [True, False, True]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.unlink(), id="missing"),
        pytest.param(lambda file: file.write_text(""), id="empty"),
        pytest.param(lambda file: file.write_text("another-token-0123456789"), id="unknown"),
    ],
)
def test_a_token_that_is_not_in_its_file_is_made_anew_and_the_old_one_revoked(
    mine: Run, people: People, alice: str, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    first = mine()
    spoil(tmp_path / "token")
    second = mine()
    assert second["reasons"] == ["file"] and second["revoked"] == [first["id"]]
    assert owner_of(people, tmp_path / "token") is not None
    assert notes_of(people, alice) == ["nightly"]


def test_a_revoked_token_is_made_anew(mine: Run, people: People, alice: str) -> None:
    first = mine()
    with JupyterHubClient(people.hub.url, token=people.grace) as admin:
        admin.api("DELETE", f"users/{alice}/tokens/{first['id']}")
    assert mine()["reasons"] == ["missing"]


def test_other_tokens_of_the_user_are_left_alone(mine: Run, people: People, alice: str) -> None:
    mine()
    mine(note="daily")
    assert notes_of(people, alice) == ["daily", "nightly"]


@pytest.mark.parametrize(
    "scopes",
    [
        ["self"],
        ["inherit"],
        [],
        ["read:users!user", "tokens!user"],
        ["users:activity!user"],
        ["servers!user", "access:servers!user"],
        ["access:servers!server={user}/"],
        ["servers!server={user}/"],
        ["self", "read:users!user={user}"],
        ["users:shares!user"],
    ],
    ids=" ".join,
)
def test_scopes_that_are_the_same_make_no_new_token(
    mine: Run, alice: str, scopes: list[str]
) -> None:
    wanted = [scope.format(user=alice) for scope in scopes]
    first = mine(scopes=wanted)
    assert first["changed"], first
    foreseen = mine(scopes=wanted, check_mode=True)
    assert not foreseen["changed"], (foreseen, first)
    assert not mine(scopes=wanted)["changed"]


@pytest.mark.parametrize(
    "scopes",
    [
        ["admin:users"],
        ["admin:groups", "list:services"],
        ["admin:servers", "tokens"],
        ["read:users!group=x", "list:users!user=bob"],
        ["shares", "read:hub", "proxy", "read:metrics", "read:roles", "admin:services"],
        ["users", "users!user=bob", "self"],
        ["servers!server=bob/", "servers!user=carol"],
    ],
    ids=" ".join,
)
def test_the_scopes_of_administrators_are_understood_too(
    token: Run, tmp_path: Path, scopes: list[str]
) -> None:
    mine = functools.partial(
        token, user=ADMIN, note="nightly", path=str(tmp_path / "token"), scopes=scopes
    )
    assert mine()["changed"]
    foreseen = mine(check_mode=True)
    assert not foreseen["changed"], foreseen
    token(user=ADMIN, note="nightly", state="absent")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["self"], ["read:users!user"]),
        (["read:users!user"], ["self"]),
        (["read:users!user"], ["read:users:name!user"]),
        (["read:users:name!user"], ["read:users!user"]),
        (None, ["read:users!user"]),
        (["servers!user"], []),
    ],
)
def test_a_token_with_other_scopes_is_replaced(
    mine: Run, people: People, tmp_path: Path, before: list[str] | None, after: list[str]
) -> None:
    first = mine(scopes=before)
    foreseen = mine(scopes=after, check_mode=True)
    assert (foreseen["reasons"], foreseen["revoked"]) == (["scopes"], [first["id"]])
    done = mine(scopes=after)
    assert (done["reasons"], done["revoked"]) == (["scopes"], [first["id"]])
    owner = owner_of(people, tmp_path / "token")
    assert owner is not None and owner[1] <= set(done["scopes"])
    assert not mine(scopes=after)["changed"]


def test_a_token_that_expires_soon_is_renewed(mine: Run, people: People, tmp_path: Path) -> None:
    first = mine(expires_in=3600)
    assert first["expires_at"]
    assert not mine(expires_in=3600, renew_before=600)["changed"]
    assert not mine()["changed"]
    renewed = mine(expires_in=7200, renew_before=3700)
    assert renewed["reasons"] == ["expiry"] and renewed["revoked"] == [first["id"]]
    assert renewed["expires_at"] > first["expires_at"]


def test_a_token_that_lives_too_long_is_replaced(mine: Run) -> None:
    mine()
    assert mine(expires_in=3600)["reasons"] == ["expiry"]
    assert mine(expires_in=600)["reasons"] == ["expiry"]
    assert not mine(expires_in=600)["changed"]


def test_an_expired_token_is_made_anew(mine: Run, people: People, tmp_path: Path) -> None:
    mine(expires_in=1)
    wait_for(lambda: owner_of(people, tmp_path / "token") is None, 10, "the token has expired")
    assert mine(expires_in=1)["changed"]


def test_a_dry_run_makes_no_token(mine: Run, people: People, alice: str, tmp_path: Path) -> None:
    foreseen = mine(scopes=["self"], check_mode=True, diff=True)
    assert foreseen["changed"] and foreseen["reasons"] == ["missing"] and foreseen["id"] is None
    assert foreseen["diff"]["before"] == {}
    assert foreseen["diff"]["after"]["scopes"] == ["self"]
    assert notes_of(people, alice) == [] and not (tmp_path / "token").exists()


def test_a_token_is_revoked_once_with_its_file(
    mine: Run, people: People, alice: str, tmp_path: Path
) -> None:
    first = mine()
    assert mine(state="absent", check_mode=True)["revoked"] == [first["id"]]
    assert (tmp_path / "token").exists()
    assert mine(state="absent")["revoked"] == [first["id"]]
    assert notes_of(people, alice) == [] and not (tmp_path / "token").exists()
    assert not mine(state="absent")["changed"]
    assert not mine(state="absent", user="nobody")["changed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_group_and_mode_of_the_file_are_set_and_kept(mine: Run, tmp_path: Path) -> None:
    def attributes() -> tuple[int, int, int]:
        status = (tmp_path / "token").stat()
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    mine(owner="nobody", group="12345", mode="0440")
    assert attributes() == (65534, 12345, 0o440)
    assert not mine(mode="0440")["changed"]
    assert mine(mode="0440", expires_in=60)["changed"]
    assert attributes() == (65534, 12345, 0o440)
    assert mine(expires_in=60, check_mode=True)["changed"]
    assert mine(expires_in=60)["changed"]
    assert attributes() == (65534, 12345, 0o600)


def test_a_file_that_is_no_token_is_left_alone(
    mine: Run, people: People, alice: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("root:x:0:0:root\nbin:x:1:1:bin\n")
    for state in ("present", "absent"):
        assert "holds something that is no token" in mine(state=state)["msg"]
    assert file.read_text().startswith("root:x") and notes_of(people, alice) == []
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert "is no plain file" in mine()["msg"]


def test_a_token_that_cannot_be_written_is_revoked(
    mine: Run, people: People, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a full disk does; root is refused nothing else.
    def full(_path: str, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jupyterhub_token, "write_file", full)
    assert "No space left on device" in mine()["msg"]
    assert notes_of(people, alice) == []


def test_a_file_with_the_token_in_use_can_be_renewed_by_it(
    token: Run, people: People, alice: str, tmp_path: Path
) -> None:
    own = {"user": alice, "note": "own", "path": str(tmp_path / "own")}
    token(**own, expires_in=60)
    renewed = token(**own, token_file=own["path"], expires_in=600, renew_before=120)
    assert renewed["reasons"] == ["expiry"], renewed
    assert notes_of(people, alice) == ["own"]
    assert owner_of(people, tmp_path / "own") is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user": "nobody"}, "the hub has no user nobody. Add the user first"),
        ({"user": "a/b"}, "user: 'a/b' has a slash"),
        ({"note": " "}, "note: expected one to 1023 letters"),
        ({"expires_in": 0}, "expires_in: found 0"),
        ({"expires_in": 60, "renew_before": 60}, "expected less than expires_in (60)"),
        ({"path": "/no/such/folder/token"}, "there is no folder /no/such/folder"),
        ({"mode": 384}, "mode: expected four octal digits in quotes"),
        ({"mode": "0644"}, "mode: 0644 lets everybody on the host at the token"),
        ({"scopes": ["no:such"]}, "no:such"),
        ({"scopes": ["admin:users"]}, "Not assigning requested scopes"),
        ({"state": "present", "path": None}, "path"),
    ],
)
def test_what_makes_no_token_is_said_before_any_change(
    mine: Run, people: People, alice: str, options: dict[str, Any], said: str
) -> None:
    result = mine(**options)
    assert result["failed"] and said in result["msg"]
    assert notes_of(people, alice) == []


def test_a_token_for_a_user_who_is_still_to_be_added_is_foreseen(mine: Run) -> None:
    foreseen = mine(user="later", check_mode=True)
    assert foreseen["changed"] and "has no user later" in foreseen["warnings"][0]


# -- the service of the role ---------------------------------------------------------------------


def test_another_token_of_the_service_makes_the_former_one_void(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = module_runner(capsys, monkeypatch)
    with LocalHub(tmp_path, hub_config(tmp_path), code=with_service(tmp_path)) as hub:
        ask = functools.partial(call, jupyterhub_info, url=hub.url, gather=["users"])
        assert ask(token=SERVICE_TOKEN)["caller"]["kind"] == "service"
        hub.stop_hub()
        (tmp_path / TOKEN_FILE).chmod(0o600)
        (tmp_path / TOKEN_FILE).write_text(SERVICE_TOKEN[::-1])
        hub.start_hub()
        assert ask(token=SERVICE_TOKEN[::-1])["caller"]["kind"] == "service"
        assert "does not know the token" in ask(token=SERVICE_TOKEN)["msg"]


# -- what the hub tells --------------------------------------------------------------------------


def test_version_owner_and_parts_of_the_hub_are_told(info: Run, people: People) -> None:
    told = info()
    assert told["changed"] is False
    assert told["version"] == people.version
    assert told["api_url"] == f"{people.hub.url}hub/api"
    assert told["caller"]["kind"] == "service"
    assert told["caller"]["admin"] is False and "list:users" in told["caller"]["scopes"]
    assert told["hub"]["authenticator"] == "jupyterhub.auth.DummyAuthenticator"
    assert told["hub"]["spawner"] == "jupyterhub.spawner.SimpleLocalProcessSpawner"
    own, other = (service["name"] for service in told["services"])
    assert own == told["caller"]["name"] and own.startswith("ailab-hub-admin-")
    assert other == "narrow"
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


# -- the examples of the modules' pages ----------------------------------------------------------

# Every example asks this one module of the collection; others are of Ansible itself.
MODULES = [jupyterhub_user, jupyterhub_group, jupyterhub_token, jupyterhub_info]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_examples_of_a_page_work_as_they_stand(
    module: Any, people: People, user: Run, tmp_path: Path
) -> None:
    """But for the addresses and paths that are the reader's."""
    user(users=["somebody"], purge=True, stop_servers=True)
    (tmp_path / "class.csv").write_text("user,name\ndave,Dave D.\nerin,Erin E.\n")
    text = str(module.EXAMPLES)
    for theirs, here in {
        "http://127.0.0.1:8000/": people.hub.url,
        "https://hub.example.org/": people.hub.url,
        "/var/lib/ailab-hub/secrets/admin_api_token": str(people.service),
        "/etc/ssl/hub-ca.pem": certifi.where(),
        "/etc/course": str(tmp_path / "course"),
    }.items():
        text = text.replace(theirs, here)
    (tmp_path / "examples.yml").write_text(text)
    (tmp_path / "vault.json").write_text(json.dumps({"vault_hub_admin_token": people.grace}))
    variables = {"ansible_connection": "local", "ansible_become": False}
    variables["ansible_python_interpreter"] = sys.executable
    hosts = {"hub": {"hosts": {"hub1": variables}}, "all": {"hosts": {"localhost": variables}}}
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    before = people.users()
    for options in (["--check", "--diff"], []):
        done = subprocess.run(
            ["ansible-playbook", "-i", "hosts.json", "-e", "@vault.json", "examples.yml", *options],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert people.grace not in done.stdout
        assert not options or people.users() == before
