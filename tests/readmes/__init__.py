# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README of every role, from its argument specification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from antsibull_docs_parser import dom, parser
from antsibull_docs_parser.format import LinkProvider
from antsibull_docs_parser.md import MDFormatter, to_md

COLLECTION = "ailab.hub"
TEMPLATE = Path(__file__).with_name("role.md.j2")
LONGEST_IN_A_CELL = 60
"""Characters of a default that the table of variables has room for."""

Description = str | Sequence[str]


class PlainMarkdown(MDFormatter):
    """Markdown that reads well as text, too: backticks, and no escapes that nothing needs."""

    def format_text(self, part: dom.TextPart) -> str:
        return part.text.replace("<", "&lt;").replace("*", r"\*")

    def format_code(self, part: dom.CodePart) -> str:
        return code(part.text)

    def format_env_variable(self, part: dom.EnvVariablePart) -> str:
        return code(part.name)

    def format_option_value(self, part: dom.OptionValuePart) -> str:
        return code(part.value)

    def format_module(self, part: dom.ModulePart, url: str | None) -> str:
        return linked(part.fqcn, url)

    def format_plugin(self, part: dom.PluginPart, url: str | None) -> str:
        return linked(part.plugin.fqcn, url)

    def format_link(self, part: dom.LinkPart) -> str:
        return f"[{part.text}]({part.url})"

    def format_url(self, part: dom.URLPart) -> str:
        return f"<{part.url}>"

    @staticmethod
    def _format_option_like(part: dom.OptionNamePart | dom.ReturnValuePart, url: str | None) -> str:
        return linked(part.name if part.value is None else f"{part.name}={part.value}", url)


class RoleLinks(LinkProvider):
    """Links from the README of one role to those of the others, and to its own variables."""

    def __init__(self, role: str, variables: Mapping[str, str]) -> None:
        self._role, self._variables = role, variables

    def plugin_link(self, plugin: dom.PluginIdentifier) -> str | None:
        namespace, _dot, name = plugin.fqcn.rpartition(".")
        return f"../{name}/README.md" if (namespace, plugin.type) == (COLLECTION, "role") else None

    def plugin_option_like_link(
        self,
        plugin: dom.PluginIdentifier,
        entrypoint: str | None,
        what: str,
        name: list[str],
        current_plugin: bool,
    ) -> str | None:
        role = self._variables.get(name[0])
        if role is None:
            return None
        return f"#{name[0]}" if role == self._role else f"../{role}/README.md#{name[0]}"


def code(text: str) -> str:
    """A code span; one that holds backticks has more of them around it."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def linked(text: str, url: str | None) -> str:
    """A code span that leads to ``url``, if there is one."""
    return f"[{code(text)}]({url})" if url else code(text)


class RoleReadme:
    """The README of one role.

    Args:
        folder: the role's.
        variables: of all roles, each with the role that has it.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.file = folder / "README.md"
        self._plugin = dom.PluginIdentifier(f"{COLLECTION}.{folder.name}", "role")
        self._links = RoleLinks(folder.name, variables)
        self._spec = main_spec(folder)
        self._galaxy = _load(folder / "meta" / "main.yml")["galaxy_info"]

    def text(self) -> str:
        """What the README has to be."""
        environment = jinja2.Environment(
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )
        return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
            name=self._plugin.fqcn,
            short_description=self._spec["short_description"],
            description=self._markdown(self._spec["description"]),
            systems=" and ".join(
                f"{platform['name']} ({', '.join(platform['versions'])})"
                for platform in self._galaxy["platforms"]
            ),
            options=list(self._options(self._spec.get("options") or {})),
        )

    def _options(self, options: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        for name, option in options.items():
            default = option.get("default")
            long = isinstance(default, list) and len(str(default)) > LONGEST_IN_A_CELL
            yield {
                "name": name,
                "type": _type(option),
                "shown_default": f"[a list](#{name})" if long else _shown_default(option),
                "long_default": _yaml(default) if long else "",
                "description": self._markdown(option["description"]),
                "choices": ", ".join(code(str(choice)) for choice in option.get("choices") or []),
                "suboptions": list(self._keys(option.get("options") or {})),
            }

    def _keys(
        self, options: Mapping[str, Mapping[str, Any]], place: str = ""
    ) -> Iterator[dict[str, str]]:
        """The rows of a dictionary's keys; a key of a key comes after it, with its whole path."""
        for name, option in options.items():
            meaning = self._markdown(option["description"], " ")
            if choices := option.get("choices"):
                meaning += f" One of {', '.join(code(str(choice)) for choice in choices)}."
            yield {
                "name": place + name,
                "type": _type(option),
                "shown_default": _shown_default(option),
                "cell": meaning.replace("|", r"\|"),
            }
            yield from self._keys(option.get("options") or {}, f"{place}{name}.")

    def _markdown(self, description: Description, separator: str = "\n\n") -> str:
        paragraphs = parser.parse(
            [description] if isinstance(description, str) else list(description),
            parser.Context(current_plugin=self._plugin, role_entrypoint="main"),
            errors="exception",
        )
        return to_md(
            paragraphs,
            formatter=PlainMarkdown(),
            link_provider=self._links,
            par_sep=separator,
            current_plugin=self._plugin,
        )


def _type(option: Mapping[str, Any]) -> str:
    kind = option["type"]
    return f"list of {option['elements']}" if kind == "list" else str(kind)


def _shown_default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "required"
    if option.get("default") is None:
        return "not set"
    return code(_yaml(option["default"], inline=True)).replace("|", r"\|")


def _yaml(value: object, *, inline: bool = False) -> str:
    if isinstance(value, str):
        return value or '""'
    text: str = yaml.safe_dump(value, default_flow_style=inline, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _load(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def main_spec(role: Path) -> dict[str, Any]:
    """The specification of a role's entry point ``main``."""
    specs = _load(role / "meta" / "argument_specs.yml")
    return dict(specs["argument_specs"]["main"])


def readmes(roles: Path) -> list[RoleReadme]:
    """The READMEs of all roles in a folder."""
    folders = [file.parents[1] for file in sorted(roles.glob("*/meta/argument_specs.yml"))]
    variables = {name: role.name for role in folders for name in main_spec(role).get("options", {})}
    return [RoleReadme(role, variables) for role in folders]
