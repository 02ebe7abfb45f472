# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the module `ailab.hub.jupyterhub_token` makes a token anew; and how it writes its file.

What it does with a hub is in tests/live/test_people.py.
"""

from __future__ import annotations

import datetime
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.ailab.hub.plugins.modules import jupyterhub_token as module
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub import orm, scopes

NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
OWNER = "alice"

# What a token can be asked for. Metascopes and those without an effect on a token are left out.
PLAIN = sorted(set(scopes.scope_definitions) - {"(no_scope)", "inherit", "self"})
ASKED = st.lists(
    st.sampled_from(
        ["self", *PLAIN, *(f"{scope}!user" for scope in PLAIN if "users" in scope)]
        + [f"{scope}!group=class" for scope in PLAIN if "groups" in scope]
        + ["servers!server=alice/", "access:servers!server=alice/lab"]
    ),
    max_size=6,
)


def of_the_hub(asked: list[str]) -> set[str]:
    """What a hub lists for a token of an administrator: what was asked for, and whose it is."""
    owner = orm.User(name=OWNER)
    listed = scopes.expand_scopes(asked, owner=owner) | scopes.identify_scopes(owner)
    return set(scopes.reduce_scopes(listed))


def test_what_each_scope_includes_is_what_jupyterhub_says() -> None:
    known = {
        name: set(definition["subscopes"])
        for name, definition in scopes.scope_definitions.items()
        if definition.get("subscopes")
    }
    later = module.LATER - set(scopes.scope_definitions)
    assert {name: set(inner) - later for name, inner in module.SUBSCOPES.items()} == known


def test_what_servers_include_is_up_to_the_version() -> None:
    of_5 = {"servers", "read:servers", "read:users:name", "delete:servers"}
    of_6 = of_5 | {"start:servers"}
    assert not module.differ(["servers"], of_5, OWNER)
    assert not module.differ(["servers"], of_6, OWNER)
    assert module.differ(["servers", "start:servers"], of_5 - {"servers"}, OWNER)
    assert module.differ(["read:servers", "delete:servers"], of_6, OWNER)


@given(ASKED)
def test_a_token_with_the_scopes_it_was_made_with_is_kept(asked: list[str]) -> None:
    assert not module.differ(asked, of_the_hub(asked), OWNER)


@given(ASKED, ASKED)
def test_a_token_that_may_do_other_things_is_not_kept(one: list[str], other: list[str]) -> None:
    before, after = of_the_hub(one), of_the_hub(other)
    # With self, more rights over the own account make no difference that is looked for.
    if before != after and "self" not in one + other:
        assert module.differ(other, before, OWNER)


def test_self_is_told_from_a_part_of_it() -> None:
    assert module.differ(["self"], of_the_hub(["read:users!user"]), OWNER)
    assert module.differ(["read:users!user"], of_the_hub(["self"]), OWNER)


def test_a_token_that_inherits_is_kept_whatever_it_may_do() -> None:
    assert not module.differ(["inherit"], ["list:users"], OWNER)


def test_what_scopes_of_the_configuration_include_is_left_to_the_hub() -> None:
    found = ["custom:grades:write", "custom:grades:read"]
    assert not module.differ(["custom:grades:write"], found, OWNER)
    assert module.differ(["custom:grades:write"], [*found, "list:users"], OWNER)


@pytest.mark.parametrize(
    ("left", "expires_in", "renew_before", "untimely"),
    [
        (None, None, 0, False),
        (None, 60, 0, True),
        (3600, None, 0, False),
        (3600, 3600, 0, False),
        (3630, 3600, 0, False),
        (3700, 3600, 0, True),
        (600, 3600, 600, True),
        (601, 3600, 600, False),
        (-1, None, 0, True),
    ],
)
def test_tokens_are_made_anew_in_time_and_not_for_too_long(
    left: int | None, expires_in: int | None, renew_before: int, untimely: bool
) -> None:
    expires_at = None
    if left is not None:
        expires_at = f"{NOW + datetime.timedelta(seconds=left):%Y-%m-%dT%H:%M:%SZ}"
    assert module.is_untimely(expires_at, NOW, expires_in, renew_before) == untimely


def test_times_of_the_hub_are_read_with_and_without_fractions() -> None:
    assert module.parse_time("2026-11-20T12:00:00Z") == NOW
    fraction = module.parse_time("2026-11-20T12:00:00.250000Z") - NOW
    assert fraction == datetime.timedelta(milliseconds=250)


def test_a_file_is_written_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    old = os.umask(0)
    try:
        module.write_file(str(file), "secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert module.read_file(str(file)) == "secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_is_replaced_keeps_its_owner_and_not_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    file.chmod(0o666)
    os.chown(file, 65534, 12345)
    module.write_file(str(file), "new")
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65534, 12345, 0o600)


def test_nothing_is_left_behind_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    with pytest.raises(OSError):
        module.write_file(str(tmp_path / "token"), "secret")
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("content", [b"two words", b"a\nb", b"\x00", b"x" * 5000])
def test_a_file_with_anything_else_is_not_taken_for_a_token(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="holds something that is no token"):
        module.read_file(str(file))


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_plain_file_is_told(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "token"
    if kind == "link":
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        file.mkdir()
    else:
        os.mkfifo(file)
    with pytest.raises(ValueError, match="is no plain file"):
        module.read_file(str(file))
