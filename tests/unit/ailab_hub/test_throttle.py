# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who guesses passwords waits, and nobody else does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
from ailab_hub import throttle
from ailab_hub.throttle import (
    Attempts,
    ThrottledAuthenticator,
    client_address,
    throttle_sign_ins,
    throttled,
)
from jupyterhub.auth import Authenticator, PAMAuthenticator
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, HTTPError, RequestHandler
from traitlets.config import Config

PASSWORD = "right"
AUTHENTICATORS = entry_points(group="jupyterhub.authenticators").names


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class OnePassword(Authenticator):
    """Everybody's password is the same; it counts how often it was asked."""

    asked = 0

    async def authenticate(self, handler: Any, data: Any) -> str | None:
        self.asked += 1
        await asyncio.sleep(0)
        if data is None:
            return "from elsewhere"
        if data["password"] == "down":
            raise ConnectionError("nobody keeps accounts now")
        if data["password"] == "forbidden":
            raise HTTPError(403)
        return data["username"] if data["password"] == PASSWORD else None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle, "Attempts", lambda **options: Attempts(clock=clock, **options))
    return clock


@pytest.fixture
def authenticator(clock: Clock) -> Any:
    return throttled(OnePassword)(config=Config(), allow_all=True)


def handler(address: str = "192.0.2.1") -> Any:
    context = SimpleNamespace(address=(address, 40000), trusted_downstream=set())
    request = SimpleNamespace(headers={}, connection=SimpleNamespace(context=context))
    return SimpleNamespace(request=request)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def sign_in(
    authenticator: Any, name: str = "alice", password: str = "wrong", address: str = "192.0.2.1"
) -> Any:
    """The user's name, None for a wrong password, or the seconds to wait."""
    data = {"username": name, "password": password}
    try:
        found = run(authenticator.get_authenticated_user(handler(address), data))
    except HTTPError as error:
        if error.status_code != 429:
            raise
        return int(error.headers["Retry-After"])  # type: ignore[attr-defined]
    return found and found["name"]


# Counting


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(free=2, first_delay=1.0, longest_delay=10.0, size=3, clock=clock)


def test_waiting_doubles_up_to_a_bound(attempts: Attempts) -> None:
    waits = []
    for _ in range(8):
        attempts.begin("key")
        waits.append(attempts.wait("key"))
    assert waits == [0, 0, 1, 2, 4, 8, 10, 10]


def test_no_number_of_failures_is_too_large(attempts: Attempts) -> None:
    for _ in range(2000):
        attempts.begin("key")
    assert attempts.wait("key") == 10


def test_waiting_ends(attempts: Attempts, clock: Clock) -> None:
    for _ in range(3):
        attempts.begin("key")
    clock.now += 0.4
    assert attempts.wait("key") == pytest.approx(0.6)
    clock.now += 0.6
    assert attempts.wait("key") == 0


def test_a_key_that_was_quiet_begins_anew(attempts: Attempts, clock: Clock) -> None:
    for _ in range(5):
        attempts.begin("key")
    clock.now += 4 + 10.1
    attempts.begin("key")
    assert attempts.wait("key") == 0


def test_memory_is_bounded(attempts: Attempts) -> None:
    for key in range(1000):
        attempts.begin(key)
    assert len(attempts) == 3


def test_the_key_of_longest_ago_is_forgotten(attempts: Attempts) -> None:
    for key in ("a", "b", "c", "a", "a", "d"):
        attempts.begin(key)
    assert attempts.wait("a") == 1
    assert len(attempts) == 3
    attempts.begin("b")
    assert attempts.wait("b") == 0


def test_what_is_taken_back_leaves_nothing(attempts: Attempts) -> None:
    attempts.begin("key")
    attempts.undo("key")
    attempts.undo("key")
    assert len(attempts) == 0


# Signing in


def test_the_right_password_gets_in(authenticator: Any) -> None:
    assert sign_in(authenticator, password=PASSWORD) == "alice"


def test_a_few_mistakes_cost_nothing(authenticator: Any) -> None:
    for _ in range(5):
        assert sign_in(authenticator) is None
    assert sign_in(authenticator, password=PASSWORD) == "alice"


def test_after_that_the_account_waits_and_nobody_is_asked(authenticator: Any, clock: Clock) -> None:
    for _ in range(6):
        assert sign_in(authenticator) is None
    assert sign_in(authenticator, password=PASSWORD) == 1
    assert authenticator.asked == 6
    clock.now += 1
    assert sign_in(authenticator) is None
    assert sign_in(authenticator) == 2
    assert sign_in(authenticator) == 2


