# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's modules, run in the process of the tests.

Importing this makes `ansible_collections.ailab.hub` importable from a checkout under any folder
name, with Ansible's own import machinery: the tests import modules by the names they have on a host.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.loader import init_plugin_loader

ROOT = Path(__file__).resolve().parents[1]
init_plugin_loader([str(ROOT / "collections")])

RunModule = Callable[..., dict[str, Any]]


def module_runner(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunModule:
    """Return a function (module, check_mode=, diff=, **options) that returns a module's result."""

    def run(
        module: ModuleType, *, check_mode: bool = False, diff: bool = False, **options: Any
    ) -> dict[str, Any]:
        arguments = {**options, "_ansible_check_mode": check_mode, "_ansible_diff": diff}
        warnings: list[str] = []
        # In a process that also has the controller's code loaded, warnings go to its display.
        monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text: warnings.append(text))
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return {**result, "warnings": warnings}

    return run
