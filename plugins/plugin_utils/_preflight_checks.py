# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument specification cannot say about the variables of the roles. No I/O.

Only what the specification accepted gets here, so a check that finds no value has nothing to do.
"""

from __future__ import annotations

import ast
import difflib
import ipaddress
import keyword
import re
import ssl
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.ailab.hub.plugins.filter.python_literal import literal_problems
from ansible_collections.ailab.hub.plugins.filter.split_secret_traits import names_secret
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_authenticators import (
    check_sign_in,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_https import check_https
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_images import (
    IMAGE_USER,
    check_image,
    check_lab_image,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    ABSOLUTE_PATH,
    Problem,
    describe,
)

Values = Mapping[str, Any]
Check = Callable[[Values], Iterator[Problem]]

# SharedPasswordAuthenticator refuses to start with less.
MIN_USER_PASSWORD = 8
MIN_ADMIN_PASSWORD = 32
SHARED_PASSWORD_SINCE = (5, 3)
# What the package in the hub image works with; pip would put another version beside it unasked.
OLDEST_JUPYTERHUB = (5, 2, 1)
JUPYTERHUB_TOO_NEW = (7,)
JUPYTERHUB_VERSIONS = (
    f">={'.'.join(map(str, OLDEST_JUPYTERHUB))},<{'.'.join(map(str, JUPYTERHUB_TOO_NEW))}"
)
# Gateway, hub and proxy take three of its 14 addresses.
MAX_PREFIX = 28
# Columns of JupyterHub's database.
MAX_NAME_LENGTH = 255
# What the name of a volume may contain, as ailab_hub.spawner has it; the user is in the former.
USER_FIELDS = frozenset({"username", "safe_username", "raw_username"})
VOLUME_FIELDS = USER_FIELDS | {"imagename", "prefix", "raw_servername", "servername"}
# Names Docker keeps for itself.
DOCKER_NETWORKS = frozenset({"bridge", "host", "none", "default", "ingress"})
# Entry points of JupyterHub and of the authenticators in the hub image; further packages may bring
# more, so that only what looks like one of these misspelt is refused.
AUTHENTICATORS = (
    *("auth0", "azuread", "bitbucket", "cilogon", "dummy", "generic-oauth", "github", "gitlab"),
    *("globus", "google", "ldap", "lti13", "mediawiki", "native", "null", "openshift", "pam"),
    *("remote-user", "shared-password"),
)

# How pictures begin, by the suffix of their name.
PICTURES = {
    "gif": rb"GIF8[79]a",
    "jpeg": rb"\xff\xd8\xff",
    "jpg": rb"\xff\xd8\xff",
    "png": rb"\x89PNG\r\n\x1a\n",
    "svg": rb"\s*(?:<\?xml.*?\?>|<!--.*?-->|<!DOCTYPE.*?>|\s)*<svg[\s>]",
    "webp": rb"RIFF....WEBP",
}
MAX_LOGO = 1024 * 1024

_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?:{_HOST}(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*"
REPOSITORY = re.compile(_REPOSITORY)
REFERENCE = re.compile(
    rf"{_REPOSITORY}(?::[\w][\w.-]{{0,127}})?(?:@[a-z0-9]+:[0-9a-f]{{32,}})?", re.A
)
TAG_AND_DIGEST = re.compile(r".*:[^/@]+@.+")
REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
REGISTRY_PREFIX = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?/(?:{_PART}/)*")
VERSION = re.compile(r"(?P<release>[0-9]+\.[0-9]+\.[0-9]+)(?P<before>(?:a|b|rc)[0-9]+)?")
DOCKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LINUX_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")
ENTRY_POINT = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
# A release (28.5.1), the same with Debian's epoch, or all that apt knows it by.
PACKAGE_VERSION = re.compile(r"(?:[0-9]+:)?[0-9]+\.[0-9]+(?:\.[0-9]+)?(?:[-~+.][A-Za-z0-9.+~-]*)?")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def check_values(roles: list[str], values: Values) -> Iterator[Problem]:
    """All problems of converted values.

    :arg roles: names of the roles whose checks count.
    :arg values: by full name of the variable; a variable with a problem of its type is left out.
    """
    for role in roles:
        for check in CHECKS.get(role, ()):
            yield from check(values)


def certificate_problem(text: str) -> str:
    """What is wrong with the text of a file that should hold PEM certificates; empty if nothing."""
    if "PRIVATE KEY-----" in text:
        return "a private key, which must never get into an image"
    blocks = CERTIFICATE.findall(text)
    if not blocks:
        return "no certificate in PEM form"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata="\n".join(blocks))
    except (ssl.SSLError, TypeError, ValueError):
        return "a certificate that cannot be read"
    return ""


def logo_problem(name: str, content: bytes) -> str:
    """What is wrong with a file that should be a picture for a page; empty if nothing.

    :arg name: of the file, whose suffix tells browsers what it is.
    """
    suffix = name.rpartition(".")[2].lower()
    if suffix not in PICTURES:
        return f"none of the suffixes {', '.join(sorted(PICTURES))}"
    if len(content) > MAX_LOGO:
        return f"{len(content)} bytes"
    if not re.match(PICTURES[suffix], content, re.DOTALL):
        return f"no picture of the kind {suffix}"
    return ""


def key_problem(text: str) -> str:
    """What is wrong with the text of a file that should hold a key of apt; empty if nothing."""
    if "-----BEGIN PGP PRIVATE KEY BLOCK-----" in text:
        return "a private key, which must never leave its owner"
    if "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in text:
        return "no public key of OpenPGP in text form"
    return ""


def network(value: object) -> ipaddress.IPv4Network | None:
    """An IPv4 network, or None for anything else."""
    try:
        return ipaddress.IPv4Network(value)
    except ValueError:
        return None


# Values that must match a pattern: variable, pattern, what is expected, what mends it.
def _matches(name: str, pattern: re.Pattern[str], expected: str, mend: str) -> Check:
    def check(values: Values) -> Iterator[Problem]:
        value = values.get(name)
        for item in value if isinstance(value, list) else [value]:
            if item is not None and not pattern.fullmatch(item):
                yield Problem(name, describe(item), expected, mend)

    return check


def _if_any(check: Check, name: str) -> Check:
    """The same check, with nothing to do where the variable is empty."""
    return lambda values: check(values) if values.get(name) else iter(())


def _reference(name: str) -> Check:
    mend = "Write it as docker pull takes it, such as registry.example.org:5000/group/name:1.0."
    matches = _matches(name, REFERENCE, "the reference of an image", mend)

    def check(values: Values) -> Iterator[Problem]:
        yield from matches(values)
        value = values.get(name) or ""
        # Docker pulls it and forgets the tag, so that Ansible's modules look for it in vain.
        if REFERENCE.fullmatch(value) and TAG_AND_DIGEST.fullmatch(value):
            mend = f"Leave out one of them, for instance the tag: {_without_tag(value)}."
            yield Problem(name, f"a tag and a digest ({value})", "one of both", mend)

    return check


def _without_tag(reference: str) -> str:
    name, _at, digest = reference.partition("@")
    return f"{name.rpartition(':')[0]}@{digest}"


def _image(name: str) -> Check:
    return _if_any(_reference(name), name)


def _repository(name: str) -> Check:
    mend = "Leave out the tag, which is made from the content: ailab-hub/lab, for instance."
    return _matches(name, REPOSITORY, "the name of an image without a tag", mend)


def _version(name: str) -> Check:
    mend = "Write all three numbers in quotes."
    return _matches(name, VERSION, 'a version such as "5.5.4"', mend)


def _hub_version(values: Values) -> Iterator[Problem]:
    name = "jupyterhub_version"
    version = values.get(name) or ""
    found = VERSION.fullmatch(version)
    if not found:
        return
    release = tuple(map(int, found["release"].split(".")))
    # A release candidate of the oldest is older than that.
    is_too_old = release < OLDEST_JUPYTERHUB or (release == OLDEST_JUPYTERHUB and found["before"])
    if is_too_old or release >= JUPYTERHUB_TOO_NEW:
        expected = f"a version that is {JUPYTERHUB_VERSIONS}"
        yield Problem(name, version, expected, "Remove it for the default, or choose another.")


def _proxy_url(name: str) -> Check:
    def check(values: Values) -> Iterator[Problem]:
        if value := values.get(name):
            yield from _url_problems(name, value, "http://proxy.example.org:3128")

    return check


_LEAVE_OUT_OF_PROXY = (
    "Leave them out: everybody who may read images or processes on the server sees them. "
    "Let the proxy know the server by its address instead."
)


def _split_url(value: str) -> SplitResult | None:
    """The parts of an address of HTTP; None for anything else."""
    try:
        url = urlsplit(value)
        good = url.scheme in ("http", "https") and bool(url.hostname) and " " not in value
        _port = url.port
    except ValueError:
        return None
    return url if good else None


def _url_problems(
    name: str, value: str, sample: str, leave_out: str = _LEAVE_OUT_OF_PROXY
) -> Iterator[Problem]:
    expected = f"an address such as {sample}"
    url = _split_url(value)
    if "@" in (url.netloc if url else value.partition("://")[2].partition("/")[0]):
        yield Problem(name, "an address with a user name or password", expected, leave_out)
    elif not url:
        yield Problem(name, describe(value), expected, "Write it with http:// or https://.")


def _mirrors(values: Values) -> Iterator[Problem]:
    name = "docker_engine_registry_mirrors"
    for mirror in values.get(name) or []:
        problems = list(_url_problems(name, mirror, "https://mirror.example.org"))
        yield from problems
        if not problems and (urlsplit(mirror).path.strip("/") or urlsplit(mirror).query):
            mend = "Leave out everything behind the name and port; Docker accepts no more."
            yield Problem(name, describe(mirror), "an address without a path", mend)


def _registries(values: Values) -> Iterator[Problem]:
    name = "docker_engine_registries"
    seen: set[str] = set()
    for index, registry in enumerate(values.get(name) or []):
        place = f"{name}[{index}]"
        if not REGISTRY.fullmatch(registry["name"]):
            mend = "Leave out https:// and everything behind the port."
            expected = "a name such as registry.example.org:5000"
            yield Problem(f"{place}.name", describe(registry["name"]), expected, mend)
        if registry["name"] in seen:
            expected = "each registry once"
            found = f"{registry['name']} again"
            yield Problem(f"{place}.name", found, expected, "Remove one of them.")
        seen.add(registry["name"])
        username, password = registry.get("username"), registry.get("password")
        if bool(username) != bool(password):
            found = "a username without a password" if username else "a password without a username"
            yield Problem(place, found, "both or none of them", "Add the other one.")


def _daemon(values: Values) -> Iterator[Problem]:
    name = "docker_engine_daemon"
    daemon = values.get(name) or {}
    yield from _literal(name, daemon)
    for key in daemon:
        if not isinstance(key, str):
            mend = "Put it in quotes."
            yield Problem(name, f"a key that is {describe(key)}", "keys that are text", mend)
    if daemon.get("hosts") is not None and values.get("docker_engine_source") in (
        "distro",
        "docker_ce",
    ):
        yield Problem(
            f"{name}.hosts",
            "addresses to listen on",
            "none",
            "Remove it: systemd starts the engine with its socket, and an engine that is told "
            "twice does not start.",
        )


def _packages(values: Values) -> Iterator[Problem]:
    source = values.get("docker_engine_source")
    asked = {
        "docker_engine_version": bool(values.get("docker_engine_version")),
        "docker_engine_hold": values.get("docker_engine_hold") is not None,
    }
    for name, given in asked.items():
        if given and source in ("distro", "existing"):
            found = f"a value, with docker_engine_source: {source}"
            mend = f"Remove {name}, or set docker_engine_source: docker_ce."
            yield Problem(name, found, "nothing: it is for Docker's own packages", mend)
    name = "docker_engine_replace"
    if values.get(name) and source == "existing":
        mend = f"Remove {name}, or say with docker_engine_source what the engine shall be."
        yield Problem(name, "true, with docker_engine_source: existing", "false", mend)


def _docker_repository(values: Values) -> Iterator[Problem]:
    name = "docker_engine_repository_url"
    if (url := values.get(name)) is not None:
        yield from _url_problems(
            name,
            url,
            "https://download.docker.com/linux",
            "Leave them out: everybody on the server may read apt's sources. Put them into a file "
            "in /etc/apt/auth.conf.d there.",
        )


def _engine_proxies(values: Values) -> Iterator[Problem]:
    for name in ("docker_engine_http_proxy", "docker_engine_https_proxy"):
        if (url := values.get(name)) and not _split_url(url):
            mend = "Write it with http:// or https://, special characters in a password as %40."
            expected = "an address such as http://proxy.example.org:3128"
            yield Problem(name, describe(url, secret=True), expected, mend)


def _literal(name: str, value: object) -> Iterator[Problem]:
    for place, what in literal_problems(value):
        yield Problem(f"{name}{place}", f"something that {what}", "plain data", "Rewrite it.")


def _authenticator(values: Values) -> Iterator[Problem]:
    name = "jupyterhub_authenticator"
    if name not in values:
        return
    value = values[name]
    if not value:
        yield Problem(
            name,
            "nothing",
            "the name of an authenticator, such as shared-password, native, github or ldap",
            f"Set {name} in the inventory; inventory.example shows how.",
        )
    elif not ENTRY_POINT.fullmatch(value):
        mend = "Write a name such as shared-password, or the full name of a class."
        yield Problem(name, describe(value), "the name of an authenticator", mend)
    elif value not in AUTHENTICATORS and (
        # JupyterHub knows its names in any case, but nothing here would.
        near := difflib.get_close_matches(value.lower(), AUTHENTICATORS, n=1, cutoff=0.85)
    ):
        expected = "the name of an authenticator"
        yield Problem(name, describe(value), expected, f"Did you mean {near[0]}?")
    if _is_dummy(value) and values.get("jupyterhub_allow_dummy_authenticator") is False:
        yield Problem(
            name,
            "dummy, which lets everybody in under any name",
            "an authenticator that asks who somebody is",
            "Use shared-password or another one, or set jupyterhub_allow_dummy_authenticator: true "
            "if nobody but you can reach the hub.",
        )
    version = values.get("jupyterhub_version") or ""
    older = VERSION.fullmatch(version) and _release(version) < SHARED_PASSWORD_SINCE
    if value == "shared-password" and older:
        yield Problem(
            name,
            f"shared-password with jupyterhub_version {version}",
            "JupyterHub 5.3 or newer for it",
            "Set jupyterhub_version to the default, or use another authenticator.",
        )


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def _is_dummy(value: str | None) -> bool:
    return bool(value) and (value == "dummy" or str(value).endswith("DummyAuthenticator"))


def _docker_access(values: Values) -> Iterator[Problem]:
    consent = "jupyterhub_docker_access_host_gives_root"
    if values.get("jupyterhub_docker_access") == "host" and values.get(consent) is False:
        yield Problem(
            "jupyterhub_docker_access",
            "host, with which every user is root on the server",
            "a word that this is meant",
            f"Set {consent}: true, or jupyterhub_docker_access: none.",
        )


def _passwords(values: Values) -> Iterator[Problem]:
    user = values.get("jupyterhub_user_password")
    admin = values.get("jupyterhub_admin_password")
    if values.get("jupyterhub_authenticator") == "shared-password":
        for name, password, length in (
            ("jupyterhub_user_password", user, MIN_USER_PASSWORD),
            ("jupyterhub_admin_password", admin, MIN_ADMIN_PASSWORD),
        ):
            if password and len(password) < length:
                mend = "Take a longer one, or leave it empty: the server then makes one."
                expected = f"at least {length}, as JupyterHub demands"
                yield Problem(name, f"{len(password)} characters", expected, mend)
    for name, password in (
        ("jupyterhub_user_password", user),
        ("jupyterhub_admin_password", admin),
    ):
        if password and password != password.strip():
            yield Problem(
                name,
                "white space at its beginning or end",
                "a password without",
                "Take it out; a line break comes from a block of YAML, as with '|'.",
            )
    if user and user == admin:
        yield Problem(
            "jupyterhub_admin_password",
            "the value of jupyterhub_user_password",
            "another one",
            "Take another one: every user would be an administrator.",
        )


def _port(values: Values) -> Iterator[Problem]:
    port = values.get("jupyterhub_port")
    if port is not None and not 1 <= port <= 65535:
        mend = "Set jupyterhub_port to one of them; the default is 8000."
        yield Problem("jupyterhub_port", describe(port), "a TCP port from 1 to 65535", mend)


def _bind_address(values: Values) -> Iterator[Problem]:
    address = values.get("jupyterhub_bind_address")
    if address is not None:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield Problem(
                "jupyterhub_bind_address",
                describe(address),
                "an IP address of the server, or 0.0.0.0 for all of them",
                "Write the address itself; names and port do not belong here.",
            )


def _public_url(values: Values) -> Iterator[Problem]:
    name = "jupyterhub_public_url"
    url = values.get(name)
    if url:
        problems = list(_url_problems(name, url, "https://hub.example.org/", "Leave them out."))
        yield from problems
        path = urlsplit(url).path if not problems else "/"
        if not path:
            expected = "an address that ends with a slash"
            yield Problem(name, describe(url), expected, f"Did you mean {url}/?")
        elif path != "/":
            yield Problem(
                name,
                describe(url),
                "an address without a path: the hub has a name of its own",
                "Give the hub a name in the DNS, such as hub.example.org.",
            )
    has_https = url is None or url.startswith("https://")
    if values.get("jupyterhub_subdomains") and not has_https:
        yield Problem(
            "jupyterhub_subdomains",
            "true, without HTTPS",
            "an address with https://, below which users' servers get theirs",
            "Set hub_https_certificate and hub_https_hostname, or remove it.",
        )


def _subnets(values: Values) -> Iterator[Problem]:
    names = ("jupyterhub_subnet", "jupyterhub_internal_subnet")
    networks = {}
    for name in names:
        value = values.get(name)
        if value is None:
            continue
        subnet = network(value)
        if subnet is None:
            yield Problem(name, describe(value), "an IPv4 network", _network_hint(value))
        elif not subnet.is_private or subnet.is_loopback or subnet.is_link_local:
            mend = "Choose one inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
            yield Problem(name, describe(value), "a private network", mend)
        elif subnet.prefixlen > MAX_PREFIX:
            mend = f"Choose /{MAX_PREFIX} or a larger network (a smaller number)."
            yield Problem(name, describe(value), "a network with room for its containers", mend)
        else:
            networks[name] = subnet
    if len(networks) == len(names) and networks[names[0]].overlaps(networks[names[1]]):
        yield Problem(
            names[1],
            describe(values[names[1]]),
            f"a network apart from {names[0]} ({values[names[0]]})",
            "Choose one outside of it.",
        )


def _network_hint(value: str) -> str:
    try:
        meant = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        return "Write it as 10.230.0.0/20."
    return f"Did you mean {meant}?"


def _network_name(values: Values) -> Iterator[Problem]:
    if values.get("jupyterhub_network_name") in DOCKER_NETWORKS:
        name = "jupyterhub_network_name"
        mend = "Choose another name; the default is jupyterhub."
        yield Problem(name, describe(values[name]), "a name Docker does not use itself", mend)


def _volumes(values: Values) -> Iterator[Problem]:
    path, name = values.get("jupyterhub_volume_path"), values.get("jupyterhub_volume_name")
    if path and (not ABSOLUTE_PATH.fullmatch(path) or ".." in path.split("/")):
        expected = "a folder's full path, or nothing for no volume"
        mend = "Write it with a slash at the beginning and without '..'."
        yield Problem("jupyterhub_volume_path", describe(path), expected, mend)
    elif path and path.rstrip("/") in ("", "/home", "/home/jupyter"):
        yield Problem(
            "jupyterhub_volume_path",
            describe(path),
            "a folder of the user's files alone",
            "Choose a folder inside of it: a volume in its place would hide what the image brings, "
            "or freeze it at today's version.",
        )
    if path and name is not None:
        try:
            fields = [field for _text, field, _spec, _conv in string.Formatter().parse(name)]
            sample = name.format(**dict.fromkeys(VOLUME_FIELDS, "x"))
        except (ValueError, KeyError, IndexError, AttributeError):
            fields, sample = [], ""
        if not DOCKER_NAME.fullmatch(sample):
            mend = "Use letters, digits, '_', '.', '-' and {username}, such as ailab-{username}."
            yield Problem("jupyterhub_volume_name", describe(name), "the name of a volume", mend)
        elif not USER_FIELDS & set(fields):
            mend = "Add {username}: all users would share one volume and see each other's files."
            yield Problem("jupyterhub_volume_name", describe(name), "one volume per user", mend)


def _user_names(name: str) -> Check:
    def check(values: Values) -> Iterator[Problem]:
        for user in values.get(name) or []:
            if not user or user != user.strip() or "/" in user or len(user) > MAX_NAME_LENGTH:
                yield Problem(
                    name,
                    describe(user),
                    "names JupyterHub accepts",
                    "Write it without '/', without spaces at its ends and with at most "
                    f"{MAX_NAME_LENGTH} characters.",
                )

    return check


def _cmd(values: Values) -> Iterator[Problem]:
    cmd = values.get("jupyterhub_cmd")
    if cmd is not None and (not cmd or not cmd[0]):
        expected = "a program and its arguments"
        mend = "Remove jupyterhub_cmd to have the default."
        yield Problem("jupyterhub_cmd", "no program", expected, mend)


def _default_url(values: Values) -> Iterator[Problem]:
    url = values.get("jupyterhub_default_url")
    if url and (not url.startswith("/") or " " in url):
        mend = "Write it with a slash at the beginning, such as /lab."
        yield Problem("jupyterhub_default_url", describe(url), "a path on the hub", mend)


def _config(values: Values) -> Iterator[Problem]:
    name = "jupyterhub_config"
    for class_name, traits in (values.get(name) or {}).items():
        if not _is_identifier(class_name):
            mend = "Write the class alone, such as DockerSpawner."
            yield Problem(name, f"the key {class_name!r}", "names of classes", mend)
        elif not isinstance(traits, Mapping):
            mend = f"Write {class_name}: and below it, indented, TRAIT: VALUE."
            found = describe(traits, secret=True)
            yield Problem(f"{name}.{class_name}", found, "a dictionary of traits", mend)
        else:
            for trait, value in traits.items():
                if class_name == "JupyterHub" and trait == "authenticator_class":
                    yield Problem(
                        f"{name}.JupyterHub.authenticator_class",
                        describe(value),
                        "nothing: jupyterhub_authenticator says who signs people in",
                        "Write it there, and take it out here.",
                    )
                elif class_name == "JupyterHub" and trait == "base_url" and value != "/":
                    yield Problem(
                        f"{name}.JupyterHub.base_url",
                        describe(value),
                        "nothing: the hub has a name of its own, and no path of another's",
                        "Take it out, and give the hub a name in the DNS, such as hub.example.org.",
                    )
                elif not _is_identifier(trait):
                    mend = "Write the trait alone, such as mem_limit."
                    place = f"{name}.{class_name}"
                    yield Problem(place, f"the key {trait!r}", "names of traits", mend)
                else:
                    yield from _literal(f"{name}.{class_name}.{trait}", value)


def _is_identifier(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _extra_config(values: Values) -> Iterator[Problem]:
    name = "jupyterhub_extra_config"
    source = values.get(name) or ""
    try:
        tree = ast.parse(source)
    except SyntaxError as exc:
        found = f"in line {exc.lineno}: {exc.msg}"
        yield Problem(name, found, "Python that can be read", f"Mend line {exc.lineno}.")
        return
    except (ValueError, RecursionError, MemoryError):
        yield Problem(name, "text no program can be", "Python that can be read", "Rewrite it.")
        return
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            trait = _assigned_name(target)
            if trait and names_secret(trait) and _has_secret_text(node.value):
                yield Problem(
                    name,
                    f"in line {node.lineno}: {trait} with its value",
                    "no secret, since this text is shown in differences",
                    f"Move it to jupyterhub_config: {{CLASS: {{{trait}: ...}}}}, where it is kept "
                    "in a file of its own, and encrypt it with Ansible Vault.",
                )


def _assigned_name(target: ast.expr) -> str:
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return ""


def _has_secret_text(value: ast.expr | None) -> bool:
    """Whether there is text in an expression that is neither empty nor a path or address."""
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return any(map(_has_secret_text, value.elts))
    if isinstance(value, ast.Dict):
        return any(map(_has_secret_text, value.values))
    if isinstance(value, (ast.JoinedStr, ast.BinOp)):
        return any(_has_secret_text(part) for part in ast.iter_child_nodes(value))  # type: ignore[arg-type]
    if not isinstance(value, ast.Constant) or not isinstance(value.value, (str, bytes)):
        return False
    text = value.value if isinstance(value.value, str) else value.value.decode("latin-1")
    return bool(text) and not text.startswith(("/", "http://", "https://"))


def _image_role(role: str) -> tuple[Check, ...]:
    return (
        _reference(f"{role}_base"),
        _repository(f"{role}_name"),
        _version(f"{role}_jupyterhub_version"),
        _proxy_url(f"{role}_http_proxy"),
        _proxy_url(f"{role}_https_proxy"),
        lambda values: check_image(role, values),
    )


CHECKS: dict[str, tuple[Check, ...]] = {
    "docker_engine": (
        _daemon,
        _mirrors,
        _registries,
        _packages,
        _docker_repository,
        _engine_proxies,
        _if_any(
            _matches(
                "docker_engine_version",
                PACKAGE_VERSION,
                'a version such as "28.5.1"',
                "Write it in quotes, as 'apt-cache madison docker-ce' on a server lists it.",
            ),
            "docker_engine_version",
        ),
        _matches(
            "docker_engine_repository_key_checksum",
            CHECKSUM,
            "sha256: and 64 digits from 0 to f",
            "Ask the owner of the mirror for it, or compute it with sha256sum from a key you trust.",
        ),
        _if_any(
            _matches(
                "docker_engine_registry_prefix",
                REGISTRY_PREFIX,
                "a registry with a slash at its end",
                "Write it as registry.example.org:5000/, without https://.",
            ),
            "docker_engine_registry_prefix",
        ),
        _matches(
            "docker_engine_users", LINUX_USER, "names of accounts", "Write one account an item."
        ),
    ),
    "lab_image": (
        *_image_role("lab_image"),
        _matches(
            "lab_image_python",
            ABSOLUTE_PATH,
            "the full path of a Python interpreter in the image",
            "Write it with a slash at the beginning and no spaces.",
        ),
        _matches("lab_image_user", IMAGE_USER, "a user of the image", "Write a name or a number."),
        check_lab_image,
    ),
    "hub_image": _image_role("hub_image"),
    "jupyterhub": (
        _version("jupyterhub_version"),
        _hub_version,
        _authenticator,
        _docker_access,
        _passwords,
        _user_names("jupyterhub_admin_users"),
        _user_names("jupyterhub_allowed_users"),
        _user_names("jupyterhub_blocked_users"),
        check_sign_in,
        _bind_address,
        _port,
        _public_url,
        _matches(
            "jupyterhub_network_name",
            DOCKER_NAME,
            "the name of a Docker network",
            "Use letters, digits, '_', '.' and '-', a letter or digit first.",
        ),
        _network_name,
        _subnets,
        _image("jupyterhub_proxy_image"),
        _image("jupyterhub_lab_image"),
        _image("jupyterhub_hub_image"),
        _cmd,
        _default_url,
        _volumes,
        _config,
        _extra_config,
    ),
    "hub_https": (check_https,),
}
