# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx counts, and whom it believes who somebody is, as its site says; what nginx makes of it is tested live."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[2] / "roles" / "hub_https"
NAME = "hub1.example.org"
SECRET_FILE = "/var/lib/ailab-hub/https/entrance.conf"
HEADERS = ("X-Remote-User", "X-Remote-Groups", "X-Ailab-Hub-Entrance")
CENTRAL = {"hub_https_remote_user_proxies": ["198.51.100.7", "2001:db8:7::/48", "198.51.100.7"]}


def site(**variables: Any) -> str:
    """The site of nginx as a run writes it."""
    loader = DataLoader()
    values: dict[str, Any] = {"jupyterhub_subnet": "10.230.0.0/20", "jupyterhub_remote_user": {}}
    values |= {"jupyterhub_bind_address": "127.0.0.1", "jupyterhub_port": 8000}
    values |= loader.load_from_file(str(ROLE / "defaults/main.yml"), trusted_as_template=True)
    values |= {"hub_https_certificate": "internal", "hub_https_hostname": NAME, **variables}
    checked = {
        name.removeprefix("hub_https_"): Templar(loader, variables=values).template(value)
        for name, value in values.items()
        if name.startswith("hub_https_") and name != "hub_https_internal_ca_file"
    }
    own: dict[str, Any] = {}
    for file in ("main.yml", "Debian_13.yml"):
        own |= loader.load_from_file(str(ROLE / "vars" / file), trusted_as_template=True)
    own |= {"_hub_https_checked": checked, "_hub_https_host": {"ipv6": True, "paths": {}}}
    lookup = f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/site.conf.j2') }}}}"
    return str(Templar(loader, variables=own).template(trust_as_template(lookup)))


def block(text: str, begin: str) -> str:
    """What stands between the braces behind a line's beginning."""
    found = re.search(
        rf"^( *){re.escape(begin)}.*?\{{\n(.*?)^\1\}}", text, re.DOTALL | re.MULTILINE
    )
    assert found, f"{begin} is not in\n{text}"
    return found[2]


def pattern(text: str, variable: str) -> re.Pattern[str]:
    """The one pattern a map has."""
    (found,) = re.findall(r"^ *'(~.*)' \$\w+;$", block(text, f"map {variable}"), re.MULTILINE)
    flags = re.IGNORECASE if found.startswith("~*") else re.NOFLAG
    return re.compile(found.removeprefix("~*").removeprefix("~"), flags)


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /hub/login",
        "POST /hub/login/",
        "POST /hub/signup",
        "POST /hub/change-password",
        "POST /jupyter/hub/login",
        # JupyterHub takes a password here, whoever is named in the path.
        "POST /hub/api/users/alice/tokens",
        "POST /jupyter/hub/api/users/alice/tokens/",
        "POST /hub/api/users/a/b/tokens",
        "POST /hub/api/users/a\nb/tokens",
    ],
)
def test_what_takes_a_password_is_counted(request_line: str) -> None:
    assert pattern(site(), '"$request_method $uri" $ailab_hub_sign_in').search(request_line)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /hub/login",
        "POST /hub/logins",
        "POST /hub/api/users/alice",
        "GET /hub/api/users/alice/tokens",
        "DELETE /hub/api/users/alice/tokens/a1",
        "POST /user/alice/api/contents",
    ],
)
def test_what_takes_none_is_not(request_line: str) -> None:
    assert not pattern(site(), '"$request_method $uri" $ailab_hub_sign_in').search(request_line)


def test_without_a_limit_nothing_is_counted() -> None:
    assert "ailab_hub_sign_in" not in site(hub_https_sign_ins_per_minute=0)
    assert "ailab_hub_from" not in site(hub_https_sign_ins_per_minute=0)


def test_with_another_authenticator_the_site_knows_nothing_of_it() -> None:
    text = site()
    for word in ("Remote", "Entrance", "central", "real_ip", "418", SECRET_FILE):
        assert word not in text


