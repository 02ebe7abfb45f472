#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold secrets, made once on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_files
short_description: Make secrets on the host once, and keep them
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Makes random secrets that never leave the host, and writes secrets of the inventory, each into
    a file of its own that only its owner can read.
  - A file is written under another name and renamed, with its final owner and mode before its
    first byte, so that a reader finds the old secret or the new one and never half of it.
  - No secret and nothing computed from one without a key is returned, logged or shown as a
    difference.
extends_documentation_fragment:
  - ailab.hub._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows names, owners and modes of the files, and where content changes. Never content.
options:
  directory:
    description:
      - The folder of the files. Made with mode V(0700) if it is missing.
      - Rights of group and others on an existing folder are taken away.
      - It must belong to the user the module runs as. Whoever owns it could replace the files.
    type: path
    required: true
  owner:
    description: Name or number of the user who owns the files.
    type: str
    default: root
  group:
    description: Name or number of the group that owns the files.
    type: str
    default: root
  mode:
    description:
      - Mode of the files, as four octal digits in quotes.
      - A mode with rights for others is refused.
    type: raw
    default: "0400"
  files:
    description: The files, each name once.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the file in the folder. Letters, digits, and C(.), C(_), C(-) after the first
            character.
          - C({fingerprint}) in it is replaced by the fingerprint of O(files[].content), which gives
            each content a file of its own and lets the old one stay for as long as it is used.
        type: str
        required: true
      bytes:
        description:
          - Number of random bytes to make if the file is missing or empty. They are written as
            hexadecimal digits, two for each byte.
          - An existing file is kept, however long it is.
        type: int
      content:
        description:
          - What the file shall hold. The file is replaced when it holds something else.
          - Empty means that O(files[].bytes) decides.
          - With neither of the two, the file must exist and is kept.
        type: str
        default: ""
      secret_file:
        description:
          - Path of another secret on the host, which C({secret}) in O(files[].content) stands for. So
            a program gets it in a form of its own, and it never leaves the host.
          - The folder of that file must belong to the user the module runs as, too.
          - White space around the secret is left out. It must be one word of letters, digits and
            C(.), C(_), C(~), C(+), C(/), C(=), C(-), which mean nothing else in any file.
        type: path
      rotate:
        description:
          - Replaces the random secret that is there by a new one, each time the module runs.
          - It does nothing where O(files[].content) is given.
        type: bool
        default: false
      keep:
        description:
          - How many former secrets stay in the file when it is rotated, below the new one, each in
            a line of its own, the last one first.
        type: int
        default: 0
  absent_except:
    description:
      - A pattern such as V(secret_config-*.json). Files of the folder that match it and that
        O(files) does not name are removed.
      - C(*), C(?) and C([a-z]) have the meaning they have in a shell.
    type: str
notes:
  - Fingerprints are made with a key that is itself a random file of the folder,
    C(.fingerprint_key). They tell whether a secret changed, and are of no use in guessing it.
seealso:
  - module: ansible.builtin.copy
  - module: ansible.builtin.tempfile
"""

EXAMPLES = r"""
- name: The hub's own secrets exist
  ailab.hub.secret_files:
    directory: /var/lib/ailab-hub/secrets
    files:
      - name: cookie_secret
        bytes: 32
      - name: proxy_token
        bytes: 32
        content: "{{ vault_proxy_token | default('') }}"

- name: The secret part of the configuration has a file of its own for each content
  ailab.hub.secret_files:
    directory: /var/lib/ailab-hub/secrets
    files:
      - name: secret_config-{fingerprint}.json
        content: "{{ {'GitHubOAuthenticator': {'client_secret': vault_client_secret}} | to_json }}"
  register: _secret_config

- name: The secrets are replaced, and what the former key encrypted can still be read
  ailab.hub.secret_files:
    directory: /var/lib/ailab-hub/secrets
    files:
      - name: cookie_secret
        bytes: 32
        rotate: true
      - name: crypt_keys
        bytes: 32
        rotate: true
        keep: 1

