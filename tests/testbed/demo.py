# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: one throw-away host, deployed by site.yml as an administrator's server is."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from . import bases, engine, hosts, shared
from .system import TestbedError, cache, say, step

INSTANCE = "demo"
HOST = "hub1"
ADMIN = "admin"
USER = "alice"
FOLDER = hosts.CHECKOUT / ".demo"
INVENTORY = FOLDER / "inventory"
# Where the role hub_https puts it, beside the inventory.
CA_FILE = FOLDER / "inventory-ca" / f"{HOST}.crt"
GROUP = INVENTORY / "group_vars" / "hub"
EXAMPLE = hosts.CHECKOUT / "inventory.example" / "group_vars" / "hub.yml"
OVERLAY = Path(__file__).parent / "demo.yml"


def up(suite: str, official: bool) -> None:
    """Deploy onto the demo's host, made if it is missing, and print how to log in.

    Raises TestbedError if site.yml fails; the host then stays, to be looked at.
    """
    running = engine.up()
    store = None if official else bases.up(running, suite)
    hosts.Host(running, INSTANCE, HOST).up(suite, store)
    passwords = _write_inventory(hosts.inventory(running, INSTANCE))
    address = hosts.describe(running, INSTANCE)[HOST]["address"]
    access = {
        "url": f"https://{address}/",
        "ca_file": str(CA_FILE),
        "admin": {"username": ADMIN, "password": passwords["jupyterhub_admin_password"]},
        "user": {"username": USER, "password": passwords["jupyterhub_user_password"]},
        "hosts": {HOST: {"address": address}},
    }
    playbook = shutil.which("ansible-playbook", path=str(Path(sys.executable).parent))
    if not playbook:
        raise TestbedError(
            f"ansible-playbook is not installed beside {sys.executable}: run make demo"
        )
    command = [playbook, "-i", str(INVENTORY), "site.yml"]
    with step("ansible-playbook -i .demo/inventory site.yml", live=False):
        failed = subprocess.run(command, cwd=hosts.CHECKOUT, stdin=subprocess.DEVNULL).returncode
    if failed:
        raise TestbedError("site.yml failed, see above; the demo's host stays to be looked at")
    _write_secret(FOLDER / "access.json", json.dumps(access, indent=2))
    print(
        f"\nJupyterHub: {access['url']}"
        f"\n  as user {USER} (or any other name), password {passwords['jupyterhub_user_password']}"
        f"\n  as administrator {ADMIN}, password {passwords['jupyterhub_admin_password']}"
        f"\n  its certificate is trusted by {CA_FILE}"
        "\nIt keeps running until make demo-down."
    )


def down() -> None:
    """Remove the demo's host and folder, then registry and private engine if no host is left."""
    if running := engine.running():
        hosts.down(running, INSTANCE)
    shutil.rmtree(FOLDER, ignore_errors=True)
    shared.release()
    say(f"images stay in {cache()}; .venv/bin/python -m tests.testbed purge removes them")


def _write_inventory(inventory: str) -> dict[str, str]:
    """Lay the demo's overlay and passwords over the example. Returns the passwords' variables."""
    GROUP.mkdir(parents=True, exist_ok=True)
    (INVENTORY / "hosts.yml").write_text(inventory)
    shutil.copyfile(EXAMPLE, GROUP / "10-example.yml")
    shutil.copyfile(OVERLAY, GROUP / "20-demo.yml")
    file = GROUP / "30-passwords.json"
    if not file.exists():
        made = {"user": secrets.token_urlsafe(9), "admin": secrets.token_urlsafe(30)}
        variables = {f"jupyterhub_{who}_password": password for who, password in made.items()}
        _write_secret(file, json.dumps(variables, indent=2))
    kept: dict[str, str] = json.loads(file.read_text())
    return kept


def _write_secret(file: Path, text: str) -> None:
    unfinished = file.with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text + "\n")
    unfinished.replace(file)
