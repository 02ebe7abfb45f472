# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument specification cannot say about the variables of hub_https. No I/O."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem, describe

Values = Mapping[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# By RFC 1123; a name in another script is written in its ASCII form.
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"{LABEL}(?:\.{LABEL})*")
MAX_HOSTNAME_LENGTH = 253
# An unsigned integer with nginx's units.
NGINX_SIZE = re.compile(r"[0-9]+[kKmMgG]?")
EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")
BASE64URL = re.compile(r"[A-Za-z0-9_-]+=*")
HEADER = re.compile(r"[A-Za-z0-9-]+")
# An address or a network as nginx writes it: no mask, no zone.
NGINX_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]+)?")
PATH_PREFIX = re.compile(r"https?://[^/]+/?")
# OpenSSL refuses shorter ones at Debian's level of security.
MIN_RSA_BITS = 2048
# A certificate that was made a moment ago must not be refused.
MAX_CLOCK_DIFFERENCE = 300
GROUP_AND_OTHERS = 0o077

PACKAGES = ("nginx", "openssl", "certbot", "python3-certbot-dns-rfc2136")
# What may be left of another source of certificates.
PATHS = (
    "/etc/ailab-hub/acme-dns.ini",
    "/etc/ailab-hub/acme.ini",
    "/etc/letsencrypt/renewal/ailab-hub.conf",
    "/etc/nginx/sites-available/ailab-hub",
    "/etc/nginx/sites-enabled/zz-ailab-hub",
    "/etc/systemd/system/ailab-hub-certificate.service",
    "/etc/systemd/system/ailab-hub-certificate.timer",
    "/etc/systemd/system/certbot.service.d/ailab-hub.conf",
    "/usr/local/sbin/ailab-hub-certificate",
    "/usr/local/sbin/ailab-hub-deploy-certificate",
    "/var/lib/ailab-hub/https/acme-ca.crt",
    "/var/lib/ailab-hub/https/acme.sha256",
    "/var/lib/ailab-hub/https/certificate.pem",
    "/var/lib/ailab-hub/https/entrance.conf",
    "/var/lib/ailab-hub/https/told.sha256",
    "/var/www/ailab-hub",
)
LOOPBACK = {4: ipaddress.ip_network("127.0.0.0/8"), 6: ipaddress.ip_network("::1/128")}
LINK_LOCAL = {4: ipaddress.ip_network("169.254.0.0/16"), 6: ipaddress.ip_network("fe80::/10")}
CENTRAL = "hub_https_remote_user_proxies"
OWN_SITE = "/etc/nginx/sites-enabled/zz-ailab-hub"


def has_https(values: Values) -> bool:
    """Whether there is to be HTTPS at all."""
    return values.get("hub_https_certificate") not in (None, "none")


def wanted_names(values: Values) -> list[str]:
    """The names a certificate has to cover; none where the name itself has a problem."""
    hostname = values.get("hub_https_hostname")
    if not hostname:
        return []
    return [hostname] + ([f"*.{hostname}"] if values.get("hub_https_subdomains") else [])


def check_https(values: Values) -> Iterator[Problem]:
    """All problems of the converted variables, as far as they stand for themselves."""
    if not has_https(values):
        if values.get("hub_https_subdomains"):
            yield Problem(
                "hub_https_subdomains",
                "true, with hub_https_certificate: none",
                "a certificate for all names below hub_https_hostname",
                "Set hub_https_certificate, or remove hub_https_subdomains.",
            )
        if values.get(CENTRAL):
            yield Problem(
                CENTRAL,
                "a list, with hub_https_certificate: none",
                "nothing, since the nginx that would take headers from them is not there",
                f"Set hub_https_certificate, or take {CENTRAL} out and have an entrance of your own.",
            )
        return
    yield from _hostname(values)
    yield from _addresses(values)
    yield from _ports(values)
    yield from _numbers(values)
    yield from _proxy(values)
    yield from _central_sign_in(values)
    if values["hub_https_certificate"] == "files":
        yield from _files(values)
    if values["hub_https_certificate"] == "acme":
        yield from _acme(values)


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _hostname(values: Values) -> Iterator[Problem]:
    name = "hub_https_hostname"
    value = values.get(name)
    if value is None:
        return
    if _is_ip(value):
        if values.get("hub_https_subdomains"):
            mend = "Set hub_https_hostname to the server's name, or remove hub_https_subdomains."
            expected = "a name, below which users' servers get theirs"
            yield Problem(name, f"the address {value}", expected, mend)
        return
    if not HOSTNAME.fullmatch(value) or len(value) > MAX_HOSTNAME_LENGTH:
        ascii_form = _ascii_form(value)
        mend = (
            f"Did you mean {ascii_form}?"
            if ascii_form
            else "Write it as users do behind https://, without a port or a path."
        )
        yield Problem(name, describe(value), "the name or IP address of the server", mend)


