# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the server reaches what the hub asks when somebody signs in. No I/O.

Only an address that is new to the hub is asked for. One it uses already may be down at the moment,
which is no reason not to deploy something else; the doctor tells of that.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import (
    CERT_REQUIRED,
    effective,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem

Values = Mapping[str, Any]

PREFIX = "jupyterhub_"
NEEDED = ("jupyterhub_authenticator", "jupyterhub_config", "jupyterhub_oauth", "jupyterhub_ldap",
          "jupyterhub_lti13")  # fmt: skip
# What the hub itself asks, by option; authorize_url is for the browsers of those who sign in.
ADDRESSES = {
    "generic-oauth": (("oauth", "token_url"), ("oauth", "userdata_url")),
    "github": (("oauth", "url"),),
    "gitlab": (("oauth", "url"),),
    "lti13": (("lti13", "jwks_endpoint"),),
}
TRAITS = {"github": {"url": "github_url"}, "gitlab": {"url": "gitlab_url"}}
PORTS = {"http": 80, "https": 443}
LDAP_PORTS = {"on_connect": 636}
LDAP_PORT = 389
LDAP_TLS = {"on_connect": "tls", "before_bind": "ldap"}
PROXIES = ("docker_engine_http_proxy", "docker_engine_https_proxy", "hub_image_http_proxy",
           "hub_image_https_proxy")  # fmt: skip


class Service(NamedTuple):
    """What the hub asks.

    Attributes:
        variable: the one that says where it is.
        text: how the hub's configuration names it.
        name: its host.
        tls: V(none), V(tls) from the beginning, or V(ldap) by the means of LDAP.
    """

    variable: str
    text: str
    name: str
    port: int
    tls: str


def identity_services(values: Values) -> list[Service]:
    """What the hub will ask, each host and port once; none where that cannot be said.

    :arg values: converted values by full name; a variable with a problem is left out.
    """
    if not values.get(NEEDED[0]) or any(name not in values for name in NEEDED):
        return []
    own = {
        name.removeprefix(PREFIX): value
        for name, value in values.items()
        if name.startswith(PREFIX)
    }
    # The hub's own way to a proxy.
    if effective(own, "http_request_kwargs") or "proxy_host" in (own.get("extra_config") or ""):
        return []
    found = _directory(own) if own["authenticator"] == "ldap" else _addresses(own)
    once: dict[tuple[str, int], Service] = {}
    for service in found:
        if service.name and not _is_loopback(service.name):
            once.setdefault((service.name, service.port), service)
    return list(once.values())


def identity_host_options(values: Values) -> dict[str, Any]:
    """What to ask the server, as options of ailab.hub.host_info."""
    asked = [
        {"text": service.text, "name": service.name, "port": service.port, "tls": service.tls}
        for service in identity_services(values)
    ]
    return {"services": asked} if asked else {}


def check_identity_host(values: Values, host: Mapping[str, Any]) -> Iterator[Problem]:
    """All problems of a server that does not reach what the hub will ask.

    :arg host: what ailab.hub.host_info returned.
    """
    behind_proxy = any(values.get(name) for name in PROXIES)
    # Of an image somebody else made it is not known whom it trusts.
    judges_certificates = "hub_image_ca_file" in values and not values.get("jupyterhub_hub_image")
    for service, found in zip(identity_services(values), host["services"], strict=True):
        where = f"{service.name} port {service.port}"
        if found["problem"] == "certificate" and judges_certificates:
            yield Problem(
                service.variable,
                f"{where}, whose certificate cannot be trusted ({found['detail']})",
                "a certificate that is valid and for this name",
                "Correct the address, ask those who run it for another certificate, or name its "
                "authority in hub_image_ca_file.",
            )
        elif behind_proxy:
            continue
        # A name without a dot may be that of a container beside the hub.
        elif found["problem"] == "name" and "." in service.name:
            yield Problem(
                service.variable,
                f"{service.name}, which does not resolve on the server",
                "a name the server knows",
                "Correct it, or the DNS of the server.",
            )
        elif found["problem"] == "connection":
            yield Problem(
                service.variable,
                f"{where}, which does not answer the server ({found['detail']})",
                "a service that answers",
                "Correct the address, start the service, or open the way in the firewalls between.",
            )


def _addresses(own: Values) -> Iterator[Service]:
    name = own["authenticator"]
    trusts_any = effective(own, "validate_server_cert") is False
    for group, option in ADDRESSES.get(name, ()):
        text = effective(own, TRAITS.get(name, {}).get(option, option))
        if not isinstance(text, str):
            continue
        try:
            url = urlsplit(text)
            port = url.port or PORTS[url.scheme]
        except (ValueError, KeyError):
            # Which is told by itself.
            continue
        tls = "tls" if url.scheme == "https" and not trusts_any else "none"
        yield Service(f"{PREFIX}{group}.{option}", text, url.hostname or "", port, tls)


def _directory(own: Values) -> Iterator[Service]:
    address, strategy = (effective(own, name) for name in ("server_address", "tls_strategy"))
    port = effective(own, "server_port") or LDAP_PORTS.get(str(strategy), LDAP_PORT)
    tls = LDAP_TLS.get(str(strategy), "none")
    if (effective(own, "tls_kwargs") or {}).get("validate") != CERT_REQUIRED:
        tls = "none"
    if isinstance(address, str) and isinstance(port, int):
        yield Service(f"{PREFIX}ldap.server_address", address, address, port, tls)


def _is_loopback(host: str) -> bool:
    """Whether it is another machine to the hub's container than to the server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
