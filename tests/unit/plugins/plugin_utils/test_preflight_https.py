# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument specification cannot say about HTTPS, and what a server has to say to it."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.plugin_utils import _preflight_https as https
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ROLE = Path(__file__).resolve().parents[4] / "roles" / "hub_https"
NAME = "hub1.example.org"
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)
GOOD: dict[str, Any] = {
    "hub_https_certificate": "internal",
    "hub_https_hostname": NAME,
    "hub_https_subdomains": False,
    "hub_https_bind_addresses": ["0.0.0.0", "::"],
    "hub_https_port": 443,
    "hub_https_http_port": 80,
    "hub_https_upstream": "http://127.0.0.1:8000",
    "hub_https_hsts_seconds": 63072000,
    "hub_https_max_body_size": "10g",
    "hub_https_sign_ins_per_minute": 120,
    "jupyterhub_bind_address": "127.0.0.1",
    "jupyterhub_port": 8000,
}
FILES = {
    "hub_https_certificate": "files",
    "hub_https_certificate_file": "hub.crt",
    "hub_https_key_file": "hub.key",
}
ACME = {
    "hub_https_certificate": "acme",
    "hub_https_acme_directory": "https://acme-v02.api.letsencrypt.org/directory",
    "hub_https_acme_agree_to_terms": True,
    "hub_https_acme_email": "",
    "hub_https_acme_eab_key_id": "",
    "hub_https_acme_eab_hmac_key": "",
    "hub_https_acme_challenge": "http-01",
}
DNS = {
    **ACME,
    "hub_https_acme_challenge": "dns-01",
    "hub_https_acme_dns_server": "192.0.2.53",
    "hub_https_acme_dns_port": 53,
    "hub_https_acme_dns_key_name": "hub-key",
    "hub_https_acme_dns_key_secret": "c2VjcmV0",
}
CENTRAL: dict[str, Any] = {
    "hub_https_remote_user_proxies": ["198.51.100.7", "2001:db8:7::/48"],
    "hub_https_remote_user_headers": ["X-Remote-User", "X-Remote-Groups"],
    "hub_https_remote_user_upstream": "http://10.230.0.2:8081",
    "jupyterhub_authenticator": "remote-user",
    "jupyterhub_subnet": "10.230.0.0/20",
    "jupyterhub_internal_subnet": "10.230.16.0/24",
}
HOST: dict[str, Any] = {
    "uid": 0,
    "ipv6": True,
    "ports": [],
    "names": {NAME: ["192.0.2.10"]},
    "networks": [
        {"network": "192.0.2.0/24", "interface": "eth0"},
        {"network": "192.0.2.10/32", "interface": ""},
    ],
    "nginx": [],
    "clock_ahead": -0.4,
}


def problems(**different: Any) -> list[Problem]:
    return list(https.check_https({**GOOD, **different}))


def only(**different: Any) -> Problem:
    found = problems(**different)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    "different",
    [
        {},
        {"hub_https_hostname": "192.0.2.10"},
        {"hub_https_hostname": "2001:db8::1"},
        {"hub_https_hostname": "localhost"},
        {"hub_https_subdomains": True},
        {"hub_https_http_port": 0},
        {"hub_https_max_body_size": "0"},
        {"hub_https_sign_ins_per_minute": 0},
        {"hub_https_bind_addresses": ["192.0.2.10"]},
        {"hub_https_bind_addresses": ["192.0.2.10", "::"], "hub_https_http_port": 8000},
        {"jupyterhub_bind_address": "::1", "hub_https_upstream": "http://[::1]:8000"},
        FILES,
        ACME,
        {**ACME, "hub_https_acme_email": "it@example.org"},
        {**ACME, "hub_https_acme_eab_key_id": "k", "hub_https_acme_eab_hmac_key": "a-_b"},
        DNS,
        {**DNS, "hub_https_subdomains": True, "hub_https_http_port": 0},
        CENTRAL,
        {"hub_https_remote_user_proxies": [], "jupyterhub_authenticator": "native"},
        # The role by itself knows nothing of the hub.
        {**CENTRAL, "jupyterhub_authenticator": None, "jupyterhub_subnet": None},
        {**CENTRAL, "hub_https_remote_user_proxies": []} | {"jupyterhub_authenticator": None},
    ],
)
def test_accepts(different: dict[str, Any]) -> None:
    assert problems(**different) == []


