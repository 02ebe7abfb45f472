# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which classes and traits of JupyterHub the variables for signing in stand for. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Values = Mapping[str, Any]
Traits = dict[str, dict[str, Any]]


class Kind(NamedTuple):
    """An authenticator that has variables of its own.

    Attributes:
        authenticator_class: what JupyterHub is told to use.
        sections: the classes whose traits it has, its own first, without Authenticator.
        groups: whether jupyterhub_allowed_groups means something to it.
        admin_groups: whether jupyterhub_admin_groups does.
    """

    authenticator_class: str
    sections: tuple[str, ...]
    groups: bool = False
    admin_groups: bool = False


KINDS: dict[str, Kind] = {
    "azuread": Kind("azuread", ("AzureAdOAuthenticator", "OAuthenticator"), True, True),
    "dummy": Kind("dummy", ("DummyAuthenticator",)),
    "generic-oauth": Kind(
        "ailab_hub.oauth.DomainOAuthenticator",
        ("DomainOAuthenticator", "GenericOAuthenticator", "OAuthenticator"),
        True,
        True,
    ),
    "github": Kind("github", ("GitHubOAuthenticator", "OAuthenticator")),
    "gitlab": Kind("gitlab", ("GitLabOAuthenticator", "OAuthenticator")),
    "google": Kind("google", ("GoogleOAuthenticator", "OAuthenticator")),
    "ldap": Kind(
        "ailab_hub.ldap.PatientLDAPAuthenticator",
        ("PatientLDAPAuthenticator", "LDAPAuthenticator"),
        True,
    ),
    "lti13": Kind("ltiauthenticator.lti13.auth.LTI13Authenticator", ("LTI13Authenticator",)),
    "native": Kind(
        "ailab_hub.native.ManagedNativeAuthenticator",
        ("ManagedNativeAuthenticator", "NativeAuthenticator"),
    ),
    "pam": Kind("ailab_hub.saslauthd.SaslauthdAuthenticator", ("SaslauthdAuthenticator",)),
    "remote-user": Kind(
        "ailab_hub.remote_user.RemoteUserAuthenticator", ("RemoteUserAuthenticator",), True, True
    ),
    "shared-password": Kind("shared-password", ("SharedPasswordAuthenticator",)),
}
# The key of the service's answer in what OAuthenticator keeps of a sign-in.
ANSWER = {"azuread": "user", "generic-oauth": "oauth_user"}
# Traits by option of jupyterhub_oauth: for which authenticators, under which name there.
ALL_OAUTH = ("azuread", "generic-oauth", "github", "gitlab", "google")
OAUTH_TRAITS: dict[str, dict[str, str]] = {
    **{
        name: dict.fromkeys(ALL_OAUTH, name)
        for name in ("client_id", "client_secret", "scope", "username_claim", "login_service",
                     "auto_login", "basic_auth", "logout_redirect_url")
    },
    "callback_url": dict.fromkeys(ALL_OAUTH, "oauth_callback_url"),
    "url": {"github": "github_url", "gitlab": "gitlab_url"},
    "tenant_id": {"azuread": "tenant_id"},
    "authorize_url": {"generic-oauth": "authorize_url"},
    "token_url": {"generic-oauth": "token_url"},
    "userdata_url": {"generic-oauth": "userdata_url"},
    "groups_claim": dict.fromkeys(ANSWER, "auth_state_groups_key"),
    "allowed_domains": {"generic-oauth": "allowed_domains", "google": "hosted_domain"},
    "allowed_organizations": {"github": "allowed_organizations"},
    "allowed_gitlab_groups": {"gitlab": "allowed_gitlab_groups"},
    "allowed_project_ids": {"gitlab": "allowed_project_ids"},
}  # fmt: skip
# As Python's module ssl has it.
CERT_REQUIRED = 2
OPENID_SCOPES = ("openid", "profile", "email")


def sections(values: Values) -> tuple[str, ...]:
    """The classes in jupyterhub_config that set traits of the authenticator, its own first."""
    name = values.get("authenticator") or ""
    kind = KINDS.get(name)
    own = kind.sections if kind else (name.rpartition(".")[2],)
    return (*own, "Authenticator")


def configured(values: Values) -> Iterator[tuple[str, Any]]:
    """Each trait of the authenticator that jupyterhub_config sets, with its value.

    What stands in the place of a class's traits and is no dictionary sets none.
    """
    config = values.get("config") or {}
    for section in sections(values):
        traits = config.get(section)
        if isinstance(traits, Mapping):
            yield from ((str(trait), value) for trait, value in traits.items())


def _names_nobody(values: Values) -> bool:
    """Whether neither variables nor jupyterhub_config say who among those who can sign in is meant."""
    return not values.get("allowed_users") and not any(
        value for trait, value in configured(values) if trait.startswith("allowed_")
    )


