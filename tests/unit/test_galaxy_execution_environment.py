# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment: ansible-builder takes its definition, and what it finds is enough."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import galaxy

DEFINITION = galaxy.CHECKOUT / "execution-environment.yml"


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((galaxy.CHECKOUT / name).read_text(encoding="utf-8")))


def builder(*arguments: str, folder: Path) -> str:
    command = [str(Path(sys.executable).with_name("ansible-builder")), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return galaxy.build_checkout(tmp_path_factory.mktemp("tarball"))


def test_a_build_context_is_made_with_the_collection_in_it(tarball: Path, tmp_path: Path) -> None:
    shutil.copy2(DEFINITION, tmp_path)
    shutil.copy2(tarball, tmp_path)
    builder("create", "--output-filename", "Containerfile", folder=tmp_path)
    context = tmp_path / "context"
    assert "FROM" in (context / "Containerfile").read_text()
    required = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    (collection,) = required["collections"]
    assert collection["type"] == "file"
    # The image is built in this folder, and the tarball is found from there.
    assert (context / "_build" / collection["name"]).read_bytes() == tarball.read_bytes()


def test_the_collection_asks_for_ssh_and_no_python_package(tarball: Path, tmp_path: Path) -> None:
    galaxy.install(tarball, tmp_path)
    found = yaml.safe_load(builder("introspect", str(tmp_path), folder=tmp_path))
    assert not found["python"]
    assert sorted(line.split()[0] for line in found["system"]) == [
        "openssh-client",
        "openssh-clients",
    ]


def test_it_has_the_ansible_core_the_collection_is_tested_with() -> None:
    asked = load("execution-environment.yml")["dependencies"]["ansible_core"]["package_pip"]
    assert asked == f"ansible-core{load('meta/runtime.yml')['requires_ansible']}".replace(".0", "")


def test_it_names_the_version_that_is_built(tarball: Path) -> None:
    files = load("execution-environment.yml")["additional_build_files"]
    assert [file["src"] for file in files] == [tarball.name]
    assert re.search(r"-(\d+\.\d+\.\d+)\.tar\.gz$", tarball.name)
