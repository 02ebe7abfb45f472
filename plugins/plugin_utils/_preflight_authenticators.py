# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the variables for signing in let in whom they should. No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import (
    ALL_OAUTH,
    KINDS,
    OAUTH_TRAITS,
    configured,
    effective,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem, describe

Values = Mapping[str, Any]

PREFIX = "jupyterhub_"
OAUTH = "jupyterhub_oauth"
# bcrypt takes no more.
MAX_PASSWORD_BYTES = 72
MAX_PORT = 65535
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:]+:[0-9A-Fa-f:]*")
HEADER = re.compile(r"[A-Za-z0-9-]+")
TAKEN_HEADERS = frozenset({"authorization", "cookie", "host", "x-ailab-hub-entrance"})
PAGE = re.compile(r"(https?://[^\s/?#]+|/(?!/))\S*")
SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
CALLBACK = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]*)?/oauth_callback")
DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# Without all of these nothing can be said about who gets in.
NEEDED = (
    "jupyterhub_authenticator",
    "jupyterhub_admin_users",
    "jupyterhub_allowed_users",
    "jupyterhub_blocked_users",
    "jupyterhub_allowed_groups",
    "jupyterhub_admin_groups",
    "jupyterhub_allow_all",
    "jupyterhub_allow_existing_users",
    "jupyterhub_config",
    "jupyterhub_native",
    "jupyterhub_oauth",
    "jupyterhub_ldap",
    "jupyterhub_lti13",
    "jupyterhub_pam",
    "jupyterhub_remote_user",
)


def check_sign_in(values: Values) -> Iterator[Problem]:
    """All problems of who may sign in, and how.

    :arg values: converted values by full name; a variable with a problem of its type is left out.
    """
    own = {
        name.removeprefix(PREFIX): value
        for name, value in values.items()
        if name.startswith(PREFIX)
    }
    if not own.get("authenticator") or any(name not in values for name in NEEDED):
        return
    yield from _contradictions(own)
    yield from _groups(own)
    yield from _nobody(own)
    if own["authenticator"] == "native":
        yield from _native(own)
    elif own["authenticator"] in ALL_OAUTH:
        yield from _oauth(own)
    elif own["authenticator"] == "ldap":
        yield from _ldap(own)
    elif own["authenticator"] == "lti13":
        yield from _lti13(own)
    elif own["authenticator"] == "pam":
        service = own["pam"]["service"]
        if not SERVICE.fullmatch(service):
            mend = "Name it alone, without /etc/pam.d/."
            yield Problem(f"{PREFIX}pam.service", describe(service), "a service of PAM", mend)
    elif own["authenticator"] == "remote-user":
        yield from _remote_user(own)


def _contradictions(own: Values) -> Iterator[Problem]:
    everybody = own["allow_all"] or _config_allows_all(own)
    for name in ("allowed_users", "allowed_groups"):
        if everybody and own[name]:
            yield Problem(
                f"{PREFIX}allow_all",
                f"true, beside {PREFIX}{name}, which has no effect then",
                "one of them",
                f"Set {PREFIX}allow_all: false to let in only whom you named, or take out "
                f"{PREFIX}{name}.",
            )
    blocked = {name.lower() for name in own["blocked_users"]}
    for name in ("admin_users", "allowed_users"):
        if both := sorted(blocked & {user.lower() for user in own[name]}):
            yield Problem(
                f"{PREFIX}blocked_users",
                f"{', '.join(map(describe, both))}, also in {PREFIX}{name}",
                "each name in one of the two lists",
                "Take it out of one of them.",
            )


def _groups(own: Values) -> Iterator[Problem]:
    name = own["authenticator"]
    kind = KINDS.get(name)
    for variable, known in (
        ("allowed_groups", kind and kind.groups),
        ("admin_groups", kind and kind.admin_groups),
    ):
        if own[variable] and not known:
            which = [item for item, other in KINDS.items() if getattr(other, _FIELDS[variable])]
            yield Problem(
                f"{PREFIX}{variable}",
                f"a list, with {PREFIX}authenticator: {name}, which tells no groups here",
                "nothing" + (f": it is for {', '.join(which)}" if which else ""),
                f"Take it out; name users in {PREFIX}{_USERS[variable]}, or set the authenticator's "
                f"own traits in {PREFIX}config.",
            )