- name: A web server has one of the secrets in its configuration
  ailab.hub.secret_files:
    directory: /var/lib/ailab-hub/https
    mode: "0600"
    files:
      - name: entrance.conf
        content: "proxy_set_header X-Ailab-Hub-Entrance {secret};\n"
        secret_file: /var/lib/ailab-hub/secrets/remote_user_secret

- name: Only the secret configuration in use is left
  ailab.hub.secret_files:
    directory: /var/lib/ailab-hub/secrets
    files:
      - name: "{{ _secret_config.files[0].path | basename }}"
    absent_except: secret_config-*.json
"""

RETURN = r"""
directory:
  description: The folder of the files.
  type: str
  returned: success
  sample: /var/lib/ailab-hub/secrets
files:
  description: What became of each of O(files), in the same order.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name as it was asked for.
      type: str
      returned: success
      sample: secret_config-{fingerprint}.json
    path:
      description: Where the file is.
      type: str
      returned: success
      sample: /var/lib/ailab-hub/secrets/secret_config-5f1d7a84db2c9e60.json
    changed:
      description: Whether the file was made, or its content, owner or mode changed.
      type: bool
      returned: success
      sample: false
    fingerprint:
      description:
        - Sixteen hexadecimal digits that change when the content changes.
        - V(check-mode) in check mode where the content or the key is not made yet.
      type: str
      returned: success
      sample: 5f1d7a84db2c9e60
removed:
  description: The files removed because of O(absent_except).
  type: list
  elements: str
  returned: success
  sample: ["/var/lib/ailab-hub/secrets/secret_config-09c3e1aa55d07b12.json"]
