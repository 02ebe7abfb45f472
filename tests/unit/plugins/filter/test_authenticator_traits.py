# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables for signing in become JupyterHub's own traits, and each of these exists."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ailab.hub.plugins.filter.authenticator_traits import FilterModule
from ansible_collections.ailab.hub.plugins.filter.split_secret_traits import split_secret_traits
from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import KINDS, effective
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import convert
from jupyterhub.app import JupyterHub
from traitlets.config import Config

PACKAGE = Path(__file__).parents[4] / "roles/hub_image/files/ailab_hub"
SPECS = Path(__file__).parents[4] / "roles/jupyterhub/meta/argument_specs.yml"
OPTIONS = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]


def checked(authenticator: str, **variables: Any) -> dict[str, Any]:
    """All variables of the role as the preflight hands them on, without prefix."""
    # By default another role's variables say the address.
    given = {"authenticator": authenticator, "public_url": "", **variables}
    return {
        name.removeprefix("jupyterhub_"): convert(
            name, spec, given.get(name.removeprefix("jupyterhub_"), spec.get("default"))
        ).value
        for name, spec in OPTIONS.items()
    }


def traits(authenticator: str, **variables: Any) -> dict[str, Any]:
    result: Any = FilterModule().filters()["authenticator_traits"](
        checked(authenticator, **variables)
    )
    return dict(result)


def test_by_default_the_lists_alone_decide() -> None:
    assert traits("shared-password", admin_users=["admin"], allowed_users=["alice", "admin"]) == {
        "JupyterHub": {"authenticator_class": "shared-password"},
        "Authenticator": {
            "admin_users": ["admin"],
            "allowed_users": ["alice", "admin"],
            "blocked_users": [],
            "allow_all": False,
            "allow_existing_users": False,
        },
    }


def test_administrators_need_not_be_in_the_list_of_users() -> None:
    assert traits("dummy", admin_users=["admin"])["Authenticator"]["allowed_users"] == ["admin"]


def test_a_service_sends_people_back_to_the_hubs_address() -> None:
    url = "https://hub.example.org/"
    found = traits("github", public_url=url)["GitHubOAuthenticator"]
    assert found["oauth_callback_url"] == f"{url}hub/oauth_callback"
    oauth = {"callback_url": "https://other.example.org/hub/oauth_callback"}
    found = traits("github", public_url=url, oauth=oauth)["GitHubOAuthenticator"]
    assert found["oauth_callback_url"] == oauth["callback_url"]


@pytest.mark.parametrize(
    ("config", "allow_all"),
    [
        ({}, True),
        ({"GoogleOAuthenticator": {"allowed_google_groups": {"example.org": ["research"]}}}, False),
        ({"OAuthenticator": {"allowed_groups": ["research"]}}, False),
        ({"Authenticator": {"allowed_users": ["alice"]}}, False),
        ({"GoogleOAuthenticator": {"allowed_google_groups": {}}}, True),
        ({"DockerSpawner": {"allowed_images": ["x"]}}, True),
        # Another check tells that this is no name of a trait.
        ({"Authenticator": {1: "x"}}, True),
    ],
    ids=str,
)
def test_a_domain_lets_in_all_its_people_unless_some_are_named(
    config: dict[str, Any], allow_all: bool
) -> None:
    found = traits("google", oauth={"allowed_domains": ["example.org"]}, config=config)
    assert found["Authenticator"]["allow_all"] is allow_all


def test_approval_does_not_replace_a_list_in_the_configuration() -> None:
    assert traits("native")["Authenticator"]["allow_all"] is True
    config = {"Authenticator": {"allowed_users": ["alice"]}}
    assert traits("native", config=config)["Authenticator"]["allow_all"] is False


def test_a_class_is_named_as_it_is() -> None:
    assert traits("a.b.C")["JupyterHub"] == {"authenticator_class": "a.b.C"}


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({}, False),
        ({"Authenticator": {"allow_all": True}}, True),
        ({"C": {"allow_all": True}}, True),
        ({"C": {"allow_all": False}, "Authenticator": {"allow_all": True}}, False),
        ({"D": {"allow_all": True}}, False),
    ],
    ids=str,
)
def test_what_is_set_by_class_counts_over_the_variables(
    config: dict[str, Any], value: object
) -> None:
    assert effective(checked("a.b.C", config=config), "allow_all") is value


# -- each authenticator --------------------------------------------------------------------------

