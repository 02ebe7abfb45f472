#!/usr/bin/env python3
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Becomes JupyterLab."""

import os
import sys

os.execvp("jupyter", ["jupyter", "lab", *sys.argv[1:]])
