# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ailab_hub.identity [FILE]``: whether what checks people's passwords can be asked by this hub.

It reads the hub's configuration, asks as the hub itself would (with its authorities, its account
and its secret) and signs in nobody. It prints one line of JSON::

    {"kind": "oauth", "asked": "https://login.example.org/token", "problem": "certificate",
     "detail": "certificate has expired", "accepted": null}

``kind`` is ``oauth``, ``ldap``, ``lti13`` or ``pam``, and empty for an authenticator that asks
nobody. ``problem`` is null or one of ``name`` (it does not resolve), ``connection``,
``certificate``, ``credentials`` (the hub's own are wrong) and ``answer`` (it is not the service it
should be). ``accepted`` says whether the hub's own credentials are right, null if that cannot be
told. No secret is in any of it.

Exit status: 0, whatever was found; 1 if the configuration cannot be read or takes too long.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from . import _light_import

CONFIGURATION = "/etc/jupyterhub/jupyterhub_config.py"
# For each answer, and for all of it.
ANSWER_SECONDS = 4.0
SECONDS = 15.0
# No service gave this one.
CODE = "asked-by-the-doctor"

# What RFC 6749 (5.2) says of a client, and GitHub instead.
_WRONG_CLIENT = frozenset({"invalid_client", "unauthorized_client", "incorrect_client_credentials"})
_WRONG_CODE = frozenset({"invalid_grant", "bad_verification_code"})
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED\]?[^:]*: *(.+?)(?: \(_ssl|$)")


@dataclass
class Answer:
    """What came of asking; see the module."""

    kind: str = ""
    asked: str = ""
    problem: str | None = None
    detail: str = ""
    accepted: bool | None = None


class _UnlikeError(Exception):
    """What answers is not the service it should be; the text says what came."""


def why(error: Exception) -> tuple[str, str]:
    """Return the problem, in the words of the module, and its detail."""
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, _UnlikeError | HTTPException):
        return "answer", text
    # ldap3 makes errors of its own of those of the system, and keeps but their text.
    if found := _CERTIFICATE.search(text):
        return "certificate", found[1]
    if "doesn't match any name" in text:
        return "certificate", "it is for another name"
    if isinstance(error, socket.gaierror) or "invalid server address" in text:
        return "name", "its name does not resolve"
    if isinstance(error, TimeoutError) or "timeout" in text.lower():
        return "connection", f"no answer within {ANSWER_SECONDS:g} s"
    return "connection", getattr(error, "strerror", None) or text


def ask_oauth(authenticator: Any, answer: Answer) -> None:
    """Redeem a code that nobody has: the service first says whether it knows the hub."""
    import asyncio

    asyncio.run(_ask_oauth(authenticator, answer))


async def _ask_oauth(authenticator: Any, answer: Answer) -> None:
    parameters = {"grant_type": "authorization_code", "code": CODE}
    if authenticator.oauth_callback_url:
        parameters["redirect_uri"] = authenticator.oauth_callback_url
    if not authenticator.basic_auth:
        parameters["client_id"] = authenticator.client_id
        parameters["client_secret"] = authenticator.client_secret
    options: dict[str, Any] = {
        "parse_json": False,
        "raise_error": False,
        "validate_cert": authenticator.validate_server_cert,
        "connect_timeout": ANSWER_SECONDS,
        "request_timeout": ANSWER_SECONDS,
    }
    answer.asked = authenticator.token_url
    came = await authenticator.httpfetch(
        authenticator.token_url,
        method="POST",
        headers=authenticator.build_token_info_request_headers(),
        body=urlencode({**parameters, **authenticator.token_params}),
        **options,
    )
    error = _oauth_error(came.code, came.body)
    if error in _WRONG_CLIENT:
        answer.problem, answer.accepted = "credentials", False
        answer.detail = error
        return
    answer.accepted = True if error in _WRONG_CODE else None
    userdata = str(authenticator.userdata_url or "")
    if userdata and urlsplit(userdata).netloc != urlsplit(answer.asked).netloc:
        answer.asked = userdata
        # Without a token it refuses, which is an answer.
        await authenticator.httpfetch(userdata, headers={"User-Agent": "JupyterHub"}, **options)