def _ascii_form(value: str) -> str:
    """What was meant by an address, or a name in another script; empty if nobody can tell."""
    bare = re.sub(r"^https?://", "", value).partition("/")[0]
    try:
        meant = bare.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return meant if meant != value and HOSTNAME.fullmatch(meant) else ""


def _addresses(values: Values) -> Iterator[Problem]:
    name = "hub_https_bind_addresses"
    addresses = values.get(name)
    if addresses is None:
        return
    mend = "Write 0.0.0.0 for all of IPv4 and :: for all of IPv6, or addresses of the server."
    if not addresses or addresses == ["::"]:
        expected = "at least one address that every server has"
        yield Problem(name, describe(addresses), expected, mend)
    known = set()
    for address in addresses:
        # nginx has no zones (fe80::1%eth0).
        if not _is_ip(address) or "%" in address:
            yield Problem(name, describe(address), "IP addresses", mend)
        elif (parsed := ipaddress.ip_address(address)) in known:
            found = f"{address} more than once"
            yield Problem(name, found, "each address once", "Take it out where it is too many.")
        else:
            known.add(parsed)


def _ports(values: Values) -> Iterator[Problem]:
    https, http = values.get("hub_https_port"), values.get("hub_https_http_port")
    if https is not None and not 1 <= https <= 65535:
        mend = "Set hub_https_port to one of them; the default is 443."
        yield Problem("hub_https_port", describe(https), "a TCP port from 1 to 65535", mend)
    if http is not None and not 0 <= http <= 65535:
        mend = "Set hub_https_http_port to one of them, or to 0 for none; the default is 80."
        yield Problem("hub_https_http_port", describe(http), "a TCP port from 1 to 65535", mend)
    if http and http == https:
        mend = "Set hub_https_http_port to another one."
        found = f"{http}, the port of HTTPS"
        yield Problem("hub_https_http_port", found, "a port of its own", mend)
    hub = values.get("jupyterhub_port")
    for name, port in (("hub_https_port", https), ("hub_https_http_port", http)):
        if port and port == hub and _meets_the_hub(values):
            found = f"{port}, the port of the hub behind it (jupyterhub_port)"
            mend = f"Set {name} or jupyterhub_port to another one."
            yield Problem(name, found, "a port of its own", mend)


def _meets_the_hub(values: Values) -> bool:
    """Whether nginx listens where the hub's proxy does, but for the port."""
    hub = values.get("jupyterhub_bind_address")
    if not hub or not _is_ip(hub):
        return True
    own = ipaddress.ip_address(hub)
    for address in values.get("hub_https_bind_addresses") or []:
        other = ipaddress.ip_address(address) if _is_ip(address) else own
        is_any = own.is_unspecified or other.is_unspecified
        if other == own or (is_any and other.version == own.version):
            return True
    return False


def _numbers(values: Values) -> Iterator[Problem]:
    for name in (
        "hub_https_hsts_seconds",
        "hub_https_sign_ins_per_minute",
        "hub_https_acme_dns_wait_seconds",
    ):
        value = values.get(name)
        if value is not None and value < 0:
            yield Problem(name, describe(value), "0 or more", f"Correct {name}.")
    name = "hub_https_max_body_size"
    size = values.get(name)
    if size is not None and not NGINX_SIZE.fullmatch(size):
        expected = "a size as nginx writes it, such as 500m or 10g"
        yield Problem(name, describe(size), expected, "Use k, m or g, or 0 for no limit.")


def _proxy(values: Values) -> Iterator[Problem]:
    name = "jupyterhub_bind_address"
    address = values.get(name)
    if address and _is_ip(address) and not ipaddress.ip_address(address).is_loopback:
        yield Problem(
            name,
            f"{address}, with HTTPS in front",
            "127.0.0.1, so that nobody comes in by plain HTTP beside it",
            f"Remove {name}; hub_https_bind_addresses says where users come in.",
        )
    for name, example in (
        ("hub_https_upstream", "http://127.0.0.1:8000"),
        ("hub_https_remote_user_upstream", "http://10.230.0.2:8081"),
    ):
        upstream = values.get(name)
        if upstream is not None and (
            not PATH_PREFIX.fullmatch(upstream) or not _is_url(upstream, ("http",))
        ):
            mend = "Leave out everything behind the port."
            yield Problem(name, describe(upstream), f"an address such as {example}", mend)


