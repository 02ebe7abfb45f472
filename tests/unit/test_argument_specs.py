# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role has the same skeleton, and its specification and defaults say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
SKELETON = (
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/main.yml",
    "tasks/main.yml",
    "tasks/preflight.yml",
    "vars/main.yml",
)
TYPES = {"bool", "dict", "float", "int", "list", "path", "raw", "str"}
# What the action preflight knows; anything else in a specification would count for nothing.
KEYWORDS = {
    "choices", "default", "description", "elements", "no_log", "options", "required", "type",
    "version_added",
}  # fmt: skip
# The result of the action preflight has these keys of its own, or Ansible gives them a meaning, or
# a dictionary in a template has a method of the name.
RESERVED = {
    "ansible_facts", "attempts", "changed", "deprecations", "diff", "exception", "failed", "host",
    "invocation", "msg", "results", "retries", "skipped", "warnings", *dir(dict),
}  # fmt: skip
SECRET_NAME = re.compile(r"(password|secret|token)(?!_url$)|(?<!username_)key$")


def load(role: str, file: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROLES / role / file).read_text(encoding="utf-8"))
    return dict(loaded or {})


def options_of(role: str) -> dict[str, Any]:
    main = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]
    return dict(main.get("options") or {})


def walk(options: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every option and suboption with its place."""
    for name, option in options.items():
        yield f"{place}{name}", option
        yield from walk(option.get("options") or {}, f"{place}{name}.")


EVERY_ROLE = pytest.mark.parametrize("role", NAMES)
EVERY_OPTION = pytest.mark.parametrize(
    ("place", "option"),
    [pytest.param(*item, id=item[0]) for role in NAMES for item in walk(options_of(role))],
)


def test_there_are_roles() -> None:
    assert len(NAMES) >= 4


@EVERY_ROLE
@pytest.mark.parametrize("file", SKELETON)
def test_every_role_has_the_same_skeleton(role: str, file: str) -> None:
    assert (ROLES / role / file).is_file()


@EVERY_ROLE
def test_specification_and_defaults_have_the_same_names(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    options = {name for name, option in options_of(role).items() if not option.get("required")}
    assert set(defaults) == options


@EVERY_ROLE
def test_specification_and_defaults_have_equal_values(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    specified = {name: option.get("default") for name, option in options_of(role).items()}
    assert defaults == {name: specified[name] for name in defaults}


@EVERY_ROLE
def test_variables_carry_the_name_of_their_role(role: str) -> None:
    assert [name for name in options_of(role) if not name.startswith(f"{role}_")] == []


@EVERY_ROLE
def test_every_variable_is_used(role: str) -> None:
    files = [
        path
        for folder in ("tasks", "templates", "vars", "handlers", "files")
        for path in (ROLES / role / folder).rglob("*")
        if path.suffix in (".yml", ".j2")
    ]
    files += (ROLES.parent / "plugins").rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    unused = [
        name
        for name in options_of(role)
        if not re.search(rf"_checked\.{name.removeprefix(f'{role}_')}\b", text)
        and f'"{name}"' not in text
    ]
    assert unused == []


@EVERY_ROLE
def test_the_role_says_what_it_does(role: str) -> None:
    main = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]
    assert main["short_description"]
    assert main["description"]


@EVERY_ROLE
def test_variables_of_files_are_internal(role: str) -> None:
    for path in (ROLES / role / "vars").glob("*.yml"):
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        assert [name for name in loaded if not name.startswith(f"_{role}_")] == [], path.name


@EVERY_OPTION
def test_every_option_says_what_it_is(place: str, option: dict[str, Any]) -> None:
    description = option["description"]
    sentences = [description] if isinstance(description, str) else description
    assert sentences
    assert all(isinstance(sentence, str) and len(sentence) > 10 for sentence in sentences)


@EVERY_OPTION
def test_every_option_has_a_type(place: str, option: dict[str, Any]) -> None:
    assert option["type"] in TYPES
    assert (option["type"] == "list") == ("elements" in option)
    assert option.get("elements", "str") in TYPES


@EVERY_OPTION
def test_every_keyword_counts(place: str, option: dict[str, Any]) -> None:
    assert set(option) <= KEYWORDS


@EVERY_OPTION
def test_a_secret_is_marked_as_one(place: str, option: dict[str, Any]) -> None:
    name = place.rpartition(".")[2]
    if option["type"] == "str" and SECRET_NAME.search(name):
        assert option.get("no_log") is True


@EVERY_OPTION
def test_choices_contain_the_default(place: str, option: dict[str, Any]) -> None:
    if option.get("choices") and option.get("default") is not None:
        assert option["default"] in option["choices"]


@EVERY_ROLE
def test_the_result_of_the_preflight_has_room_for_every_option(role: str) -> None:
    names = {name.removeprefix(f"{role}_") for name in options_of(role)}
    assert names & RESERVED == set()
    assert role not in RESERVED


@EVERY_ROLE
def test_every_internal_variable_in_use_is_defined(role: str) -> None:
    """Some are used in rare branches of a template alone, where no run would notice."""
    texts = [
        path.read_text(encoding="utf-8")
        for folder in ("defaults", "handlers", "tasks", "templates", "vars")
        for path in (ROLES / role / folder).rglob("*")
        if path.is_file()
    ]
    name = rf"(_{role}_\w+)"
    defined = rf"^\s*(?:- )?{name}:|(?:register|loop_var): {name}|set {name} ="
    known = {
        found
        for text in texts
        for groups in re.findall(defined, text, re.MULTILINE)
        for found in groups
    }
    used = {found for text in texts for found in re.findall(rf"(?<![\w/.-]){name}", text)}
    assert sorted(used - known) == []
