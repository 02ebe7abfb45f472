# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other secrets under a running hub: who is logged in, and what was encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest

from .jupyterhub_client import JupyterHubClient, JupyterHubError
from .sign_in import SECRETS, hub_of

pytestmark = pytest.mark.slow

OLD, NEW, NEWEST = ("1" * 64, "2" * 64, "3" * 64)
# Keeps something of each sign-in, as an authenticator does that gets tokens from a service.
REMEMBERING = """
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

class Remembering(SharedPasswordAuthenticator):
    async def authenticate(self, handler, data):
        model = await super().authenticate(handler, data)
        return model and {**model, "auth_state": {"token": "of-the-service"}}

c.JupyterHub.authenticator_class = Remembering
"""


def test_what_the_former_key_encrypted_is_read_until_the_next_rotation(tmp_path: Path) -> None:
    hub = hub_of(
        tmp_path,
        {"crypt_keys": OLD},
        authenticator="shared-password",
        admin_users=["grace"],
        allowed_users=["alice", "bob"],
        config={"Authenticator": {"enable_auth_state": True}},
    )
    hub.config_file.write_text(hub.config_file.read_text() + REMEMBERING)
    keys = tmp_path / "secrets" / "crypt_keys"
    with hub, JupyterHubClient(hub.url) as grace:
        for name in ("alice", "bob"):
            log_in(hub.url, name)
        grace.login("grace", SECRETS["shared_admin_password"])
        assert keeps(grace, "alice") and keeps(grace, "bob")
        hub.stop_hub()
        keys.write_text(f"{NEW}\n{OLD}")
        (tmp_path / "cookie_secret").unlink()
        hub.start_hub()
        # the cookie of before is worth nothing
        with pytest.raises(JupyterHubError):
            grace.me()
        grace.logout()
        grace.login("grace", SECRETS["shared_admin_password"])
        # what is read is encrypted by the new key from then on
        assert keeps(grace, "alice")
        hub.stop_hub()
        keys.write_text(f"{NEWEST}\n{NEW}")
        hub.start_hub()
        assert keeps(grace, "alice")
        assert not keeps(grace, "bob")


def log_in(url: str, name: str) -> None:
    with JupyterHubClient(url) as client:
        client.login(name, SECRETS["shared_user_password"])


def keeps(grace: JupyterHubClient, name: str) -> bool:
    """Whether the hub can read what was kept of a user's sign-in."""
    return bool(grace.api("GET", f"users/{name}")["auth_state"] == {"token": "of-the-service"})
