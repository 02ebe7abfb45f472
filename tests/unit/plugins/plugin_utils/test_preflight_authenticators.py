# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that lets in everybody by omission, or nobody, is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_authenticators import (
    check_sign_in,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    Problem,
    convert,
)

SPECS = Path(__file__).parents[4] / "roles/jupyterhub/meta/argument_specs.yml"
OPTIONS = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]


def problems(authenticator: str, **variables: Any) -> list[Problem]:
    """What is wrong with variables, given without prefix; the others have their defaults."""
    given = {"authenticator": authenticator, **variables}
    values = {}
    for name, spec in OPTIONS.items():
        value = given.pop(name.removeprefix("jupyterhub_"), spec.get("default"))
        if isinstance(value, str) and "{{" in value:
            # What another role's variable says by default.
            continue
        converted = convert(name, spec, value)
        assert not converted.problems, converted.problems
        values[name] = converted.value
    assert not given, f"unknown variables: {given}"
    return list(check_sign_in(values))


def said(authenticator: str, **variables: Any) -> list[str]:
    return [str(problem) for problem in problems(authenticator, **variables)]


# -- nobody and everybody -------------------------------------------------------------------------


@pytest.mark.parametrize("authenticator", ["shared-password", "dummy", "custom.Authenticator"])
def test_who_lets_in_nobody_is_told_what_decides(authenticator: str) -> None:
    (problem,) = problems(authenticator)
    assert problem.subject == "jupyterhub_allowed_users"
    assert "lets nobody in" in problem.found
    for name in ("jupyterhub_admin_users", "jupyterhub_allowed_users", "jupyterhub_allow_all"):
        assert name in problem.mend


@pytest.mark.parametrize(
    "variables",
    [
        {"admin_users": ["admin"]},
        {"allowed_users": ["alice"]},
        {"allow_all": True},
        {"allow_existing_users": True},
        {"config": {"Authenticator": {"allow_all": True}}},
        {"config": {"SharedPasswordAuthenticator": {"allowed_users": ["alice"]}}},
        {"extra_config": "c.Authenticator.allowed_users = read('users')"},
        {"allow_all": True, "blocked_users": ["mallory"]},
    ],
    ids=str,
)
def test_one_way_in_is_enough(variables: dict[str, Any]) -> None:
    assert said("shared-password", **variables) == []


def test_settings_of_another_authenticator_let_nobody_in() -> None:
    config = {
        "LDAPAuthenticator": {"allowed_groups": ["cn=hub"]},
        "DockerSpawner": {"remove": True},
    }
    assert len(problems("shared-password", config=config)) == 1


def test_null_lets_in_nobody_on_purpose() -> None:
    assert problems("null") == []


@pytest.mark.parametrize("authenticator", ["native", "google", "shared-password"])
@pytest.mark.parametrize("traits", ["allow_all", ["allow_all"], True, 7])
def test_what_is_no_dictionary_of_traits_decides_nothing(authenticator: str, traits: Any) -> None:
    # Another check says what is wrong with it.
    with_it = problems(authenticator, config={"Authenticator": traits})
    assert with_it == problems(authenticator)


# -- what contradicts itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "everybody", [{"allow_all": True}, {"config": {"Authenticator": {"allow_all": True}}}], ids=str
)
def test_a_list_that_everybody_is_on_anyway_is_refused(everybody: dict[str, Any]) -> None:
    (problem,) = problems("shared-password", allowed_users=["alice"], **everybody)
    assert problem.subject == "jupyterhub_allow_all"
    assert "jupyterhub_allowed_users, which has no effect" in problem.found


@pytest.mark.parametrize("name", ["admin_users", "allowed_users"])
def test_a_name_is_not_let_in_and_blocked(name: str) -> None:
    (problem,) = problems("shared-password", blocked_users=["Eve"], **{name: ["eve", "alice"]})
    assert problem.subject == "jupyterhub_blocked_users"
    assert f'"eve", also in jupyterhub_{name}' in problem.found


@pytest.mark.parametrize("name", ["allowed_groups", "admin_groups"])
def test_groups_need_an_authenticator_that_tells_them(name: str) -> None:
    (problem,) = problems("shared-password", admin_users=["admin"], **{name: ["staff"]})
    assert problem.subject == f"jupyterhub_{name}"
    assert "shared-password, which tells no groups" in problem.found


