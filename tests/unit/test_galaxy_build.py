# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tarball for Galaxy holds what users need, and nothing else."""

from __future__ import annotations

import json
import os
import re
import tarfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import galaxy

FENCED = re.DOTALL | re.MULTILINE
# What users get. "*" goes across folders, as in build_ignore of galaxy.yml.
SHIPPED = (
    "CHANGELOG.rst",
    "LICENSE",
    "README.md",
    "changelogs/*",
    "docs/*",
    "examples/*",
    "execution-environment.yml",
    "inventory.example/*",
    "meta/*",
    "playbooks/*.yml",
    "plugins/*",
    "requirements.txt",
    "requirements.yml",
    "roles/*",
)
# What only those need who work on the collection, or run it from a checkout.
NOT_SHIPPED = (
    ".ansible-lint",
    ".ci/*",
    ".config/*",
    ".gitignore",
    ".yamllint",
    "Makefile",
    "ansible.cfg",
    "collections/*",
    "galaxy.yml",
    "molecule/*",
    "pyproject.toml",
    "site.yml",
    "tests/*",
)
# What lies about in a checkout that is worked with; see also .gitignore.
DIRT = (
    ".demo/access.json",
    ".git/config",
    ".idea/workspace.xml",
    ".venv/bin/python",
    ".vscode/settings.json",
    "ailab-hub-0.0.1.tar.gz",
    "inventory/group_vars/hub.yml",
    "inventory/hosts.yml",
    "playbooks/site.retry",
    "plugins/modules/__pycache__/run_lock.cpython-311.pyc",
    "roles/hub_image/files/ailab_hub/ailab_hub.egg-info/PKG-INFO",
    "roles/hub_image/files/ailab_hub/build/lib/ailab_hub/config.py",
)


def contents(tarball: Path) -> set[str]:
    """The files in a tarball, but for the two ansible-galaxy adds."""
    with tarfile.open(tarball) as archive:
        assert not [member.name for member in archive if member.islnk() or member.issym()]
        names = {member.name for member in archive if member.isfile()}
    assert names >= {"FILES.json", "MANIFEST.json"}
    return names - {"FILES.json", "MANIFEST.json"}


def matching(name: str, patterns: tuple[str, ...]) -> list[str]:
    return [pattern for pattern in patterns if fnmatch(name, pattern)]


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git tracks."""
    folder = tmp_path_factory.mktemp("clean")
    galaxy.copy(galaxy.tracked_files(), folder / "source")
    return galaxy.build(folder / "source", folder)


@pytest.fixture(scope="module")
def manifest(tarball: Path) -> dict[str, Any]:
    with tarfile.open(tarball) as archive:
        stream = archive.extractfile("MANIFEST.json")
        assert stream
        return dict(json.load(stream)["collection_info"])


def test_every_file_is_either_shipped_or_not() -> None:
    undecided = [
        name for name in galaxy.tracked_files() if len(matching(name, SHIPPED + NOT_SHIPPED)) != 1
    ]
    assert undecided == []


def test_every_rule_is_about_a_file() -> None:
    names = galaxy.tracked_files()
    unused = [
        rule for rule in SHIPPED + NOT_SHIPPED if not any(fnmatch(name, rule) for name in names)
    ]
    assert unused == []


def test_the_tarball_holds_what_users_need_and_nothing_else(tarball: Path) -> None:
    assert contents(tarball) == {name for name in galaxy.tracked_files() if matching(name, SHIPPED)}


def test_what_lies_about_in_a_checkout_is_not_shipped(tarball: Path, tmp_path: Path) -> None:
    galaxy.copy(galaxy.tracked_files(), tmp_path / "source")
    ignored = (galaxy.CHECKOUT / ".gitignore").read_text().split()
    files = [f"{name}dirt" for name in ignored if name.endswith("/") and "*" not in name]
    assert len(files) > 8
    for name in (*DIRT, *files):
        file = tmp_path / "source" / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("dirt")
    assert contents(galaxy.build(tmp_path / "source", tmp_path)) == contents(tarball)


def test_the_installed_collection_needs_no_checkout(tarball: Path, tmp_path: Path) -> None:
    installed = galaxy.install(tarball, tmp_path)
    checkout = str(galaxy.CHECKOUT).encode()
    naming = [
        file for file in installed.rglob("*") if file.is_file() and checkout in file.read_bytes()
    ]
    assert naming == []


def test_dependencies_are_the_same_for_galaxy_and_for_a_checkout(manifest: dict[str, Any]) -> None:
    required = yaml.safe_load((galaxy.CHECKOUT / "requirements.yml").read_text())
    assert manifest["dependencies"] == {
        collection["name"]: collection["version"] for collection in required["collections"]
    }


def test_dependencies_have_a_lower_and_an_upper_bound(manifest: dict[str, Any]) -> None:
    for name, version in manifest["dependencies"].items():
        assert re.fullmatch(r">=\d+\.\d+\.\d+,<\d+\.0\.0", version), name


def test_links_of_shipped_pages_lead_to_shipped_files() -> None:
    broken = []
    names = [name for name in galaxy.tracked_files() if matching(name, SHIPPED)]
    for name in names:
        if not name.endswith(".md"):
            continue
        folder = (galaxy.CHECKOUT / name).parent
        text = re.sub(r"^```.*?^```", "", (galaxy.CHECKOUT / name).read_text(), flags=FENCED)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith(("https://", "http://", "#")):
                continue
            target = os.path.relpath((folder / link.partition("#")[0]).resolve(), galaxy.CHECKOUT)
            if not any(other == target or other.startswith(f"{target}/") for other in names):
                broken.append(f"{name}: {link}")
    assert broken == []
