# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of apt's sources that name a repository, in both formats of sources.list(5).

Standard library only: python3-debian is not on a server until a role installs it.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

SOURCES = "/etc/apt"
"""Folder with C(sources.list) and C(sources.list.d)."""

_ONE_LINE = re.compile(
    r"^\s*(?P<type>deb(?:-src)?)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)"
    r"(?P<components>[^#\n]*)"
)
_USERINFO = re.compile(r"://[^/@\s]*@")


class Entry(t.NamedTuple):
    """One line of a C(.list) file, or one paragraph of a C(.sources) file."""

    first: int
    """Number of its first line, from 0."""
    last: int
    """Number of the line behind it."""
    fields: dict[str, str]
    """Fields by their names in lower case, as deb822 has them (types, uris, suites, ...)."""


def files(folder: str) -> list[str]:
    """The files apt reads its sources from."""
    found = [os.path.join(folder, "sources.list")]
    found += glob.glob(os.path.join(folder, "sources.list.d", "*.list"))
    found += glob.glob(os.path.join(folder, "sources.list.d", "*.sources"))
    return sorted(path for path in found if os.path.isfile(path))


def read(path: str) -> str:
    """The text of a file. Raises OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return stream.read()


def parse(path: str, text: str) -> t.Iterator[Entry]:
    """All entries of a file; those switched off are none."""
    return _paragraphs(text) if path.endswith(".sources") else _lines(text)


def naming(path: str, text: str, repositories: t.Iterable[str]) -> list[Entry]:
    """The entries of a file that name one of some repositories by its address."""
    wanted = {address(item) for item in repositories}
    return [
        entry
        for entry in parse(path, text)
        if any(address(uri) in wanted for uri in entry.fields.get("uris", "").split())
    ]


def without(text: str, entries: t.Iterable[Entry]) -> str:
    """The text of a file without some of its entries; empty if only comments would be left."""
    lines = text.splitlines(True)
    gone = {number for entry in entries for number in range(entry.first, entry.last)}
    left = [line for number, line in enumerate(lines) if number not in gone]
    meaning = [line for line in left if line.strip() and not line.lstrip().startswith("#")]
    return "".join(left) if meaning else ""


def address(uri: str) -> str:
    """Host and path of a repository: what two entries for the same one have in common."""
    rest = uri.partition("://")[2] or uri
    host, slash, path = rest.rpartition("@")[2].partition("/")
    return host.lower() + slash + path.rstrip("/") if path.rstrip("/") else host.lower()


def mask(text: str) -> str:
    """A text without user names and passwords in its addresses."""
    return _USERINFO.sub("://***@", text)


def _lines(text: str) -> t.Iterator[Entry]:
    for number, line in enumerate(text.splitlines()):
        found = _ONE_LINE.match(line)
        if found:
            fields = {
                "types": found["type"],
                "uris": found["uri"],
                "suites": found["suite"],
                "components": " ".join(found["components"].split()),
            }
            for option in (found["options"] or "").split():
                name, _equals, value = option.partition("=")
                fields[name.lower()] = value
            yield Entry(number, number + 1, fields)


def _paragraphs(text: str) -> t.Iterator[Entry]:
    first = None
    fields: dict[str, str] = {}
    name = ""
    lines = text.splitlines()
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            first = number if first is None else first
            if line.startswith("#"):
                continue
            if line[0] in " \t":
                fields[name] = (fields.get(name, "") + "\n" + line.strip()).strip()
            else:
                name, _colon, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        elif first is not None:
            if fields.get("uris") and fields.get("enabled", "yes").lower() not in ("no", "false"):
                # The empty line behind it goes with it.
                yield Entry(first, min(number + 1, len(lines)), fields)
            first, fields, name = None, {}, ""
