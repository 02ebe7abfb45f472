# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for JupyterHub's REST API have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments, one string each."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the hub as people enter it, such as V(https://hub.example.org/), or of its API,
        such as V(https://hub.example.org/hub/api).
      - On a server of this collection that is V(http://127.0.0.1:8000/), with the values of
        C(jupyterhub_bind_address) and C(jupyterhub_port).
      - A redirect is not followed, since the token would follow it.
    type: str
    required: true
  token:
    description:
      - The API token to use. Exactly one of O(token) and O(token_file) is needed.
      - A token of a user is made on the page C(/hub/token) of the hub.
    type: str
  token_file:
    description:
      - Path of a file on the managed host that holds the API token, so that the token is in no
        inventory and on no network.
      - The role P(ailab.hub.jupyterhub#role) keeps one for these modules in
        C(/var/lib/ailab-hub/secrets/admin_api_token), which only root can read.
    type: path
  ca_path:
    description:
      - Path of a file on the managed host with the certificates, in PEM format, of the authorities
        to trust in place of the ones the host trusts.
    type: path
  validate_certs:
    description:
      - Whether the hub's certificate must be valid.
      - With V(false), whoever stands between can take the token. Use it for a test on one machine
        only.
    type: bool
    default: true
  timeout:
    description:
      - Seconds the hub may take for each whole answer, the look-up of its name included. A slow
        trickle of bytes does not prolong it.
    type: float
    default: 30.0
requirements:
  - JupyterHub 5.0 or newer. Tested with 5.2.1, 5.5.4 and 6.1.1.
notes:
  - It needs no Python library on the managed host but the standard one.
  - The modules ask the hub from the managed host. Where the hub is to be asked from the computer
    Ansible runs on, delegate the task to C(localhost).
  - A proxy that the environment names with E(https_proxy) is used, but never for the managed host
    itself.
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/ailab.hub.jupyterhub) in C(module_defaults) to say once what O(url),
        O(token_file) and their like are for all modules for JupyterHub.
    support: full
    membership:
      - ailab.hub.jupyterhub
"""