"""

import contextlib
import errno
import fnmatch
import hashlib
import hmac
import os
import re
import secrets
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils._attributes import (
    Attributes,
    UnknownOwner,
    group_id,
    user_id,
    user_name,
)

KEY_NAME = ".fingerprint_key"
KEY_BYTES = 32
FINGERPRINT = "{fingerprint}"
FINGERPRINT_DIGITS = 16
SECRET = "{secret}"
SECRET_PATTERN = re.compile(rb"[A-Za-z0-9._~+/=-]+")
UNKNOWN_FINGERPRINT = "check-mode"
DIRECTORY_MODE = 0o700
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
MODE_PATTERN = re.compile(r"0[0-7]{3}")


class Refused(Exception):
    """What was asked for cannot or must not be done; the text says why and what to do instead."""


class Wanted(t.NamedTuple):
    """One entry of the option files.

    asked: the name as it was given. size: random bytes to make, 0 for none. content: what the file
    shall hold, None where the host's own content counts. rotate: whether a random one is made anew.
    keep: how many former ones stay below it. source: path of the secret that is part of the content.
    """

    asked: str
    size: int
    content: bytes | None
    rotate: bool = False
    keep: int = 0
    source: str = ""

    def name(self, fingerprint: str) -> str:
        """The name on disk, for the fingerprint of the content."""
        return self.asked.replace(FINGERPRINT, fingerprint)


class Found(t.NamedTuple):
    """A file as it is on disk."""

    content: bytes
    attributes: Attributes


def parse_mode(value: object) -> int:
    """The mode as a number. Raises Refused for anything but four octal digits of a secret file."""
    if not isinstance(value, str) or not MODE_PATTERN.fullmatch(value):
        # YAML reads 0400 without quotes as the number 256.
        raise Refused('mode: expected four octal digits in quotes, such as "0400"')
    mode = int(value, 8)
    if mode & 0o007:
        raise Refused(f'mode: {value} lets everybody on the host at the secrets; use "0400"')
    return mode


def parse_files(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Wanted]:
    """The option files, checked. Raises Refused naming the first entry that makes no sense."""
    wanted: list[Wanted] = []
    for entry in entries:
        name = entry["name"]
        size = entry.get("bytes") or 0
        content = (entry.get("content") or "").encode("utf-8", "surrogateescape") or None
        if not NAME_PATTERN.fullmatch(name.replace(FINGERPRINT, "x")):
            raise Refused(
                f"files: {name!r} is no name for a file here; use letters, digits, '.', '_' and "
                "'-', not beginning with '.' or '-'"
            )
        if FINGERPRINT in name and content is None:
            raise Refused(f"files: {name} needs a content to take the fingerprint of")
        if size < 0 or (entry.get("bytes") is not None and size < 1):
            raise Refused(f"files: {name}: bytes must be 1 or more")
        if name in [other.asked for other in wanted]:
            raise Refused(f"files: {name} is named twice")
        keep = entry.get("keep") or 0
        if keep < 0:
            raise Refused(f"files: {name}: keep must be 0 or more")
        rotate = bool(entry.get("rotate"))
        if rotate and not size:
            raise Refused(f"files: {name}: rotate needs bytes, the size of what is made")
        source = entry.get("secret_file") or ""
        if source and (not content or SECRET.encode() not in content):
            raise Refused(f"files: {name}: secret_file needs a content with {SECRET} in it")
        if source and FINGERPRINT in name:
            raise Refused(f"files: {name}: no fingerprint is taken of a secret of another file")
        wanted.append(Wanted(name, size, content, rotate, keep, source))
    return wanted


def filled_in(wanted: Wanted, write: bool) -> Wanted:
    """The same with the secret of another file in its content.

    In check mode that file may still be missing: then what is wanted counts as one to be made.
    Raises Refused and OSError.
    """
    if not wanted.source or wanted.content is None:
        return wanted
    folder, name = os.path.split(wanted.source)
    found = Directory(folder, write=False).read(name)
    secret = found.content.strip() if found else b""
    if not secret:
        if write:
            raise Refused(
                f"{wanted.source}: missing or empty, and {wanted.asked} is made of it (mend it: run "
                "what makes that secret first)"
            )
        return wanted._replace(content=None, size=KEY_BYTES)
    if not SECRET_PATTERN.fullmatch(secret):
        raise Refused(
            f"{wanted.source}: expected one word of letters, digits and ._~+/=- in it, found something "
            f"else, which could mean more than a secret in {wanted.asked}"
        )
    return wanted._replace(content=wanted.content.replace(SECRET.encode(), secret))


def fingerprint(key: bytes | None, content: bytes | None) -> str:
    """Sixteen hexadecimal digits for a content; a placeholder where it or the key is unknown."""
    if key is None or content is None:
        return UNKNOWN_FINGERPRINT
    return hmac.new(key, content, hashlib.sha256).hexdigest()[:FINGERPRINT_DIGITS]


class Directory:
    """The folder of the secrets. Every access goes through its descriptor, never through its path.

    So a file replaced by a symbolic link in between leads nowhere.
    """

    def __init__(self, path: str, write: bool) -> None:
        """Opens the folder, making it first if it is missing and write is true.

        Raises Refused if there is something else in its place, and OSError.
        """
        self.path = path
        self.write = write
        self.changed = False
        self.made = not os.path.lexists(path)
        self._descriptor: int | None = None
        if self.made:
            self.changed = True
            if not write:
                return
            os.makedirs(path, DIRECTORY_MODE)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as exc:
            if exc.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENOENT):
                raise Refused(f"{path}: expected a folder, found something else") from exc
            raise
        status = os.fstat(self._descriptor)
        if status.st_uid != os.geteuid():
            owner, own = user_name(status.st_uid), user_name(os.geteuid())
            raise Refused(
                f"{path} belongs to {owner}, who could replace the secrets in it; expected {own} "
                f"(mend it: chown {own} {path}, or run this as {owner})"
            )
        self.mode = stat.S_IMODE(status.st_mode)
        if self.mode & ~DIRECTORY_MODE:
            self.changed = True
            if write:
                os.fchmod(self._descriptor, self.mode & DIRECTORY_MODE)

    def read(self, name: str) -> Found | None:
        """A file, or None if it is missing. Raises Refused for anything but a plain file."""
        if self._descriptor is None:
            return None
        try:
            # O_NONBLOCK: opening a pipe must not wait for somebody to write into it.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
                raise self._no_file(name) from exc
            raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise self._no_file(name)
        with os.fdopen(descriptor, "rb") as stream:
            attributes = Attributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
            return Found(stream.read(), attributes)

    def _no_file(self, name: str) -> Refused:
        return Refused(
            f"{os.path.join(self.path, name)}: expected a plain file, found something else (a "
            "link, a folder, a pipe); move it away"
        )

    def make(self, name: str, content: bytes, attributes: Attributes) -> bytes:
        """Make a file that is missing; returns what it holds.

        That is another content where somebody else made the file in the meantime: what is made
        once may already be in use. Raises Refused and OSError.
        """
        if not self._place(name, content, attributes, os.link):
            found = self.read(name)
            if found and found.content:
                return found.content
            self.replace(name, content, attributes)
        return content

    def replace(self, name: str, content: bytes, attributes: Attributes) -> None:
        """Put content into a file, with its attributes, at once. Raises OSError."""
        self._place(name, content, attributes, os.replace)

    def _place(
        self,
        name: str,
        content: bytes,
        attributes: Attributes,
        place: t.Callable[..., None],
    ) -> bool:
        temporary = f".{name}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self._descriptor)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                attributes.apply(descriptor)
                stream.write(content)
                stream.flush()
                os.fsync(descriptor)
            place(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._descriptor)
        # Without this a power cut could bring the old name back after the new secret was used.
        os.fsync(t.cast(int, self._descriptor))
        return True

    def set_attributes(self, name: str, attributes: Attributes) -> None:
        """Change owner, group and mode of an existing file. Raises OSError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(name, flags, dir_fd=self._descriptor)
        try:
            attributes.apply(descriptor)
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """The names in the folder, sorted."""
        return [] if self._descriptor is None else sorted(os.listdir(self._descriptor))

    def remove(self, name: str) -> None:
        """Remove a file. Raises OSError."""
        os.unlink(name, dir_fd=self._descriptor)


