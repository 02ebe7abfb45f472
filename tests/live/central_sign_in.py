# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A university's central sign-in: a service of OpenID Connect, and a web server in front of the hub.

The service is npm's oidc-provider on this machine. The web server is Apache with mod_auth_openidc on
a host of its own, set up by the commands and the site that a page shows.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pages import blocks

from .conftest import Server
from .inventories import HOST
from .openid_provider import OpenIDProvider
from .other_host import other_host

# What the site of the page has, and the test puts its own in the place of.
SERVICE = "https://login.example.org"
CLIENT = {"client_id": "jupyter", "client_secret": "secret-of-the-client"}
RETURN = "/hub/login/return"


@dataclass
class CentralSignIn:
    """The service and the web server.

    Attributes:
        host: what the web server is on.
        name: of the site, which people enter.
    """

    host: Server
    service: OpenIDProvider
    name: str

    @property
    def address(self) -> str:
        """Where the web server is, and where the hub's server sees requests come from."""
        return self.host.address

    @property
    def ca_file(self) -> str:
        """What web server and service are trusted by."""
        return self.service.ca_file

    def serve(self, page: Path, hub_ca_file: str, hub_address: str) -> None:
        """Do what the page says, for a hub at an address with a certificate by an authority."""
        assert self.service.authority
        key, certificate = self.service.authority.sign(self.name)
        trusted = "/usr/local/share/ca-certificates/central.crt"
        self.host.run("mkdir -p /etc/apache2")
        for path, file in (
            ("/etc/apache2/jupyter.key", key),
            ("/etc/apache2/jupyter.crt", certificate),
            (f"/etc/apache2/{HOST}.crt", Path(hub_ca_file)),
            (trusted, Path(self.ca_file)),
        ):
            self._write(path, file.read_text())
        # A house's servers know its DNS and its authority.
        self._write("/etc/hosts", f"127.0.0.1 localhost\n{hub_address} {HOST}\n")
        self.host.run("apt-get install -qq -y ca-certificates && update-ca-certificates")
        for block in blocks(page):
            if block.info == "apache":
                site = block.text.replace(SERVICE, self.service.issuer)
                self._write("/etc/apache2/sites-available/jupyter.conf", site)
            elif block.kind == "commands" and "apache2" in block.text:
                self.host.run(f"set -e\n{block.text}", timeout=300)

    def _write(self, path: str, text: str) -> None:
        self.host.run(f"umask 077 && printf %s {shlex.quote(text)} > {path}")


@contextmanager
def central_sign_in(
    instance: str, folder: Path, accounts: Mapping[str, Mapping[str, Any]], name: str
) -> Iterator[CentralSignIn]:
    """Have a service that knows some accounts, and a bare host for the web server; both are gone afterwards."""
    with other_host(instance, "trixie") as host:
        service = OpenIDProvider(folder, accounts, host.controller)
        service.clients.append({**CLIENT, "redirect_uris": [f"https://{name}{RETURN}"]})
        with service:
            host.run("apt-get update -qq")
            yield CentralSignIn(host, service, name)