@pytest.mark.parametrize(
    ("different", "subject", "said"),
    [
        ({"hub_https_hostname": "https://hub.example.org/"}, "hostname", "Did you mean hub.example.org?"),
        ({"hub_https_hostname": "hub.bücher.example"}, "hostname", "Did you mean hub.xn--bcher-kva.example?"),
        ({"hub_https_hostname": "hub example"}, "hostname", "without a port or a path"),
        ({"hub_https_hostname": "hub; return 200"}, "hostname", "the name or IP address"),
        ({"hub_https_hostname": "192.0.2.10", "hub_https_subdomains": True}, "hostname", "below which"),
        ({"hub_https_bind_addresses": []}, "bind_addresses", "0.0.0.0 for all of IPv4"),
        ({"hub_https_bind_addresses": ["eth0"]}, "bind_addresses", "IP addresses"),
        ({"hub_https_bind_addresses": ["fe80::1%eth0"]}, "bind_addresses", "IP addresses"),
        ({"hub_https_bind_addresses": ["192.0.2.10", "192.0.2.10"]}, "bind_addresses", "more than once"),
        ({"hub_https_bind_addresses": ["2001:db8::1", "2001:DB8:0::1"]}, "bind_addresses", "each address once"),
        ({"hub_https_http_port": 8000}, "http_port", "the port of the hub"),
        ({"hub_https_port": 8000}, "port", "hub_https_port or jupyterhub_port"),
        ({"hub_https_port": 8000, "hub_https_bind_addresses": ["127.0.0.1"]}, "port", "the port of the hub"),
        ({"hub_https_port": 0}, "port", "from 1 to 65535"),
        ({"hub_https_http_port": 443}, "http_port", "a port of its own"),
        ({"hub_https_max_body_size": "10 GB"}, "max_body_size", "500m or 10g"),
        ({"hub_https_hsts_seconds": -1}, "hsts_seconds", "0 or more"),
        ({"hub_https_upstream": "127.0.0.1:8000"}, "upstream", "http://127.0.0.1:8000"),
        ({**FILES, "hub_https_key_file": ""}, "key_file", "its private key"),
        ({**ACME, "hub_https_acme_agree_to_terms": False}, "acme_agree_to_terms", "Read the terms of https://acme"),
        ({**ACME, "hub_https_acme_directory": "http://acme.example.org/"}, "acme_directory", "https://"),
        ({**ACME, "hub_https_acme_email": "nobody"}, "acme_email", "an e-mail address"),
        ({**ACME, "hub_https_hostname": "192.0.2.10"}, "hostname", "a full name in the DNS"),
        ({**ACME, "hub_https_hostname": "localhost"}, "hostname", "a full name in the DNS"),
        ({**ACME, "hub_https_http_port": 0}, "http_port", "the answer to http-01"),
        ({**ACME, "hub_https_subdomains": True}, "acme_challenge", "dns-01"),
        ({**ACME, "hub_https_acme_eab_key_id": "k"}, "acme_eab_hmac_key", "both parts"),
        ({**ACME, "hub_https_acme_eab_hmac_key": "ab"}, "acme_eab_key_id", "both parts"),
        ({**DNS, "hub_https_acme_dns_server": "ns1.example.org"}, "acme_dns_server", "certbot takes no name"),
        ({**DNS, "hub_https_acme_dns_port": 0}, "acme_dns_port", "The default is 53"),
        ({**DNS, "hub_https_acme_dns_key_name": ""}, "acme_dns_key_name", "the TSIG key"),
        ({**DNS, "hub_https_acme_dns_key_secret": ""}, "acme_dns_key_secret", "found nothing"),
    ],
)  # fmt: skip
def test_refuses(different: dict[str, Any], subject: str, said: str) -> None:
    found = only(**different)
    assert found.subject == f"hub_https_{subject}"
    assert said in str(found)


@pytest.mark.parametrize(
    "different",
    [
        {**ACME, "hub_https_acme_eab_key_id": "k", "hub_https_acme_eab_hmac_key": "se/cret"},
        {**DNS, "hub_https_acme_dns_key_secret": "se_cret"},
    ],
)
def test_no_message_quotes_a_secret(different: dict[str, Any]) -> None:
    assert "cret" not in str(only(**different)).replace("secret:", "")


