# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what is wrong with a configuration without repeating anything that was configured."""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from traitlets import (
    Container,
    Dict,
    Enum,
    HasTraits,
    TraitType,
    Tuple,
    Undefined,
    Union,
)

from .config import SecretFileError
from .errors import SettingError

# Texts of these tell names, never contents.
_HARMLESS = (NameError, ImportError)
_OWN = (SettingError, SecretFileError)

# The info() of these traits tells less than they accept.
_EXPECTED = {
    "ByteSpecification": "a number of bytes, or a string with the suffix K, M, G or T",
    "Command": "a command line as a list of strings, or one string",
    "EntryPointType": "a class, its import path, or the name of an installed one",
}

# How expected() speaks of values of a type, of which it may want only some.
_NAMED = {
    str: r"\b(string|one of|import path)\b",
    int: r"\b(int|number|one of)\b",
    float: r"\b(float|number|one of)\b",
}

_PROGRAMS = (
    *{f"{sysconfig.get_paths()[name]}/" for name in ("purelib", "platlib", "stdlib", "platstdlib")},
    f"{Path(__file__).parent}/",
)
_PLACEHOLDER = re.compile(r"%(?:\([^)]*\))?[-+ #0-9.]*[a-zA-Z]|\{[^{}]*\}")


def of_execution(error: BaseException) -> str:
    """Return why a configuration file could not be executed."""
    if isinstance(error, SystemExit):
        return "the file ends the program (sys.exit)"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, AttributeError):
        return f"{type(error).__name__}: {error}"
    return of_exception(error)


def of_exception(error: BaseException) -> str:
    """Return the type of an exception and as much of its text as cannot hold a value."""
    if isinstance(error, _OWN):
        return str(error)
    name = type(error).__name__
    if isinstance(error, _HARMLESS):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {os.strerror(error.errno)}"
    if isinstance(error, SystemExit):
        name = "JupyterHub ends"
    text = written_in_the_source(error)
    return f"{name}: {text}" if text else name


def written_in_the_source(error: BaseException) -> str:
    """Return the text of `error` with everything replaced by … that came in at run time.

    What is kept stands as a constant in the source of the installed programs the error came
    through, so it is nobody's setting. The configuration file is no installed program.
    """
    text = str(error)[:1000]
    kept = [False] * len(text)
    for phrase in _phrases(error.__traceback__):
        start = text.find(phrase)
        while start >= 0:
            kept[start : start + len(phrase)] = [True] * len(phrase)
            start = text.find(phrase, start + 1)
    shown = "".join(letter if keep else "\0" for letter, keep in zip(text, kept, strict=True))
    shown = re.sub("\0+", "…", shown)
    return " ".join(shown.split()) if any(kept) else ""


def _phrases(traceback: TracebackType | None) -> Iterator[str]:
    """The constant texts in the functions of installed programs an exception came through."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        traceback = traceback.tb_next
        if code.co_filename.startswith(_PROGRAMS):
            for constant in code.co_consts:
                if isinstance(constant, str):
                    # a lone word may be a setting by chance
                    yield from (
                        piece for piece in _PLACEHOLDER.split(constant) if len(piece.split()) > 1
                    )


def of_type(label: str, trait: TraitType[Any, Any], value: Any) -> str | None:
    """Return what is wrong with the type of `value`, or None if `trait` accepts it."""
    if accepts(trait, value):
        return None
    wanted = expected(trait)
    found = _found(trait, value)
    named = _NAMED.get(type(value))
    if found == kind(value) and named and re.search(named, wanted):
        found = f"another {type(value).__name__}"
    return f"{label}: expected {wanted}, found {found}"


def of_refusal(label: str, trait: TraitType[Any, Any], error: BaseException) -> str:
    """Return why JupyterHub refuses a value whose type is right."""
    if isinstance(error, SettingError):
        return f"{label}: {error}"
    return (
        f"{label}: the value is refused ({of_exception(error)}); "
        f"expected {expected(trait)}.{_documentation(trait)}"
    )


def accepts(trait: TraitType[Any, Any], value: Any) -> bool:
    """Whether `trait` accepts `value`, apart from checks that look at other traits, too."""
    if value is None and trait.allow_none:
        return True
    if not hasattr(trait, "validate"):
        return True
    try:
        trait.validate(HasTraits(), value)
    except Exception:
        # a validator fails in its own ways on what it did not expect
        return False
    return True


def expected(trait: TraitType[Any, Any]) -> str:
    """Return in words what `trait` accepts."""
    if isinstance(trait, Union):
        words = " or ".join(dict.fromkeys(expected(part) for part in trait.trait_types))
        return words if not trait.allow_none or "None" in words else f"{words} or None"
    for base in type(trait).__mro__:
        if base.__name__ in _EXPECTED:
            return _EXPECTED[base.__name__]
    if isinstance(trait, Enum):
        choices = ", ".join(repr(choice) for choice in trait.values or ())
        return f"one of {choices}" + (" or None" if trait.allow_none else "")
    words = trait.info().replace("unicode ", "")
    low, high = getattr(trait, "min", None), getattr(trait, "max", None)
    if low is not None:
        words += f" of at least {low}"
    if high is not None:
        words += f" of at most {high}"
    element = _element(trait)
    if element is not None:
        words += f", each entry {expected(element)}"
    return words


def is_deprecated(trait: TraitType[Any, Any]) -> bool:
    """Whether the documentation of `trait` begins by saying that it is deprecated."""
    return "deprecated" in " ".join(str(trait.help).split())[:40].lower()


def advice(trait: TraitType[Any, Any]) -> str:
    """Return the first sentences of the documentation of `trait`."""
    text = " ".join(str(trait.help).split())
    text = re.sub(r"\.\. deprecated:: ?", "deprecated since ", text)
    if len(text) > 300:
        text = text[:300].rsplit(" ", 1)[0] + " …"
    return text


def _documentation(trait: TraitType[Any, Any]) -> str:
    text = advice(trait)
    return f" Its documentation: {text}" if text else ""


def _element(trait: TraitType[Any, Any]) -> TraitType[Any, Any] | None:
    if isinstance(trait, Tuple):
        return None
    element: Any = None
    if isinstance(trait, Container):
        element = trait._trait
    elif isinstance(trait, Dict):
        element = trait._value_trait
    return element if isinstance(element, TraitType) else None


def _found(trait: TraitType[Any, Any], value: Any) -> str:
    name = kind(value)
    element = _element(trait)
    if element is None or not accepts(type(trait)(), value):
        return name
    if isinstance(value, dict):
        bad: Any = next((item for item in value.values() if not accepts(element, item)), Undefined)
        return name if bad is Undefined else f"{name} with {kind(bad)} among its values"
    for position, item in enumerate(value, start=1):
        if not accepts(element, item):
            return f"{name} whose entry {position} is {kind(item)}"
    return name


def kind(value: Any) -> str:
    """Return the type of `value` in words."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
