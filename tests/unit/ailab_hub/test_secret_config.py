# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets come from files, and no error ever shows one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ailab_hub.config import SecretFileError, apply_secret_config, read_secret
from traitlets.config import Config

SECRET = "hunter2-is-no-good-password"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_a_secret_is_read_without_surrounding_space(file: Path) -> None:
    file.write_text(f"\n {SECRET} x \n")
    assert read_secret(file) == read_secret(str(file)) == f"{SECRET} x"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff" + SECRET.encode()])
def test_a_file_without_a_text_is_refused_by_name(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SecretFileError) as refusal:
        read_secret(file)
    assert str(file) in str(refusal.value)
    assert SECRET not in repr(refusal.value)


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(SecretFileError, match=f"{file}: No such file"):
        read_secret(file)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match=f"{tmp_path}: Is a directory"):
        read_secret(tmp_path)


def test_secret_config_sets_traits_of_any_json_type(file: Path) -> None:
    values: dict[str, Any] = {
        "GenericOAuthenticator": {"client_secret": SECRET, "scope": ["openid"], "x": None},
        "JupyterHub": {"db_url": f"postgresql://hub:{SECRET}@db/hub", "y": {"a": 1.5}},
    }
    file.write_text(json.dumps(values))
    c = Config()
    c.JupyterHub.db_url = "sqlite://"
    c.JupyterHub.port = 8000
    apply_secret_config(c, file)
    assert c.GenericOAuthenticator == values["GenericOAuthenticator"]
    assert c.JupyterHub == {**values["JupyterHub"], "port": 8000}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'{{"A": {{"b": "{SECRET}"', "line 1 column"),
        (f'["{SECRET}"]', "expected an object of classes, found a list"),
        (f'"{SECRET}"', "expected an object of classes, found a string"),
        (f'{{"JupyterHub": "{SECRET}"}}', "JupyterHub: expected an object of traits"),
        (f'{{"JupyterHub": ["{SECRET}"]}}', "found a list"),
        (f'{{"jupyterHub": {{"a": "{SECRET}"}}}}', "'jupyterHub' is not the name of a class"),
        (f'{{"Jupyter Hub": {{"a": "{SECRET}"}}}}', "is not the name of a class"),
        (f'{{"JupyterHub": {{"a.b": "{SECRET}"}}}}', "is not the name of a trait"),
        (f'{{"": {{"a": "{SECRET}"}}}}', "is not the name of a class"),
    ],
)
def test_another_form_is_refused_without_a_value(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    c = Config()
    with pytest.raises(SecretFileError) as refusal:
        apply_secret_config(c, file)
    assert str(file) in str(refusal.value)
    assert said in str(refusal.value)
    assert SECRET not in f"{refusal.value!r}{refusal.value.__cause__!r}"
    assert c == {}