def test_the_message_says_how_long(authenticator: Any) -> None:
    for _ in range(6):
        sign_in(authenticator)
    data = {"username": "alice", "password": "wrong"}
    with pytest.raises(HTTPError) as refused:
        run(authenticator.get_authenticated_user(handler(), data))
    said = str(refused.value.log_message) % refused.value.args
    assert said == "Too many wrong passwords. Try again in 1 second."


def test_getting_in_begins_anew(authenticator: Any) -> None:
    for _ in range(3):
        for _ in range(5):
            assert sign_in(authenticator) is None
        assert sign_in(authenticator, password=PASSWORD) == "alice"


def test_another_account_from_the_same_address_does_not_wait(authenticator: Any) -> None:
    for _ in range(7):
        sign_in(authenticator)
    assert sign_in(authenticator, "bob", PASSWORD) == "bob"


def test_the_same_account_from_another_address_does_not_wait(authenticator: Any) -> None:
    for _ in range(7):
        sign_in(authenticator)
    assert sign_in(authenticator, password=PASSWORD, address="192.0.2.2") == "alice"


def test_another_spelling_is_the_same_account(authenticator: Any) -> None:
    for name in ("alice", "ALICE", "Alice", "aLice", "alIce", "aliCe"):
        sign_in(authenticator, name)
    assert sign_in(authenticator, "alicE") == 1


def guess_from_many_addresses(authenticator: Any, attempts: int) -> list[Any]:
    return [sign_in(authenticator, address=f"198.51.100.{n}") for n in range(attempts)]


def test_many_addresses_wait_together(authenticator: Any) -> None:
    answers = guess_from_many_addresses(authenticator, 60)
    assert answers[:51] == [None] * 51
    assert answers[51:] == [1] * 9


def test_who_got_in_before_does_not_wait_for_others(authenticator: Any) -> None:
    assert sign_in(authenticator, password=PASSWORD) == "alice"
    assert guess_from_many_addresses(authenticator, 60)[-1] == 1
    assert sign_in(authenticator, password=PASSWORD) == "alice"
    assert sign_in(authenticator, password=PASSWORD, address="192.0.2.2") == 1


def test_many_at_once_are_counted_before_they_are_answered(authenticator: Any) -> None:
    async def guess() -> list[Any]:
        data = {"username": "alice", "password": "wrong"}
        attempts = [authenticator.get_authenticated_user(handler(), data) for _ in range(100)]
        return await asyncio.gather(*attempts, return_exceptions=True)

    run(guess())
    assert authenticator.asked == 6


def test_who_could_not_be_asked_is_nobodys_mistake(authenticator: Any) -> None:
    for _ in range(10):
        with pytest.raises(ConnectionError):
            sign_in(authenticator, password="down")
    assert sign_in(authenticator, password=PASSWORD) == "alice"


def test_a_refusal_by_status_is_a_mistake(authenticator: Any) -> None:
    for _ in range(6):
        with pytest.raises(HTTPError):
            sign_in(authenticator, password="forbidden")
    assert sign_in(authenticator) == 1


def test_a_sign_in_from_elsewhere_is_never_counted(authenticator: Any) -> None:
    for _ in range(20):
        found = run(authenticator.get_authenticated_user(handler(), None))
        assert found["name"] == "from elsewhere"


def test_memory_stays_bounded_whatever_names_are_tried(clock: Clock) -> None:
    config = Config()
    config.ThrottledAuthenticator.remembered = 100
    authenticator: Any = throttled(OnePassword)(config=config, allow_all=True)
    for number in range(500):
        sign_in(authenticator, f"{number}" + "x" * 10_000)
        sign_in(authenticator, f"{number}", PASSWORD)
    kept = (authenticator._by_pair, authenticator._by_account, authenticator._welcome)
    assert max(map(len, kept)) <= 100
    assert max(sys.getsizeof(account) for account, _address in authenticator._welcome) < 400


# Where requests come from


def address_of(headers: dict[str, str], trusted: list[str]) -> str:
    """What the function says of a real request to a server as JupyterHub starts its own."""
    heard: list[str] = []

    class Page(RequestHandler):
        def get(self) -> None:
            heard.append(client_address(self.request))

    async def ask() -> None:
        listener, port = bind_unused_port()
        server = HTTPServer(Application([("/", Page)]), xheaders=True, trusted_downstream=trusted)
        server.add_sockets([listener])
        await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/", headers=headers)
        server.stop()

    asyncio.run(ask())
    return heard[0]


