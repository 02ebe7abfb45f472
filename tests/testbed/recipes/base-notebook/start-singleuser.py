#!/usr/bin/env python3
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Becomes a user's server of JupyterHub."""

import os
import shlex
import sys

arguments = shlex.split(os.environ.get("NOTEBOOK_ARGS", ""))
os.execvp(
    "jupyterhub-singleuser",
    ["jupyterhub-singleuser", "--ip=0.0.0.0", *arguments, *sys.argv[1:]],
)