def test_where_a_variable_has_a_wrong_type_nothing_is_said() -> None:
    assert list(check_sign_in({"jupyterhub_authenticator": "shared-password"})) == []


# -- native ---------------------------------------------------------------------------------------


def test_native_needs_an_administrator_who_approves() -> None:
    (problem,) = problems("native")
    assert problem.subject == "jupyterhub_admin_users"
    assert said("native", admin_users=["grace"]) == []
    assert said("native", admin_users=["grace"], allowed_users=["alice"]) == []


def test_sign_up_without_approval_lets_everybody_in_and_has_to_be_meant() -> None:
    options = {"admin_users": ["grace"], "native": {"open_signup": True}}
    (problem,) = problems("native", **options)
    assert problem.subject == "jupyterhub_native.open_signup"
    assert "jupyterhub_allow_all: true" in problem.mend
    assert said("native", allow_all=True, **options) == []
    by_class = {"NativeAuthenticator": {"open_signup": True}}
    assert len(problems("native", admin_users=["grace"], config=by_class)) == 1


@pytest.mark.parametrize(
    ("password", "expected"),
    [("x" * 9, "at least 10"), ("x" * 10, ""), ("x" * 72, ""), ("ü" * 37, "at most 72 bytes")],
)
def test_the_first_password_follows_the_rules_for_all(password: str, expected: str) -> None:
    found = problems("native", admin_users=["grace"], admin_password=password)
    assert [problem.subject for problem in found] == ["jupyterhub_admin_password"] * bool(expected)
    assert expected in "".join(problem.expected for problem in found)
    assert password not in "".join(map(str, found))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("minimum_password_length", 0),
        ("allowed_failed_logins", -1),
        ("seconds_before_next_try", -1),
    ],
)
def test_numbers_of_native_make_sense(option: str, value: int) -> None:
    (problem,) = problems("native", admin_users=["grace"], native={option: value})
    assert problem.subject == f"jupyterhub_native.{option}"


# -- OAuth ----------------------------------------------------------------------------------------

REGISTERED = {
    "client_id": "hub",
    "client_secret": "hunter2-of-the-client",
    "callback_url": "https://hub.example.org/hub/oauth_callback",
}
ENDPOINTS = {
    "authorize_url": "https://login.example.org/auth",
    "token_url": "https://login.example.org/token",
    "userdata_url": "https://login.example.org/me",
}
SOUND: dict[str, dict[str, Any]] = {
    "azuread": {**REGISTERED, "tenant_id": "t", "username_claim": "upn"},
    "generic-oauth": {**REGISTERED, **ENDPOINTS},
    "github": REGISTERED,
    "gitlab": REGISTERED,
    "google": REGISTERED,
}


@pytest.mark.parametrize("name", SOUND)
def test_what_a_service_needs_is_enough(name: str) -> None:
    assert said(name, allowed_users=["alice"], oauth=SOUND[name]) == []


@pytest.mark.parametrize(("name", "option"), [(n, o) for n, given in SOUND.items() for o in given])
def test_what_is_missing_is_named(name: str, option: str) -> None:
    options = {key: value for key, value in SOUND[name].items() if key != option}
    (problem,) = problems(name, allowed_users=["alice"], oauth=options)
    assert problem.subject == f"jupyterhub_oauth.{option}"
    assert problem.found == "nothing"
    assert REGISTERED["client_secret"] not in str(problem)


def test_with_https_the_address_to_return_to_is_known() -> None:
    options = {key: value for key, value in REGISTERED.items() if key != "callback_url"}
    url = "https://hub.example.org/"
    assert said("github", allowed_users=["alice"], oauth=options, public_url=url) == []


def test_everything_missing_is_named_at_once() -> None:
    assert len(problems("generic-oauth", allowed_users=["alice"])) == 6


def test_what_is_set_by_class_is_not_missing() -> None:
    config = {
        "GitHubOAuthenticator": {"client_id": "1", "client_secret": "2"},
        "OAuthenticator": {"oauth_callback_url": REGISTERED["callback_url"]},
    }
    assert said("github", allow_all=True, config=config) == []