def _central_sign_in(values: Values) -> Iterator[Problem]:
    """Problems of whom nginx believes who somebody is."""
    proxies, authenticator = values.get(CENTRAL), values.get("jupyterhub_authenticator")
    if proxies is None:
        return
    if authenticator and bool(proxies) != (authenticator == "remote-user"):
        used = f"with jupyterhub_authenticator: {authenticator}"
        yield (
            Problem(CENTRAL, f"a list, {used}", "nothing: it is for remote-user", "Take it out.")
            if proxies
            else Problem(
                CENTRAL,
                f"nothing, {used}, which lets nobody in",
                "the addresses of the web servers of the central sign-in",
                f"Name them in {CENTRAL}.",
            )
        )
    for entry in proxies:
        if network := _central_network(entry):
            yield from _who_else_sends(values, entry, network)
        else:
            mend = _meant_network(entry) or "Write it as 192.0.2.10 or 192.0.2.0/28."
            yield Problem(CENTRAL, describe(entry), "IP addresses and networks", mend)
    headers = values.get("hub_https_remote_user_headers") or []
    for header in headers:
        if not HEADER.fullmatch(header):
            mend = "Use letters, digits and '-'."
            name = "hub_https_remote_user_headers"
            yield Problem(name, describe(header), "names of headers", mend)


def _central_network(entry: str) -> Network | None:
    """A network, or one address, as nginx takes it too; None for anything else."""
    if not NGINX_NETWORK.fullmatch(entry):
        return None
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None


def _meant_network(entry: str) -> str:
    """A question for what was meant by an address with a mask; empty if nobody can tell."""
    try:
        meant = ipaddress.ip_interface(entry.strip())
    except ValueError:
        return ""
    if not NGINX_NETWORK.fullmatch(str(meant)):
        return ""
    one = meant.network.num_addresses == 1
    return f"Did you mean {meant.ip}{'' if one else f' alone, or all of {meant.network}'}?"


def _who_else_sends(values: Values, entry: str, network: Network) -> Iterator[Problem]:
    """What lets somebody send from a network who is no web server of the central sign-in."""
    mend = "Name the addresses of the web servers of the central sign-in alone."
    expected = "addresses from which nobody else can send"
    found = ""
    if network.prefixlen == 0:
        found = "where everybody is"
    elif network.is_loopback or network.overlaps(LOOPBACK[network.version]):
        # A web server beside this one would hold its ports, and so can be the entrance itself.
        found = "from which every account of the server can send"
        mend = "A web server on the server itself can be the entrance: set hub_https_certificate: none."
    elif network.overlaps(LINK_LOCAL[network.version]):
        found = "which whoever is on the same link can take"
    else:
        for name in ("jupyterhub_subnet", "jupyterhub_internal_subnet"):
            try:
                subnet = ipaddress.ip_network(values.get(name) or "")
            except ValueError:
                continue
            if network.overlaps(subnet):
                found = f"with addresses of {subnet} ({name}), from which users' programs can send"
    if found:
        yield Problem(CENTRAL, f"{entry}, {found}", expected, mend)


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        url = urlsplit(value)
        _port = url.port
    except ValueError:
        return False
    return url.scheme in schemes and bool(url.hostname) and not re.search(r"\s", value)


def _files(values: Values) -> Iterator[Problem]:
    for name, what in (
        ("hub_https_certificate_file", "a file with the certificate"),
        ("hub_https_key_file", "a file with its private key"),
    ):
        if values.get(name) == "":
            mend = f"Set {name}, or hub_https_certificate to internal or acme."
            yield Problem(name, "nothing, with hub_https_certificate: files", what, mend)


