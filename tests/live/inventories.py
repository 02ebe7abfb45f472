# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of pages and examples, laid over a deployed server of the tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.pages import PROJECT

# The server in every page and example.
HOST = "hub1.example.org"


def host_variables(inventories: Iterable[str]) -> dict[str, Any]:
    """Return the variables of the one server in some inventories, templates as they stand."""
    command = ["ansible-inventory", *(f"--inventory={name}" for name in inventories), "--list"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    (variables,) = json.loads(done.stdout)["_meta"]["hostvars"].values()
    return dict(variables)


def connection(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return those that say how Ansible reaches the server."""
    return {name: value for name, value in variables.items() if name.startswith("ansible_")}


def write_inventory(folder: Path, host: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Write an inventory.

    Args:
        host: variables of the server, in which its address is; with none it names no server.
        variables: those of the group hub.
    """
    (folder / "group_vars").mkdir(parents=True, exist_ok=True)
    hosts = {HOST: dict(host)} if host else {}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"hub": {"hosts": hosts}}))
    (folder / "group_vars" / "hub.yml").write_text(yaml.safe_dump(dict(variables)))
