# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts beside the server under test, for what a house has besides it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from .conftest import PROJECT, Server

TESTBED = (sys.executable, "-m", "tests.testbed")
HOST = "other"


@contextmanager
def other_host(instance: str, suite: str) -> Iterator[Server]:
    """Have a bare host of a Debian; it is gone afterwards.

    Args:
        instance: a name no other host has.
    """
    option = f"--instance={instance}"
    up = [*TESTBED, "host", "up", HOST, option, f"--suite={suite}"]
    subprocess.run(up, cwd=PROJECT, check=True, timeout=600)
    try:
        listed = [*TESTBED, "inventory", option]
        text = subprocess.run(listed, cwd=PROJECT, check=True, capture_output=True, text=True)
        group = yaml.safe_load(text.stdout)["hub"]
        values, host = group["vars"], group["hosts"][HOST]["ansible_host"]
        options = shlex.split(values["ansible_ssh_common_args"])
        login = f"{values['ansible_user']}@{host}"
        ssh = ("ssh", "-i", values["ansible_ssh_private_key_file"], *options, login)
        yield Server(host, ssh)
    finally:
        subprocess.run([*TESTBED, "down", option], cwd=PROJECT, check=True, timeout=120)
