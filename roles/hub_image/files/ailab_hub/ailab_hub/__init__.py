# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What JupyterHub needs beyond its own parts to serve a lab container to each user.

``spawner``
    :class:`~ailab_hub.spawner.LabSpawner`, a DockerSpawner with a labelled volume per user.
``proxy``
    :class:`~ailab_hub.proxy.RouteKeepingProxy`, routes survive a restart of an external proxy.
``config``
    helpers for ``jupyterhub_config.py``: secrets are read from files.
``check_config``
    ``python -m ailab_hub.check_config FILE`` finds mistakes before JupyterHub starts.
"""
