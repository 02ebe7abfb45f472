#!/bin/bash
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Root becomes the notebooks' user, anybody else stays who he is.
set -e
if [ "$(id -u)" = 0 ]; then
    exec sudo --preserve-env --set-home --user "$NB_USER" PATH="$PATH" "$@"
fi
exec "$@"