class SecretFiles:
    """Brings a folder to the state that is asked for; in check mode only tells what it would do."""

    def __init__(self, directory: Directory, attributes: Attributes) -> None:
        self.directory = directory
        self.attributes = attributes
        self.changed = directory.changed
        self.warnings: list[str] = []
        self.before: dict[str, str] = {}
        self.after: dict[str, str] = {}
        if not directory.made:
            self.before["./"] = f"{directory.mode:04o}"
        self.after["./"] = "%04o" % (
            DIRECTORY_MODE if directory.made else directory.mode & DIRECTORY_MODE
        )
        self.key: bytes | None = None

    def prepare_key(self) -> None:
        """Read the key of the fingerprints, or make it. Raises Refused and OSError."""
        found = self.directory.read(KEY_NAME)
        if found and found.content:
            self.key = found.content
            return
        self.changed = True
        if self.directory.write:
            own = Attributes(os.geteuid(), os.getegid(), 0o400)
            self.key = self.directory.make(KEY_NAME, secrets.token_hex(KEY_BYTES).encode(), own)

    def ensure(self, wanted: Wanted) -> dict[str, object]:
        """Bring one file to its state; returns its entry of the result. Raises Refused, OSError."""
        wanted = filled_in(wanted, self.directory.write)
        name = wanted.name(fingerprint(self.key, wanted.content))
        path = os.path.join(self.directory.path, name)
        found = self.directory.read(name)
        kept = found.content if found and found.content else None
        rotates = wanted.rotate and kept is not None and wanted.content is None
        content = wanted.content or (None if rotates else kept)
        makes = content is None and wanted.size > 0
        if content is None and not makes and self.directory.write:
            raise Refused(f"{path}: missing, and neither content nor bytes to make it of")
        writes = makes or (content is not None and content != kept)
        changed = writes or bool(found and kept and found.attributes != self.attributes)
        if found:
            self.before[name] = str(found.attributes)
            if found.attributes.mode & 0o007:
                self.warnings.append(
                    f"{path} could be read by everybody on the host until now "
                    f"(mode {found.attributes.mode:04o}). Think about replacing the secret."
                )
        if content is not None or makes:
            self.after[name] = str(self.attributes) + (" (new content)" if found and writes else "")
        if self.directory.write and makes:
            made = secrets.token_hex(wanted.size).encode()
            if rotates:
                former = t.cast(bytes, kept).split()[: wanted.keep]
                content = b"\n".join([made, *former])
                self.directory.replace(name, content, self.attributes)
            else:
                content = self.directory.make(name, made, self.attributes)
        elif self.directory.write and content is not None and writes:
            self.directory.replace(name, content, self.attributes)
        elif self.directory.write and changed:
            self.directory.set_attributes(name, self.attributes)
        self.changed = self.changed or changed
        return {
            "name": wanted.asked,
            "path": path,
            "changed": changed,
            "fingerprint": fingerprint(self.key, content),
        }

    def remove_others(self, pattern: str, keep: t.Container[str]) -> list[str]:
        """Remove the files that match a pattern, but not those to keep; returns their paths."""
        removed = []
        for name in self.directory.names():
            if name == KEY_NAME or name in keep or not fnmatch.fnmatchcase(name, pattern):
                continue
            found = self.directory.read(name)
            if found is None:
                continue
            self.before[name] = str(found.attributes)
            if self.directory.write:
                self.directory.remove(name)
            removed.append(os.path.join(self.directory.path, name))
        self.changed = self.changed or bool(removed)
        return removed

    def diff(self) -> dict[str, str]:
        """Names and attributes before and after, for a person to read."""
        return {
            "before_header": self.directory.path,
            "after_header": self.directory.path,
            "before": _listing(self.before),
            "after": _listing(self.after),
        }


