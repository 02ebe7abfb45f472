# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML values as Python source that can only ever be data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.parsing.vault import EncryptedString

# Leaves room on a 100 column line for the assignment the literal stands behind.
LINE_WIDTH = 72
INDENT = "    "
# Python's own parser gives up at about 100 open brackets in the oldest version we render for.
MAX_DEPTH = 60
# int() and str() of longer numbers raise ValueError since Python 3.11 (CVE-2020-10735).
MAX_DIGITS = 4000

Path = tuple[object, ...]


def literal_problems(value: object, path: Path = ()) -> Iterator[tuple[str, str]]:
    """Find everything in a value that has no Python literal.

    :arg value: any value that came out of YAML or a template.
    :arg path: keys and indices that lead to the value from the outermost one.
    :returns: pairs of the place, such as C(['mem_limit'][0]) (empty for the value itself), and a
        sentence that says what was found there and what to write instead. The values themselves
        are never quoted: they may be secrets.
    """
    if len(path) > MAX_DEPTH:
        yield _place(path[:3]) + "...", f"is nested more than {MAX_DEPTH} levels deep"
    elif value is None or isinstance(value, (bool, str, EncryptedString)):
        return
    elif isinstance(value, int):
        if abs(value) >= 10**MAX_DIGITS:
            yield _place(path), f"is a whole number of more than {MAX_DIGITS} digits"
    elif isinstance(value, float):
        if math.isnan(value):
            yield _place(path), "is not a number (.nan), which has no Python literal; leave it out"
    elif isinstance(value, Mapping):
        seen: set[object] = set()
        for key, item in value.items():
            if key is not None and not isinstance(key, (bool, int, float, str)):
                yield _place(path), f"has a key that is {_type_name(key)}; keys must be text"
                continue
            plain = _plain_scalar(key)
            if plain in seen:
                yield _place(path), "has two keys that are the same in Python"
            seen.add(plain)
            yield from literal_problems(item, (*path, plain))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from literal_problems(item, (*path, index))
    else:
        yield (
            _place(path),
            f"is {_type_name(value)}; only text, numbers, true, false, null, lists and "
            "dictionaries have a Python literal (write a date in quotes)",
        )


def python_literal(value: object) -> str:
    """Turn a YAML value into Python source.

    :arg value: text, number, boolean, null, or lists and dictionaries of them.
    :returns: source that C(ast.literal_eval) turns back into an equal value; short values on one
        line, longer ones with one item a line. Tuples come out as lists, as they do in Ansible.
    :raises AnsibleFilterError: names every place that holds something else, without its value.
    """
    problems = [f"{place or 'the value'} {what}" for place, what in literal_problems(value)]
    if problems:
        raise AnsibleFilterError("cannot be written as a Python literal: " + "; ".join(problems))
    return _render(value, "")


def _render(value: object, indent: str, key: str = "") -> str:
    line = _one_line(value)
    if len(indent) + len(key) + len(line) <= LINE_WIDTH:
        return line
    inner = indent + INDENT
    if isinstance(value, Mapping):
        keys = [_one_line(key) + ": " for key in value]
        rows = [
            key + _render(item, inner, key) for key, item in zip(keys, value.values(), strict=True)
        ]
        opening, closing, end = "{", "}", ","
    elif isinstance(value, (list, tuple)):
        rows = [_render(item, inner) for item in value]
        opening, closing, end = "[", "]", ","
    elif isinstance(value, (str, EncryptedString)) and "\n" in str(value).rstrip("\n"):
        # Adjacent string literals are one literal: a script keeps its lines, and its diffs.
        rows = [str.__repr__(part) for part in _lines(str(value))]
        opening, closing, end = "(", ")", ""
    else:
        return line
    return "\n".join([opening, *(f"{inner}{row}{end}" for row in rows), indent + closing])


def _one_line(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_one_line(key)}: {_one_line(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_one_line, value)) + "]"
    plain = _plain_scalar(value)
    if isinstance(plain, float) and math.isinf(plain):
        # repr() says "inf", a name; a number too large for a float is the literal for it.
        return "1e999" if plain > 0 else "-1e999"
    return repr(plain)


def _plain_scalar(value: object) -> object:
    """The same scalar without the subclasses Ansible uses to carry tags and ciphertext.

    A subclass may have a C(__repr__) of its own, and this source must not depend on it.
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (str, EncryptedString)):
        return str.__str__(str(value))
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return value


def _lines(text: str) -> list[str]:
    # Not splitlines(): that also splits at form feeds and separators.
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])


def _place(path: Path) -> str:
    return "".join(f"[{key!r}]" for key in path)


def _type_name(value: object) -> str:
    name = type(value).__name__.removeprefix("_AnsibleTagged").lower()
    return f"a{'n' if name[:1] in 'aeiou' else ''} {name}"


class FilterModule:
    """The filters of this file, for Ansible's plugin loader."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions."""
        return {"python_literal": python_literal}
