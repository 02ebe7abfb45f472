#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API tokens of users of a JupyterHub."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_token
short_description: Make an API token of a JupyterHub user in a file, renew it, revoke it
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Makes an API token of a user through JupyterHub's REST API and writes it to a file on the managed
    host that only its owner can read. The token is returned, logged and shown nowhere.
  - A token is known by its user and its note. As long as the hub knows the token in the file, with
    this note, it is kept.
  - JupyterHub tells a token once, when it is made, and never again. Where the file is lost, another
    token is made and the old one revoked.
  - A new token is in its file before the old one is revoked, so that whoever reads the file always
    finds one that counts.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._jupyterhub
  - ailab.hub._jupyterhub.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows scopes and times, never a token.
options:
  user:
    description:
      - Name of the user the token belongs to. It can do at most what the user may do.
      - Tokens of services are made in C(JupyterHub.services).
    type: str
    required: true
  note:
    description:
      - What the token is for, as people read it on the page C(/hub/token).
      - It is the name of the token here. All other tokens of the user with the same note are revoked.
    type: str
    required: true
  state:
    description:
      - V(present) makes the token if it is missing. V(absent) revokes all tokens of the user with
        this note, and removes the file O(path) if it is given.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - File on the managed host for the token, one line of text. Its folder must exist.
      - Required with O(state=present).
      - A file that holds anything but a token is neither replaced nor removed.
    type: path
  owner:
    description: Name of the user who owns the file. If it is not set, whoever owns it stays.
    type: str
  group:
    description: Name of the group that owns the file. If it is not set, the group stays.
    type: str
  mode:
    description:
      - Mode of the file, as four octal digits in quotes. A mode with rights for others is refused.
    type: raw
    default: "0600"
  scopes:
    description:
      - What the token may do, in the words of JupyterHub, such as V(read:users!user) or
        V(access:servers!server=alice/).
      - If it is not set, the token may do all its user may do, and an existing token is kept whatever
        its scopes are. The same holds where V(inherit) is one of them.
      - A token with other scopes is replaced. What the scopes of an existing token were made from,
        JupyterHub does not tell, so this goes by what they come to.
    type: list
    elements: str
  expires_in:
    description:
      - Seconds until the token expires, counted from when it is made.
      - If it is not set, the token never expires, unless C(JupyterHub.token_expires_in_max_seconds)
        says otherwise.
      - A token that lives longer than one made now would is replaced.
    type: int
  renew_before:
    description:
      - A token that expires within this many seconds is replaced, so that a task that runs once a day
        keeps a file with a token that counts.
    type: int
    default: 0
notes:
  - Needs the scope C(tokens).
seealso:
  - module: ailab.hub.jupyterhub_info
  - module: ailab.hub.jupyterhub_user
  - module: ailab.hub.secret_files
  - name: Scopes of JupyterHub
    description: All scopes, and what they include.
    link: https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html
"""

EXAMPLES = r"""
- name: Tokens
  hosts: hub
  become: true
  module_defaults:
    group/ailab.hub.jupyterhub:
      url: http://127.0.0.1:8000/
      token_file: /var/lib/ailab-hub/secrets/admin_api_token
  tasks:
    - name: Alice is there
      ailab.hub.jupyterhub_user:
        users: [alice]

    - name: The folder for tokens is there
      ansible.builtin.file:
        path: /etc/course
        state: directory
        mode: "0700"

    - name: The nightly check may read who Alice is, for 30 days, and gets a new token after 20
      ailab.hub.jupyterhub_token:
        user: alice
        note: nightly check
        path: /etc/course/nightly.token
        scopes: ["read:users!user"]
        expires_in: 2592000
        renew_before: 864000

    - name: A script may do all that Alice may do
      ailab.hub.jupyterhub_token:
        user: alice
        note: scripts
        path: /etc/course/scripts.token
        owner: root
        mode: "0400"

    - name: The script is gone, and so is its token
      ailab.hub.jupyterhub_token:
        user: alice
        note: scripts
        path: /etc/course/scripts.token
        state: absent
"""

RETURN = r"""
id:
  description:
    - The name the hub has for the token, which is no secret. V(null) if there is none, or in check
      mode, if it would be made.
  type: str
  returned: always
  sample: a42
path:
  description: File of the token.
  type: str
  returned: if O(path) is given
  sample: /etc/course/nightly.token
scopes:
  description: What the token may do, with all that each scope includes, sorted.
  type: list
  elements: str
  returned: if there is a token
  sample: ["read:users!user=alice", "read:users:name!user=alice"]