def test_whom_it_believes_is_told_by_the_address_of_the_connection() -> None:
    text = site(**CENTRAL)
    listed = block(text, "geo $realip_remote_addr $ailab_hub_central").split(";")
    assert [line.strip() for line in listed] == [
        "default ''", "198.51.100.7 yes", "2001:db8:7::/48 yes", "",
    ]  # fmt: skip
    assert re.findall(r"set_real_ip_from (\S+);", text) == ["198.51.100.7", "2001:db8:7::/48"]


@pytest.mark.parametrize(
    ("variables", "headers"),
    [
        ({}, HEADERS),
        (
            {"jupyterhub_remote_user": {"user_header": "X-Login", "groups_header": "X-Roles"}},
            ("X-Login", "X-Roles", "X-Ailab-Hub-Entrance"),
        ),
    ],
)
def test_nobodys_headers_get_through_where_users_servers_are(
    variables: dict[str, Any], headers: tuple[str, ...]
) -> None:
    everything = block(site(hub_https_http_port=0, **CENTRAL, **variables), "location / ")
    assert "proxy_pass http://ailab_hub;" in everything
    for header in headers:
        assert f"proxy_set_header {header} '';" in everything
    assert SECRET_FILE not in everything


def test_the_secret_goes_straight_to_the_hub_and_is_not_in_the_site() -> None:
    text = site(**CENTRAL)
    assert text.count(f"include {SECRET_FILE};") == 1
    sign_in = block(text, "location @sign_in_by_header")
    assert f"include {SECRET_FILE};" in sign_in
    assert "proxy_pass http://ailab_hub_itself;" in sign_in
    assert block(text, "upstream ailab_hub_itself").split() == ["server", "10.230.0.2:8081;"]
    assert "X-Forwarded-For $remote_addr;" in sign_in


@pytest.mark.parametrize("path", ["/hub/login", "/hub/login?", "/hub/login?next=%2Fhub%2F..%2Fx"])
def test_the_path_for_it(path: str) -> None:
    assert pattern(site(**CENTRAL), "$request_uri").search(path)


@pytest.mark.parametrize(
    "path",
    [
        "/user/alice/../../hub/login",
        "/user/alice/%2e%2e/%2e%2e/hub/login",
        "/user/alice/..%2f..%2fhub/login",
        "/hub/login/../../user/alice/",
        "/hub/login/",
        "/hub/login%3fx",
        "/hub/login;x",
        "/hub/login#x",
        "/hub/login/..",
        "//hub/login",
        "/hub//login",
        "/hub/./login",
        "/%68ub/login",
        "/HUB/LOGIN",
        "/hub/logins",
        "hub/login",
        "/?/hub/login",
        "http://hub1.example.org/hub/login",
        "/user/alice/?x=\n/hub/login",
    ],
)
def test_paths_that_only_mean_it(path: str) -> None:
    assert not pattern(site(**CENTRAL), "$request_uri").search(path)


@pytest.mark.parametrize(
    ("host", "variables"),
    [
        (NAME, {}),
        (NAME.upper(), {}),
        (f"{NAME}:443", {}),
        (f"{NAME}:8443", {"hub_https_port": 8443}),
        (NAME, {"hub_https_port": 8443}),
        ("192.0.2.10", {"hub_https_hostname": "192.0.2.10"}),
        ("[2001:db8::1]", {"hub_https_hostname": "2001:db8::1"}),
    ],
)
def test_the_names_of_the_hub(host: str, variables: dict[str, Any]) -> None:
    assert pattern(site(**CENTRAL, **variables), "$http_host").search(host)


@pytest.mark.parametrize(
    "host",
    [f"alice.{NAME}", f"{NAME}.", f"{NAME}:8443", "hub1xexample.org", f"x {NAME}", f"{NAME},x", ""],
)
def test_other_names(host: str) -> None:
    text = site(**CENTRAL, hub_https_subdomains=True)
    assert not pattern(text, "$http_host").search(host)


def test_the_three_conditions_hang_on_each_other() -> None:
    text = site(**CENTRAL)
    assert "' $ailab_hub_central;" in block(text, "map $http_host $ailab_hub_central_asks_hub")
    last = block(text, "map $request_uri $ailab_hub_sign_in_by_header")
    assert "' $ailab_hub_central_asks_hub;" in last
    assert "if ($ailab_hub_sign_in_by_header) {" in text
