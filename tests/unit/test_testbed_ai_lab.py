# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for AI Lab starts Jupyter the way AI Lab's own entry point does."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[1] / "testbed" / "recipes" / "ai-lab" / "entrypoint.py"


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    """All that Jupyter's start needs; without groups nothing is done as root."""
    (tmp_path / "defaults" / "data").mkdir(parents=True)
    (tmp_path / "defaults" / "start.ipynb").write_text("default")
    (tmp_path / "defaults" / "data" / "load.ipynb").write_text("default")
    (tmp_path / "notebooks").mkdir()
    return {
        "notebook-defaults": str(tmp_path / "defaults"),
        "notebooks": str(tmp_path / "notebooks"),
        "venv": "/opt/venv",
        "jupyter-server": str(tmp_path / "server"),
        "user": "jupyter",
        "home": "/home/jupyter",
        "password": "ailab",
        "jupyter-logfile": str(tmp_path / "log"),
    }


def start(
    options: dict[str, str], server: str = "", timeout: float = 20
) -> subprocess.CompletedProcess[str]:
    """Run the entry point with a shell script as Jupyter."""
    if server:
        script = Path(options["jupyter-server"])
        script.write_text(f"#!/bin/sh\n{server}\n")
        script.chmod(0o755)
    flags = [f"--{name}={value}" for name, value in options.items()]
    return subprocess.run(
        [sys.executable, ENTRYPOINT, *flags], capture_output=True, text=True, timeout=timeout
    )


def test_jupyter_gets_folder_home_and_venv_and_writes_to_the_logfile(
    options: dict[str, str],
) -> None:
    done = start(
        options, 'echo "$HOME ${PATH%%:*} $*"; echo "Jupyter Server 2 is running at:"; sleep 3'
    )
    assert done.returncode == 0
    first = Path(options["jupyter-logfile"]).read_text().splitlines()[0]
    assert (
        first
        == f"/home/jupyter /opt/venv/bin --notebook-dir={options['notebooks']} --no-browser --allow-root"
    )


def test_failing_jupyter_ends_the_container_with_its_status_and_log(
    options: dict[str, str],
) -> None:
    done = start(options, "echo no space left; exit 7")
    assert done.returncode == 7
    assert "no space left" in done.stderr


def test_jupyter_that_ends_well_before_it_was_ready_leaves_the_container_up(
    options: dict[str, str],
) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        start(options, "exit 0", timeout=4)


def test_a_missing_option_means_to_sleep(options: dict[str, str]) -> None:
    del options["password"]
    with pytest.raises(subprocess.TimeoutExpired):
        start(options, "exit 7", timeout=4)


def test_an_unknown_option_is_refused(options: dict[str, str]) -> None:
    assert start(options | {"ip": "0.0.0.0"}).returncode == 2


def test_only_missing_notebooks_are_added_and_anybody_may_write_them(
    options: dict[str, str],
) -> None:
    notebooks = Path(options["notebooks"])
    (notebooks / "start.ipynb").write_text("mine")
    assert start(options, "exit 7").returncode == 7
    assert (notebooks / "start.ipynb").read_text() == "mine"
    assert (notebooks / "data" / "load.ipynb").read_text() == "default"
    assert stat.S_IMODE((notebooks / "data" / "load.ipynb").stat().st_mode) == 0o666
    assert stat.S_IMODE((notebooks / "data").stat().st_mode) == 0o777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_link_that_points_nowhere_ends_the_container(options: dict[str, str]) -> None:
    (Path(options["notebooks"]) / "old").symlink_to("/nowhere")
    done = start(
        options | {"user": "nobody", "group": "nogroup", "docker-group": "nogroup"}, "exit 0"
    )
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr
