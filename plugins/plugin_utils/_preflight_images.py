# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument specification cannot say about what goes into the images. No I/O."""

from __future__ import annotations

import ast
import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    ABSOLUTE_PATH,
    Problem,
    describe,
)

Values = Mapping[str, Any]

# A minus at the end would have apt-get remove the package.
APT_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+|/[a-z0-9.-]+)?"
)
# Jupyter knows kernels by small letters.
KERNEL = re.compile(r"[a-z0-9][a-z0-9._-]*")
IMAGE_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
CONFIG_FILE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*")
GIT_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]*")
# host:path, as ssh takes it; a slash before the colon would make it a folder.
SSH_SHORT = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:\s-][^\s]*")
REFRESH = re.compile(r"[A-Za-z0-9_.:+-]{0,64}")

OPENSSH_KEY = re.compile(
    r"-----BEGIN OPENSSH PRIVATE KEY-----(.+?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL
)
# What a key in OpenSSH's form begins with when no passphrase encrypts it.
OPENSSH_PLAIN = b"openssh-key-v1\0\0\0\0\4none"

_GIT_ONLY = ("version", "username", "password", "ssh_key_file")
_GIT_SAMPLE = "https://git.example.org/course.git or git@git.example.org:course.git"


def check_image(role: str, values: Values) -> Iterator[Problem]:
    """All problems of what both images have."""
    name = f"{role}_refresh"
    if (refresh := values.get(name)) is not None and not REFRESH.fullmatch(refresh):
        expected = "a word of letters, digits and _.:+-"
        yield Problem(name, describe(refresh), expected, "Write the month, such as 2026-12.")
    name = f"{role}_keep"
    if (keep := values.get(name)) is not None and keep < 0:
        yield Problem(name, describe(keep), "0 or more", "Write how many former images stay.")
    yield from _pip_packages(f"{role}_pip_packages", values.get(f"{role}_pip_packages") or [])


def check_lab_image(values: Values) -> Iterator[Problem]:
    """All problems of what the lab image alone has."""
    name = "lab_image_apt_packages"
    yield from _apt_packages(name, values.get(name) or [])
    yield from _kernels(values)
    yield from _jupyter_config(values)
    yield from _entrypoint(values)
    yield from _material_path(values)
    for index, entry in enumerate(values.get("lab_image_material") or []):
        yield from _material(f"lab_image_material[{index}]", entry)


def ssh_key_problem(text: str) -> str:
    """What is wrong with the text of a file that should hold a private key; empty if nothing."""
    if "PRIVATE KEY-----" not in text:
        return "no private key"
    openssh = OPENSSH_KEY.search(text)
    if openssh:
        try:
            plain = base64.b64decode(openssh[1]).startswith(OPENSSH_PLAIN)
        except binascii.Error:
            return "a private key that cannot be read"
    else:
        plain = "ENCRYPTED" not in text
    return "" if plain else "a private key with a passphrase, which nobody is there to type"


def _pip_packages(name: str, packages: Iterable[str]) -> Iterator[Problem]:
    for package in packages:
        if re.search(r"://[^/\s]*@", package):
            mend = "Leave them out: they would stay in the image for everybody to read."
            found = "an address with a user name or password"
            yield Problem(name, found, "a package", mend)
        elif not re.match(r"[A-Za-z0-9]", package):
            mend = "Write a package as pip names it, such as jupyterhub-firstuseauthenticator==1.1."
            yield Problem(name, describe(package), "a package, and no option of pip", mend)


def _apt_packages(name: str, packages: Iterable[str]) -> Iterator[Problem]:
    for package in packages:
        if not APT_PACKAGE.fullmatch(package):
            mend = "Write one package an item, such as graphviz or graphviz=2.42.2-7."
            yield Problem(name, describe(package), "a package, and no option of apt-get", mend)


def _kernels(values: Values) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, kernel in enumerate(values.get("lab_image_kernels") or []):
        place = f"lab_image_kernels[{index}]"
        name = kernel["name"]
        if not KERNEL.fullmatch(name):
            mend = "Write it as 'jupyter kernelspec list' shows it, such as scala3."
            expected = "a name of small letters, digits and ._-"
            yield Problem(f"{place}.name", describe(name), expected, mend)
        if name in seen:
            yield Problem(f"{place}.name", f"{name} again", "each kernel once", "Remove one.")
        seen.add(name)
        if not kernel["commands"] or not all(line.strip() for line in kernel["commands"]):
            mend = "Add the commands that install it, one an item."
            yield Problem(f"{place}.commands", "nothing to run", "commands", mend)
        user = kernel.get("user")
        if user is not None and not IMAGE_USER.fullmatch(user):
            mend = "Write a name or a number, such as root."
            yield Problem(f"{place}.user", describe(user), "a user of the image", mend)
        yield from _apt_packages(f"{place}.packages", kernel.get("packages") or [])


