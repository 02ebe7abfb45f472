#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many text files and folders of the host, in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: text_files
short_description: Write many text files and folders in one step
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Brings folders and text files to a content, an owner and a mode, all of them in one connection to
    the host, where a loop of M(ansible.builtin.copy) or M(ansible.builtin.template) needs two for
    each file.
  - A file is written under another name, with its final owner and mode, and renamed, so that a reader
    finds the former content or the new one and never half of it.
extends_documentation_fragment:
  - ailab.hub._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  folders:
    description: Folders, made in this order and before O(files).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder. Folders above it that are missing are made, too, with the same owner and mode.
        type: path
        required: true
      owner:
        description: Name or number of the user who owns it.
        type: str
        default: root
      group:
        description: Name or number of the group that owns it.
        type: str
        default: root
      mode:
        description: Its mode, as four octal digits in quotes.
        type: raw
        default: "0755"
      exclusive:
        description:
          - Whether everything in it is removed that neither O(folders) nor O(files) name, at any
            depth. Symbolic links are removed, and never followed.
        type: bool
        default: false
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - The file. Folders above it that are missing are made with mode V(0755), owned by who runs
            the module.
          - A symbolic link in its place is replaced, as is anything that is no folder.
        type: path
        required: true
      content:
        description: What the file shall hold, to the last line feed. Written as UTF-8.
        type: str
        required: true
      owner:
        description: Name or number of the user who owns it.
        type: str
        default: root
      group:
        description: Name or number of the group that owns it.
        type: str
        default: root
      mode:
        description: Its mode, as four octal digits in quotes.
        type: raw
        default: "0644"
notes:
  - The system's log does not tell the content of files. Differences do; C(diff=false) on the task hides
    what is secret, or long.
seealso:
  - module: ansible.builtin.copy
  - module: ansible.builtin.template
  - module: ailab.hub.secret_files
"""

EXAMPLES = r"""
- name: A timer is defined
  ailab.hub.text_files:
    files:
      - path: /usr/local/sbin/look
        content: "{{ lookup('ansible.builtin.template', 'look.j2') }}"
        mode: "0755"
      - path: /etc/systemd/system/look.service
        content: "{{ lookup('ansible.builtin.template', 'look.service.j2') }}"
      - path: /etc/systemd/system/look.timer
        content: "{{ lookup('ansible.builtin.template', 'look.timer.j2') }}"
  register: _timer

- name: A folder to build an image in holds this and nothing else
  ailab.hub.text_files:
    folders:
      - path: /var/lib/images/build
        mode: "0700"
        exclusive: true
    files:
      - path: /var/lib/images/build/Dockerfile
        content: |
          FROM debian:13
          COPY requirements.txt /
      - path: /var/lib/images/build/requirements.txt
        content: "{{ packages | join('\n') }}\n"
  vars:
    packages: [networkx, pandas]
"""

RETURN = r"""
paths:
  description: The folders and files that were made, changed or removed, sorted.
  type: list
  elements: str
  returned: success
  sample: ["/etc/systemd/system/look.timer", "/usr/local/sbin/look"]
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils._attributes import (
    Attributes,
    UnknownOwner,
    group_id,
    user_id,
)

MODE_PATTERN = re.compile(r"0[0-7]{3}")
PARENT_MODE = 0o755


class Refused(Exception):
    """What was asked for cannot or must not be done; the text says why."""


class Wanted(t.NamedTuple):
    """A folder, or a file with its content.

    content: None for a folder. exclusive: whether nothing else stays in it.
    """

    path: str
    attributes: Attributes
    content: bytes | None = None
    exclusive: bool = False


def parse(entries: t.Sequence[t.Mapping[str, t.Any]], check_mode: bool) -> list[Wanted]:
    """The options folders or files, checked. Raises Refused for the first that makes no sense."""
    wanted = []
    for entry in entries:
        path = entry["path"]
        # Python would take two slashes at the beginning for something of their own.
        if (
            not path.startswith("/")
            or path.startswith("//")
            or os.path.normpath(path) != path.rstrip("/")
        ):
            raise Refused(f"{path}: expected an absolute path without '.', '..' or double slashes")
        mode = entry["mode"]
        if not isinstance(mode, str) or not MODE_PATTERN.fullmatch(mode):
            # YAML reads 0644 without quotes as the number 420.
            raise Refused(f'{path}: mode: expected four octal digits in quotes, such as "0644"')
        content = entry.get("content")
        wanted.append(
            Wanted(
                path.rstrip("/"),
                Attributes(
                    user_id(entry["owner"], may_be_missing=check_mode),
                    group_id(entry["group"], may_be_missing=check_mode),
                    int(mode, 8),
                ),
                None if content is None else content.encode("utf-8", "surrogateescape"),
                bool(entry.get("exclusive")),
            )
        )
    return wanted


