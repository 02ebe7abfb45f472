# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion of single variables by their specification."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import yaml
from ansible.template import trust_as_template
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    UNSET,
    Problem,
    convert,
    describe,
    nearest,
    plain,
)

REGISTRIES = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "port": {"type": "int", "default": 5000},
        "ca_file": {"type": "path"},
        "password": {"type": "str", "no_log": True},
    },
}


def good(spec: dict[str, Any], value: object) -> Any:
    converted = convert("role_option", spec, value)
    assert converted.problems == []
    return converted.value


def bad(spec: dict[str, Any], value: object, name: str = "role_option") -> Problem:
    converted = convert(name, spec, value)
    assert len(converted.problems) == 1, converted
    return converted.problems[0]


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        ({"type": "str"}, "text", "text"),
        ({"type": "str"}, 2026, "2026"),
        ({"type": "str"}, "{{ not a template }} 'quote' \"", "{{ not a template }} 'quote' \""),
        ({}, "str is the default type", "str is the default type"),
        ({"type": "int"}, "8000", 8000),
        ({"type": "int"}, 8000.0, 8000),
        ({"type": "float"}, "1.5", 1.5),
        ({"type": "float"}, 2, 2.0),
        ({"type": "bool"}, "no", False),
        ({"type": "bool"}, "True", True),
        ({"type": "bool"}, 1, True),
        ({"type": "list", "elements": "str"}, "alice,bob", ["alice", "bob"]),
        ({"type": "list", "elements": "str"}, " alice , bob ,", ["alice", "bob"]),
        ({"type": "list", "elements": "str"}, "", []),
        ({"type": "list", "elements": "str"}, ["a,b", 5], ["a,b", "5"]),
        ({"type": "list", "elements": "int"}, ["1", 2], [1, 2]),
        ({"type": "dict"}, '{"a": {"b": [1, null]}}', {"a": {"b": [1, None]}}),
        ({"type": "dict"}, {"a": {1: "x"}}, {"a": {1: "x"}}),
        ({"type": "raw"}, {"a": [True]}, {"a": [True]}),
        ({"type": "path"}, "/etc/ssl/ca.pem", "/etc/ssl/ca.pem"),
        ({"type": "path"}, "", ""),
        ({"type": "str", "choices": ["none", "host"]}, "host", "host"),
        (REGISTRIES, [{"name": "r"}],
         [{"name": "r", "port": 5000, "ca_file": None, "password": None}]),
        (REGISTRIES, [{"name": "r", "port": "1", "ca_file": None, "password": "p"}],
         [{"name": "r", "port": 1, "ca_file": None, "password": "p"}]),
    ],
)  # fmt: skip
def test_converts_what_is_safe(spec: dict[str, Any], value: object, expected: object) -> None:
    converted = good(spec, value)
    assert converted == expected
    assert converted.__class__ is expected.__class__


def test_a_home_folder_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert good({"type": "path"}, "~/ca.pem") == "/home/alice/ca.pem"


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ({"type": "str"}, "5.10"),
        ({"type": "str"}, "no"),
        ({"type": "str"}, "2026-12-01"),
        ({"type": "str", "no_log": True}, "01234567"),
        ({"type": "str", "choices": ["none", "host"]}, "no"),
    ],
)
def test_what_yaml_misread_is_to_be_quoted(spec: dict[str, Any], source: str) -> None:
    assert "in quotes" in bad(spec, yaml.safe_load(source)).mend


@pytest.mark.parametrize(
    ("spec", "value", "found", "expected"),
    [
        ({"type": "int"}, "abc", '"abc"', "a whole number"),
        ({"type": "int"}, True, "the truth value true", "a whole number"),
        ({"type": "int"}, 1.5, "the number 1.5", "a whole number"),
        ({"type": "float"}, "much", '"much"', "a number"),
        ({"type": "bool"}, "maybe", '"maybe"', "true or false"),
        ({"type": "bool"}, 2, "the number 2", "true or false"),
        ({"type": "bool"}, [], "a list of 0", "true or false"),
        ({"type": "str"}, ["x"], "a list of 1", "text"),
        ({"type": "str"}, {"x": 1}, "a dictionary", "text"),
        ({"type": "path"}, ["x"], "a list of 1", "a path"),
        ({"type": "list", "elements": "str"}, 5, "the number 5", "a list of texts"),
        ({"type": "list", "elements": "str"}, {"a": 1}, "a dictionary", "a list of texts"),
        ({"type": "list", "elements": "dict"}, "a,b", '"a,b"', "a list of dictionaries"),
        ({"type": "list", "elements": "str"}, '["a"]', '"[\\"a\\"]"', "a list of texts"),
        ({"type": "dict"}, ["a"], "a list of 1", "a dictionary"),
        ({"type": "dict"}, "just text", "text", "a dictionary"),
        ({"type": "str", "choices": ["none", "host"]}, "hots", '"hots"', "one of none, host"),
        ({"type": "str", "default": "x"}, None, "nothing (null)", "text"),
        ({"type": "str", "required": True}, None, "nothing (null)", "text"),
        ({"type": "str", "required": True}, UNSET, "nothing", "text"),
    ],
)
def test_says_what_was_found_and_what_is_expected(
    spec: dict[str, Any], value: object, found: str, expected: str
) -> None:
    problem = bad(spec, value)
    assert (problem.subject, problem.found, problem.expected) == ("role_option", found, expected)


