# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors whose text may be shown to anybody."""

from traitlets import TraitError


class SettingError(TraitError):
    """A trait was set to something it does not accept.

    The message names what is expected and never repeats the value: unlike the text of other
    trait errors it may be printed by the configuration check.
    """