_FIELDS = {"allowed_groups": "groups", "admin_groups": "admin_groups"}
_USERS = {"allowed_groups": "allowed_users", "admin_groups": "admin_users"}


# What lets somebody in besides the lists and groups.
_WAYS_IN = {
    "generic-oauth": ("allowed_domains",),
    "github": ("allowed_organizations",),
    "gitlab": ("allowed_gitlab_groups", "allowed_project_ids"),
    "google": ("hosted_domain", "allowed_google_groups"),
}


def _nobody(own: Values) -> Iterator[Problem]:
    # The one lets in nobody on purpose, for a hub that programs alone use; with the other an
    # administrator decides.
    if own["authenticator"] in ("null", "native"):
        return
    if any(effective(own, name) for name in _WAYS_IN.get(own["authenticator"], ())):
        return
    named = ("admin_users", "allowed_users", "allow_all", "allow_existing_users",
             "allowed_groups", "admin_groups")  # fmt: skip
    if any(own[name] for name in named) or _allows_otherwise(own):
        return
    yield Problem(
        f"{PREFIX}allowed_users",
        "a configuration that lets nobody in",
        "somebody who may log in",
        f"Name administrators in {PREFIX}admin_users and users in {PREFIX}allowed_users, or set "
        f"{PREFIX}allow_all: true for everybody the authenticator knows.",
    )


def _allows_otherwise(own: Values) -> bool:
    """Whether settings of the authenticator itself may let somebody in."""
    if re.search(r"\b(allow|admin)\w*\s*=", own.get("extra_config") or ""):
        return True
    return any(value for trait, value in configured(own) if trait.startswith(("allow", "admin_")))


def _native(own: Values) -> Iterator[Problem]:
    name = f"{PREFIX}native"
    options = own["native"]
    if effective(own, "open_signup") and not (own["allow_all"] or _config_allows_all(own)):
        yield Problem(
            f"{name}.open_signup",
            "true, with which everybody gets in who signs up",
            "a word that this is meant",
            f"Set {PREFIX}allow_all: true, or take out open_signup to approve people.",
        )
    if not own["admin_users"] and not effective(own, "open_signup"):
        yield Problem(
            f"{PREFIX}admin_users",
            "nobody, and nobody who signs up gets in without an administrator",
            "an administrator's name",
            f"Name one in {PREFIX}admin_users.",
        )
    for option, least in (
        ("minimum_password_length", 1),
        ("allowed_failed_logins", 0),
        ("seconds_before_next_try", 0),
    ):
        if options[option] < least:
            expected = f"{least} or more"
            yield Problem(f"{name}.{option}", f"{options[option]}", expected, "Correct it.")
    password = own.get("admin_password") or ""
    if password and len(password) < options["minimum_password_length"]:
        yield Problem(
            f"{PREFIX}admin_password",
            f"{len(password)} characters",
            f"at least {options['minimum_password_length']}, as {name} demands of all",
            "Take a longer one, or leave it empty: the server then makes one.",
        )
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        expected = f"at most {MAX_PASSWORD_BYTES} bytes"
        found = f"{len(password.encode())} bytes"
        yield Problem(f"{PREFIX}admin_password", found, expected, "Take a shorter one.")


def _config_allows_all(own: Values) -> bool:
    return any(value for trait, value in configured(own) if trait == "allow_all")


