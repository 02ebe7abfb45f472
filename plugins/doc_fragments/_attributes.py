# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of this collection say about themselves, in the same words everywhere."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments, one string each."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tells what it would change without changing it.
  diff_mode:
    description: Tells what changed, or would change in C(check_mode), when in diff mode.
  platform:
    description: Systems the module runs on.
    support: full
    platforms: linux
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action changes nothing.
  diff_mode:
    support: N/A
    details:
      - This action changes nothing.
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Has an action plugin, so that a part of it runs on the controller.
    support: full
"""
