# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role of administrators, with and without users' servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ailab_hub.administrators import keep_administrators_out_of_servers
from jupyterhub import orm, roles


@pytest.fixture
def default_roles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JupyterHub's own definition is back after the test."""
    monkeypatch.setattr(roles, "get_default_roles", roles.get_default_roles)
    yield


def scopes_of(name: str) -> set[str]:
    (role,) = (role for role in roles.get_default_roles() if role["name"] == name)
    return set(role["scopes"])


@pytest.mark.usefixtures("default_roles")
def test_the_role_loses_what_leads_into_servers_and_nothing_else() -> None:
    before = scopes_of("admin")
    keep_administrators_out_of_servers()
    keep_administrators_out_of_servers()
    assert before - scopes_of("admin") == {"access:servers", "shares", "tokens"}
    assert scopes_of("user") == {"self"}


@pytest.mark.usefixtures("default_roles")
def test_a_role_from_before_in_the_database_loses_it_too() -> None:
    session = orm.new_session_factory("sqlite:///:memory:")()
    for role in roles.get_default_roles():
        roles.create_role(session, role)
    keep_administrators_out_of_servers()
    for role in roles.get_default_roles():
        roles.create_role(session, role)
    stored = orm.Role.find(session, "admin")
    assert "admin:users" in stored.scopes
    assert not {"access:servers", "shares", "tokens"} & set(stored.scopes)
    session.close()
