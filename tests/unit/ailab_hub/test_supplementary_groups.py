# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""clear_supplementary_groups: setpriv goes where sudo's options end."""

from __future__ import annotations

import pytest
from ailab_hub.supplementary_groups import clear_supplementary_groups

SETPRIV = ["setpriv", "--clear-groups"]


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-E",
        "-H",
        "-n",
        "-EHn",
        "-E -H -n",
        "-u root",
        "-uroot",
        "-nu root",
        "-u #0",
        "-u root -g docker",
        "--user root",
        "--user=root",
        "--us=root",
        "--preserve-env",
        "--preserve-env=JUPYTER_PASSWORD,HOME",
        "--preserve-e",
        "-E --",
        "-D /tmp",
        "--chdir /tmp",
        "-p prompt:",
        "-C 5",
        "-h localhost",
        "-E HOME=/root PATH=/bin",
    ],
)
def test_setpriv_follows_the_options_of_sudo(options: str) -> None:
    sudo = ["sudo", *options.split()]
    command = ["python3", "-u", "x.py", "--user", "jupyter"]
    assert clear_supplementary_groups(sudo + command) == sudo + SETPRIV + command


def test_sudo_may_be_named_by_its_path() -> None:
    assert clear_supplementary_groups(["/usr/bin/sudo", "id"]) == ["/usr/bin/sudo", *SETPRIV, "id"]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("", id="nothing"),
        pytest.param("python3 entrypoint.py", id="no sudo"),
        pytest.param("env sudo id", id="sudo is not first"),
        pytest.param("sudo", id="no command"),
        pytest.param("sudo -E", id="options alone"),
        pytest.param("sudo -E --", id="nothing after --"),
        pytest.param("sudo A=b", id="assignments alone"),
        pytest.param("sudo -u", id="value missing"),
        pytest.param("sudo -u jupyter id", id="other user"),
        pytest.param("sudo --user=jupyter id", id="other user, long"),
        pytest.param("sudo -u #1001 id", id="other user by number"),
        pytest.param("sudo -g docker id", id="calling user with another group"),
        pytest.param("sudo -l id", id="no command is run"),
        pytest.param("sudo -e file", id="sudoedit"),
        pytest.param("sudo --edit file", id="sudoedit, long"),
        pytest.param("sudo -Z id", id="unknown option"),
        pytest.param("sudo --unknown id", id="unknown long option"),
        pytest.param("sudo -E setpriv --clear-groups id", id="already there"),
        pytest.param("sudo -E /usr/bin/setpriv --groups 5 id", id="setpriv of the administrator"),
    ],
)
def test_every_other_command_comes_back_unchanged(command: str) -> None:
    assert clear_supplementary_groups(command.split()) == command.split()


def test_the_given_list_is_not_changed() -> None:
    given = ["sudo", "id"]
    clear_supplementary_groups(given)
    assert given == ["sudo", "id"]