def test_an_option_without_a_default_may_be_left_out_or_empty() -> None:
    assert good({"type": "str"}, UNSET) is None
    assert good({"type": "str"}, None) is None


def test_names_the_place_inside_a_value() -> None:
    value = [{"name": "a", "port": "x"}, {"prot": 1}, "text", None]
    problems = convert("role_registries", REGISTRIES, value).problems
    assert [problem.subject for problem in problems] == [
        "role_registries[0].port",
        "role_registries[1]",
        "role_registries[1].name",
        "role_registries[2]",
        "role_registries[3]",
    ]
    assert problems[1].mend == "Did you mean port?"


@pytest.mark.parametrize(
    ("name", "spec", "value"),
    [
        ("role_password", {"type": "str", "no_log": True}, ["hunter2"]),
        ("role_password", {"type": "str", "no_log": True}, "hunter2\n"),
        ("role_config", {"type": "dict"}, "hunter2"),
        ("role_config", {"type": "dict"}, ["hunter2"]),
        ("role_registries", REGISTRIES, [{"name": "r", "password": ["hunter2"]}]),
        ("role_registries", REGISTRIES, [{"name": "r", "password": "hunter2\r"}]),
        ("jupyterhub_extra_config", {"type": "str"}, "c.X.y = 'hunter2'\0"),
        ("role_url", {"type": "int"}, "https://user:hunter2@example.org"),
        ("role_url", {"type": "int"}, "https://hunter2@example.org"),
    ],
)
def test_says_no_secret(name: str, spec: dict[str, Any], value: object) -> None:
    assert "hunter2" not in str(bad(spec, value, name))


def test_says_no_number_that_is_secret() -> None:
    assert "12345678" not in str(bad({"type": "str", "no_log": True}, 12345678))


@pytest.mark.parametrize("value", ["a\n", "a\nb", "a\0b", "a\rb", "a\x1bb", "a\x7f", "a\u2028b"])
def test_text_is_one_line(value: str) -> None:
    assert bad({"type": "str"}, value).expected == "one line of text"
    assert bad({"type": "list", "elements": "str"}, ["x", value]).subject == "role_option[1]"


def test_a_block_that_ends_with_a_line_break_gets_the_right_hint() -> None:
    assert "|-" in bad({"type": "str"}, yaml.safe_load("|\n  text\n")).mend


@pytest.mark.parametrize("name", ["jupyterhub_extra_config", "jupyterhub_cmd"])
def test_programs_have_line_breaks(name: str) -> None:
    elements = {"type": "list", "elements": "str"} if name.endswith("cmd") else {"type": "str"}
    value = ["sh", "-c", "a\nb"] if name.endswith("cmd") else "a\nb\n"
    assert convert(name, elements, value) == (value, [])


def test_a_command_is_not_taken_apart_at_commas() -> None:
    spec = {"type": "list", "elements": "str"}
    assert "begins with a dash" in bad(spec, "sh -c a,b", "jupyterhub_cmd").mend


def test_half_a_character_is_no_text() -> None:
    assert bad({"type": "str"}, "a\ud800").expected == "text in UTF-8"


def test_values_come_out_without_tags() -> None:
    tagged = {trust_as_template("k"): [trust_as_template("{{ v }}"), (1, 2)]}
    value = plain(tagged)
    assert value == {"k": ["{{ v }}", [1, 2]]}
    assert {item.__class__ for item in (*value, value["k"][0])} == {str}
    assert good({"type": "str"}, trust_as_template("x")).__class__ is str


def test_long_and_hidden_text_is_shown_as_it_is() -> None:
    assert describe("x" * 100) == '"' + "x" * 60 + '..."'
    assert describe("a\u202eb\u00fc") == '"a\\u202eb\u00fc"'
    assert describe(datetime.date(2026, 12, 1)) == "a date"


def test_names_the_nearest_name() -> None:
    assert nearest("prot", ["port", "cmd"]) == "port"
    assert nearest("something_else", ["jupyterhub_port"]) == ""