def _acme(values: Values) -> Iterator[Problem]:
    hostname = values.get("hub_https_hostname") or ""
    if hostname and (_is_ip(hostname) or "." not in hostname):
        yield Problem(
            "hub_https_hostname",
            f"{hostname}, with hub_https_certificate: acme",
            "a full name in the DNS",
            "Set it to the name users enter, or take hub_https_certificate: internal.",
        )
    if values.get("hub_https_acme_agree_to_terms") is False:
        yield Problem(
            "hub_https_acme_agree_to_terms",
            "false",
            "true, since an ACME authority issues no certificate otherwise",
            f"Read the terms of {values.get('hub_https_acme_directory')} and set it to true.",
        )
    directory = values.get("hub_https_acme_directory")
    if directory is not None and not _is_url(directory, ("https",)):
        expected = "an address that begins with https://"
        mend = "Write the directory's address, as the authority's documentation has it."
        yield Problem("hub_https_acme_directory", describe(directory), expected, mend)
    email = values.get("hub_https_acme_email")
    if email and not EMAIL.fullmatch(email):
        mend = "Write one address, or leave it empty."
        yield Problem("hub_https_acme_email", describe(email), "an e-mail address", mend)
    yield from _external_account(values)
    challenge = values.get("hub_https_acme_challenge")
    if challenge == "dns-01":
        yield from _dns(values)
    elif challenge == "http-01":
        if values.get("hub_https_subdomains"):
            yield Problem(
                "hub_https_acme_challenge",
                "http-01, with hub_https_subdomains: true",
                "dns-01, the only one that gives certificates for all names below another",
                "Set it to dns-01 with hub_https_acme_dns_server, or remove hub_https_subdomains.",
            )
        if values.get("hub_https_http_port") == 0:
            mend = "Set hub_https_http_port to 80, or hub_https_acme_challenge to dns-01."
            expected = "a port where the authority finds the answer to http-01"
            yield Problem("hub_https_http_port", "0", expected, mend)


def _external_account(values: Values) -> Iterator[Problem]:
    key_id = values.get("hub_https_acme_eab_key_id")
    hmac_key = values.get("hub_https_acme_eab_hmac_key")
    if key_id is None or hmac_key is None:
        return
    if bool(key_id) != bool(hmac_key):
        missing = "hub_https_acme_eab_hmac_key" if key_id else "hub_https_acme_eab_key_id"
        expected = "both parts of the external account binding, or none"
        yield Problem(missing, "nothing", expected, "Add it, or remove the other one.")
    if hmac_key and not BASE64URL.fullmatch(hmac_key):
        expected = "base64url: letters, digits, '-' and '_'"
        mend = "Copy it as the authority gives it."
        found = describe(hmac_key, secret=True) + " with other characters"
        yield Problem("hub_https_acme_eab_hmac_key", found, expected, mend)


def _dns(values: Values) -> Iterator[Problem]:
    server = values.get("hub_https_acme_dns_server")
    if server is not None and not _is_ip(server):
        mend = "Write the address; certbot takes no name here."
        expected = "the IP address of the DNS server that takes updates"
        yield Problem("hub_https_acme_dns_server", describe(server), expected, mend)
    port = values.get("hub_https_acme_dns_port")
    if port is not None and not 1 <= port <= 65535:
        mend = "The default is 53."
        yield Problem("hub_https_acme_dns_port", describe(port), "a port from 1 to 65535", mend)
    if values.get("hub_https_acme_dns_key_name") == "":
        expected = "the name of the TSIG key"
        mend = "Set it to the key's name in the DNS server's configuration."
        yield Problem("hub_https_acme_dns_key_name", "nothing", expected, mend)
    secret = values.get("hub_https_acme_dns_key_secret")
    if secret is not None and not _is_base64(secret):
        found = describe(secret, secret=True) if secret else "nothing"
        mend = "Copy it as tsig-keygen prints it, and encrypt it with Ansible Vault."
        yield Problem("hub_https_acme_dns_key_secret", found, "the TSIG key in base64", mend)


def _is_base64(value: str) -> bool:
    try:
        return bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


def key_mode_problem(mode: int) -> str:
    """What is wrong with the mode of a key's file; empty if nothing."""
    if mode & GROUP_AND_OTHERS:
        return f"mode {mode & 0o7777:04o}, with which others than its owner may use the key"
    return ""


