# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import this before JupyterHub to start in half the time.

JupyterHub imports jsonschema, and jsonschema prepares a grammar for a format that JupyterHub
never checks, for over a second. Where the module is missing jsonschema goes without it.
"""

from __future__ import annotations

import sys
from typing import Any

_MODULE = "rfc3987_syntax"

_modules: dict[str, Any] = sys.modules
_modules.setdefault(_MODULE, None)


def undo() -> None:
    """Let whatever comes later import the module."""
    if _modules.get(_MODULE, "") is None:
        del _modules[_MODULE]