def test_what_raw_python_sets_is_not_missing() -> None:
    options = {key: value for key, value in REGISTERED.items() if key != "client_id"}
    python = "c.GitHubOAuthenticator.client_id = os.environ['ID']"
    assert said("github", allow_all=True, oauth=options, extra_config=python) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("generic-oauth", {"allowed_domains": ["example.org"]}),
        ("google", {"allowed_domains": ["example.org"]}),
        ("github", {"allowed_organizations": ["example"]}),
        ("gitlab", {"allowed_gitlab_groups": ["example"]}),
        ("gitlab", {"allowed_project_ids": [7]}),
    ],
)
def test_members_of_something_are_somebody(name: str, options: dict[str, Any]) -> None:
    assert said(name, oauth={**SOUND[name], **options}) == []


@pytest.mark.parametrize("name", ["azuread", "generic-oauth"])
def test_a_group_is_somebody(name: str) -> None:
    assert said(name, allowed_groups=["staff"], oauth=SOUND[name]) == []
    assert said(name, admin_groups=["staff"], oauth=SOUND[name]) == []


@pytest.mark.parametrize("name", ["github", "gitlab", "google"])
def test_groups_are_refused_where_the_service_has_members_of_its_own(name: str) -> None:
    found = problems(name, allowed_users=["a"], allowed_groups=["staff"], oauth=SOUND[name])
    assert [problem.subject for problem in found] == ["jupyterhub_allowed_groups"]
    assert "azuread, generic-oauth" in found[0].expected


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("gitlab", "allowed_organizations", ["example"]),
        ("github", "allowed_domains", ["example.org"]),
        ("github", "groups_claim", "groups"),
        ("google", "token_url", "https://login.example.org/token"),
        ("generic-oauth", "tenant_id", "t"),
    ],
)
def test_an_option_of_another_service_is_refused(name: str, option: str, value: Any) -> None:
    (problem,) = problems(name, allow_all=True, oauth={**SOUND[name], option: value})
    assert problem.subject == f"jupyterhub_oauth.{option}"
    assert "nothing: it is for" in problem.expected


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("callback_url", "https://hub.example.org/", "/hub/oauth_callback"),
        ("callback_url", "hub.example.org/hub/oauth_callback", "/hub/oauth_callback"),
        ("token_url", "login.example.org/token", "https://login.example.org"),
        ("token_url", "http://login.example.org/token", "cross the network in the clear"),
        ("userdata_url", "https://[::1", "https://login.example.org"),
        ("allowed_domains", ["@example.org"], "a domain such as example.org"),
    ],
)
def test_wrong_addresses_are_explained(option: str, value: Any, part: str) -> None:
    oauth = {**SOUND["generic-oauth"], option: value}
    (problem,) = problems("generic-oauth", allow_all=True, oauth=oauth)
    assert problem.subject == f"jupyterhub_oauth.{option}"
    assert part in str(problem)


def test_a_service_on_the_same_machine_needs_no_https() -> None:
    oauth = {**SOUND["generic-oauth"], "token_url": "http://127.0.0.1:8080/token"}
    assert said("generic-oauth", allow_all=True, oauth=oauth) == []


# -- LDAP -----------------------------------------------------------------------------------------

TEMPLATE = {
    "server_address": "ldap.example.org",
    "bind_dn_template": ["uid={username},ou=people,dc=example,dc=org"],
}
SEARCH = {
    "server_address": "ldap.example.org",
    "user_search_base": "ou=people,dc=example,dc=org",
    "user_attribute": "uid",
}
ACCOUNT = {"lookup_dn_search_user": "cn=a", "lookup_dn_search_password": "hunter2"}
FILTER = {"search_filter": "(employeeType=staff)"}