def certificate_problems(
    certificate: bytes, key: bytes, names: list[str], now: datetime.datetime
) -> Iterator[Problem]:
    """What is wrong with a certificate and its key.

    :arg certificate: PEM; the server's own first, then those behind it.
    :arg key: PEM.
    :arg names: which it has to cover.
    :arg now: with a time zone.
    """
    # ansible-core needs it for its vault, but what only reads this file does not.
    from cryptography import x509

    name = "hub_https_certificate_file"
    expected = "the server's certificate in PEM form, and those behind it"
    mend = "Put the certificate you were issued there, with the intermediate ones behind it."
    if b"PRIVATE KEY-----" in certificate:
        found = "a private key in it"
        yield Problem(name, found, expected, "Put the key into hub_https_key_file alone.")
        return
    try:
        chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        yield Problem(name, "no certificate that can be read", expected, mend)
        return
    yield from _key_problems(chain, key)
    yield from _validity_problems(chain[0], now)
    covered = _names_of(chain[0])
    for wanted in names:
        if not any(_covers(pattern, wanted) for pattern in covered):
            yield Problem(
                name,
                f"a certificate for {', '.join(covered) or 'no name at all'}",
                f"one that covers {wanted}",
                "Take another certificate, or correct hub_https_hostname.",
            )


def _key_problems(chain: list[Any], key: bytes) -> Iterator[Problem]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    name = "hub_https_key_file"
    expected = "the private key of the certificate in PEM form, without a passphrase"
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except TypeError:
        mend = "Remove it (openssl pkey -in KEY -out NEW) and encrypt the file with Ansible Vault."
        yield Problem(name, "a key with a passphrase", expected, mend)
        return
    except Exception:
        # Whatever a file holds that is no key: several kinds of errors, none of which may quote it.
        yield Problem(name, "no private key that can be read", expected, "Put the key there.")
        return
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size < MIN_RSA_BITS:
        mend = "Have a certificate issued for a new key."
        found = f"an RSA key of {private.key_size} bits"
        yield Problem(name, found, f"{MIN_RSA_BITS} bits or more", mend)
    numbers = [_public_bytes(entry.public_key()) for entry in chain]
    own = _public_bytes(private.public_key())
    if own == numbers[0]:
        return
    if own in numbers:
        yield Problem(
            "hub_https_certificate_file",
            f"the server's certificate at place {numbers.index(own) + 1}",
            "it at the first",
            "Put it first, and those behind it in the order of who issued whom.",
        )
    else:
        mend = "Take the key the certificate was asked for with."
        yield Problem(name, "the key of another certificate", expected, mend)