# All options of each block, so that every trait they stand for is tried.
OAUTH = {
    "client_id": "hub",
    "client_secret": "secret",
    "callback_url": "https://hub.example.org/hub/oauth_callback",
    "scope": ["openid"],
    "username_claim": "sub",
    "login_service": "Example",
    "auto_login": True,
    "basic_auth": True,
    "logout_redirect_url": "https://example.org/",
}
ENDPOINTS = {
    name: "https://example.org/" for name in ("authorize_url", "token_url", "userdata_url")
}
FULL: dict[str, dict[str, Any]] = {
    "shared-password": {},
    "dummy": {},
    "native": {"native": {"allow_2fa": True}},
    "azuread": {"oauth": {**OAUTH, "tenant_id": "t", "groups_claim": "groups"}},
    "generic-oauth": {
        "oauth": {**OAUTH, **ENDPOINTS, "allowed_domains": ["example.org"]},
        "allowed_groups": ["staff"],
        "admin_groups": ["admins"],
    },
    "github": {"oauth": {**OAUTH, "url": "https://example.org", "allowed_organizations": ["a"]}},
    "gitlab": {
        "oauth": {
            **OAUTH,
            "url": "https://example.org",
            "allowed_gitlab_groups": ["a"],
            "allowed_project_ids": [1],
        }
    },
    "ldap": {
        "allowed_groups": ["cn=a,dc=example,dc=org"],
        "ldap": {
            "server_address": "ldap.example.org",
            "server_port": 1389,
            "tls_strategy": "on_connect",
            "user_search_base": "dc=example,dc=org",
            "user_attribute": "uid",
            "search_filter": "(uid={username})",
            "lookup_dn_search_user": "cn=a",
            "lookup_dn_search_password": "secret",
            "group_search_filter": "(member={userdn})",
            "valid_username_regex": "^[a-z]+$",
        },
    },
    "remote-user": {
        "remote_user": {
            "user_header": "Remote-Name",
            "groups_header": "Remote-Roles",
            "groups_separator": ";",
            "login_page": "https://example.org/login",
            "denied_page": "https://example.org/denied",
            "logout_page": "https://example.org/logout",
        },
        "allowed_groups": ["staff"],
        "admin_groups": ["admins"],
    },
    "pam": {"pam": {"service": "login"}},
    "lti13": {
        "lti13": {
            "client_id": ["a"],
            "issuer": "https://example.org",
            "authorize_url": "https://example.org/auth",
            "jwks_endpoint": "https://example.org/keys",
            "username_key": "custom_name",
        }
    },
    "google": {"oauth": {**OAUTH, "allowed_domains": ["example.org"]}},
}


def test_every_authenticator_with_variables_is_tried() -> None:
    assert set(FULL) == set(KINDS)


@pytest.mark.parametrize("name", FULL)
def test_every_trait_exists_and_takes_its_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterHub itself makes the class of the name and the traits."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    config = Config(traits(name, admin_users=["grace"], **FULL[name]))
    app = JupyterHub(config=config)
    own = app.authenticator_class
    mro = [cls.__name__ for cls in own.mro()]
    assert mro.index(KINDS[name].sections[0]) == 0
    assert [section for section in KINDS[name].sections if section not in mro] == []
    unknown = [
        f"{section}.{trait}"
        for section, values in config.items()
        for trait in values
        if section != "JupyterHub" and trait not in own.class_traits(config=True)
    ]
    assert unknown == []
    # The table of users is another test's.
    made = own(**({"add_new_table": False} if name == "native" else {}), config=config)
    for section, values in config.items():
        for trait, value in values.items():
            if section != "JupyterHub":
                found = getattr(made, trait)
                found = getattr(found, "name", found)  # of an enumeration
                assert (set(found) == set(value)) if isinstance(value, list) else found == value


@pytest.mark.parametrize("name", FULL)
def test_the_check_of_the_configuration_finds_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same as the new hub image finds before the file gets into place."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    from ailab_hub._configuration_check import ConfigurationCheck

    file = tmp_path / "jupyterhub_config.py"
    lines = [
        f"c.{section}.{trait} = {value!r}"
        for section, values in traits(name, admin_users=["grace"], **FULL[name]).items()
        for trait, value in values.items()
    ]
    lines.append("c.JupyterHub.spawner_class = 'simple'")
    file.write_text("\n".join(lines) + "\n")
    check = ConfigurationCheck(file)
    asyncio.run(check.run())
    assert check.report() == {"problems": [], "warnings": []}


def test_native_lets_approval_decide_unless_there_is_a_list() -> None:
    assert traits("native", admin_users=["g"])["Authenticator"]["allow_all"] is True
    listed = traits("native", admin_users=["g"], allowed_users=["a"])["Authenticator"]
    assert listed["allow_all"] is False
    assert listed["allowed_users"] == ["a", "g"]


def test_groups_of_a_service_become_groups_of_the_hub() -> None:
    own = traits("generic-oauth", allowed_groups=["staff"], oauth={"groups_claim": "roles"})
    assert own["DomainOAuthenticator"] == {
        "scope": ["openid", "profile", "email"],
        "username_claim": "preferred_username",
        "manage_groups": True,
        "auth_state_groups_key": "oauth_user.roles",
        "allowed_groups": ["staff"],
    }


def test_the_secret_of_the_client_is_split_off() -> None:
    parts = split_secret_traits(traits("github", oauth=OAUTH))
    assert parts["secret"] == {"GitHubOAuthenticator": {"client_secret": "secret"}}


def test_the_certificate_of_a_directory_is_checked() -> None:
    options = {"server_address": "x", "bind_dn_template": ["uid={username}"]}
    own = traits("ldap", allow_all=True, ldap=options)["LDAPAuthenticator"]
    assert own["tls_kwargs"] == {"validate": ssl.CERT_REQUIRED}
    assert own["tls_strategy"] == "before_bind"
    assert "lookup_dn" not in own


def test_the_password_for_searches_is_split_off() -> None:
    parts = split_secret_traits(traits("ldap", **FULL["ldap"]))
    assert parts["secret"] == {"LDAPAuthenticator": {"lookup_dn_search_password": "secret"}}


def test_organizations_of_github_need_a_scope() -> None:
    options = {"allowed_organizations": ["example"]}
    assert traits("github", oauth=options)["GitHubOAuthenticator"]["scope"] == ["read:org"]
