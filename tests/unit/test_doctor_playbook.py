# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook `ailab.hub.doctor` says something of every server, whatever is wrong with some."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROGRAM = Path(sys.executable).with_name("ansible-playbook")

HERE = {
    "ansible_connection": "local",
    "ansible_become": False,
    "ansible_python_interpreter": sys.executable,
}
# Port 9 is of a service nobody runs.
AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 9}


def examine(
    root: Path, folder: Path, environment: dict[str, str], **hosts: Any
) -> tuple[int, dict[str, str]]:
    """Run the playbook. Returns its exit status and what it printed for each server."""
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"hub": {"hosts": hosts}}))
    done = subprocess.run(
        [PROGRAM, "-i", inventory, "playbooks/doctor.yml"],
        cwd=root,
        env={**environment, "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    shown = done.stdout.partition("TASK [What was found")[2].partition("\n\n")[0]
    tables = {}
    for part in shown.split("ok: [")[1:]:
        name, _bracket, table = part.partition("]")
        tables[name] = table
    assert set(tables) == set(hosts), done.stdout
    verdict = done.stdout.partition("TASK [Nothing is broken")[2]
    assert done.returncode == 0 or "PLAY RECAP" in verdict, done.stdout
    return done.returncode, tables


def test_no_server_hides_another(
    root: Path, tmp_path: Path, ansible_environment: dict[str, str]
) -> None:
    status, tables = examine(
        root,
        tmp_path,
        ansible_environment,
        away=AWAY,
        here=HERE,
        odd={**HERE, "docker_engine_users": "{{ 1 / 0 }}"},
        snakeless={**HERE, "ansible_python_interpreter": "/nosuch/python"},
        undefined={**HERE, "docker_engine_users": "{{ nobody_knows_me }}"},
    )
    assert status == 2
    assert "Connection  broken" in tables["away"] and "port 9" in tables["away"]
    assert "Server  broken" in tables["snakeless"] and "/nosuch/python" in tables["snakeless"]
    for name in ("here", "odd", "undefined"):
        assert "Disk  " in tables[name] and "Clock  " in tables[name], name
    assert "docker_engine_users" in tables["odd"]
    assert "docker_engine_users" not in tables["undefined"]


def test_without_a_server_it_says_so(
    root: Path, tmp_path: Path, ansible_environment: dict[str, str]
) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("hub:\n")
    done = subprocess.run(
        [PROGRAM, "-i", inventory, "playbooks/doctor.yml"],
        cwd=root,
        env={**ansible_environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'no server in the group "hub"' in done.stdout + done.stderr


@pytest.mark.parametrize("shown_as", ["yaml", "json"])
def test_the_table_can_be_read(
    shown_as: str, root: Path, tmp_path: Path, ansible_environment: dict[str, str]
) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"hub": {"hosts": {"away": AWAY}}}))
    done = subprocess.run(
        [PROGRAM, "-i", inventory, "playbooks/doctor.yml"],
        cwd=root,
        env={
            **ansible_environment,
            "ANSIBLE_CALLBACK_RESULT_FORMAT": shown_as,
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [
        line
        for line in done.stdout.splitlines()
        if "Connection  broken" in line and "Action failed" not in line
    ]
    assert "port 9: Connection refused" in line, "a row is one line"