def _jupyter_config(values: Values) -> Iterator[Problem]:
    for file, content in (values.get("lab_image_jupyter_config") or {}).items():
        place = f"lab_image_jupyter_config[{file}]"
        if not isinstance(file, str) or not CONFIG_FILE.fullmatch(file):
            mend = "Write a name below /etc/jupyter, such as jupyter_server_config.json."
            yield Problem("lab_image_jupyter_config", f"the key {file!r}", "names of files", mend)
        elif isinstance(content, Mapping):
            if file.endswith(".py"):
                mend = "Write its Python after '|', or name the file .json."
                yield Problem(place, "a dictionary", "Python", mend)
            elif not _is_json(content):
                mend = "Put dates and the like in quotes."
                yield Problem(place, "what JSON has no words for", "plain data", mend)
        elif not isinstance(content, str):
            mend = "Write KEY: VALUE lines, or text after '|'."
            found = describe(content, secret=True)
            yield Problem(place, found, "a dictionary or text", mend)
        elif problem := _text_problem(file, content):
            yield Problem(place, problem, f"a file that Jupyter reads as {file}", "Mend it.")


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _text_problem(file: str, text: str) -> str:
    try:
        if file.endswith(".py"):
            ast.parse(text)
        elif file.endswith(".json"):
            json.loads(text)
    except SyntaxError as exc:
        return f"in line {exc.lineno}: {exc.msg}"
    except json.JSONDecodeError as exc:
        return f"in line {exc.lineno}: {exc.msg}"
    except (ValueError, RecursionError, MemoryError):
        return "text that cannot be read"
    return ""


def _entrypoint(values: Values) -> Iterator[Problem]:
    name = "lab_image_entrypoint"
    entrypoint = values.get(name)
    if entrypoint and not entrypoint[0]:
        mend = "Write [tini, -g, --, start.sh], or [] for none."
        yield Problem(name, "no program", "a program and its arguments", mend)


def _material_path(values: Values) -> Iterator[Problem]:
    name = "lab_image_material_path"
    path = values.get(name)
    if path is not None and (
        not ABSOLUTE_PATH.fullmatch(path) or not path.strip("/") or ".." in path.split("/")
    ):
        mend = "Write it with a slash at the beginning, without spaces and '..'."
        yield Problem(name, describe(path), "a folder's full path", mend)


def _material(place: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    git, archive = entry.get("git"), entry.get("archive")
    if bool(git) == bool(archive):
        found = "git and archive" if git else "neither git nor archive"
        yield Problem(place, found, "one of them", "Make two entries of it, or remove one.")
    elif git:
        yield from _repository(place, git, entry)
    else:
        for key in _GIT_ONLY:
            if entry.get(key):
                mend = f"Remove {key}."
                yield Problem(f"{place}.{key}", "a value, with archive", "it with git only", mend)
    for key in ("directory", "dest"):
        folder = entry.get(key) or ""
        if folder.startswith(("/", "~")) or {"..", ".git"} & set(folder.split("/")):
            mend = "Write it without a slash at the beginning and without '..'."
            yield Problem(f"{place}.{key}", describe(folder), "a folder inside", mend)


def _repository(place: str, git: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    scheme = _git_scheme(git)
    if not scheme:
        mend = f"Write it as {_GIT_SAMPLE}."
        yield Problem(f"{place}.git", describe(git), "the address of a git repository", mend)
    elif "@" in urlsplit(git).netloc and (scheme != "ssh" or urlsplit(git).password is not None):
        found = "an address with a user name or password"
        mend = "Move them to username and password of the entry, encrypted with Ansible Vault."
        yield Problem(f"{place}.git", found, f"an address such as {_GIT_SAMPLE}", mend)
    version = entry.get("version") or ""
    if version and (not GIT_VERSION.fullmatch(version) or ".." in version):
        mend = "Write a branch or tag, or a commit with all of its 40 digits."
        yield Problem(f"{place}.version", describe(version), "a branch, tag or commit", mend)
    username, password = entry.get("username"), entry.get("password")
    if bool(username) != bool(password):
        found = "a username without a password" if username else "a password without a username"
        yield Problem(place, found, "both or none of them", "Add the other one.")
    if password and scheme in ("http", "ssh"):
        mend = (
            "Write https://, or the password crosses the network in the clear."
            if scheme == "http"
            else "Use ssh_key_file, or an address with https://."
        )
        yield Problem(f"{place}.password", f"a password for {scheme}", "https:// with it", mend)
    if entry.get("ssh_key_file") and scheme in ("http", "https"):
        mend = "Use username and password, or an address with ssh://."
        yield Problem(f"{place}.ssh_key_file", f"a key for {scheme}", "ssh:// with it", mend)


def _git_scheme(address: str) -> str:
    """How a repository is reached: V(http), V(https) or V(ssh); empty for what is no address."""
    try:
        url = urlsplit(address)
        _port = url.port
    except ValueError:
        return ""
    if url.scheme in ("http", "https", "ssh") and "://" in address:
        whole = bool(url.hostname) and url.path.strip("/") and not re.search(r"\s", address)
        return url.scheme if whole and not (url.hostname or "").startswith("-") else ""
    return "ssh" if SSH_SHORT.fullmatch(address) and "://" not in address else ""
