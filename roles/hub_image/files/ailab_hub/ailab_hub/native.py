# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-up with the approval of an administrator, for whom an account is there from the start."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import bcrypt
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.handlers import (
    DiscardHandler,
    LoginHandler,
    ToggleAuthorizationHandler,
)
from nativeauthenticator.orm import UserInfo
from tornado.web import HTTPError
from traitlets import Unicode

# bcrypt refuses more.
_MAX_PASSWORD_BYTES = 72


def _refuse_other_sites(handler: Any) -> None:
    """Refuse a request that a page of another site made the administrator's browser send.

    Raises:
        HTTPError: it does not come from a page of this hub.
    """
    site = handler.request.headers.get("Sec-Fetch-Site")
    if site is None:
        referer = handler.request.headers.get("Referer", "")
        if urlsplit(referer).netloc == handler.request.host:
            return
    elif site == "same-origin":
        return
    raise HTTPError(403, "Open this from the page of the hub that lists who signed up.")


class _Unmeasured:
    """Stands in for the client of statsd that JupyterHub had up to version 5."""

    def timer(self, name: str) -> _Unmeasured:
        return self

    def start(self) -> _Unmeasured:
        return self

    def stop(self, *, send: bool = True) -> None:
        """Nobody is told."""


class _LoginHandler(LoginHandler):
    """Takes name and password. The original measures how long that takes by JupyterHub 5's means."""

    @property
    def statsd(self) -> Any:
        return getattr(super(), "statsd", None) or _Unmeasured()


class _ToggleHandler(ToggleAuthorizationHandler):
    """Lets somebody in, or out again. The original does so for any link that is followed."""

    async def get(self, slug: str) -> None:
        _refuse_other_sites(self)
        await super().get(slug)


class _DiscardHandler(DiscardHandler):
    """Removes somebody who signed up. The original does so for any link that is followed."""

    async def get(self, user_name: str) -> None:
        _refuse_other_sites(self)
        await super().get(user_name)


class ManagedNativeAuthenticator(NativeAuthenticator):
    """A NativeAuthenticator whose administrators have accounts before anybody can sign up.

    With the original an administrator signs up as everybody does, and whoever is first to take
    the name is the administrator. The same is true there of names in ``allowed_users``. Here a
    name in a list approves nobody.
    """

    admin_password = Unicode(
        config=True,
        help="""First password of each name in `admin_users` that has no account yet.

        Later ones do not change an account that is there.
        """,
    )

    def add_user(self, user: Any) -> None:
        """Make the account of an administrator; JupyterHub calls this for all users it knows."""
        super().add_user(user)
        if user.name not in self.admin_users:
            return
        account = self.get_user(user.name)
        if account is None:
            self._make_admin(user.name)
        elif not account.is_authorized:
            self.log.warning(
                "Administrator %s has an account that somebody signed up for and nobody approved. "
                "Another administrator can approve or discard it at /hub/authorize.",
                user.name,
            )

    def _make_admin(self, name: str) -> None:
        if not self.admin_password:
            self.log.error("Administrator %s gets no account without admin_password.", name)
            return
        password = bcrypt.hashpw(self.admin_password.encode(), bcrypt.gensalt())
        self.db.add(UserInfo(username=name, password=password, is_authorized=True))
        self.db.commit()
        self.log.info("Administrator %s has an account with the first password now.", name)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> Any:
        """The name of who gave the right password; see the base class."""
        if len(data["password"].encode()) > _MAX_PASSWORD_BYTES:
            raise HTTPError(403, f"No password is longer than {_MAX_PASSWORD_BYTES} bytes.")
        return await super().authenticate(handler, data)

    def is_password_strong(self, password: str) -> bool:
        """Whether a new password is good enough, and short enough to be stored."""
        return len(password.encode()) <= _MAX_PASSWORD_BYTES and bool(
            super().is_password_strong(password)
        )

    def get_authed_users(self) -> set[str]:
        """Names of those an administrator approved."""
        return {info.username for info in UserInfo.all_users(self.db) if info.is_authorized}

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """The pages of the base class, two of them for links of this hub alone."""
        own = {
            LoginHandler: _LoginHandler,
            ToggleAuthorizationHandler: _ToggleHandler,
            DiscardHandler: _DiscardHandler,
        }
        return [(path, own.get(handler, handler)) for path, handler in super().get_handlers(app)]
