# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of Ansible share packed modules, and never a former version of one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible import constants

from tests.pages import PROJECT
from tests.scenarios.__main__ import ENVIRONMENT
from tests.scenarios.callback import module_cache

PLUGINS = PROJECT / "plugins"
HERE = [str(PROJECT / "collections")]

PLAY = "[{hosts: localhost, connection: local, gather_facts: false, tasks: [{stat: {path: /}}]}]"


def run(folder: Path, **environment: str) -> list[Path]:
    """Use a module in a run; returns what is packed."""
    (folder / "play.yml").write_text(PLAY)
    cache = folder / "cache"
    subprocess.run(
        ["ansible-playbook", "--inventory=localhost,", folder / "play.yml"],
        cwd=PROJECT,
        env=os.environ
        | ENVIRONMENT
        | {"AILAB_HUB_MODULE_CACHE": str(cache), "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
        | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for path in cache.glob("*/*") if path.suffix != ".lock"]


def test_the_next_run_uses_what_one_has_packed(tmp_path: Path) -> None:
    (packed,) = run(tmp_path)
    assert packed.parent.name == module_cache.key(HERE)
    before = packed.stat()
    assert run(tmp_path) == [packed]
    assert packed.stat().st_mtime_ns == before.st_mtime_ns
    # Another file in its place is what the run has to fail with, if it uses it.
    packed.write_bytes(b"broken")
    with pytest.raises(subprocess.CalledProcessError):
        run(tmp_path)


def test_another_byte_of_a_module_is_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "collections" / module_cache.COLLECTION
    for folder in ("modules", "module_utils"):
        shutil.copytree(PLUGINS / folder, installed / folder)
    folders = [str(tmp_path / "collections")]
    here = {"ANSIBLE_COLLECTIONS_PATH": folders[0]}
    keys = {module_cache.key(HERE)}
    packed = run(tmp_path, **here)
    assert {path.parent.name for path in packed} == {module_cache.key(folders)} == keys
    for name in ("modules/secret_files.py", "module_utils/_docker_socket.py"):
        with (installed / name).open("a") as file:
            file.write("#")
        keys.add(module_cache.key(folders))
    (installed / "module_utils/_new.py").touch()
    keys.add(module_cache.key(folders))
    other = tmp_path / "collections/ansible_collections/community/docker/MANIFEST.json"
    other.parent.mkdir(parents=True)
    for release in ("4.8.5", "5.4.0"):
        other.write_text(release)
        keys.add(module_cache.key(folders))
    monkeypatch.setattr(module_cache, "version", lambda package: f"another {package}")
    keys.add(module_cache.key(folders))
    assert len(keys) == 7
    assert module_cache.key([str(tmp_path)]) == ""
    monkeypatch.undo()
    assert len({path.parent.name for path in run(tmp_path, **here)}) == 2


def test_folders_of_former_modules_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(module_cache.KEPT + 3):
        (tmp_path / "cache" / str(number)).mkdir(parents=True)
        os.utime(tmp_path / "cache" / str(number), (number, number))
    local = tmp_path / "local"
    local.mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(local))
    module_cache.link(tmp_path / "cache", module_cache.key(HERE))
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert left == {module_cache.key(HERE), *map(str, range(4, module_cache.KEPT + 3))}
    assert (local / "ansiballz_cache").resolve() == tmp_path / "cache" / module_cache.key(HERE)
