# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package under test on the import path, and labs on an engine that records."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from labs import Labs
    from recording_engine import RecordingEngine

PACKAGE = Path(__file__).parents[3] / "roles" / "hub_image" / "files" / "ailab_hub"
sys.path.insert(0, str(PACKAGE))


@pytest.fixture
def engine() -> Iterator[RecordingEngine]:
    """A recording engine that nothing else uses."""
    from recording_engine import recording_engine

    # not tmp_path: the path of a socket has at most 107 letters
    with (
        tempfile.TemporaryDirectory() as directory,
        recording_engine(Path(directory, "docker.sock")) as running,
    ):
        yield running


@pytest.fixture
def labs(engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> Labs:
    """Labs whose Docker client talks to the recording engine."""
    from ailab_hub.spawner import LabSpawner
    from labs import Labs

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    # DockerSpawner keeps one client for the class
    monkeypatch.setattr(LabSpawner, "_client", None)
    monkeypatch.setattr(LabSpawner, "_replaced", set())
    return Labs(engine)
