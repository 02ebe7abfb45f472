# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ACME authority and a DNS server on a host of their own, beside the server under test.

The authority is Pebble, the DNS server BIND, both from Debian's packages. Pebble asks BIND, which
knows the server by its name and takes updates that are signed with a TSIG key.
"""

from __future__ import annotations

import base64
import json
import secrets
import shlex
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .conftest import Server
from .other_host import other_host

DIRECTORY_PORT, MANAGEMENT_PORT = 14000, 15000
ZONE = "example.org"
KEY_ID = "kid-1"
DNS_KEY_NAME = "hub-key"


@dataclass
class Authority:
    """Pebble and BIND on a host.

    Attributes:
        ca_file: what the address of the directory is trusted by; not what certificates are.
        hmac_key: of the external account binding, without which nobody gets an account.
        dns_secret: the TSIG key.
    """

    host: Server
    ca_file: Path
    hmac_key: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()
    )
    dns_secret: str = field(
        default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode()
    )

    @property
    def directory(self) -> str:
        return f"https://{self.host.address}:{DIRECTORY_PORT}/dir"

    @property
    def variables(self) -> dict[str, object]:
        """Variables of the role for certificates by this authority."""
        return {
            "hub_https_certificate": "acme",
            "hub_https_acme_directory": self.directory,
            "hub_https_acme_agree_to_terms": True,
            "hub_https_acme_email": "it@example.org",
            "hub_https_acme_ca_file": str(self.ca_file),
            "hub_https_acme_eab_key_id": KEY_ID,
            "hub_https_acme_eab_hmac_key": self.hmac_key,
        }

    @property
    def dns_variables(self) -> dict[str, object]:
        """The same by way of the DNS."""
        return {
            **self.variables,
            "hub_https_acme_challenge": "dns-01",
            "hub_https_acme_dns_server": self.host.address,
            "hub_https_acme_dns_key_name": DNS_KEY_NAME,
            "hub_https_acme_dns_key_secret": self.dns_secret,
            "hub_https_acme_dns_key_algorithm": "HMAC-SHA256",
            "hub_https_acme_dns_wait_seconds": 1,
        }

    def roots(self, file: Path) -> Path:
        """Write the certificate that this authority's certificates are trusted by."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        address = f"https://{self.host.address}:{MANAGEMENT_PORT}/roots/0"
        with urllib.request.urlopen(address, context=context, timeout=30) as answer:
            file.write_bytes(answer.read())
        return file

    @contextmanager
    def unreachable(self, server: Server) -> Iterator[None]:
        """Have nobody answer a server at the address of the directory; Pebble itself forgets nothing."""
        rule = f"OUTPUT -d {self.host.address} -p tcp --dport {DIRECTORY_PORT} -j REJECT --reject-with tcp-reset"
        server.run(f"iptables -I {rule}")
        try:
            yield
        finally:
            server.run(f"iptables -D {rule}")

    def set_up(self, hub: str, address: str) -> None:
        """Install and configure both, for a hub of a name at an address."""
        self.host.run(
            "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends"
            " bind9 openssl pebble",
            timeout=300,
        )
        self._write(
            "/etc/bind/named.conf.local",
            f'key "{DNS_KEY_NAME}" {{ algorithm hmac-sha256; secret "{self.dns_secret}"; }};\n'
            f'zone "{ZONE}" {{ type master; file "/var/lib/bind/{ZONE}";\n'
            f"  update-policy {{ grant {DNS_KEY_NAME} zonesub TXT; }}; }};\n",
        )
        self._write(
            f"/var/lib/bind/{ZONE}",
            "$TTL 1\n@ SOA ns root 1 1 1 1 1\n  NS ns\n"
            f"ns A {self.host.address}\n{hub}. A {address}\n*.{hub}. A {address}\n",
        )
        self._write(
            "/etc/pebble.json",
            json.dumps(
                {
                    "pebble": {
                        "listenAddress": f"0.0.0.0:{DIRECTORY_PORT}",
                        "managementListenAddress": f"0.0.0.0:{MANAGEMENT_PORT}",
                        "certificate": "/etc/pebble.crt",
                        "privateKey": "/etc/pebble.key",
                        "httpPort": 80,
                        "tlsPort": 443,
                        "ocspResponderURL": "",
                        "externalAccountBindingRequired": True,
                        "externalAccountMACKeys": {KEY_ID: self.hmac_key},
                    }
                }
            ),
        )
        # By itself it refuses one request in twenty, to see whether a client tries again. certbot does
        # so once, so that every few hundred requests it gives up.
        self._write(
            "/etc/systemd/system/pebble.service",
            "[Service]\nEnvironment=PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0\n"
            "ExecStart=/usr/bin/pebble -config /etc/pebble.json -dnsserver 127.0.0.1:53\n",
        )
        self.host.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 -subj /CN=authority"
            f" -addext subjectAltName=IP:{self.host.address} -keyout /etc/pebble.key -out /etc/pebble.crt 2>&1"
            " && chown -R bind: /var/lib/bind && systemctl restart named && systemctl daemon-reload"
        )
        self.ca_file.write_text(self.host.run("cat /etc/pebble.crt"))
        # It has another root, and has forgotten all accounts, each time it starts.
        self.host.run("systemctl start pebble")
        self.host.run(
            f"for attempt in $(seq 100); do ss -ltn | grep -q :{DIRECTORY_PORT} && exit; sleep 0.1; done; exit 1"
        )

    def _write(self, path: str, text: str) -> None:
        self.host.run(f"printf %s {shlex.quote(text)} > {path}")


@contextmanager
def authority(instance: str, folder: Path, hub: str, address: str) -> Iterator[Authority]:
    """Have an authority that finds a hub of a name at an address; its host is gone afterwards."""
    with other_host(instance, "bookworm") as host:
        found = Authority(host, folder / "authority.crt")
        found.set_up(hub, address)
        yield found
