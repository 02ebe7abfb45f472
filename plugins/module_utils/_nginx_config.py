# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which servers nginx's configuration defines, from what C(nginx -T) prints."""

from __future__ import annotations

import re
import typing as t

FILE = re.compile(r"^# configuration file (/.*):$")
TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)'
    | (?P<mark>[{};]) | (?P<word>(?:\\.|\$\{[^}]*\}|[^\s{};"'\\])(?:\\.|\$\{[^}]*\}|[^\s{};\\])*)""",
    re.VERBOSE | re.DOTALL,
)


def files(text: str) -> t.Iterator[tuple[str, str]]:
    """Path and text of each file, as C(nginx -T) joins them."""
    path = ""
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        found = FILE.match(line.rstrip("\n"))
        if found:
            if path:
                yield path, "".join(lines)
            path, lines = found.group(1), []
        else:
            lines.append(line)
    if path:
        yield path, "".join(lines)


def tokens(text: str) -> t.Iterator[str]:
    """Words of a configuration, and the marks between them; comments are left out."""
    position = 0
    while position < len(text):
        found = TOKEN.match(text, position)
        if not found:
            # Nothing nginx would accept either; whatever it is, it names no server.
            position += 1
            continue
        position = found.end()
        for name in ("double", "single", "mark", "word"):
            if found.group(name) is not None:
                yield found.group(name)


def servers(text: str) -> list[dict[str, t.Any]]:
    """Every server of HTTP, as C(servers_of) has it, with the C(path) of its file."""
    return [
        {"path": path, **server} for path, content in files(text) for server in servers_of(content)
    ]


def servers_of(content: str) -> list[dict[str, t.Any]]:
    """Every server of HTTP in a file: its C(names), what it C(listens) on, its C(certificate)."""
    found = []
    blocks: list[str] = []
    words: list[str] = []
    server: dict[str, t.Any] = {}
    for token in tokens(content):
        if token == "{":
            blocks.append(words[0] if words else "")
            # A server of an upstream, or of a stream, is another thing.
            if blocks[-1] == "server" and len(words) == 1 and "stream" not in blocks:
                server = {"names": [], "listens": [], "certificate": ""}
            words = []
        elif token == "}":
            if blocks and blocks.pop() == "server" and server:
                found.append(server)
                server = {}
            words = []
        elif token == ";":
            if server and blocks[-1:] == ["server"]:
                if words[:1] == ["server_name"]:
                    server["names"] += words[1:]
                elif words[:1] == ["listen"]:
                    server["listens"].append(" ".join(words[1:]))
                elif words[:1] == ["ssl_certificate"]:
                    server["certificate"] = " ".join(words[1:])
            words = []
        else:
            words.append(token)
    return found
