# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in with a directory, without anybody else waiting for it."""

from __future__ import annotations

import asyncio
from typing import Any

from ldap3.core.exceptions import LDAPException
from ldapauthenticator import LDAPAuthenticator
from tornado.web import HTTPError


class PatientLDAPAuthenticator(LDAPAuthenticator):
    """An LDAPAuthenticator that asks the directory in a thread.

    The original waits for the directory in the one thread of the hub, so that a directory that
    does not answer stops the hub for everybody.
    """

    async def authenticate(self, handler: Any, data: dict[str, str]) -> Any:
        """The name and groups of who gave the right password; see the base class.

        Raises:
            HTTPError: the directory cannot be asked; the log says why.
        """
        try:
            return await asyncio.to_thread(asyncio.run, super().authenticate(handler, data))
        except LDAPException as error:
            self.log.error(
                "The directory %s cannot be asked: %s: %s",
                self.server_address,
                type(error).__name__,
                error,
            )
            raise HTTPError(
                503, "The directory of users cannot be asked. Try again later."
            ) from None