def _oauth(own: Values) -> Iterator[Problem]:
    name = own["authenticator"]
    options = own["oauth"]
    for option, traits in OAUTH_TRAITS.items():
        if options[option] and name not in traits:
            yield Problem(
                f"{OAUTH}.{option}",
                f"a value, with {PREFIX}authenticator: {name}",
                f"nothing: it is for {' and '.join(traits)}",
                "Take it out.",
            )
    for option, what, mend in _OAUTH_NEEDS[name]:
        trait = OAUTH_TRAITS[option][name]
        if option == "callback_url" and own.get("public_url"):
            continue
        if not effective(own, trait) and trait not in (own.get("extra_config") or ""):
            yield Problem(f"{OAUTH}.{option}", "nothing", what, mend)
    callback = effective(own, "oauth_callback_url")
    if isinstance(callback, str) and callback and not CALLBACK.fullmatch(callback):
        yield Problem(
            f"{OAUTH}.callback_url",
            describe(callback),
            "the hub's address with /hub/oauth_callback",
            "Write it as https://hub.example.org/hub/oauth_callback, and register the same with "
            "the service.",
        )
    for option in ("url", "authorize_url", "token_url", "userdata_url", "logout_redirect_url"):
        if options[option] and name in OAUTH_TRAITS[option]:
            yield from _address(f"{OAUTH}.{option}", options[option])
    for domain in options["allowed_domains"]:
        if not DOMAIN.fullmatch(domain):
            mend = "Write what stands behind the @ of an address alone."
            expected = "a domain such as example.org"
            yield Problem(f"{OAUTH}.allowed_domains", describe(domain), expected, mend)


_REGISTERED = "Register the hub with the service and set it; keep the secret in Ansible Vault."
_ENDPOINT = (
    "Take it from the service's page .well-known/openid-configuration, or from its documentation."
)
_COMMON_NEEDS = (
    ("client_id", "the id the service gave the hub", _REGISTERED),
    ("client_secret", "the secret the service gave the hub", _REGISTERED),
    (
        "callback_url",
        "the hub's address with /hub/oauth_callback",
        "Set it as it is registered with the service, or have HTTPS: hub_https_certificate.",
    ),
)
_OAUTH_NEEDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    **dict.fromkeys(("github", "gitlab", "google"), _COMMON_NEEDS),
    "generic-oauth": (
        *_COMMON_NEEDS,
        ("authorize_url", "the page where people sign in", _ENDPOINT),
        ("token_url", "the address for tokens", _ENDPOINT),
        ("userdata_url", "the address that tells who somebody is", _ENDPOINT),
    ),
    "azuread": (
        *_COMMON_NEEDS,
        (
            "tenant_id",
            "the tenant whose people sign in",
            "Set it; without it everybody with an account of Microsoft's could try.",
        ),
        (
            "username_claim",
            "a claim that is unique",
            "Set it to one that people cannot choose, such as upn.",
        ),
    ),
}


def _ldap(own: Values) -> Iterator[Problem]:
    name = f"{PREFIX}ldap"
    options = own["ldap"]
    address = effective(own, "server_address")
    if not address:
        mend = "Set it as it is in the server's certificate."
        yield Problem(f"{name}.server_address", "nothing", "the name of the server", mend)
    elif not HOST.fullmatch(str(address)):
        yield Problem(
            f"{name}.server_address",
            describe(address),
            "the name of the server alone",
            "Leave out ldap:// and ldaps://, which tls_strategy says, and the port.",
        )
    if not 0 <= options["server_port"] <= MAX_PORT:
        expected = f"a TCP port up to {MAX_PORT}"
        mend = "Set it, or take it out for the default."
        yield Problem(f"{name}.server_port", f"{options['server_port']}", expected, mend)
    yield from _ldap_user(own, name)
    for option in ("search_filter", "group_search_filter"):
        if options[option] and not options[option].startswith("("):
            mend = "Put it in parentheses, as directories want it."
            expected = "a filter such as (uid={username})"
            yield Problem(f"{name}.{option}", describe(options[option]), expected, mend)
    for group in own["allowed_groups"]:
        if "=" not in group:
            yield Problem(
                f"{PREFIX}allowed_groups",
                describe(group),
                "the distinguished name (DN) of a group",
                "Write it whole, such as cn=research,ou=groups,dc=example,dc=org.",
            )


