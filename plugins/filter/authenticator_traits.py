# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the variables for signing in mean to JupyterHub."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import authenticator_traits

DOCUMENTATION = r"""
name: authenticator_traits
short_description: Makes JupyterHub's traits of the variables for signing in
version_added: 0.1.0
description:
  - Gives the traits of JupyterHub's authenticator, by class and name as in C(jupyterhub_config),
    that variables of role P(ailab.hub.jupyterhub#role) such as C(jupyterhub_authenticator) and
    C(jupyterhub_allowed_users) stand for.
author:
  - ailab.hub contributors
positional: _input
options:
  _input:
    description: The converted variables of the role, without the prefix C(jupyterhub_).
    type: dict
    required: true
seealso:
  - plugin: ailab.hub.split_secret_traits
    plugin_type: filter
    description: Parts them into what may be shown and what is secret.
"""

EXAMPLES = r"""
- name: What the variables mean to JupyterHub is shown
  # {'JupyterHub': {'authenticator_class': 'shared-password'},
  #  'Authenticator': {'admin_users': ['grace'], 'allowed_users': ['alice', 'grace'], ...}}
  ansible.builtin.debug:
    msg: "{{ variables | ailab.hub.authenticator_traits }}"
  vars:
    variables:
      authenticator: shared-password
      admin_users: [grace]
      allowed_users: [alice]
"""

RETURN = r"""
_value:
  description: Traits by class and name.
  type: dict
  sample: {"JupyterHub": {"authenticator_class": "shared-password"}, "Authenticator": {"allow_all": false}}
"""


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"authenticator_traits": authenticator_traits}
