# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `ailab.hub.apt_source_absent`, on real files."""

from __future__ import annotations

import functools
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.modules import apt_source_absent

Run = Callable[..., dict[str, Any]]

DOCKER = "https://download.docker.com/linux/debian"
DEBIAN = "deb http://me:secret@deb.example.org/debian bookworm main\n"
ENTRY = f"deb {DOCKER} bookworm stable\n"


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Run:
    """Runs the module for Docker's repository on a folder of its own, in diff mode."""
    (tmp_path / "sources.list.d").mkdir()
    return functools.partial(
        run_module, apt_source_absent, diff=True, repositories=[DOCKER], folder=str(tmp_path)
    )


def test_entries_go_wherever_they_stand(run: Run, tmp_path: Path) -> None:
    main, own = tmp_path / "sources.list", tmp_path / "sources.list.d" / "docker.list"
    main.write_text(DEBIAN + ENTRY)
    main.chmod(0o640)
    own.write_text(ENTRY)
    result = run()
    assert result["changed"]
    assert sorted(result["files"]) == sorted([str(main), str(own)])
    assert main.read_text() == DEBIAN
    assert stat.S_IMODE(main.stat().st_mode) == 0o640
    assert not own.exists()
    assert not run()["changed"]


def test_check_mode_shows_it_and_does_nothing(run: Run, tmp_path: Path) -> None:
    main = tmp_path / "sources.list"
    main.write_text(DEBIAN + ENTRY)
    result = run(check_mode=True)
    assert result["changed"]
    assert result["diff"][0]["before"].endswith(ENTRY)
    assert not result["diff"][0]["after"].endswith(ENTRY)
    assert main.read_text() == DEBIAN + ENTRY


def test_no_difference_shows_a_password(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(DEBIAN + ENTRY)
    assert "secret" not in str(run())


def test_what_shall_be_kept_is_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sources.list.d" / "docker.list"
    file.write_text(ENTRY)
    assert not run(keep=[str(file)])["changed"]
    assert file.read_text() == ENTRY


def test_nothing_to_do(run: Run) -> None:
    result = run()
    assert (result["changed"], result["files"], result["diff"]) == (False, [], [])


def test_bytes_of_other_encodings_stay(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sources.list"
    file.write_bytes(b"# caf\xe9\r\n" + DEBIAN.encode() + ENTRY.encode())
    assert run()["changed"]
    assert file.read_bytes() == b"# caf\xe9\r\n" + DEBIAN.encode()