def _ldap_user(own: Values, name: str) -> Iterator[Problem]:
    templates = effective(own, "bind_dn_template") or []
    for template in [templates] if isinstance(templates, str) else templates:
        if "{username}" not in template:
            mend = "Write it as uid={username},ou=people,dc=example,dc=org."
            expected = "a DN with {username} in it"
            yield Problem(f"{name}.bind_dn_template", describe(template), expected, mend)
    base, attribute = effective(own, "user_search_base"), effective(own, "user_attribute")
    if templates and not effective(own, "search_filter"):
        return
    if not base or not attribute:
        missing = "user_attribute" if base else "user_search_base"
        yield Problem(
            f"{name}.{missing}",
            "nothing" if templates or base or attribute else "neither it nor bind_dn_template",
            "what a user's DN is, or where to look for it",
            "Set bind_dn_template, or user_search_base and user_attribute; search_filter needs the "
            "latter, too.",
        )
    user, password = (
        effective(own, "lookup_dn_search_user"),
        effective(own, "lookup_dn_search_password"),
    )
    if bool(user) != bool(password):
        missing = "lookup_dn_search_password" if user else "lookup_dn_search_user"
        expected = "both or none of the account that looks for users"
        yield Problem(f"{name}.{missing}", "nothing", expected, "Add it, or take out the other.")


def _lti13(own: Values) -> Iterator[Problem]:
    name = f"{PREFIX}lti13"
    for option, what in (
        ("client_id", "the id the course system gave the hub"),
        ("issuer", "the name of the course system, which it signs"),
        ("authorize_url", "the page of the course system that starts a launch"),
        ("jwks_endpoint", "the address of the course system's public keys"),
    ):
        if not effective(own, option) and option not in (own.get("extra_config") or ""):
            mend = "Register the hub as a tool there and set what the system shows."
            yield Problem(f"{name}.{option}", "nothing", what, mend)
    for option in ("authorize_url", "jwks_endpoint"):
        if own["lti13"][option]:
            yield from _address(f"{name}.{option}", own["lti13"][option])


def _remote_user(own: Values) -> Iterator[Problem]:
    name = f"{PREFIX}remote_user"
    options = own["remote_user"]
    headers = [options["user_header"], options["groups_header"]]
    for option, value in zip(("user_header", "groups_header"), headers, strict=True):
        if not HEADER.fullmatch(value):
            mend = "Use letters, digits and '-'. Servers take headers with '_' for others."
            yield Problem(f"{name}.{option}", describe(value), "the name of a header", mend)
        elif value.lower() in TAKEN_HEADERS:
            mend = "Choose another one, such as X-Remote-User."
            expected = "a header nothing else uses"
            yield Problem(f"{name}.{option}", describe(value), expected, mend)
    if headers[0].lower() == headers[1].lower():
        mend = "Choose another one for one of them."
        expected = "another header than the name's"
        yield Problem(f"{name}.groups_header", describe(headers[1]), expected, mend)
    if not options["groups_separator"]:
        mend = "Set it to what stands between two groups, such as ;"
        yield Problem(f"{name}.groups_separator", "nothing", "a separator", mend)
    for option in ("login_page", "denied_page", "logout_page"):
        if options[option] and not PAGE.fullmatch(options[option]):
            mend = "Write it whole, with https:// at its beginning."
            expected = "an address such as https://login.example.org/"
            yield Problem(f"{name}.{option}", describe(options[option]), expected, mend)


def _address(name: str, value: str) -> Iterator[Problem]:
    """Problems of an address over which people sign in or the hub sends its secret."""
    try:
        url = urlsplit(value)
        good = url.scheme in ("http", "https") and bool(url.hostname) and " " not in value
    except ValueError:
        good = False
    if not good:
        mend = "Write it whole, with https:// at its beginning."
        yield Problem(name, describe(value), "an address such as https://login.example.org", mend)
    elif url.scheme == "http" and not _is_loopback(url.hostname or ""):
        yield Problem(
            name,
            f"{describe(value)}, where secrets cross the network in the clear",
            "an address with https://",
            "Use HTTPS. Name an authority of your own in hub_image_ca_file.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