expires_at:
  description: When the token expires, in UTC. V(null) if never.
  type: str
  returned: if there is a token
  sample: "2026-12-20T13:33:00.123456Z"
reasons:
  description:
    - Why a token was made. V(missing) if the hub had none with this note, V(file) if it was not the
      one in the file, V(scopes) if it had others, V(expiry) if it would have expired too soon or too
      late.
  type: list
  elements: str
  returned: always
  sample: [expiry]
revoked:
  description: The hub's names of the tokens that were revoked.
  type: list
  elements: str
  returned: always
  sample: [a17]
"""

import contextlib
import datetime
import os
import re
import stat
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils._jupyterhub_api import (
    COMMON_RULES,
    TOKEN,
    JupyterHub,
    JupyterHubError,
    Model,
    Task,
    carry_out,
    common_arguments,
    quoted,
    user_names,
)

# Clocks of hub and host differ, and an answer takes a moment.
SLACK_SECONDS = 60
NOTE_LENGTH = 1023
# A longer file holds no token.
MAX_FILE = 4096
MODE = re.compile(r"0[0-7]{3}")
# The client of JupyterHub itself, whose tokens are the ones people ask for. All others are of
# sign-ins, and revoking one of them ends the sign-in.
OWN_CLIENT = "JupyterHub"

# What each scope of JupyterHub includes at once.
SUBSCOPES: dict[str, tuple[str, ...]] = {
    "admin:groups": ("groups", "read:roles:groups", "delete:groups"),
    "admin:servers": ("admin:server_state", "servers"),
    "admin:services": ("list:services", "read:services", "read:roles:services"),
    "admin:users": ("admin:auth_state", "users", "read:roles:users", "delete:users"),
    "groups": ("read:groups", "list:groups"),
    "groups:shares": ("read:groups:shares",),
    "list:groups": ("read:groups:name",),
    "list:services": ("read:services:name",),
    "list:users": ("read:users:name",),
    "read:groups": ("read:groups:name",),
    "read:roles": ("read:roles:users", "read:roles:services", "read:roles:groups"),
    "read:servers": ("read:users:name",),
    "read:services": ("read:services:name",),
    "read:users": ("read:users:name", "read:users:groups", "read:users:activity"),
    "servers": ("read:servers", "delete:servers", "start:servers"),
    "shares": ("access:servers", "read:shares", "users:shares", "groups:shares"),
    "tokens": ("read:tokens",),
    "users": ("read:users", "list:users", "users:activity"),
    "users:activity": ("read:users:activity",),
    "users:shares": ("read:users:shares",),
}
# Included since JupyterHub 6; with older ones there is no such scope.
LATER = frozenset({"start:servers"})

# What the scope self of a user comes to.
SELF = (
    "access:servers!user",
    "read:shares!user",
    "read:users!user",
    "servers!user",
    "tokens!user",
    "users:activity!user",
    "users:shares!user",
)


def included(scope: str) -> set[str]:
    """A scope without a filter, and all it includes."""
    found = {scope}
    for inner in SUBSCOPES.get(scope, ()):
        found |= included(inner)
    return found


def expanded(scopes: t.Collection[str], owner: str) -> set[str]:
    """What scopes of a token of a user come to, as the hub lists them."""
    found = set()
    meant = [*SELF, *scopes] if "self" in scopes else scopes
    for scope in meant:
        if scope == "self":
            continue
        base, _mark, only = scope.partition("!")
        only = f"user={owner}" if only == "user" else only
        for name in included(base):
            if not only:
                found.add(name)
            elif not (only.startswith("server") and name.startswith("read:user")):
                found.add(f"{name}!{only}")
    return found


def differ(wanted: t.Collection[str], found: t.Collection[str], owner: str) -> bool:
    """Whether a token that may do what was found may do other things than those wanted."""
    if "inherit" in wanted:
        return False
    own = f"!user={owner}"
    is_self = "self" in wanted
    needed = expanded(wanted, owner)
    is_custom = any(scope.startswith("custom:") for scope in wanted)

    def covers(held: t.Collection[str], scope: str) -> bool:
        return scope in held or scope.partition("!")[0] in held

    def is_expected(scope: str) -> bool:
        return (
            covers(needed, scope)
            # Every token may tell whose it is.
            or scope in (f"read:users:name{own}", f"read:users:groups{own}")
            or (is_self and scope.endswith(own))
            # What these include is up to the hub's configuration.
            or (is_custom and scope.startswith("custom:"))
        )

    is_lacking = not all(
        covers(found, scope) or (scope.partition("!")[0] in LATER and scope not in wanted)
        for scope in needed
    )
    return is_lacking or not all(is_expected(scope) for scope in found)


def is_alike(one: Model, other: Model) -> bool:
    """Whether two tokens may do the same."""
    return set(one["scopes"]) == set(other["scopes"])


def parse_time(text: str) -> datetime.datetime:
    """A time as the hub writes it. Raises ValueError."""
    pattern = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.datetime.strptime(text, pattern).replace(tzinfo=datetime.timezone.utc)


def is_untimely(
    expires_at: str | None,
    now: datetime.datetime,
    expires_in: int | None,
    renew_before: int,
) -> bool:
    """Whether a token expires too soon, or later than one made now would."""
    if expires_at is None:
        return expires_in is not None
    left = (parse_time(expires_at) - now).total_seconds()
    return left <= renew_before or (expires_in is not None and left > expires_in + SLACK_SECONDS)


def read_file(path: str) -> str:
    """The token in a file, empty if the file is missing or empty.

    Raises ValueError if there is anything else in its place, and OSError.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(
            f"path: {path} is no plain file (a link, a folder, ...). Expected a file with a token, or "
            "nothing. Move it away, or name another path."
        )
    with open(path, "rb") as stream:
        text = stream.read(MAX_FILE + 1).decode("utf-8", "replace").strip()
    if text and (len(text) > MAX_FILE or not TOKEN.fullmatch(text)):
        raise ValueError(
            f"path: {path} holds something that is no token, and is left alone. Move it away, or "
            "name another path."
        )
    return text


