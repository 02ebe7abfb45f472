# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that deployed itself with the installed collection and the newest Ansible.

Scenario ``galaxy`` has it do so, in the folder ``my-project`` of the account ``admin``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from .conftest import Server
from .jupyterhub_client import JupyterHubClient

# But for one of ansible-doc in ansible-core 2.21, about a collection of ansible-core itself.
WARNING = re.compile(
    r"\[(?:DEPRECATION )?WARNING\](?!.*/ansible/_protomatter' ).*|\[DEPRECATED\].*"
)


@pytest.fixture(scope="module")
def project(server: Server) -> Callable[..., str]:
    """Run a command of the project's virtual environment; returns its output, errors included."""

    def run(*command: str) -> str:
        line = f"cd my-project && PATH=.venv/bin:$PATH LC_ALL=C.UTF-8 {shlex.join(command)} 2>&1"
        return server.run(f"runuser -l admin -c {shlex.quote(line)}", timeout=600)

    return run


def test_it_is_the_newest_ansible_and_no_checkout_is_in_reach(
    project: Callable[..., str], server: Server
) -> None:
    assert re.search(r"core 2\.(2[1-9]|[3-9]\d)\.", project("ansible", "--version"))
    listed = project("ansible-galaxy", "collection", "list", "ailab.hub", "--format", "json")
    assert listed.count('"version"') == 1
    assert server.run("find / -xdev -name galaxy.yml -path '*hub*' 2>/dev/null", check=False) == ""


def test_the_first_run_had_nothing_to_warn_of(server: Server) -> None:
    log = server.run("cat /home/admin/my-project/first-run.log")
    assert "PLAY RECAP" in log
    assert WARNING.findall(log) == []


def test_a_second_run_changes_nothing_and_warns_of_nothing(project: Callable[..., str]) -> None:
    run = ("ansible-playbook", "-i", "example", "-i", "overlay", "ailab.hub.site")
    output = project(*run)
    assert re.search(r"^localhost .* changed=0 +unreachable=0 +failed=0", output, re.MULTILINE)
    assert WARNING.findall(output) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [("module", "docker_access"), ("filter", "python_literal"), ("role", "jupyterhub")],
)
def test_its_pages_can_be_read(project: Callable[..., str], kind: str, name: str) -> None:
    page = project("ansible-doc", "-t", kind, f"ailab.hub.{name}")
    assert f"ailab.hub.{name}" in page
    assert WARNING.findall(page) == []


def test_a_user_logs_in_from_outside_and_runs_a_cell(
    login: Callable[[str], JupyterHubClient],
) -> None:
    alice = login("alice")
    alice.start_server()
    try:
        assert alice.run_code("print(6 * 7)") == "42\n"
    finally:
        alice.stop_server()
