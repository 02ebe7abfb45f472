# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `ailab.hub.python_literal`."""

from __future__ import annotations

import ast
import datetime
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import trust_as_template
from ansible_collections.ailab.hub.plugins.filter.python_literal import (
    LINE_WIDTH,
    literal_problems,
    python_literal,
)

ORDINARY: list[object] = [
    None,
    True,
    False,
    0,
    -7,
    2**70,
    1.5,
    1e-9,
    math.inf,
    -math.inf,
    "",
    "alice",
    "ümlaut 漢字",
    [],
    {},
    [1, "two", None, [True]],
    {"mem_limit": "4G", "remove": True, 8000: "port", None: "nothing", "nested": {"a": [1.0]}},
]
NASTY = [
    "'",
    '"',
    "'''",
    "\"\"\"' + __import__('os').system('id') + '",
    "line\nbreak",
    "carriage\rreturn",
    "back\\slash",
    "trailing backslash\\",
    "{{ lookup('env', 'HOME') }}",
    "{% raw %}",
    "{# gone #}",
    "nul\x00byte",
    "\u2028separator",
    "bidi \u202e override",
    "lone surrogate \ud800",
    "#!/bin/sh\n# no comment",
]


@pytest.mark.parametrize("value", [*ORDINARY, *NASTY], ids=ascii)
def test_evaluates_to_the_value_it_came_from(value: object) -> None:
    assert ast.literal_eval(python_literal(value)) == value


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_text_is_one_constant_and_never_code(text: str) -> None:
    tree = ast.parse(f"x = {python_literal([text, {text: text}])}")
    kinds = {type(node) for node in ast.walk(tree)}
    assert kinds == {
        ast.Module, ast.Assign, ast.Name, ast.Store, ast.Load, ast.List, ast.Dict, ast.Constant,
    }  # fmt: skip


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_source_can_be_written_to_a_file_without_hidden_characters(text: str) -> None:
    source = python_literal({text: [text]})
    source.encode("utf-8")
    assert all(character.isprintable() or character == "\n" for character in source)


def test_a_truth_value_is_no_number() -> None:
    assert python_literal([True, 1, 1.0]) == "[True, 1, 1.0]"


def test_tuples_become_lists_as_everywhere_in_ansible() -> None:
    assert python_literal((1, (2,))) == "[1, [2]]"


def test_dictionaries_keep_the_order_they_were_written_in() -> None:
    assert python_literal({"b": 1, "a": 2}) == "{'b': 1, 'a': 2}"


def test_long_structures_get_one_item_a_line() -> None:
    value = {"cmd": ["sudo", "-E", "python3", "/home/jupyter/entrypoint.py"], "args": ["x" * 60]}
    assert python_literal(value) == (
        "{\n"
        "    'cmd': ['sudo', '-E', 'python3', '/home/jupyter/entrypoint.py'],\n"
        "    'args': [\n"
        f"        '{'x' * 60}',\n"
        "    ],\n"
        "}"
    )


def test_long_text_with_line_breaks_keeps_its_lines() -> None:
    script = "".join(f"echo this is line {number} of the script\n" for number in range(3)) + "end"
    source = python_literal({"script": script})
    assert source.count("\n") == 7
    assert ast.literal_eval(source) == {"script": script}


@pytest.mark.parametrize("value", ["a" * 200, ["a" * 200], {"k" * 200: "\n" * 200}])
def test_what_cannot_be_broken_is_left_long(value: object) -> None:
    assert ast.literal_eval(python_literal(value)) == value


def test_lines_are_short_where_they_can_be() -> None:
    value = {f"key{number}": list(range(number)) for number in range(40)}
    assert max(map(len, python_literal(value).splitlines())) <= LINE_WIDTH + len(",")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (datetime.date(2026, 12, 1), "the value"),
        ({"since": datetime.datetime(2026, 12, 1)}, "['since']"),
        ([1, {"deep": [b"bytes"]}], "[1]['deep'][0]"),
        ({"ratio": math.nan}, "['ratio']"),
        ({"set": {1, 2}}, "['set']"),
        ({(1, 2): "tuple"}, "the value"),
        pytest.param(10**5000, "the value", id="many-digits"),
        (object(), "the value"),
    ],
)
def test_names_the_place_of_what_has_no_literal(value: object, place: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        python_literal(value)
    assert f"cannot be written as a Python literal: {place} " in str(error.value)


def test_names_every_place_at_once() -> None:
    problems = list(literal_problems({"a": b"x", "b": {"c": datetime.date(2026, 1, 1)}, "ok": 1}))
    assert [place for place, _what in problems] == ["['a']", "['b']['c']"]


def test_an_error_never_quotes_a_value() -> None:
    with pytest.raises(AnsibleFilterError) as error:
        python_literal({"password": b"hunter2", "list": [{"hunter2"}]})
    assert "hunter2" not in str(error.value)


def test_a_structure_that_contains_itself_is_an_error_not_an_endless_loop() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(AnsibleFilterError, match="nested more than"):
        python_literal(value)


def test_tags_and_trust_leave_no_trace() -> None:
    source = python_literal({trust_as_template("k"): trust_as_template("{{ v }}")})
    assert source == "{'k': '{{ v }}'}"
    assert source.__class__ is str


def test_a_rendered_file_holds_the_very_values_of_the_inventory(
    tmp_path: Path, ansible_environment: dict[str, str]
) -> None:
    playbook = tmp_path / "play.yml"
    target = tmp_path / "config.py"
    password = tmp_path / "vault-password"
    password.write_text("the vault's own password", encoding="utf-8")
    secret = VaultSecret(password.read_bytes())
    ciphertext = VaultLib([("default", secret)]).encrypt("it's {{ answer }}", secret).decode()
    vaulted = "!vault |\n" + textwrap.indent(ciphertext, " " * 8)
    playbook.write_text(
        f"""
- hosts: localhost
  gather_facts: false
  vars:
    answer: 42
    values:
      template: "{{{{ answer }}}}"
      unsafe: !unsafe "{{{{ answer }}}}'\\n"
      list: [true, null, 1.5]
      vaulted: {vaulted}
  tasks:
    - ansible.builtin.copy:
        dest: {target}
        mode: "0600"
        content: |
          values = {{{{ values | ailab.hub.python_literal }}}}
""",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local"]
    run = subprocess.run(
        [*command, "--vault-password-file", str(password), str(playbook)],
        env={**os.environ, **ansible_environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    scope: dict[str, object] = {}
    exec(target.read_text(encoding="utf-8"), scope)
    assert scope["values"] == {
        "template": 42,
        "unsafe": "{{ answer }}'\n",
        "list": [True, None, 1.5],
        "vaulted": "it's {{ answer }}",
    }
