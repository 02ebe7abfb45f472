# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's service joins whatever a configuration has of services and roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ailab_hub.admin_service import NAME, SCOPES, add_admin_service
from ailab_hub.config import SecretFileError
from ailab_hub.errors import SettingError
from jupyterhub.app import JupyterHub
from jupyterhub.scopes import scope_definitions
from traitlets.config import Config

CULLER = {"name": "idle-culler", "command": ["true"]}
TOKEN = "0123456789abcdef" * 4


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "admin_api_token"
    file.write_text(f"{TOKEN}\n")
    return file


def names(c: Config, trait: str) -> list[str]:
    """The names JupyterHub reads in a list of the configuration."""
    return [entry["name"] for entry in getattr(JupyterHub(config=c, classes=[JupyterHub]), trait)]


def test_it_is_the_only_one_where_there_is_no_other(token_file: Path) -> None:
    c = Config()
    add_admin_service(c, token_file)
    (name,) = names(c, "services")
    assert c.JupyterHub.services == [{"name": name, "api_token": TOKEN}]
    assert name.startswith(f"{NAME}-") and TOKEN[:8] not in name
    assert names(c, "load_roles") == [NAME]
    assert c.JupyterHub.load_roles[0]["services"] == [name]


@pytest.mark.parametrize("way", ["set", "append", "extend", "insert"])
def test_services_and_roles_of_the_inventory_stay(token_file: Path, way: str) -> None:
    c = Config()
    for trait in ("services", "load_roles"):
        if way == "set":
            c.JupyterHub[trait] = [CULLER]
        else:
            argument: Any = [CULLER] if way == "extend" else CULLER
            position = [0] if way == "insert" else []
            getattr(c.JupyterHub[trait], way)(*position, argument)
    add_admin_service(c, token_file)
    assert names(c, "load_roles") == ["idle-culler", NAME]
    other, own = names(c, "services")
    assert other == "idle-culler" and own.startswith(NAME)


def test_a_list_that_was_handed_over_is_not_changed(token_file: Path) -> None:
    own = [CULLER]
    c = Config()
    c.JupyterHub.services = own
    add_admin_service(c, token_file)
    assert own == [CULLER]


@pytest.mark.parametrize("trait", ["services", "load_roles"])
def test_its_name_is_nobody_elses(token_file: Path, trait: str) -> None:
    c = Config()
    c.JupyterHub[trait] = [{"name": NAME}]
    with pytest.raises(SettingError, match=f"JupyterHub.{trait} has .* choose another name"):
        add_admin_service(c, token_file)


def test_what_is_no_list_is_left_to_the_configuration_check(token_file: Path) -> None:
    c = Config()
    c.JupyterHub.services = {"name": "idle-culler"}
    add_admin_service(c, token_file)
    assert c.JupyterHub.services == {"name": "idle-culler"}


def test_without_its_token_there_is_no_service(tmp_path: Path) -> None:
    c = Config()
    with pytest.raises(SecretFileError, match="no_such_file"):
        add_admin_service(c, tmp_path / "no_such_file")
    assert "JupyterHub" not in c


def test_its_scopes_exist_and_none_is_said_twice() -> None:
    def included(scope: str) -> set[str]:
        inner: list[str] = scope_definitions[scope].get("subscopes") or []
        return {scope}.union(*(included(name) for name in inner))

    for scope in SCOPES:
        others = set().union(*(included(other) for other in SCOPES if other != scope))
        assert scope not in others


def test_it_can_neither_use_nor_start_servers_nor_move_the_proxy() -> None:
    assert not set(SCOPES) & {"access:servers", "servers", "admin:servers", "proxy", "shutdown"}