def test_plain_http_beside_https_is_refused() -> None:
    found = only(jupyterhub_bind_address="0.0.0.0")
    assert found.subject == "jupyterhub_bind_address"
    assert "127.0.0.1" in found.expected


def test_without_https_nothing_of_it_counts() -> None:
    assert problems(hub_https_certificate="none", hub_https_hostname="?", hub_https_port=0) == []
    found = only(hub_https_certificate="none", hub_https_subdomains=True)
    assert found.subject == "hub_https_subdomains"


# Certificates and keys


def make_key(kind: str = "ec") -> Any:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind))


def pem(key: Any, password: bytes = b"") -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return encoded


def make_certificate(key: Any, *names: str, days: tuple[int, int] = (-1, 30)) -> bytes:
    """Signed by itself, valid from one day to another, counted from NOW."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW + datetime.timedelta(days=days[0]))
        .not_valid_after(NOW + datetime.timedelta(days=days[1]))
    )
    if names:
        general: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


KEY = make_key()
OTHER_KEY = make_key()
CERTIFICATE = make_certificate(KEY, NAME)
OTHER_CERTIFICATE = make_certificate(OTHER_KEY, "other.example.org")


def said_of(certificate: bytes, key: bytes | None = None, *names: str) -> str:
    found = https.certificate_problems(certificate, key or pem(KEY), list(names) or [NAME], NOW)
    return "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("certificate", "key", "name"),
    [
        (CERTIFICATE, None, NAME),
        (CERTIFICATE + OTHER_CERTIFICATE, None, NAME.upper()),
        (make_certificate(KEY, "*.example.org"), None, NAME),
        (make_certificate(KEY, "*." + NAME), None, "*." + NAME),
        (make_certificate(KEY, "192.0.2.10"), None, "192.0.2.10"),
    ],
)
def test_a_good_certificate(certificate: bytes, key: bytes | None, name: str) -> None:
    assert said_of(certificate, key, name) == ""


def test_a_good_certificate_of_rsa() -> None:
    key = make_key("2048")
    assert said_of(make_certificate(key, NAME), pem(key)) == ""


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        (make_certificate(KEY, NAME, days=(-30, -1)), None, "a certificate that ended on 2026-11-20 12:00 UTC"),
        (make_certificate(KEY, NAME, days=(1, 30)), None, "a certificate that begins on 2026-11-22 12:00 UTC"),
        (make_certificate(KEY, "other.example.org"), None, f"a certificate for other.example.org, expected one that covers {NAME}"),
        (make_certificate(KEY, "*.org"), None, "a certificate for *.org"),
        (make_certificate(KEY), None, "a certificate for no name at all"),
        (CERTIFICATE, pem(OTHER_KEY), "hub_https_key_file: found the key of another certificate"),
        (OTHER_CERTIFICATE + CERTIFICATE, None, "the server's certificate at place 2"),
        (b"no certificate", None, "no certificate that can be read"),
        (CERTIFICATE + pem(KEY), None, "a private key in it"),
        (CERTIFICATE, b"no key", "no private key that can be read"),
        (CERTIFICATE, pem(KEY, b"passphrase"), "a key with a passphrase"),
    ],
)  # fmt: skip
def test_a_certificate_that_cannot_serve(certificate: bytes, key: bytes | None, said: str) -> None:
    assert said in said_of(certificate, key)


def test_a_key_openssl_would_refuse() -> None:
    key = make_key("1024")
    assert "an RSA key of 1024 bits" in said_of(make_certificate(key, NAME), pem(key))


def test_all_that_is_wrong_with_a_certificate_is_told_at_once() -> None:
    certificate = make_certificate(KEY, "other.example.org", days=(-30, -1))
    assert len(said_of(certificate, pem(OTHER_KEY)).splitlines()) == 3


def test_a_certificate_for_users_servers_covers_the_names_below() -> None:
    values = {"hub_https_hostname": NAME, "hub_https_subdomains": True}
    assert https.wanted_names(values) == [NAME, f"*.{NAME}"]
    assert f"one that covers *.{NAME}" in said_of(CERTIFICATE, None, *https.wanted_names(values))


@pytest.mark.parametrize("mode", [0o100600, 0o100400, 0o100700])
def test_a_key_only_its_owner_may_read(mode: int) -> None:
    assert https.key_mode_problem(mode) == ""


@pytest.mark.parametrize("mode", [0o100640, 0o100604, 0o100620])
def test_a_key_others_may_use(mode: int) -> None:
    assert f"mode {mode & 0o777:04o}" in https.key_mode_problem(mode)


# The server


def host_problems(values: dict[str, Any] | None = None, **different: Any) -> list[Problem]:
    return list(https.check_https_host({**GOOD, **(values or {})}, {**HOST, **different}))


def port(**different: Any) -> dict[str, Any]:
    return {
        "address": "0.0.0.0",
        "port": 443,
        "error": "taken",
        "holder": "apache2 (process 7)",
        "own": False,
        **different,
    }


def test_a_good_server() -> None:
    free = port(error=None, holder="")
    assert host_problems(ports=[free]) == []


def test_a_port_somebody_else_has_is_told_once() -> None:
    (found,) = host_problems(ports=[port(), port(address="::"), port(port=80, error=None)])
    assert found.subject == "hub_https_port"
    assert found.found == "443 taken by apache2 (process 7)"


def test_the_port_of_the_redirect_counts_too() -> None:
    (found,) = host_problems(ports=[port(port=80)])
    assert found.subject == "hub_https_http_port"


@pytest.mark.parametrize(
    "entry",
    [
        port(holder="nginx (process 812)"),
        port(own=True, holder="container jupyterhub-proxy"),
    ],
)
def test_nginx_and_the_hub_may_have_the_port(entry: dict[str, Any]) -> None:
    assert host_problems(ports=[entry]) == []


def test_ipv6_counts_where_there_is_some() -> None:
    entry = port(address="::", error="Address family not supported by protocol", holder="")
    assert host_problems(ports=[entry], ipv6=False) == []
    assert len(host_problems(ports=[entry])) == 1


def test_without_ipv6_none_of_its_addresses_counts_but_all_of_them() -> None:
    entries = [port(address="2001:db8::1", port=number, error="Whatever") for number in (443, 80)]
    (found,) = host_problems(ports=entries, ipv6=False)
    assert found.subject == "hub_https_bind_addresses"
    assert "2001:db8::1, which the server does not have" in found.found


def test_an_address_the_server_does_not_have() -> None:
    (found,) = host_problems(ports=[port(address="192.0.2.99", error="no_such_address")])
    assert found.subject == "hub_https_bind_addresses"


def site(path: str = "/etc/nginx/sites-enabled/wiki", **different: Any) -> dict[str, Any]:
    return {"path": path, "names": [NAME], "listens": ["443 ssl"], **different}


@pytest.mark.parametrize("listens", [["443 ssl"], ["[::]:443"], ["80"], [], ["192.0.2.10:80"]])
def test_a_name_another_site_has(listens: list[str]) -> None:
    (found,) = host_problems(nginx=[site(listens=listens)])
    assert "/etc/nginx/sites-enabled/wiki" in found.found


@pytest.mark.parametrize(
    "entry",
    [
        site(https.OWN_SITE),
        site(listens=["8443 ssl"]),
        site(listens=["unix:/run/x.sock"]),
        site(names=["wiki.example.org", "_"]),
    ],
)
def test_other_sites_are_nobodys_business(entry: dict[str, Any]) -> None:
    assert host_problems(nginx=[entry]) == []


def test_an_acme_authority_has_to_find_the_server() -> None:
    (found,) = host_problems(ACME, names={NAME: []})
    assert "does not resolve" in found.found
    assert host_problems(DNS, names={NAME: []}) == []
    assert host_problems(names={NAME: []}) == []


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(-7200.0, "2 hours behind"), (400.0, "7 minutes ahead of"), (864000.0, "10 days ahead of")],
)
def test_a_clock_that_is_off(ahead: float, said: str) -> None:
    (found,) = host_problems(clock_ahead=ahead)
    assert found.subject == "clock"
    assert said in found.found


# A central sign-in

PROXIES = "hub_https_remote_user_proxies"


def test_with_remote_user_somebody_has_to_say_who_people_are() -> None:
    problem = only(**{**CENTRAL, PROXIES: []})
    assert problem.subject == PROXIES
    assert "which lets nobody in" in problem.found


@pytest.mark.parametrize("name", ["native", "null", "some.package.Authenticator"])
def test_with_another_authenticator_nobody_may_say_it(name: str) -> None:
    problem = only(**{**CENTRAL, "jupyterhub_authenticator": name})
    assert (problem.subject, problem.mend) == (PROXIES, "Take it out.")
    assert name in problem.found


def test_without_https_there_is_no_entrance() -> None:
    problem = only(**{**CENTRAL, "hub_https_certificate": "none"})
    assert (problem.subject, problem.found) == (PROXIES, "a list, with hub_https_certificate: none")
    assert problems(**{**CENTRAL, "hub_https_certificate": "none", PROXIES: []}) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("login.example.org", "as 192.0.2.10 or 192.0.2.0/28"),
        ("198.51.100.7/24", "Did you mean 198.51.100.7 alone, or all of 198.51.100.0/24?"),
        ("198.51.100.0/255.255.255.0", "or all of 198.51.100.0/24?"),
        (" 198.51.100.7", "Did you mean 198.51.100.7?"),
        ("fe80::1%eth0", "as 192.0.2.10"),
        ("198.51.100.7; }", "as 192.0.2.10"),
        ("", "as 192.0.2.10"),
        ("0.0.0.0/0", "where everybody is"),
        ("::/0", "where everybody is"),
        ("127.0.0.1", "every account of the server"),
        ("127.0.0.0/8", "set hub_https_certificate: none"),
        ("::1", "every account of the server"),
        ("::/1", "every account of the server"),
        ("169.254.0.0/16", "on the same link"),
        ("fe80::1", "on the same link"),
        ("10.230.0.5", "addresses of 10.230.0.0/20 (jupyterhub_subnet)"),
        ("10.0.0.0/8", "from which users' programs can send"),
        ("10.230.16.128/25", "10.230.16.0/24 (jupyterhub_internal_subnet)"),
    ],
)
def test_refuses_to_believe_whom_it_cannot_know(entry: str, said: str) -> None:
    problem = only(**{**CENTRAL, PROXIES: ["198.51.100.7", entry]})
    assert problem.subject == PROXIES
    assert said in str(problem)


@pytest.mark.parametrize(
    ("different", "subject"),
    [
        ({"hub_https_remote_user_headers": ["X-Remote-User; #"]}, "hub_https_remote_user_headers"),
        ({"hub_https_remote_user_upstream": "10.230.0.2"}, "hub_https_remote_user_upstream"),
    ],
)
def test_what_gets_into_the_site_is_checked(different: dict[str, Any], subject: str) -> None:
    assert only(**{**CENTRAL, **different}).subject == subject


@pytest.mark.parametrize("entry", ["192.0.2.10", "192.0.2.0/24", "192.0.0.0/8"])
def test_refuses_the_servers_own_address(entry: str) -> None:
    (problem,) = host_problems({**GOOD, **CENTRAL, PROXIES: ["198.51.100.7", entry]})
    assert problem.subject == PROXIES
    assert f"{entry}, with the server's own address 192.0.2.10" in problem.found


def test_the_servers_network_is_no_problem_by_itself() -> None:
    proxies = ["192.0.2.11", "2001:db8::/64", "not an address", "10.230.0.5"]
    assert host_problems({**GOOD, **CENTRAL, PROXIES: proxies}) == []


def test_without_https_the_server_is_asked_for_what_is_left_of_it() -> None:
    assert https.https_host_options({"hub_https_certificate": "none"}) == {
        "paths": list(https.PATHS)
    }
    assert https.https_host_options({}) == {}
    assert host_problems({"hub_https_certificate": "none"}, ports=[port()]) == []


def test_the_server_is_asked_for_all_addresses_and_ports() -> None:
    asked = https.https_host_options({**GOOD, "hub_https_bind_addresses": ["0.0.0.0"]})
    assert asked["listen"] == [
        {"address": "0.0.0.0", "port": 443},
        {"address": "0.0.0.0", "port": 80},
    ]
    assert asked["names"] == [NAME]
    assert asked["nginx"] is True


def test_the_paths_asked_for_are_those_of_the_role() -> None:
    known = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    text = "\n".join(
        path.read_text() for path in (ROLE / "vars" / "main.yml", *ROLE.glob("tasks/*.yml"))
    )
    text = text.replace("{{ _hub_https_state_dir }}", known["_hub_https_state_dir"])
    text = text.replace("_hub_https_config_dir ~ '", f"'{known['_hub_https_config_dir']}")
    assert [path for path in https.PATHS if path not in text] == []
