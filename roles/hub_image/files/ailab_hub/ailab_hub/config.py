# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for ``jupyterhub_config.py``: secrets stay in files of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from traitlets.config import Config

TEMPLATES = str(Path(__file__).parent / "templates")
"""Folder of the templates that take the place of JupyterHub's own."""


class SecretFileError(ValueError):
    """A secret file cannot be used. The message names the file and never its content."""


def read_secret(path: str | os.PathLike[str]) -> str:
    """Return the text of a secret file without surrounding white space.

    Raises:
        SecretFileError: the file cannot be read, is no UTF-8 text or is empty.
    """
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretFileError(f"{os.fspath(path)}: {error.strerror}") from None
    except UnicodeDecodeError:
        # from None: the exception carries the bytes of the file
        raise SecretFileError(f"{os.fspath(path)}: is not UTF-8 text") from None
    if not secret:
        raise SecretFileError(f"{os.fspath(path)}: is empty")
    return secret


def apply_secret_config(c: Config, path: str | os.PathLike[str]) -> None:
    """Set every trait of a JSON file ``{Class: {trait: value}}`` in the configuration `c`.

    A trait set before is replaced, exactly as ``c.Class.trait = value`` does.

    Raises:
        SecretFileError: the file cannot be read or has another form; `c` is unchanged then.
    """
    name = os.fspath(path)
    try:
        loaded = json.loads(read_secret(path))
    except json.JSONDecodeError as error:
        # from None: the exception carries the whole document
        raise SecretFileError(
            f"{name}: line {error.lineno} column {error.colno} is not JSON: {error.msg}"
        ) from None
    for class_name, traits in _checked(loaded, name).items():
        for trait, value in traits.items():
            c[class_name][trait] = value


def _checked(loaded: Any, name: str) -> dict[str, dict[str, Any]]:
    if not isinstance(loaded, dict):
        raise SecretFileError(f"{name}: expected an object of classes, found {_kind(loaded)}")
    for class_name, traits in loaded.items():
        # traitlets makes a section only of a capitalised name
        if not class_name.isidentifier() or not class_name[0].isupper():
            raise SecretFileError(f"{name}: {class_name!r} is not the name of a class")
        if not isinstance(traits, dict):
            raise SecretFileError(
                f"{name}: {class_name}: expected an object of traits, found {_kind(traits)}"
            )
        for trait in traits:
            if not trait.isidentifier():
                raise SecretFileError(f"{name}: {class_name}.{trait!r} is not the name of a trait")
    return loaded


def _kind(value: Any) -> str:
    return {list: "a list", str: "a string", dict: "an object", type(None): "null"}.get(
        type(value), f"a {type(value).__name__}"
    )