def write_file(path: str, text: str) -> None:
    """Put text into a file that nobody but its owner can read, at once. Raises OSError.

    An existing file keeps its owner and group.
    """
    folder = os.path.dirname(path) or "."
    descriptor, temporary = tempfile.mkstemp(prefix=".token-", dir=folder)
    try:
        with os.fdopen(descriptor, "w") as stream:
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(path)
                os.fchown(descriptor, status.st_uid, status.st_gid)
            stream.write(f"{text}\n")
            stream.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class Token(Task):
    """A token of a user, while it is made or revoked."""

    LISTS = ("reasons", "revoked")

    def __init__(self, hub: JupyterHub, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(hub, options)
        (self.user,) = user_names([options["user"]], "user")
        self.result["id"] = None
        if options["path"]:
            self.result["path"] = options["path"]
        self._tokens = f"users/{quoted(self.user)}/tokens"

    def bring_about(self, *, check_mode: bool, diff: bool) -> None:
        """Do what the options ask for, or see what it would be."""
        self._check_options(check_mode)
        self.hub.require({"tokens": "to make and revoke tokens"})
        path = self.options["path"]
        text = read_file(path) if path else ""
        found = self._of_this_note(check_mode)
        if self.options["state"] == "absent":
            self._revoke([token["id"] for token in found], check_mode)
            if path and os.path.lexists(path):
                self.result["changed"] = True
                if not check_mode:
                    os.unlink(path)
            if diff:
                self._show(found[0] if found else None, None)
            return
        current = self._current(found, text)
        reasons = self._reasons(found, current)
        old = current
        if reasons:
            current = self._make(check_mode)
            if reasons == ["scopes"] and old and not check_mode and is_alike(current, old):
                # What the scopes come to is the hub's to say: they were not others after all.
                self._delete(current["id"])
                current, reasons = old, []
        if reasons:
            self.result.update(changed=True, reasons=reasons)
            if not check_mode:
                self._write(current)
        if current:
            self.result.update({key: current.get(key) for key in ("id", "expires_at")})
            self.result["scopes"] = sorted(current.get("scopes") or ())
        if diff:
            self._show(old or (found[0] if found else None), current)
        keep = current["id"] if current else None
        self._revoke([token["id"] for token in found if token["id"] != keep], check_mode)

    def _check_options(self, check_mode: bool) -> None:
        """Raise ValueError with all that is wrong in the options."""
        problems = []
        expires_in, renew_before = self.options["expires_in"], self.options["renew_before"]
        if not 0 < len((self.options["note"] or "").strip()) <= NOTE_LENGTH:
            problems.append(f"note: expected one to {NOTE_LENGTH} letters that say what it is for.")
        if expires_in is not None and expires_in <= 0:
            problems.append(f"expires_in: found {expires_in}, expected more than 0 seconds.")
        elif expires_in is not None and renew_before >= expires_in:
            problems.append(
                f"renew_before: found {renew_before}, expected less than expires_in ({expires_in}), "
                "or a new token would be made every time."
            )
        mode = self.options["mode"]
        # YAML reads 0600 without quotes as the number 384.
        if not isinstance(mode, str) or not MODE.fullmatch(mode):
            problems.append('mode: expected four octal digits in quotes, such as "0600".')
        elif int(mode, 8) & 0o007:
            problems.append(f'mode: {mode} lets everybody on the host at the token; use "0600".')
        if self.options["state"] == "present":
            problems += self._problem_of_path(check_mode)
        if problems:
            raise ValueError("\n".join(problems))

    def _problem_of_path(self, check_mode: bool) -> list[str]:
        """Why there can be no file; nothing if there can. A folder may follow a dry run."""
        if not self.options["path"]:
            return ["path: found nothing, expected a file for the token."]
        folder = os.path.dirname(self.options["path"]) or "."
        if os.path.isdir(folder):
            return []
        problem = f"path: there is no folder {folder}. Make it first, with mode 0700."
        if not check_mode:
            return [problem]
        self.warnings.append(problem)
        return []

    def _of_this_note(self, check_mode: bool) -> list[Model]:
        """The user's tokens of this note that the hub knows. Raises JupyterHubError."""
        found = self.hub.find(self._tokens)
        if found is None:
            problem = f"user: the hub has no user {self.user}."
            if self.options["state"] == "present" and not check_mode:
                raise JupyterHubError(
                    f"{problem} Add the user first, with ailab.hub.jupyterhub_user."
                )
            if self.options["state"] == "present":
                self.warnings.append(problem)
            return []
        return [
            token
            for token in found["api_tokens"]
            if token.get("note") == self.options["note"]
            and not token.get("session_id")
            and token.get("oauth_client") == OWN_CLIENT
        ]

    def _current(self, found: t.Sequence[Model], text: str) -> Model | None:
        """The token whose text is in the file, if it is one of those found."""
        if not text or not found:
            return None
        known = self.hub.identify(text)
        return next((token for token in found if known and token["id"] == known), None)

    def _reasons(self, found: t.Sequence[Model], current: Model | None) -> list[str]:
        """Why a token has to be made; empty if the current one will do."""
        if not found:
            return ["missing"]
        if current is None:
            return ["file"]
        reasons = []
        wanted = self.options["scopes"]
        if wanted is not None and differ(wanted, current["scopes"], self.user):
            reasons.append("scopes")
        if is_untimely(
            current.get("expires_at"),
            datetime.datetime.now(datetime.timezone.utc),
            self.options["expires_in"],
            self.options["renew_before"],
        ):
            reasons.append("expiry")
        return reasons

    def _make(self, check_mode: bool) -> Model:
        """Make a token. In check mode it is one without a name. Raises JupyterHubError."""
        options = self.options
        if check_mode:
            return {"id": None, "scopes": options["scopes"] or ["inherit"], "expires_at": None}
        body = {"note": options["note"]}
        for key in ("scopes", "expires_in"):
            if options[key] is not None:
                body[key] = options[key]
        made: Model = self.hub.call("POST", self._tokens, body)
        return made

    def _write(self, token: Model) -> None:
        """Put a new token into the file. It is revoked where that fails. Raises OSError."""
        try:
            write_file(self.options["path"], token.pop("token"))
        except OSError:
            self._delete(token["id"])
            raise

    def _revoke(self, ids: t.Sequence[str], check_mode: bool) -> None:
        """Revoke tokens, the one that asks last. Raises JupyterHubError."""
        for name in sorted(ids, key=lambda name: name == self.hub.caller.token_id):
            if not check_mode:
                self._delete(name)
            self.result["changed"] = True
            self.result["revoked"].append(name)

    def _delete(self, name: str) -> None:
        self.hub.call("DELETE", f"{self._tokens}/{quoted(name)}")

    def _show(self, before: Model | None, after: Model | None) -> None:
        """Keep what a difference shows."""

        def shown(token: Model | None) -> Model:
            if token is None:
                return {}
            return {
                "id": token["id"],
                "note": self.options["note"],
                "scopes": sorted(token.get("scopes") or ()),
                "expires_at": token.get("expires_at"),
            }

        self.result["diff"] = {"before": shown(before), "after": shown(after)}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            **common_arguments(),
            "user": {"type": "str", "required": True},
            "note": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "scopes": {"type": "list", "elements": "str"},
            "expires_in": {"type": "int"},
            "renew_before": {"type": "int", "default": 0},
        },
        required_if=[("state", "present", ["path"])],
        supports_check_mode=True,
        **COMMON_RULES,
    )
    result = carry_out(module, Token)
    path = module.params["path"]
    if module.params["state"] == "present" and os.path.lexists(path):
        attributes = module.load_file_common_arguments(module.params, path=path)
        result["changed"] = module.set_fs_attributes_if_different(attributes, result["changed"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