def _oauth_error(status: int, body: bytes | None) -> str:
    """The word of RFC 6749 for what is wrong with a request."""
    try:
        word = json.loads(body or b"")["error"]
    except (ValueError, KeyError, TypeError):
        if status == 401:
            return "invalid_client"
        raise _UnlikeError(f"HTTP status {status} and nothing of OAuth 2") from None
    if status == 404 or status >= 500 or not isinstance(word, str):
        raise _UnlikeError(f"HTTP status {status}")
    return word


def ask_directory(authenticator: Any, answer: Answer) -> None:
    """Connect as a sign-in does, by the account that looks for users, or by none."""
    port = authenticator.server_port
    answer.asked = f"{authenticator.server_address}:{port}"
    user = authenticator.lookup_dn_search_user or None
    password = authenticator.lookup_dn_search_password or None
    connection = authenticator.get_connection(user, password)
    if connection:
        connection.unbind()
    # Where nobody has to be looked for, it may refuse those without a name.
    if user or authenticator.lookup_dn:
        answer.accepted = bool(connection)
        if not connection:
            answer.problem = "credentials"
            answer.detail = f"as {user}" if user else "without an account"


def ask_course_system(authenticator: Any, answer: Answer) -> None:
    """Fetch the keys that launches are signed by."""
    answer.asked = authenticator.jwks_endpoint
    try:
        with urlopen(answer.asked, timeout=ANSWER_SECONDS) as came:
            keys = json.loads(came.read(1 << 20))["keys"]
    except HTTPError as error:
        raise _UnlikeError(f"HTTP status {error.code}") from None
    except (ValueError, KeyError, TypeError):
        raise _UnlikeError("no keys") from None
    if not keys:
        raise _UnlikeError("no keys")


def ask_saslauthd(authenticator: Any, answer: Answer) -> None:
    """Connect to it. A question would be in the journal as somebody who guesses."""
    answer.asked = authenticator.socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(answer.asked)


# By the name of the class, as an image need not have all of them.
ASK: Mapping[str, tuple[str, Callable[[Any, Answer], None]]] = {
    "oauthenticator.oauth2.OAuthenticator": ("oauth", ask_oauth),
    "ldapauthenticator.ldapauthenticator.LDAPAuthenticator": ("ldap", ask_directory),
    "ltiauthenticator.lti13.auth.LTI13Authenticator": ("lti13", ask_course_system),
    "ailab_hub.saslauthd.SaslauthdAuthenticator": ("pam", ask_saslauthd),
}


def ask(config: Any, answer: Answer) -> None:
    """Ask what the configured authenticator asks at a sign-in, and fill in `answer`."""
    from .throttle import throttled

    _light_import.undo()
    chosen = throttled(config.JupyterHub.get("authenticator_class", "pam"))
    names = [f"{base.__module__}.{base.__qualname__}" for base in chosen.__mro__]
    name = next((name for name in names if name in ASK), "")
    if not name:
        return
    kind, question = ASK[name]
    authenticator = chosen(config=config)
    answer.kind = kind
    try:
        question(authenticator, answer)
    except Exception as error:
        answer.problem, answer.detail = why(error)


def load(file: str) -> Any:
    """Return the configuration of a file."""
    from traitlets.config.loader import PyFileConfigLoader

    path = Path(file)
    return PyFileConfigLoader(path.name, path=str(path.parent)).load_config()


def main(file: str = CONFIGURATION, seconds: float = SECONDS) -> int:
    """Print what came of asking, after a time in any case; return the exit status."""
    answer = Answer()
    failed: list[Exception] = []

    def work() -> None:
        try:
            ask(load(file), answer)
        except Exception as error:
            failed.append(error)

    out = sys.stdout
    # What the configuration prints is not the answer.
    with contextlib.redirect_stdout(sys.stderr):
        # A lookup of a name or a directory may take longer than anybody waits.
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(seconds)
    if failed or (worker.is_alive() and not answer.asked):
        return 1
    if worker.is_alive():
        answer.problem, answer.detail = "connection", f"no answer within {seconds:g} s"
    print(json.dumps(asdict(answer)), file=out, flush=True)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1] if len(sys.argv) > 1 else CONFIGURATION)
    # Nothing waits for threads that are still at it.
    os._exit(status)
