# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of an inventory checked and converted by a role's argument specification. No I/O.

Ansible's own validation stops at the first problem of an option, quotes values that may be secret,
and takes what YAML misread: 5.10 (the number 5.1) for the text "5.1", and yes for the number 1.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_path,
)

Spec = Mapping[str, Any]

# Longer values are cut in messages.
QUOTED_LENGTH = 60
# Everything else is one line of text: a line break in a name, address or password is a mistake
# (often of a YAML block, which ends with one) that would surface as a riddle much later.
MULTILINE = frozenset({"jupyterhub_extra_config", "jupyterhub_cmd", "lab_image_kernels"})
# Text that only a program should take apart at commas.
NEVER_SPLIT = frozenset(
    {
        "hub_image_pip_packages",
        # Names of groups in a directory have commas.
        "jupyterhub_admin_groups",
        "jupyterhub_allowed_groups",
        "jupyterhub_cmd",
        "jupyterhub_ldap",
        "lab_image_entrypoint",
        "lab_image_pip_packages",
    }
)
# Free text that may hold a secret although the option as a whole is none.
SECRET_TEXT = frozenset({"jupyterhub_extra_config"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_USERINFO = re.compile(r"://[^/@\s]*@")

UNSET = object()
"""Stands for an option that has neither a value nor a default."""

ABSOLUTE_PATH = re.compile(r"/[A-Za-z0-9_./+@-]*")


class Problem(NamedTuple):
    """One thing to mend: what it is about, what was found, what was expected, what mends it."""

    subject: str
    found: str
    expected: str
    mend: str

    def __str__(self) -> str:
        return f"{self.subject}: found {self.found}, expected {self.expected}. {self.mend}"


class Converted(NamedTuple):
    """A value of the type its option asks for, or UNSET, and the problems on the way there."""

    value: Any
    problems: list[Problem]


def convert(name: str, spec: Spec, value: object) -> Converted:
    """Check one variable and convert it.

    :arg name: of the variable.
    :arg spec: its entry in the role's argument specification.
    :arg value: after templating; UNSET where the inventory and the defaults say nothing.
    :returns: the value in plain Python types. Where there are problems it must not be used.
    """
    if value is UNSET:
        if spec.get("required"):
            return Converted(
                UNSET,
                [Problem(name, "nothing", _expected(spec), f"Set {name} in the inventory.")],
            )
        return Converted(None, [])
    return _Converter(name).convert(name, spec, value, is_secret(name, spec))


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The nearest known name; empty if none is as near as that (0 to 1)."""
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=likeness)
    return matches[0] if matches else ""


def plain(value: object) -> Any:
    """The same value in Python's own types, without the tags Ansible's types carry."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            # For these three the call gives an instance of exactly that type.
            return kind(value)
    return value


def describe(value: object, secret: bool = False) -> str:
    """What a value is, in words, for a message. Of a secret only the type."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return "a number" if secret else f"the number {plain(value)!r}"
    if isinstance(value, str):
        return "text" if secret else _quoted(value)
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, datetime.date):
        return "a date"
    return f"a value of type {type(value).__name__}"


def _quoted(text: str) -> str:
    masked = _USERINFO.sub("://***@", str(text))
    if len(masked) > QUOTED_LENGTH:
        masked = masked[:QUOTED_LENGTH] + "..."
    # JSON's form is YAML's form too. It shows line breaks, but not what hides in a terminal.
    quoted = json.dumps(masked, ensure_ascii=False)
    return "".join(item if item.isprintable() else json.dumps(item).strip('"') for item in quoted)


def is_secret(name: str, spec: Spec) -> bool:
    """Whether the value of a variable may hold a secret, so that no message may quote it."""
    # A dictionary without a specification of its own is free text, and may hold anything.
    free = spec.get("type") == "dict" and not spec.get("options")
    return bool(spec.get("no_log")) or free or name in SECRET_TEXT


def _expected(spec: Spec) -> str:
    if choices := spec.get("choices"):
        return "one of " + ", ".join(str(choice) for choice in choices)
    words = {
        "bool": "true or false",
        "dict": "a dictionary",
        "float": "a number",
        "int": "a whole number",
        "path": "a path",
        "raw": "a value",
        "str": "text",
    }
    kind = spec.get("type", "str")
    if kind == "list":
        return f"a list of {_LIST_WORDS.get(spec.get('elements', 'raw'), 'values')}"
    return words.get(kind, str(kind))


_LIST_WORDS = {"str": "texts", "int": "whole numbers", "dict": "dictionaries", "path": "paths"}


class _Converter:
    """Converts the value of one variable and collects the problems inside it."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self.problems: list[Problem] = []

    def convert(self, place: str, spec: Spec, value: object, secret: bool) -> Converted:
        return Converted(self._any(place, spec, value, secret), self.problems)

    def _any(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        if value is None:
            if spec.get("default") is None and not spec.get("required"):
                return None
            return self._wrong(place, spec, value, secret, self._leave_out(place, spec))
        method = getattr(self, "_" + spec.get("type", "str"))
        converted = method(place, spec, value, secret)
        choices = spec.get("choices")
        if choices and converted is not UNSET:
            picked = converted if isinstance(converted, list) else [converted]
            if any(item not in choices for item in picked):
                near = nearest(str(converted), map(str, choices))
                hint = f"Did you mean {near}?" if near else "Choose one of them."
                return self._wrong(place, spec, value, secret, hint)
        return converted

    def _wrong(self, place: str, spec: Spec, value: object, secret: bool, mend: str) -> object:
        self.problems.append(Problem(place, describe(value, secret), _expected(spec), mend))
        return UNSET

    def _leave_out(self, place: str, spec: Spec) -> str:
        if place == self.variable and "default" in spec:
            return f"Give it a value, or remove the line {place} to have the default."
        return "Give it a value, or remove it."

    def _raw(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        return plain(value)

    def _str(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        if isinstance(value, (bool, float, datetime.date)):
            return self._wrong(
                place, spec, value, secret, f"Put the value in quotes, so that YAML {_READS}."
            )
        if isinstance(value, int):
            if spec.get("no_log"):
                # 0123 is the number 83 to YAML: nobody could log in with what was typed.
                mend = f"Put the value in quotes, so that YAML {_READS}."
                return self._wrong(place, spec, value, secret, mend)
            return str(int(value))
        if not isinstance(value, str):
            return self._wrong(place, spec, value, secret, "Write it as one text.")
        return self._text(place, spec, plain(value), secret)

    def _text(self, place: str, spec: Spec, value: str, secret: bool) -> Any:
        bad = _CONTROL.search(value)
        if bad and (self.variable not in MULTILINE or bad[0] == "\0"):
            mend = (
                "Remove the line break. A YAML block that begins with | ends with one; |- does not."
                if bad[0] == "\n"
                else "Remove it."
            )
            character = "a line break" if bad[0] == "\n" else f"the character {bad[0]!a}"
            found = f"{describe(value, secret)} with {character}"
            self.problems.append(Problem(place, found, "one line of text", mend))
            return UNSET
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            found = f"text with the half character {value[_surrogate(value)]!a}"
            self.problems.append(Problem(place, found, "text in UTF-8", "Write it anew."))
            return UNSET
        return value

    def _path(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        text = self._str(place, spec, value, secret)
        return text if text is UNSET or text == "" else check_type_path(text)

    def _int(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        if not isinstance(value, bool):
            with contextlib.suppress(TypeError, ValueError):
                return int(check_type_int(plain(value)))
        return self._wrong(place, spec, value, secret, "Write it in digits, without quotes.")

    def _float(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        if not isinstance(value, bool):
            with contextlib.suppress(TypeError, ValueError):
                return float(check_type_float(plain(value)))
        return self._wrong(place, spec, value, secret, "Write it in digits, without quotes.")

    def _bool(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        try:
            return bool(check_type_bool(plain(value)))
        except TypeError:
            return self._wrong(place, spec, value, secret, "Write true or false.")

    def _list(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        element = {"type": spec.get("elements", "raw"), "options": spec.get("options")}
        if isinstance(value, str):
            items = self._split(place, spec, plain(value), secret)
            if items is UNSET:
                return UNSET
        elif isinstance(value, (list, tuple)):
            items = list(value)
        else:
            mend = "Write each item on a line of its own that begins with a dash."
            return self._wrong(place, spec, value, secret, mend)
        before = len(self.problems)
        converted = []
        for index, item in enumerate(items):
            inside = f"{place}[{index}]"
            if item is None:
                self._wrong(inside, element, item, secret, "Give it a value, or remove the item.")
            else:
                converted.append(self._any(inside, element, item, secret))
        return UNSET if len(self.problems) > before else converted

    def _split(self, place: str, spec: Spec, value: str, secret: bool) -> Any:
        if value.lstrip().startswith(("[", "{")):
            mend = f"On the command line write -e '{{\"{self.variable}\": [...]}}'."
            return self._wrong(place, spec, value, secret, mend)
        if self.variable in NEVER_SPLIT or spec.get("elements", "raw") not in ("str", "path"):
            mend = "Write each item on a line of its own that begins with a dash."
            return self._wrong(place, spec, value, secret, mend)
        return [item.strip() for item in value.split(",") if item.strip()]

    def _dict(self, place: str, spec: Spec, value: object, secret: bool) -> Any:
        if isinstance(value, str):
            with contextlib.suppress(TypeError, ValueError):
                value = check_type_dict(plain(value))
        if not isinstance(value, Mapping):
            return self._wrong(place, spec, value, secret, "Write it as KEY: VALUE lines.")
        options = spec.get("options")
        if not options:
            return plain(value)
        before = len(self.problems)
        converted = {}
        for key in value:
            if key not in options:
                expected = "one of " + ", ".join(sorted(options))
                near = nearest(str(key), options)
                mend = f"Did you mean {near}?" if near else "Remove it."
                self.problems.append(Problem(place, f"the key {key}", expected, mend))
        for key, suboption in options.items():
            inside = f"{place}.{key}"
            if key in value:
                hidden = secret or bool(suboption.get("no_log"))
                converted[key] = self._any(inside, suboption, value[key], hidden)
            elif suboption.get("required"):
                self.problems.append(
                    Problem(inside, "nothing", _expected(suboption), f"Add the key {key}.")
                )
            else:
                converted[key] = plain(suboption.get("default"))
        return UNSET if len(self.problems) > before else converted


_READS = "does not read it as something else"


def _surrogate(text: str) -> int:
    return next(index for index, item in enumerate(text) if "\ud800" <= item <= "\udfff")
