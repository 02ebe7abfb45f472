# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real service of OpenID Connect on this machine: npm's oidc-provider, and a person who uses it."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import requests

from .authority import Authority
from .local_hub import end, free_port, node, node_package, wait_for

VERSION = "9.13.3"


class OpenIDProvider:
    """A service of OpenID Connect that believes any password.

    Args:
        folder: for its settings and its log.
        accounts: claims by name of the account; an account it does not know has a name only.
        address: where it listens; on another one than loopback it has a certificate, `authority`.

    Attributes:
        issuer: its address.
        ca_file: what its certificate is trusted by, if it has one.
        clients: what it knows of its clients, to be filled before it starts.
    """

    def __init__(
        self,
        folder: Path,
        accounts: Mapping[str, Mapping[str, Any]],
        address: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.accounts = accounts
        self.address = address
        self.port = free_port()
        self.authority = Authority(folder) if address != "127.0.0.1" else None
        self.issuer = f"{'https' if self.authority else 'http'}://{address}:{self.port}"
        self.clients: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ca_file(self) -> str:
        assert self.authority, "it has no certificate on loopback"
        return str(self.authority.certificate)

    def endpoints(self) -> dict[str, str]:
        """Its addresses by the names of jupyterhub_oauth."""
        return {
            "authorize_url": f"{self.issuer}/auth",
            "token_url": f"{self.issuer}/token",
            "userdata_url": f"{self.issuer}/me",
        }

    def __enter__(self) -> OpenIDProvider:
        settings = {
            "issuer": self.issuer,
            "address": self.address,
            "port": self.port,
            **self._files(),
            "clients": self.clients,
            "accounts": self.accounts,
            "key": "key-of-the-cookies",
            "modules": str(node_package("oidc-provider", VERSION)),
        }
        file = self.folder / "openid.json"
        file.write_text(json.dumps(settings))
        program = Path(__file__).with_suffix(".mjs")
        with (self.folder / "openid.log").open("wb") as log:
            self._process = subprocess.Popen(
                [node(), str(program), str(file)], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_for(self._answers, 30, "the service answers")
        except BaseException:
            end(self._process)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end(self._process)

    def _files(self) -> dict[str, str]:
        if not self.authority:
            return {}
        key, certificate = self.authority.sign(self.address)
        return {"key_file": str(key), "certificate_file": str(certificate)}

    def _answers(self) -> bool:
        assert self._process is not None
        log = self.folder / "openid.log"
        assert self._process.poll() is None, log.read_text()
        try:
            url = f"{self.issuer}/.well-known/openid-configuration"
            verify = str(self.authority.certificate) if self.authority else True
            return requests.get(url, timeout=2, verify=verify).ok
        except requests.RequestException:
            return False


def sign_in(
    ask: Callable[..., requests.Response], start: str, name: str, **options: Any
) -> requests.Response:
    """Follow a sign-in through the pages of the service, as a person in a browser does.

    Args:
        ask: sends a request of a session, as ``requests.Session.request`` does.
        start: an address that leads to the service.
        options: of each request.

    Returns:
        The page that is no page of the service any more.
    """
    page = ask("GET", start, **options)
    # The name is asked for, then consent.
    for _step in range(3):
        form = re.search(r'<form[^>]*action="([^"]*/interaction/[^"]*)"', page.text)
        if not form:
            return page
        fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', page.text))
        fields |= {"login": name, "password": "any"} if 'name="login"' in page.text else {}
        page = ask("POST", urljoin(page.url, html.unescape(form[1])), data=fields, **options)
    return page
