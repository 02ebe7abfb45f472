# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub will ask at a sign-in, and when a server that does not reach it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_identity import (
    check_identity_host,
    identity_host_options,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    Problem,
    convert,
)

SPECS = Path(__file__).parents[4] / "roles/jupyterhub/meta/argument_specs.yml"
OPTIONS = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]
TOKEN = "https://login.example.org/realms/x/token"
OAUTH: dict[str, Any] = {
    "authenticator": "generic-oauth",
    "oauth": {
        "authorize_url": "https://for-browsers.example.org/auth",
        "token_url": TOKEN,
        "userdata_url": "https://login.example.org/me",
    },
}


def values_of(**variables: Any) -> dict[str, Any]:
    """Converted values of variables, given without prefix, as a run of all roles has them."""
    given = {f"jupyterhub_{name}": value for name, value in variables.items()}
    values: dict[str, Any] = {"hub_image_ca_file": ""}
    for name, spec in OPTIONS.items():
        value = given.pop(name, spec.get("default"))
        if not (isinstance(value, str) and "{{" in value):
            values[name] = convert(name, spec, value).value
    assert not given
    return values


def asked(**variables: Any) -> list[tuple[str, int, str]]:
    """Name, port and kind of TLS of all that is asked."""
    found = identity_host_options(values_of(**variables)).get("services", [])
    return [(each["name"], each["port"], each["tls"]) for each in found]


def problems(
    problem: str | None, detail: str = "", values: dict[str, Any] | None = None, **variables: Any
) -> list[Problem]:
    """What is said where the server finds such a problem."""
    host = {"services": [{"problem": problem, "detail": detail}]}
    return list(check_identity_host({**values_of(**variables), **(values or {})}, host))


def test_what_the_hub_asks_is_asked_once_and_not_what_browsers_ask() -> None:
    assert identity_host_options(values_of(**OAUTH)) == {
        "services": [{"text": TOKEN, "name": "login.example.org", "port": 443, "tls": "tls"}]
    }
    two = {**OAUTH["oauth"], "userdata_url": "https://api.example.org:8443/me"}
    assert asked(authenticator="generic-oauth", oauth=two) == [
        ("login.example.org", 443, "tls"),
        ("api.example.org", 8443, "tls"),
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"authenticator": "github", "oauth": {"url": "https://git.example.org"}}, [("git.example.org", 443, "tls")]),
        ({"authenticator": "gitlab", "oauth": {"url": "https://git.example.org:444/x"}}, [("git.example.org", 444, "tls")]),
        ({"authenticator": "github"}, []),
        ({"authenticator": "google"}, []),
        ({"authenticator": "lti13", "lti13": {"jwks_endpoint": "https://moodle.example.org/keys"}}, [("moodle.example.org", 443, "tls")]),
        ({"authenticator": "ldap", "ldap": {"server_address": "ldap.example.org"}}, [("ldap.example.org", 389, "ldap")]),
        ({"authenticator": "ldap", "ldap": {"server_address": "ldap.example.org", "tls_strategy": "on_connect"}}, [("ldap.example.org", 636, "tls")]),
        ({"authenticator": "ldap", "ldap": {"server_address": "ldap.example.org", "server_port": 1389}}, [("ldap.example.org", 1389, "ldap")]),
        ({"authenticator": "ldap", "ldap": {"server_address": "ldap.example.org"}, "config": {"LDAPAuthenticator": {"tls_kwargs": {"validate": 0}}}}, [("ldap.example.org", 389, "none")]),
        ({"authenticator": "shared-password"}, []),
        ({"authenticator": "pam"}, []),
        ({**OAUTH, "config": {"OAuthenticator": {"validate_server_cert": False}}}, [("login.example.org", 443, "none")]),
        ({**OAUTH, "config": {"DomainOAuthenticator": {"token_url": "https://other.example.org/t"}}}, [("other.example.org", 443, "tls"), ("login.example.org", 443, "tls")]),
    ],
    ids=str,
)  # fmt: skip
def test_each_way_to_sign_in(
    variables: dict[str, Any], expected: list[tuple[str, int, str]]
) -> None:
    assert asked(**variables) == expected


@pytest.mark.parametrize(
    "variables",
    [
        {"config": {"OAuthenticator": {"http_request_kwargs": {"proxy_host": "proxy"}}}},
        {"extra_config": "c.OAuthenticator.http_request_kwargs = {'proxy_host': 'proxy'}"},
        {"oauth": {"token_url": "http://127.0.0.1:8080/token", "userdata_url": "http://localhost/"}},
        {"oauth": {"token_url": "https://[broken/token"}},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_server_cannot_judge_is_not_asked(variables: dict[str, Any]) -> None:
    assert asked(**{**OAUTH, **variables}) == []


def test_a_variable_with_a_problem_of_its_own_hides_no_other() -> None:
    values = values_of(**OAUTH)
    del values["jupyterhub_oauth"]
    assert identity_host_options(values) == {}
    assert list(check_identity_host(values, {"services": []})) == []


def test_a_service_that_answers_is_no_problem() -> None:
    assert problems(None, **OAUTH) == []


@pytest.mark.parametrize(
    ("problem", "detail", "found"),
    [
        ("name", "", "login.example.org, which does not resolve on the server"),
        ("connection", "Connection refused", "login.example.org port 443, which does not answer the server (Connection refused)"),
        ("certificate", "certificate has expired", "login.example.org port 443, whose certificate cannot be trusted (certificate has expired)"),
    ],
)  # fmt: skip
def test_each_problem_is_one_sentence(problem: str, detail: str, found: str) -> None:
    (said,) = problems(problem, detail, **OAUTH)
    assert (said.subject, said.found) == ("jupyterhub_oauth.token_url", found)


def test_the_variable_is_named_that_says_where_it_is() -> None:
    ldap: dict[str, Any] = {"authenticator": "ldap", "ldap": {"server_address": "ldap.example.org"}}
    (said,) = problems("name", **ldap)
    assert said.subject == "jupyterhub_ldap.server_address"


@pytest.mark.parametrize("name", ["docker_engine_https_proxy", "hub_image_http_proxy"])
def test_behind_a_proxy_only_a_certificate_is_refused(name: str) -> None:
    proxy = {name: "http://proxy.example.org:3128"}
    assert problems("name", values=proxy, **OAUTH) == []
    assert problems("connection", values=proxy, **OAUTH) == []
    assert len(problems("certificate", values=proxy, **OAUTH)) == 1


def test_the_name_of_a_container_is_not_the_servers_to_know() -> None:
    beside: dict[str, Any] = {"authenticator": "ldap", "ldap": {"server_address": "directory"}}
    assert problems("name", **beside) == []
    assert len(problems("connection", **beside)) == 1


def test_whom_an_image_of_ones_own_trusts_is_not_known() -> None:
    assert problems("certificate", hub_image="registry.example.org/hub:1", **OAUTH) == []
    alone = values_of(**OAUTH)
    del alone["hub_image_ca_file"]
    found = {"services": [{"problem": "certificate", "detail": ""}]}
    assert list(check_identity_host(alone, found)) == []