def authenticator_traits(values: Values) -> Traits:
    """The traits by class that the variables of role jupyterhub for signing in stand for.

    :arg values: converted values by the names of the variables without C(jupyterhub_).
    """
    name = values["authenticator"]
    kind = KINDS.get(name)
    admins = values.get("admin_users", [])
    general: dict[str, Any] = {
        "admin_users": admins,
        # With some authenticators JupyterHub refuses administrators unless they are in this list.
        "allowed_users": [*dict.fromkeys([*values.get("allowed_users", []), *admins])],
        "blocked_users": values.get("blocked_users", []),
        "allow_all": values.get("allow_all", False),
        "allow_existing_users": values.get("allow_existing_users", False),
    }
    own: Traits = {}
    if name == "native":
        own = {"NativeAuthenticator": dict(values.get("native") or {})}
        # Approval lets somebody in. JupyterHub asks for a second reason of its own.
        general["allow_all"] = general["allow_all"] or _names_nobody(values)
    elif name in ALL_OAUTH:
        own, more = _oauth(values)
        general.update(more)
    elif name == "ldap":
        own = {"LDAPAuthenticator": _ldap(values)}
    elif name == "lti13":
        given = dict(values.get("lti13") or {})
        own = {"LTI13Authenticator": {key: value for key, value in given.items() if value}}
    elif name == "pam":
        own = {"SaslauthdAuthenticator": dict(values.get("pam") or {})}
    elif name == "remote-user":
        own = {"RemoteUserAuthenticator": _remote_user(values)}
    return {
        "JupyterHub": {"authenticator_class": kind.authenticator_class if kind else name},
        "Authenticator": general,
        **own,
    }


def _oauth(values: Values) -> tuple[Traits, dict[str, Any]]:
    """The traits of an OAuthenticator, and what they mean to all authenticators."""
    name = values["authenticator"]
    options = dict(values.get("oauth") or {})
    allowed, admins = (values.get(item) or [] for item in ("allowed_groups", "admin_groups"))
    general: dict[str, Any] = {}
    if not options.get("callback_url") and values.get("public_url"):
        options["callback_url"] = f"{values['public_url']}hub/oauth_callback"
    if not options.get("scope"):
        if name == "generic-oauth":
            options["scope"] = [*OPENID_SCOPES]
        elif name == "github" and options.get("allowed_organizations"):
            options["scope"] = ["read:org"]
    if name == "generic-oauth" and not options.get("username_claim"):
        options["username_claim"] = "preferred_username"
    if name == "google" and options.get("allowed_domains"):
        # Google's authenticator shuts out all others, but lets in nobody by that.
        general["allow_all"] = bool(values.get("allow_all")) or _names_nobody(values)
    traits = {
        names[name]: options[option]
        for option, names in OAUTH_TRAITS.items()
        if name in names and options.get(option)
    }
    if name in ANSWER and (options.get("groups_claim") or allowed or admins):
        claim = options.get("groups_claim") or "groups"
        traits["manage_groups"] = True
        traits["auth_state_groups_key"] = f"{ANSWER[name]}.{claim}"
        traits.update({"allowed_groups": allowed} if allowed else {})
        traits.update({"admin_groups": admins} if admins else {})
    return {KINDS[name].sections[0]: traits}, general


def _ldap(values: Values) -> dict[str, Any]:
    """The traits of an LDAPAuthenticator."""
    options = {name: value for name, value in dict(values.get("ldap") or {}).items() if value}
    # By itself it believes any certificate.
    traits: dict[str, Any] = {"tls_kwargs": {"validate": CERT_REQUIRED}, **options}
    if not options.get("bind_dn_template"):
        traits["lookup_dn"] = True
        # The name in the directory, for a template of DNs; needed for any search.
        traits["lookup_dn_user_dn_attribute"] = options.get("user_attribute", "")
    if groups := values.get("allowed_groups"):
        traits["allowed_groups"] = groups
    return traits


def _remote_user(values: Values) -> dict[str, Any]:
    """The traits of the package's RemoteUserAuthenticator."""
    traits = dict(values.get("remote_user") or {})
    groups = {name: values[name] for name in ("allowed_groups", "admin_groups") if values.get(name)}
    return {**traits, **({"manage_groups": True, **groups} if groups else {})}


def effective(values: Values, trait: str) -> Any:
    """The value of a trait of the authenticator as the variables and jupyterhub_config set it.

    :returns: None where neither sets it.
    """
    config = values.get("config") or {}
    typed = authenticator_traits(values)
    for section in sections(values):
        for source in (config, typed):
            traits = source.get(section)
            if isinstance(traits, Mapping) and trait in traits:
                return traits[trait]
    return None