@pytest.mark.parametrize(
    "options",
    [TEMPLATE, SEARCH, {**SEARCH, **ACCOUNT}, {**TEMPLATE, **SEARCH, **FILTER}],
    ids=str,
)
def test_a_template_or_a_search_is_enough(options: dict[str, Any]) -> None:
    group = "cn=research,ou=groups,dc=example,dc=org"
    assert said("ldap", allowed_groups=[group], ldap=options) == []


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({**TEMPLATE, "server_address": ""}, "server_address"),
        ({**TEMPLATE, "server_address": "ldaps://ldap.example.org"}, "server_address"),
        ({**TEMPLATE, "server_address": "ldap.example.org:636"}, "server_address"),
        ({**TEMPLATE, "server_port": 65536}, "server_port"),
        ({**TEMPLATE, "bind_dn_template": ["uid=alice"]}, "bind_dn_template"),
        ({"server_address": "ldap.example.org"}, "user_search_base"),
        ({**SEARCH, "user_attribute": ""}, "user_attribute"),
        ({**TEMPLATE, **FILTER}, "user_search_base"),
        ({**SEARCH, "search_filter": "employeeType=staff"}, "search_filter"),
        ({**SEARCH, "lookup_dn_search_user": "cn=a"}, "lookup_dn_search_password"),
        ({**SEARCH, "lookup_dn_search_password": "hunter2"}, "lookup_dn_search_user"),
    ],
)
def test_what_a_directory_lacks_is_named(options: dict[str, Any], subject: str) -> None:
    (problem,) = problems("ldap", allow_all=True, ldap=options)
    assert problem.subject == f"jupyterhub_ldap.{subject}"
    assert "hunter2" not in str(problem)


def test_groups_of_a_directory_are_names_in_full() -> None:
    (problem,) = problems("ldap", allowed_groups=["research"], ldap=TEMPLATE)
    assert problem.subject == "jupyterhub_allowed_groups"
    (problem,) = problems("ldap", admin_groups=["cn=a"], allow_all=True, ldap=TEMPLATE)
    assert problem.subject == "jupyterhub_admin_groups"


# -- remote-user ----------------------------------------------------------------------------------


def test_a_header_and_a_role_need_nothing_else() -> None:
    assert said("remote-user", allowed_groups=["SAM-SSLVPNSAMUsers"]) == []
    pages = {"login_page": "https://login.example.org/", "logout_page": "/logged-out?x=1"}
    assert said("remote-user", allow_all=True, remote_user=pages) == []


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        ({"user_header": "X_Remote_User"}, "user_header"),
        ({"user_header": ""}, "user_header"),
        ({"user_header": "X-Ailab-Hub-Entrance"}, "user_header"),
        ({"groups_header": "Cookie"}, "groups_header"),
        ({"groups_header": "x-remote-user"}, "groups_header"),
        ({"groups_separator": ""}, "groups_separator"),
        ({"login_page": "login.example.org"}, "login_page"),
        ({"denied_page": "//login.example.org"}, "denied_page"),
        ({"logout_page": "javascript:alert(1)"}, "logout_page"),
    ],
    ids=str,
)
def test_headers_and_pages_are_of_their_kind(options: dict[str, Any], subject: str) -> None:
    (problem,) = problems("remote-user", allow_all=True, remote_user=options)
    assert problem.subject == f"jupyterhub_remote_user.{subject}"


# -- PAM ------------------------------------------------------------------------------------------


def test_accounts_of_the_server_need_nothing_but_names() -> None:
    assert said("pam", allowed_users=["alice"]) == []
    (problem,) = problems("pam", allow_all=True, pam={"service": "/etc/pam.d/login"})
    assert problem.subject == "jupyterhub_pam.service"


def test_groups_of_the_server_are_unknown_in_the_container() -> None:
    (problem,) = problems("pam", allow_all=False, allowed_users=["a"], allowed_groups=["staff"])
    assert problem.subject == "jupyterhub_allowed_groups"


# -- LTI ------------------------------------------------------------------------------------------

LTI = {
    "client_id": ["a"],
    "issuer": "https://moodle.example.org",
    "authorize_url": "https://moodle.example.org/mod/lti/auth.php",
    "jwks_endpoint": "https://moodle.example.org/mod/lti/certs.php",
}


def test_a_course_system_needs_four_settings() -> None:
    assert said("lti13", allow_all=True, lti13=LTI) == []
    assert [problem.subject for problem in problems("lti13", allow_all=True)] == [
        f"jupyterhub_lti13.{name}" for name in LTI
    ]


def test_keys_come_over_https() -> None:
    options = {**LTI, "jwks_endpoint": "http://moodle.example.org/mod/lti/certs.php"}
    (problem,) = problems("lti13", allow_all=True, lti13=options)
    assert problem.subject == "jupyterhub_lti13.jwks_endpoint"