def _listing(entries: t.Mapping[str, str]) -> str:
    return "".join(f"{entries[name]} {name}\n" for name in sorted(entries))


def run(module: AnsibleModule, wanted: list[Wanted]) -> dict[str, object]:
    """Everything the module does; returns its result. Raises Refused and OSError."""
    params = module.params
    write = not module.check_mode
    attributes = Attributes(
        # In check mode an earlier task may be about to make them.
        user_id(params["owner"], may_be_missing=not write),
        group_id(params["group"], may_be_missing=not write),
        parse_mode(params["mode"]),
    )
    state = SecretFiles(Directory(params["directory"], write), attributes)
    state.prepare_key()
    files = [state.ensure(entry) for entry in wanted]
    removed: list[str] = []
    if params["absent_except"]:
        keep = [os.path.basename(str(entry["path"])) for entry in files]
        removed = state.remove_others(params["absent_except"], keep)
    for warning in state.warnings:
        module.warn(warning)
    result: dict[str, object] = {
        "changed": state.changed,
        "directory": params["directory"],
        "files": files,
        "removed": removed,
    }
    if module._diff:
        result["diff"] = state.diff()
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "raw", "default": "0400"},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "bytes": {"type": "int"},
                    "content": {"type": "str", "default": "", "no_log": True},
                    "rotate": {"type": "bool", "default": False},
                    "keep": {"type": "int", "default": 0},
                    "secret_file": {"type": "path", "no_log": False},
                },
            },
            "absent_except": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        wanted = parse_files(module.params["files"])
        for entry in module.params["files"]:
            entry["content"] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" if entry["content"] else ""
        # A password such as "jupyterhub" is also part of the paths returned. Nothing returned is
        # made of a content any more, so nothing of it needs to be masked.
        module.no_log_values.clear()
        module.exit_json(**run(module, wanted))
    except (Refused, UnknownOwner) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        name = exc.filename if isinstance(exc.filename, str) else ""
        path = os.path.join(module.params["directory"], name)
        hint = "; this needs root (become: true)" if isinstance(exc, PermissionError) else ""
        module.fail_json(msg=f"{path}: {exc.strerror}{hint}")


if __name__ == "__main__":
    main()