class TextFiles:
    """Brings folders and files to the state that is asked for; in check mode only tells what it would do."""

    def __init__(self, write: bool) -> None:
        self.write = write
        self.paths: set[str] = set()
        self.diff: list[dict[str, str]] = []

    def folder(self, wanted: Wanted) -> None:
        """Make a folder, or give it its owner and mode. Raises Refused and OSError."""
        if os.path.isdir(wanted.path):
            self._attributes(wanted)
            return
        if os.path.lexists(wanted.path):
            raise Refused(f"{wanted.path}: expected a folder, found something else")
        parent = os.path.dirname(wanted.path)
        if not os.path.isdir(parent):
            self.folder(wanted._replace(path=parent))
        self._changes(wanted.path, "", "a folder\n")
        if self.write:
            os.mkdir(wanted.path, 0o700)
            self._own(wanted)

    def file(self, wanted: Wanted) -> None:
        """Write a file, or give it its owner and mode. Raises Refused and OSError."""
        former = self._read(wanted.path)
        content = t.cast(bytes, wanted.content)
        if former == content:
            self._attributes(wanted)
            return
        self._parents(wanted.path)
        self._changes(wanted.path, _text(former or b""), _text(content))
        if self.write:
            self._place(wanted, content)

    def only(self, folder: str, kept: t.Collection[str]) -> None:
        """Remove from a folder what is neither kept nor above something that is. Raises OSError."""
        if not os.path.isdir(folder):
            return
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            is_folder = os.path.isdir(path) and not os.path.islink(path)
            if is_folder and any(other == path or other.startswith(f"{path}/") for other in kept):
                self.only(path, kept)
            elif path not in kept:
                self._changes(
                    path, "a folder\n" if is_folder else _text(self._read(path) or b""), ""
                )
                if self.write and is_folder:
                    shutil.rmtree(path)
                elif self.write:
                    os.unlink(path)

    @staticmethod
    def _read(path: str) -> bytes | None:
        """The content of a file. None where there is none, or a link, pipe or the like."""
        if os.path.isdir(path) and not os.path.islink(path):
            raise Refused(f"{path}: expected a file, found a folder")
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        with open(path, "rb") as stream:
            return stream.read()

    def _parents(self, path: str) -> None:
        parent = os.path.dirname(path)
        if os.path.isdir(parent):
            return
        if os.path.lexists(parent):
            raise Refused(f"{parent}: expected a folder, found something else")
        self._parents(parent)
        self.paths.add(parent)
        if self.write:
            os.mkdir(parent, PARENT_MODE)
            # Whatever the umask.
            os.chmod(parent, PARENT_MODE)

    def _attributes(self, wanted: Wanted) -> None:
        before = Attributes.of(os.stat(wanted.path))
        if before != wanted.attributes:
            self._changes(wanted.path, f"{before}\n", f"{wanted.attributes}\n")
            if self.write:
                self._own(wanted)

    @staticmethod
    def _own(wanted: Wanted) -> None:
        descriptor = os.open(wanted.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            wanted.attributes.apply(descriptor)
        finally:
            os.close(descriptor)

    def _place(self, wanted: Wanted, content: bytes) -> None:
        folder, name = os.path.split(wanted.path)
        # Made with mode 0600.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                wanted.attributes.apply(descriptor)
                stream.write(content)
                stream.flush()
                os.fsync(descriptor)
            os.replace(temporary, wanted.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _changes(self, path: str, before: str, after: str) -> None:
        self.paths.add(path)
        headers = {"before_header": path, "after_header": path}
        self.diff.append({**headers, "before": before, "after": after})


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def run(module: AnsibleModule, folders: list[Wanted], files: list[Wanted]) -> dict[str, object]:
    """Everything the module does; returns its result. Raises Refused and OSError."""
    paths = [each.path for each in [*folders, *files]]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise Refused(f"named twice: {', '.join(twice)}")
    state = TextFiles(write=not module.check_mode)
    for folder in folders:
        state.folder(folder)
        if folder.exclusive:
            state.only(folder.path, paths)
    for file in files:
        state.file(file)
    result: dict[str, object] = {"changed": bool(state.paths), "paths": sorted(state.paths)}
    if module._diff:
        result["diff"] = state.diff
    return result


def main() -> None:
    """Entry point of the module."""
    owner = {
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
    }
    module = AnsibleModule(
        argument_spec={
            "folders": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    **owner,
                    "mode": {"type": "raw", "default": "0755"},
                    "exclusive": {"type": "bool", "default": False},
                },
            },
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    # Kept out of the system's log.
                    "content": {"type": "str", "required": True, "no_log": True},
                    **owner,
                    "mode": {"type": "raw", "default": "0644"},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        folders = parse(module.params["folders"], module.check_mode)
        files = parse(module.params["files"], module.check_mode)
        for entry in module.params["files"]:
            entry["content"] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        # Differences are for people to read: nothing in them is to be masked.
        module.no_log_values.clear()
        module.exit_json(**run(module, folders, files))
    except (Refused, UnknownOwner) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        hint = "; this needs root (become: true)" if isinstance(exc, PermissionError) else ""
        module.fail_json(msg=f"{exc.filename or 'text_files'}: {exc.strerror}{hint}")


if __name__ == "__main__":
    main()
