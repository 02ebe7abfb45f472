# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module in this process, with its arguments as Ansible hands them over."""

from __future__ import annotations

import pytest

from tests.modules import RunModule, module_runner


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunModule:
    """A function (module, check_mode=, diff=, **options) that returns the module's result."""
    return module_runner(capsys, monkeypatch)
