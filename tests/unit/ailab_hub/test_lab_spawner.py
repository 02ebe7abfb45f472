# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LabSpawner: what it adds to a lab's container, as a Docker Engine receives it."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
from ailab_hub import spawner
from ailab_hub.errors import SettingError
from ailab_hub.spawner import LabSpawner
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_checks import (
    USER_FIELDS,
    VOLUME_FIELDS,
)
from docker.types import Mount
from dockerspawner import DockerSpawner
from hypothesis import given
from hypothesis import strategies as st
from labs import Labs
from traitlets import TraitError

NOTEBOOKS = "/home/jupyter/notebooks"
SOCKET = "/var/run/docker.sock"

STRANGE_NAMES = [
    "ann.b+c@example.org",
    "jörg",
    "Alice",
    "alice",
    "a-b",
    "a--b",
    "a",
    "a_b",
    "{username}",
    "x" * 200,
    "x" * 199 + "y",
    "ü" * 200,
    "-" * 64,
]


def mounts(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The mounts of a container by target."""
    return {mount["Target"]: mount for mount in definition["HostConfig"].get("Mounts") or ()}


# -- the user's volume ---------------------------------------------------------------------------


def test_a_lab_gets_a_labelled_volume_of_its_user(labs: Labs) -> None:
    volume = mounts(labs.start("ann.b"))[NOTEBOOKS]
    assert volume["Type"] == "volume"
    assert volume["Source"] == "ailab-ann-2eb"
    assert volume["VolumeOptions"]["Labels"] == {
        "ailab.hub": "user-volume",
        "ailab.hub.user": "ann.b",
    }


def test_name_and_path_of_the_volume_are_templates(labs: Labs) -> None:
    definition = labs.start(
        "ann", user_volume_name="home-{username}-1", user_volume_path="/home/{username}"
    )
    assert mounts(definition)["/home/ann"]["Source"] == "home-ann-1"


def test_an_empty_path_means_no_volume(labs: Labs) -> None:
    assert mounts(labs.start(user_volume_path="")) == {}


def test_servers_of_one_user_share_the_volume_but_not_the_container(labs: Labs) -> None:
    first, second = labs.start("ann"), labs.start("ann", server="gpu")
    assert mounts(first)[NOTEBOOKS]["Source"] == mounts(second)[NOTEBOOKS]["Source"]
    assert len(labs.engine.created) == 2


@pytest.mark.parametrize(
    "traits",
    [
        pytest.param({"volumes": {"/data/{username}": "/data"}}, id="volumes"),
        pytest.param({"read_only_volumes": {"/data/{username}": "/data"}}, id="read_only_volumes"),
        pytest.param(
            {"mounts": [{"source": "/data/{username}", "target": "/data", "type": "bind"}]},
            id="mounts",
        ),
        pytest.param(
            {"extra_host_config": {"mounts": [Mount("/data", "/data/{username}", type="bind")]}},
            id="extra_host_config mounts",
        ),
        pytest.param(
            {"extra_host_config": {"binds": ["/data/{username}:/data"]}},
            id="extra_host_config binds",
        ),
        pytest.param(
            {"extra_host_config": lambda spawner: {"binds": [f"/data/{spawner.user.name}:/data"]}},
            id="extra_host_config callable",
        ),
    ],
)
def test_what_the_administrator_mounts_is_there_too(labs: Labs, traits: dict[str, Any]) -> None:
    definition = labs.start("ann", **traits)
    host_config = definition["HostConfig"]
    binds = {tuple(bind.split(":")[:2]) for bind in host_config.get("Binds") or ()}
    binds |= {(mount["Source"], target) for target, mount in mounts(definition).items()}
    assert binds == {("/data/ann", "/data"), ("ailab-ann", NOTEBOOKS)}


@pytest.mark.parametrize(
    "traits",
    [
        pytest.param({"volumes": {"his": NOTEBOOKS}}, id="volumes"),
        pytest.param({"volumes": {"his": {"bind": NOTEBOOKS + "/", "mode": "ro"}}}, id="slash"),
        pytest.param({"read_only_volumes": {"his": NOTEBOOKS}}, id="read_only_volumes"),
        pytest.param(
            {"mounts": [{"source": "his", "target": NOTEBOOKS, "type": "volume"}]}, id="mounts"
        ),
        pytest.param({"extra_host_config": {"binds": [f"his:{NOTEBOOKS}"]}}, id="extra binds"),
        pytest.param(
            {"extra_host_config": {"mounts": [Mount(NOTEBOOKS, "his")]}}, id="extra mounts"
        ),
        pytest.param({"extra_host_config": {"tmpfs": {NOTEBOOKS: "size=1g"}}}, id="tmpfs"),
    ],
)
def test_a_mount_of_the_administrator_at_the_same_path_wins(
    labs: Labs, traits: dict[str, Any]
) -> None:
    definition = labs.start(**traits)
    assert "ailab-alice" not in str(definition["HostConfig"])


def test_the_replaced_volume_is_logged_once(labs: Labs, caplog: pytest.LogCaptureFixture) -> None:
    for user in ("ann", "ben"):
        spawner = labs.spawner(user, volumes={"shared": NOTEBOOKS})
        spawner.log = logging.getLogger("hub")
        with caplog.at_level(logging.INFO, "hub"):
            asyncio.run(spawner.start())
    said = [record.getMessage() for record in caplog.records if NOTEBOOKS in record.getMessage()]
    assert len(said) == 1
    assert "the user volume ailab-ann is not mounted there" in said[0]


def test_starting_again_changes_no_trait_of_the_administrator(labs: Labs) -> None:
    extra = {"mounts": [dict(Mount("/data", "data"))]}
    spawner = labs.spawner(extra_host_config=extra, extra_create_kwargs={"labels": {"team": "x"}})
    before = str(spawner.extra_host_config), str(spawner.extra_create_kwargs)
    labs.start("ben", extra_host_config=extra, extra_create_kwargs={"labels": {"team": "x"}})
    assert len(extra["mounts"]) == 1
    assert (str(spawner.extra_host_config), str(spawner.extra_create_kwargs)) == before


@pytest.mark.parametrize("name", ["shared", "x-{servername}", "x-{user}", "x-{username", "{}"])
def test_a_volume_name_that_users_would_share_or_that_is_no_template_is_refused(name: str) -> None:
    with pytest.raises(SettingError) as refusal:
        LabSpawner(user_volume_name=name)
    assert name not in str(refusal.value)


@pytest.mark.parametrize("path", ["notebooks", "/", "/home/..", "/home/{user}"])
def test_a_volume_path_that_is_not_absolute_is_refused(path: str) -> None:
    with pytest.raises(SettingError):
        LabSpawner(user_volume_path=path)


# -- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_labels", "expected"),
    [
        (None, {}),
        ({"team": "{username}"}, {"team": "jörg"}),
        (["team"], {"team": ""}),
        ({"ailab.hub": "hub"}, {}),
    ],
)
def test_a_lab_is_labelled_on_top_of_the_administrators_labels(
    labs: Labs, given_labels: Any, expected: dict[str, str]
) -> None:
    extra: dict[str, Any] = (
        {} if given_labels is None else {"extra_create_kwargs": {"labels": given_labels}}
    )
    labels = labs.start("jörg", escape=lambda text: text.replace("ö", "o"), **extra)["Labels"]
    ours = {"ailab.hub": "lab", "ailab.hub.user": "jörg"}
    assert labels == {key: value.replace("ö", "o") for key, value in expected.items()} | ours


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRANGE_NAMES, ids=lambda name: f"{name[:12]}_{len(name)}")
def test_any_user_name_starts_a_lab(labs: Labs, name: str) -> None:
    definition = labs.start(name)
    assert definition["Labels"]["ailab.hub.user"] == name


def test_strange_users_share_neither_volume_nor_container(labs: Labs) -> None:
    volumes = {mounts(labs.start(name))[NOTEBOOKS]["Source"] for name in STRANGE_NAMES}
    assert len(volumes) == len(labs.engine.created) == len(STRANGE_NAMES)


user_names = st.text(min_size=1, max_size=255)


@given(user_names, user_names)
def test_no_two_texts_are_escaped_alike(one: str, other: str) -> None:
    assert (LabSpawner._escape(one) == LabSpawner._escape(other)) == (one == other)


@given(user_names)
def test_an_escaped_name_is_a_dns_label(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,63}", LabSpawner._escape(name))
    assert "--" not in LabSpawner._escape(name)
    assert not LabSpawner._escape(name).endswith("-")


@given(st.text(max_size=20))
def test_a_short_name_is_escaped_as_dockerspawner_does(name: str) -> None:
    upstream = DockerSpawner._escape(name)
    if len(upstream) <= 63:
        assert LabSpawner._escape(name) == upstream


server_names = st.text(max_size=80)
pieces = st.sampled_from(["a", "-", "--", "x", "ü", "A", "-x", "0", "x" * 40])
tricky = st.lists(pieces, min_size=1, max_size=8).map("".join)


@given(
    st.tuples(user_names | tricky, server_names | tricky),
    st.tuples(user_names | tricky, server_names | tricky),
)
def test_servers_of_different_users_never_have_one_container(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    def container(user: str, server: str) -> str:
        # the two default values of DockerSpawner.name_template
        name = LabSpawner._escape(user)
        return f"{name}--{LabSpawner._escape(server.lower())}" if server else name

    if one[0] != other[0]:
        assert container(*one) != container(*other)


def test_the_names_of_existing_volumes_never_change() -> None:
    assert LabSpawner._escape("Jörg.B") == "-4a-c3-b6rg-2e-42"
    long = "x" * 29 + "-xaa20c23e3201834050679e1d88941b9a"
    assert LabSpawner._escape("x" * 200) == long


# -- command -------------------------------------------------------------------------------------

SEED = ["sudo", "-E", "python3", "/home/jupyter/entrypoint.py"]
CLEARED = ["sudo", "-E", "setpriv", "--clear-groups", "python3", "/home/jupyter/entrypoint.py"]


def test_without_a_socket_the_groups_of_root_are_dropped(labs: Labs) -> None:
    assert labs.start(cmd=SEED)["Cmd"] == CLEARED


def test_with_the_socket_the_entrypoint_sets_the_groups_itself(labs: Labs) -> None:
    assert labs.start(cmd=SEED, docker_access="host")["Cmd"] == SEED


def test_a_command_of_the_image_is_treated_alike(labs: Labs) -> None:
    labs.engine.image_command = SEED
    assert labs.start(cmd=None)["Cmd"] == CLEARED


def test_another_command_stays_as_it_is(labs: Labs) -> None:
    assert labs.start(cmd=["start-lab"], args=["--x"])["Cmd"] == ["start-lab", "--x"]


# -- Docker's socket -----------------------------------------------------------------------------


def test_by_default_no_socket_is_mounted(labs: Labs) -> None:
    assert "docker.sock" not in str(labs.start()["HostConfig"])


def test_host_access_mounts_the_socket_in_a_way_that_fails_if_it_is_missing(labs: Labs) -> None:
    definition = labs.start(docker_access="host", docker_socket="/run/user/1/docker.sock")
    assert mounts(definition)[SOCKET] == {
        "Target": SOCKET,
        "Source": "/run/user/1/docker.sock",
        "Type": "bind",
        "ReadOnly": False,
    }


@pytest.mark.parametrize("target", [SOCKET, "/run/docker.sock"])
def test_a_socket_the_administrator_mounts_himself_is_not_mounted_twice(
    labs: Labs, target: str
) -> None:
    definition = labs.start(docker_access="host", volumes={"/srv/filtered.sock": target})
    assert SOCKET not in mounts(definition)
    assert definition["HostConfig"]["Binds"] == [f"/srv/filtered.sock:{target}:rw"]


@pytest.mark.parametrize("access", ["Host", "engine", "yes", True, None])
def test_an_unknown_kind_of_access_is_refused(access: object) -> None:
    with pytest.raises(TraitError):
        LabSpawner(docker_access=access)


def test_the_check_of_the_inventory_knows_the_fields_of_a_volumes_name() -> None:
    assert (VOLUME_FIELDS, USER_FIELDS) == (
        spawner._TEMPLATE_FIELDS,
        spawner._FIELDS_OF_ONE_USER,
    )