@pytest.mark.parametrize(
    ("said", "trusted", "address"),
    [
        ("", [], "127.0.0.1"),
        ("203.0.113.7", [], "127.0.0.1"),
        ("203.0.113.7", ["127.0.0.1"], "203.0.113.7"),
        ("203.0.113.7, 10.230.0.1", ["127.0.0.1", "10.230.0.1"], "203.0.113.7"),
        ("203.0.113.7, 10.230.8.5", ["127.0.0.1", "10.230.0.1"], "10.230.8.5"),
        ("1.1.1.1, 203.0.113.7, 10.230.0.1", ["127.0.0.1", "10.230.0.1"], "203.0.113.7"),
        ("nonsense", ["127.0.0.1"], "127.0.0.1"),
        ("nonsense, 10.230.0.1", ["127.0.0.1", "10.230.0.1"], "10.230.0.1"),
        ("2001:db8:1:2:3:4:5:6", ["127.0.0.1"], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", ["127.0.0.1"], "203.0.113.7"),
    ],
)
def test_only_trusted_proxies_are_believed(said: str, trusted: list[str], address: str) -> None:
    headers = {"X-Forwarded-For": said} if said else {}
    assert address_of(headers, trusted) == address


def test_a_header_only_tornado_believes_counts_for_nothing() -> None:
    assert address_of({"X-Real-Ip": "203.0.113.7"}, ["10.230.0.3"]) == "127.0.0.1"


# Any authenticator


def test_an_authenticator_is_found_by_any_of_its_names() -> None:
    for name in ("pam", "PAM", "jupyterhub.auth.PAMAuthenticator", PAMAuthenticator):
        found = throttled(name)
        assert issubclass(found, PAMAuthenticator)
        assert issubclass(found, ThrottledAuthenticator)
        assert found.__name__ == "PAMAuthenticator"


def test_nothing_is_throttled_twice() -> None:
    once = throttled(OnePassword)
    assert throttled(once) is once


def test_the_options_of_the_authenticator_still_count() -> None:
    config = Config()
    config.OnePassword.admin_users = {"grace"}
    config.Authenticator.allow_all = True
    config.ThrottledAuthenticator.free_failures = 1
    made: Any = throttled(OnePassword)(config=config)
    assert (made.admin_users, made.allow_all, made.free_failures) == ({"grace"}, True, 1)


@pytest.mark.skipif(
    "shared-password" not in {name.lower() for name in AUTHENTICATORS},
    reason="JupyterHub has no SharedPasswordAuthenticator",
)
def test_one_password_of_all_is_not_guessed_under_many_names(clock: Clock) -> None:
    c = Config()
    c.SharedPasswordAuthenticator.user_password = "the password of all"
    c.SharedPasswordAuthenticator.admin_password = "a" * 32
    c.Authenticator.admin_users = {"grace"}
    c.Authenticator.allow_all = True
    made: Any = throttled("shared-password")(config=c)
    heard = [sign_in(made, name=f"user{number}") for number in range(500)]
    assert (heard.count(None), heard[-1]) == (51, 1)
    # Neither administrators nor other addresses wait for that.
    assert sign_in(made, name="grace", password="a" * 32) == "grace"
    assert sign_in(made, password="the password of all", address="192.0.2.2") == "alice"
    # Who gets in has the others of the same address begin anew.
    clock.now += 1
    assert sign_in(made, password="the password of all") == "alice"
    assert [sign_in(made, name=f"new{number}") for number in range(51)] == [None] * 51


def test_passwords_of_ones_own_are_counted_by_account_alone(authenticator: Any) -> None:
    heard = [sign_in(authenticator, name=f"user{number}") for number in range(500)]
    assert heard == [None] * 500


def test_a_configuration_is_throttled_whatever_it_chose() -> None:
    c = Config()
    throttle_sign_ins(c)
    assert issubclass(c.JupyterHub.authenticator_class, PAMAuthenticator)
    c.JupyterHub.authenticator_class = "shared-password"
    throttle_sign_ins(c)
    assert issubclass(c.JupyterHub.authenticator_class, ThrottledAuthenticator)


@pytest.mark.parametrize("name", ["nobody", "no.such.Module", 5])
def test_what_jupyterhub_would_not_find_is_left_to_it(name: object) -> None:
    c = Config()
    c.JupyterHub.authenticator_class = name
    throttle_sign_ins(c)
    assert c.JupyterHub.authenticator_class == name
