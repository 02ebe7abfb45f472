# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with any service of OAuth 2 and OpenID Connect, also by the domain of the address."""

from __future__ import annotations

from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from traitlets import Set, Unicode


class DomainOAuthenticator(GenericOAuthenticator):
    """A GenericOAuthenticator that can let in everybody with an address in certain domains."""

    allowed_domains = Set(
        Unicode(),
        config=True,
        help="""Domains of email addresses whose owners may log in.

        The service has to send the claim `email` and, true, the claim `email_verified`.
        Subdomains are domains of their own.
        """,
    )

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Whether somebody may log in; see the base class."""
        if await super().check_allowed(username, auth_model):
            return True
        claims = (auth_model or {})["auth_state"][self.user_auth_state_key]
        _name, at, domain = str(claims.get("email", "")).rpartition("@")
        allowed = {item.lower() for item in self.allowed_domains}
        return bool(at) and claims.get("email_verified") is True and domain.lower() in allowed
