# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who guesses passwords has to wait longer and longer, and nobody else does.

``throttle_sign_ins(c)`` at the end of ``jupyterhub_config.py`` is all there is to do. It works with
every authenticator that gets a name and a password from the hub's own form.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError
from traitlets import Float, Integer
from traitlets.config import Config
from traitlets.utils.importstring import import_item

# The part of an IPv6 address that a customer of a network has to himself.
_IPV6_PREFIX = 64
# As long as a column of JupyterHub's database; what is longer names no account.
_MAX_NAME_LENGTH = 255


@dataclass
class _Entry:
    failures: int = 0
    until: float = 0.0


class Attempts:
    """Failed attempts by key, and how long the next one has to wait.

    It remembers at most `size` keys: a further one makes it forget the one whose last attempt was
    the longest ago. A key is forgotten, too, once it was quiet for as long as the longest delay.

    Args:
        free: this many failures cost nothing.
        first_delay: seconds after the failure that follows; each further one doubles it.
        longest_delay: seconds at most.
    """

    def __init__(
        self,
        *,
        free: int,
        first_delay: float,
        longest_delay: float,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._size = size
        self._clock = clock
        self._entries: OrderedDict[object, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def wait(self, key: object) -> float:
        """Return the seconds until an attempt is heard again; 0 if it is now."""
        entry = self._entries.get(key)
        return max(0.0, entry.until - self._clock()) if entry else 0.0

    def begin(self, key: object) -> None:
        """Count an attempt as failed, until it turns out otherwise: many may be under way at once."""
        now = self._clock()
        entry = self._entries.pop(key, None)
        if entry is None or now > entry.until + self._longest_delay:
            entry = _Entry()
        entry.failures += 1
        entry.until = now + self._delay(entry.failures)
        self._entries[key] = entry
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def undo(self, key: object) -> None:
        """Take back what `begin` counted."""
        entry = self._entries.get(key)
        if entry:
            entry.failures -= 1
            entry.until = self._clock() + self._delay(entry.failures)
            if entry.failures <= 0:
                del self._entries[key]

    def forget(self, key: object) -> None:
        """Begin anew with a key."""
        self._entries.pop(key, None)

    def _delay(self, failures: int) -> float:
        beyond = failures - self._free
        if beyond <= 0:
            return 0.0
        # The exponent is bounded, or else it ends in numbers no float can hold.
        return min(self._longest_delay, self._first_delay * 2.0 ** min(beyond - 1, 60))


class ThrottledAuthenticator(Authenticator):
    """What `throttled` puts in front of an authenticator."""

    free_failures = Integer(
        5,
        min=1,
        config=True,
        help="Wrong passwords for one account from one address that cost no waiting.",
    )
    free_failures_of_account = Integer(
        50,
        min=1,
        config=True,
        help="""Wrong passwords for one account, from all addresses together, that cost no waiting.

        An address from which somebody got into the account has not to wait for those of others.
        """,
    )
    first_delay = Float(
        1.0, min=0.0, config=True, help="Seconds to wait after that; each failure doubles them."
    )
    longest_delay = Float(
        900.0, min=0.0, config=True, help="Seconds an address has to wait for an account at most."
    )
    free_failures_of_address = Integer(
        50,
        min=1,
        config=True,
        help="""Wrong passwords from one address, whatever the account, that cost no waiting where one
        password is that of all users. Whoever gets in from there begins anew.""",
    )
    longest_delay_of_account = Float(
        60.0,
        min=0.0,
        config=True,
        help="""Seconds an address that is new to an account has to wait for it at most, or for any
        where one password is that of all users.""",
    )
    remembered = Integer(
        10_000,
        min=1,
        config=True,
        help="""Accounts, and pairs of account and address, to remember. It bounds the memory this
        takes; a restart of the hub forgets them all.""",
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._by_pair = Attempts(
            free=self.free_failures,
            first_delay=self.first_delay,
            longest_delay=self.longest_delay,
            size=self.remembered,
        )
        self._by_account = Attempts(
            free=self.free_failures_of_account,
            first_delay=self.first_delay,
            longest_delay=self.longest_delay_of_account,
            size=self.remembered,
        )
        self._by_address = Attempts(
            free=self.free_failures_of_address,
            first_delay=self.first_delay,
            longest_delay=self.longest_delay_of_account,
            size=self.remembered,
        )
        # Pairs that got in, those of longest ago first.
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def authenticate(self, handler: Any, data: Any) -> Any:
        """Ask the authenticator, unless the account's turn has not come.

        Raises:
            HTTPError: 429, with the seconds to wait.
        """
        name = data.get("username") if isinstance(data, dict) else None
        if not name:
            # A sign-in by somebody else's page, where nobody guesses passwords of ours.
            return await maybe_future(super().authenticate(handler, data))
        account = self.normalize_username(name)[:_MAX_NAME_LENGTH]
        pair = (account, client_address(handler.request))
        wait = self._by_pair.wait(pair)
        if pair not in self._welcome:
            wait = max(wait, self._by_account.wait(account))
        shared = self._has_password_of_all(account)
        if shared:
            wait = max(wait, self._by_address.wait(pair[1]))
        if wait > 0:
            raise _too_many(wait)
        self._by_pair.begin(pair)
        self._by_account.begin(account)
        if shared:
            self._by_address.begin(pair[1])
        try:
            authenticated = await maybe_future(super().authenticate(handler, data))
        except HTTPError as error:
            if error.status_code not in (401, 403):
                self._undo(pair, shared)
            raise
        except BaseException:
            # Whoever keeps the accounts could not be asked.
            self._undo(pair, shared)
            raise
        if authenticated:
            if shared:
                self._by_address.forget(pair[1])
            self._by_pair.forget(pair)
            self._by_account.undo(account)
            self._welcome.pop(pair, None)
            self._welcome[pair] = None
            while len(self._welcome) > self.remembered:
                self._welcome.popitem(last=False)
        return authenticated

    def _undo(self, pair: tuple[str, str], shared: bool) -> None:
        self._by_pair.undo(pair)
        self._by_account.undo(pair[0])
        if shared:
            self._by_address.undo(pair[1])

    def _has_password_of_all(self, account: str) -> bool:
        """Whether who guesses another account's password guesses this one's, too."""
        names = {kind.__name__ for kind in type(self).__mro__}
        shared = {"DummyAuthenticator", "SharedPasswordAuthenticator"} & names
        return bool(shared) and account not in self.admin_users


def _too_many(wait: float) -> HTTPError:
    seconds = math.ceil(wait)
    error = HTTPError(
        429,
        "Too many wrong passwords. Try again in %d second%s.",
        seconds,
        "" if seconds == 1 else "s",
    )
    # JupyterHub sends these with the page that tells it.
    error.headers = {"Retry-After": str(seconds)}  # type: ignore[attr-defined]
    return error


def client_address(request: HTTPServerRequest) -> str:
    """Return where a request comes from; of an IPv6 address the network.

    What it says of itself (``X-Forwarded-For``) is believed as far back as all who passed it on are
    ones that JupyterHub trusts. Tornado itself believes it from anybody, so a user's server, which
    reaches the hub directly, could say what it likes.
    """
    context = getattr(request.connection, "context", None)
    peer = getattr(context, "address", None)
    trusted: set[str] = getattr(context, "trusted_downstream", set())
    said = request.headers.get("X-Forwarded-For", "")
    chain = [part.strip() for part in said.split(",")] if said else []
    chain.append(str(peer[0]) if isinstance(peer, tuple) and peer else "")
    address = ""
    for entry in reversed(chain):
        try:
            found = ipaddress.ip_address(entry)
        except ValueError:
            break
        # An IPv4 address as a socket for both protocols shows it.
        found = getattr(found, "ipv4_mapped", None) or found
        address = str(found)
        if isinstance(found, ipaddress.IPv6Address):
            address = str(ipaddress.IPv6Network((found, _IPV6_PREFIX), strict=False))
        if entry not in trusted:
            break
    return address


def throttled(authenticator: str | type[Authenticator]) -> type[Authenticator]:
    """Return an authenticator that has those who guess passwords wait.

    Args:
        authenticator: a class, its full name, or JupyterHub's own name for it.

    Raises:
        ImportError: there is none of this name.
    """
    found: Any = authenticator
    if isinstance(authenticator, str):
        by_name = {
            entry.name.lower(): entry for entry in entry_points(group="jupyterhub.authenticators")
        }
        entry = by_name.get(authenticator.lower())
        found = entry.load() if entry else import_item(authenticator)
    if not issubclass(found, ThrottledAuthenticator):
        # It keeps its name, by which it is configured and which messages tell.
        found = type(
            found.__name__, (ThrottledAuthenticator, found), {"__module__": found.__module__}
        )
    result: type[Authenticator] = found
    return result


def throttle_sign_ins(c: Config) -> None:
    """Have the authenticator of a configuration throttled, whichever that is.

    One that JupyterHub would not find stays, for JupyterHub to say so.
    """
    chosen = c.JupyterHub.get("authenticator_class", "pam")
    try:
        c.JupyterHub.authenticator_class = throttled(chosen)
    except (ImportError, AttributeError, TypeError):
        return
