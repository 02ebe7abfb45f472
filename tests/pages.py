# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages administrators read, and the blocks in them that tests try.

The text behind the three backticks says what becomes of a block; docs/testing.md explains it to
those who write pages.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
EXAMPLES = PROJECT / "examples"

# What is only shown.
SHOWN = frozenset({"apache", "dockerfile", "json", "mermaid", "python", "text"})
# The one file of an inventory, besides the variables, that pages show.
HOSTS_FILE = "inventory/hosts.yml"
# What stands behind "yaml" for a playbook of the reader's own.
_PLAYBOOK = re.compile(r"yaml (?P<file>[\w-]+\.yml)")

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.DOTALL | re.MULTILINE,
)
_COMMANDS = re.compile(r"sh(?P<server> server)?(?: not run: (?P<reason>\S.{10,}))?")


@dataclass(frozen=True)
class Block:
    """A block between two fences, and what its first line says of it.

    Attributes:
        kind: ``commands``, ``variables`` (of the group hub), ``hosts`` and ``playbook`` (whole
            files), ``shown``, or ``unknown``, which the tests refuse.
        on_server: whether commands are typed on the server, not on the controller.
        not_run: why a test cannot run the commands; empty if it does.
        is_set: whether the commands that follow on the page are run with these variables.
        file: name of the file a block is; empty if it is none.
    """

    page: Path
    line: int
    info: str
    text: str
    kind: str
    on_server: bool = False
    not_run: str = ""
    is_set: bool = False
    file: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def pages() -> list[Path]:
    """Every page, the ones an administrator reads first in front."""
    index = DOCS / "README.md"
    linked = [DOCS / name for name in re.findall(r"\]\(([\w-]+\.md)\)", index.read_text())]
    found = [PROJECT / "README.md", index, *linked, *sorted(EXAMPLES.glob("**/*.md"))]
    return [page for page in dict.fromkeys(found) if page.exists()]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page from top to bottom."""
    text = page.read_text(encoding="utf-8")
    return [
        _block(page, text.count("\n", 0, found.start()) + 1, found["info"].strip(), found["text"])
        for found in _FENCE.finditer(text)
    ]


def _block(page: Path, line: int, info: str, text: str) -> Block:
    text = textwrap.dedent(text)
    if commands := _COMMANDS.fullmatch(info):
        on_server, reason = bool(commands["server"]), commands["reason"] or ""
        return Block(page, line, info, text, "commands", on_server=on_server, not_run=reason)
    if info in ("yaml", "yaml set"):
        return Block(page, line, info, text, "variables", is_set=info.endswith("set"))
    if info == f"yaml {HOSTS_FILE}":
        return Block(page, line, info, text, "hosts", file=HOSTS_FILE)
    if playbook := _PLAYBOOK.fullmatch(info):
        return Block(page, line, info, text, "playbook", file=playbook["file"])
    return Block(page, line, info, text, "shown" if info in SHOWN else "unknown")
