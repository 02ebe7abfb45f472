# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of Ansible share what they have packed of modules.

Ansible packs each module with all it imports and keeps that for the rest of the run, which is a
third of what a run with nothing to change costs the controller. The scenarios make some hundred
runs. This links the folder of the run to one that outlives it, and that is another as soon as a
byte of a module of the collection, the version of Ansible, or that of another collection that was
installed besides it, is another. Where Ansible stops to use
a folder of this name, runs pack for themselves again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from ansible import constants
from ansible.plugins.callback import CallbackBase

COLLECTION = "ansible_collections/ailab/hub/plugins"
KEPT = 8
"""Folders of former modules that stay."""


def key(folders: list[str]) -> str:
    """What decides what is packed, with collections in these folders. Empty if this one is in none."""
    # The first is the one whose modules a run takes.
    found = (path for folder in folders if (path := Path(folder, COLLECTION)).exists())
    if not (plugins := next(found, None)):
        return ""
    digest = hashlib.sha256()
    for package in ("ansible", "ansible-core"):
        digest.update(f"{package} {version(package)}\n".encode())
    for folder in ("modules", "module_utils"):
        for path in sorted((plugins / folder).glob("*.py")):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    # Collections of the package ansible are in none of the folders; those in them come before.
    for folder in folders:
        for path in sorted(Path(folder).glob("ansible_collections/*/*/MANIFEST.json")):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def link(cache: Path, name: str) -> None:
    """Let this run use, and add to, what others have packed under that name."""
    shared = cache / name
    shared.mkdir(parents=True, exist_ok=True)
    os.utime(shared)
    Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(shared)
    # Another run may remove them at the same time.
    with suppress(FileNotFoundError):
        for former in sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(former, ignore_errors=True)


class CallbackModule(CallbackBase):
    """Made once a run, before its first task."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_cache"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        cache = os.environ.get("AILAB_HUB_MODULE_CACHE")
        name = key(constants.config.get_config_value("COLLECTIONS_PATHS"))
        if cache and name:
            link(Path(cache), name)
