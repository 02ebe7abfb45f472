# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in by headers of an entrance that has asked a central sign-in who somebody is.

Users' labs reach the hub without passing the entrance, so the headers alone prove nothing. The
entrance proves itself by a secret in one more header:

- It takes all these headers out of what it is sent, and puts in its own.
- It sends the secret to the hub's path ``hub/login`` alone, spelt exactly so. A path that only
  *means* it, such as ``/user/alice/..%2f..%2fhub/login``, is alice's lab to the proxy behind it, and
  whoever reads the secret there can be anybody.
"""

from __future__ import annotations

import hmac
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.login import LogoutHandler
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError
from traitlets import Set, Unicode

SECRET_HEADER = "X-Ailab-Hub-Entrance"


def single_header(headers: HTTPHeaders, name: str) -> str:
    """The value of a header that is there once; empty for any other number of them."""
    values = headers.get_list(name)
    if len(values) != 1:
        return ""
    try:
        # Tornado reads headers as Latin-1, whatever they are.
        return str(values[0]).encode("latin-1").decode("utf-8").strip()
    except UnicodeError:
        return ""


class RemoteUserLoginHandler(BaseHandler):
    """The page ``/hub/login``, which asks nothing."""

    async def get(self) -> None:
        """Log in who the headers name, or send away who they do not."""
        authenticator = self.authenticator
        if not authenticator.identified(self.request.headers):
            self._send_away(authenticator.login_page, 401, "You are not signed in.")
            return
        user = await self.login_user()
        if user is None:
            message = "You may not use this hub. Ask those who run it to let you in."
            self._send_away(authenticator.denied_page, 403, message)
            return
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))

    def _send_away(self, page: str, status: int, message: str) -> None:
        if not page:
            raise HTTPError(status, message)
        self.redirect(page)


class RemoteUserLogoutHandler(LogoutHandler):
    """The page ``/hub/logout``; the one of JupyterHub would log in again at once."""

    async def render_logout_page(self) -> None:
        """Send to the page of the central sign-in, or show one of JupyterHub's."""
        if self.authenticator.logout_page:
            self.redirect(self.authenticator.logout_page)
        else:
            self.finish(await self.render_template("logout.html"))


class RemoteUserAuthenticator(Authenticator):
    """Believes the headers of an entrance that knows a secret."""

    user_header = Unicode(
        "X-Remote-User", config=True, help="Header with the name of who is signed in."
    )
    groups_header = Unicode(
        "X-Remote-Groups", config=True, help="Header with the groups or roles of who is signed in."
    )
    groups_separator = Unicode(",", config=True, help="What stands between two groups.")
    secret = Unicode(
        config=True, help=f"What the header {SECRET_HEADER} has to be. Empty lets in nobody."
    )
    allowed_groups = Set(
        Unicode(), config=True, help="Groups whose members may log in. It needs manage_groups."
    ).tag(allow_config=True)
    admin_groups = Set(
        Unicode(),
        config=True,
        help="""Groups whose members may log in and are administrators. It needs manage_groups.

        If this is set, who is in none of them and not in `admin_users` is no administrator any
        more with the next sign-in.
        """,
    )
    login_page = Unicode(
        config=True, help="Where to send who is not signed in. Empty shows an error."
    )
    denied_page = Unicode(
        config=True, help="Where to send who is signed in but may not log in. Empty shows an error."
    )
    logout_page = Unicode(
        config=True, help="Where to send who logs out, such as the end of the central session."
    )

    def identified(self, headers: HTTPHeaders) -> str:
        """The name in the headers of a request; empty unless they come from the entrance."""
        given = headers.get_list(SECRET_HEADER)
        if not self.secret or len(given) != 1:
            return ""
        if not hmac.compare_digest(given[0].encode("latin-1"), self.secret.encode()):
            self.log.warning("A wrong secret in %s: somebody forges headers.", SECRET_HEADER)
            return ""
        name = single_header(headers, self.user_header)
        # A proxy on the way makes one header with a comma of two.
        return "" if "," in name else name

    async def authenticate(self, handler: Any, data: Any) -> dict[str, Any] | None:
        """The name and groups the entrance has sent; see the base class."""
        headers = handler.request.headers
        name = self.identified(headers)
        if not name:
            return None
        model: dict[str, Any] = {"name": name}
        if self.manage_groups:
            text = single_header(headers, self.groups_header)
            names = (item.strip() for item in text.split(self.groups_separator))
            model["groups"] = sorted({item for item in names if item})
        if self.admin_groups:
            listed = self.normalize_username(name) in self.admin_users
            model["admin"] = listed or not self.admin_groups.isdisjoint(model.get("groups", ()))
        return model

    def check_allowed(self, username: str, authentication: dict[str, Any] | None = None) -> bool:
        """Whether somebody may log in, by name or by group; see the base class."""
        if super().check_allowed(username, authentication):
            return True
        groups = set((authentication or {}).get("groups", ()))
        return bool(groups & (self.allowed_groups | self.admin_groups))

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """The pages for logging in and out."""
        return [("/login", RemoteUserLoginHandler), ("/logout", RemoteUserLogoutHandler)]
