# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changelog says what is true, and the next release can be made of the fragments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests import galaxy

VERSION = yaml.safe_load((galaxy.CHECKOUT / "galaxy.yml").read_text())["version"]
NOTHING_RELEASED = "Nothing has been released yet."


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_changelog_tells_what_was_released() -> None:
    text = (galaxy.CHECKOUT / "CHANGELOG.rst").read_text()
    releases = galaxy.CHECKOUT / "changelogs" / "changelog.yaml"
    told = re.findall(r"^v(\d+\.\d+\.\d+)$", text, re.MULTILINE)
    known = yaml.safe_load(releases.read_text())["releases"] if releases.exists() else {}
    assert set(told) == set(known)
    assert (NOTHING_RELEASED in text) == (not known)
    assert not known or VERSION in known


def test_a_release_tells_every_fragment(tmp_path: Path) -> None:
    galaxy.copy(galaxy.working_files(), tmp_path)
    command = [str(Path(sys.executable).with_name("antsibull-changelog")), "release"]
    command += ["--version", VERSION, "--date", "2026-01-01"]
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    released = words((tmp_path / "CHANGELOG.rst").read_text())
    for file in (galaxy.CHECKOUT / "changelogs" / "fragments").glob("*.yml"):
        for told in yaml.safe_load(file.read_text()).values():
            for text in [told] if isinstance(told, str) else told:
                assert words(text) in released, file.name