def _public_bytes(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _validity_problems(certificate: Any, now: datetime.datetime) -> Iterator[Problem]:
    name = "hub_https_certificate_file"
    begins, ends = _utc(certificate, "not_valid_before"), _utc(certificate, "not_valid_after")
    if now > ends:
        mend = "Have it renewed and put the new one there."
        found = f"a certificate that ended on {ends:%Y-%m-%d %H:%M} UTC"
        yield Problem(name, found, "one that is valid now", mend)
    elif now < begins:
        mend = "Wait until then, or set this machine's clock right."
        found = f"a certificate that begins on {begins:%Y-%m-%d %H:%M} UTC"
        yield Problem(name, found, f"one that is valid now ({now:%Y-%m-%d %H:%M} UTC)", mend)


def _utc(certificate: Any, name: str) -> datetime.datetime:
    # cryptography has the names with _utc since 42; what it had before has no time zone.
    found: datetime.datetime | None = getattr(certificate, f"{name}_utc", None)
    return found or getattr(certificate, name).replace(tzinfo=datetime.UTC)


def _names_of(certificate: Any) -> list[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def _covers(pattern: str, name: str) -> bool:
    """Whether a name in a certificate covers another one, which may be a pattern itself."""
    if pattern.lower() == name.lower():
        return True
    label, _dot, rest = name.partition(".")
    return pattern.lower() == f"*.{rest.lower()}" and label != "*" and not _is_ip(name)


def https_host_options(values: Values) -> dict[str, Any]:
    """What to ask the server, as options of ailab.hub.host_info."""
    if values.get("hub_https_certificate") is None:
        return {}
    options: dict[str, Any] = {"paths": list(PATHS)}
    if not has_https(values):
        return options
    ports = [values.get("hub_https_port"), values.get("hub_https_http_port")]
    addresses = [item for item in values.get("hub_https_bind_addresses") or [] if _is_ip(item)]
    options["listen"] = [
        {"address": address, "port": port}
        for address in addresses
        for port in ports
        if port and 1 <= port <= 65535
    ]
    options["nginx"] = True
    options["names"] = [item for item in [values.get("hub_https_hostname")] if item]
    return options


def check_https_host(values: Values, host: Mapping[str, Any]) -> Iterator[Problem]:
    """All problems of a server that has to do with HTTPS.

    :arg host: what ailab.hub.host_info returned, and C(clock_ahead), in seconds.
    """
    if not has_https(values):
        return
    yield from _check_ports(values, host)
    yield from _check_sites(values, host)
    yield from _check_central(values, host)
    hostname = values.get("hub_https_hostname")
    by_http = values.get("hub_https_acme_challenge") == "http-01"
    if (
        values["hub_https_certificate"] == "acme"
        and by_http
        and hostname
        and not host["names"].get(hostname)
    ):
        yield Problem(
            "hub_https_hostname",
            f"{hostname}, which does not resolve on the server",
            "a name in the DNS, by which the authority finds the server",
            "Add an entry for it to the DNS, or set hub_https_acme_challenge: dns-01.",
        )
    ahead = host["clock_ahead"]
    if abs(ahead) > MAX_CLOCK_DIFFERENCE:
        way = "ahead of" if ahead > 0 else "behind"
        yield Problem(
            "clock",
            f"{_duration(abs(ahead))} {way} that of this machine",
            "the right time, without which certificates are not valid",
            "Set the clock that is wrong (timedatectl set-ntp true).",
        )


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _check_ports(values: Values, host: Mapping[str, Any]) -> Iterator[Problem]:
    told: set[object] = set()
    for entry in host["ports"]:
        error, holder, port = entry["error"], entry["holder"], entry["port"]
        without_ipv6 = ":" in entry["address"] and not host["ipv6"]
        if without_ipv6 and entry["address"] != "::":
            # The system has other words for it.
            error = "no_such_address"
        elif not error or entry["own"] or without_ipv6 or holder.startswith("nginx "):
            continue
        is_https = port == values.get("hub_https_port")
        name = "hub_https_port" if is_https else "hub_https_http_port"
        if error == "no_such_address":
            if entry["address"] in told:
                # It is tried with each port.
                continue
            told.add(entry["address"])
            yield Problem(
                "hub_https_bind_addresses",
                f"{entry['address']}, which the server does not have",
                "addresses of the server",
                "Take one of those that 'ip address' shows there, or 0.0.0.0 for all.",
            )
        elif error == "denied" and host["uid"] != 0:
            continue
        elif (name, error) not in told:
            told.add((name, error))
            found = f"{port} taken by {holder or 'something on the server'}"
            yield Problem(
                name,
                found if error == "taken" else f"{entry['address']} and port {port}: {error}",
                "a port that is free, or nginx's",
                f"Stop what holds it, or set {name} to another one.",
            )


def _check_sites(values: Values, host: Mapping[str, Any]) -> Iterator[Problem]:
    wanted = {name.lower() for name in wanted_names(values)}
    ports = {values.get("hub_https_port"), values.get("hub_https_http_port")}
    for server in host["nginx"]:
        if server["path"] == OWN_SITE:
            continue
        taken = wanted & {name.lower() for name in server["names"]}
        if taken and ports & set(map(_port_of, server["listens"] or ["80"])):
            yield Problem(
                "hub_https_hostname",
                f"{', '.join(sorted(taken))}, which nginx serves from {server['path']} already",
                "a name no other site on the server has",
                "Take the name out of that site, or set hub_https_hostname to another one.",
            )


def _check_central(values: Values, host: Mapping[str, Any]) -> Iterator[Problem]:
    own = [item["network"] for item in host["networks"] if not item["interface"]]
    for entry in values.get(CENTRAL) or []:
        network = _central_network(entry)
        if not network or any(_who_else_sends(values, entry, network)):
            continue
        # To others, and to the server over others, users' programs have such an address.
        taken = [item for item in own if network.overlaps(ipaddress.ip_network(item))]
        if taken:
            address = taken[0].partition("/")[0]
            yield Problem(
                CENTRAL,
                f"{entry}, with the server's own address {address}, from which users' programs send",
                "addresses from which nobody else can send",
                "Name the addresses of the web servers of the central sign-in alone.",
            )


def _port_of(listen: str) -> int:
    """The port in what nginx's C(listen) says; 0 for a socket, 80 where it says none."""
    address = listen.split()[0]
    if address.startswith("unix:"):
        return 0
    last = re.sub(r"^\[.*?\]", "", address).rpartition(":")[2]
    return int(last) if last.isdigit() else 80
