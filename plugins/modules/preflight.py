#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation only. The work is done by the action plugin of the same name, which asks the server
# with the module host_info.

"""Every variable and every server checked before the first change."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check all variables and the server before the first change
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Checks the variables of roles of this collection against their argument specifications and
    against each other, the certificates on the controller, and the server itself.
  - All problems are reported in one failure, each with what was found, what was expected and what
    mends it. Nothing is changed.
  - Returns the values converted to the types the specifications ask for. Ansible's own validation
    lets V("no") and V("8000") through as text, and the roles would go on with the text.
  - Each variable is filled in on its own. Defaults of all roles of the collection count, also
    before the roles run.
  - A variable that begins with the name of a role and that no role knows is a problem. Names listed
    in C(jupyterhub_known_variables) are let through.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.info_module
  - ailab.hub._attributes.action
options:
  roles:
    description: Names of the roles whose variables are checked and returned.
    type: list
    elements: str
    required: true
  check_host:
    description:
      - Whether to ask the server too. That costs one module call.
      - With V(false) no connection is made.
    type: bool
    default: true
notes:
  - What it returns may hold passwords. The result is kept out of every output, as with C(no_log),
    while a failure stays readable. Do not set C(no_log) on the task, which would hide the failure.
  - Values are never part of a message where they may be secret; that is, where an option is marked
    so, and inside dictionaries of free form.
  - Give the task C(any_errors_fatal=true), so that one server with a problem stops the run on all.
seealso:
  - module: ailab.hub.host_info
  - module: ansible.builtin.validate_argument_spec
"""

EXAMPLES = r"""
- name: Inventory and servers are right
  ailab.hub.preflight:
    roles: [docker_engine, lab_image, hub_image, jupyterhub]
  any_errors_fatal: true
  register: _preflight

- name: The hub's port is a number, however the inventory writes it
  ansible.builtin.debug:
    msg: "{{ _preflight.jupyterhub.port + 1 }}"

- name: Only the variables of one role are right
  ailab.hub.preflight:
    roles: [jupyterhub]
    check_host: false
  register: _jupyterhub

- name: With one role its options are found at once
  ansible.builtin.debug:
    msg: "{{ _jupyterhub.bind_address }}"
"""

RETURN = r"""
OPTION:
  description:
    - With one of O(roles), each of its options without the role's name and as the type its
      specification asks for, such as RV(ignore:port) for C(jupyterhub_port).
    - Paths of certificates are absolute. Relative ones are looked for from the playbook's folder,
      then from the inventory's.
  type: raw
  returned: success, with one role
  sample: 8000
ROLE:
  description: With more than one of O(roles), a dictionary of such options for each of them.
  type: dict
  returned: success, with several roles
  sample: {"port": 8000, "bind_address": "127.0.0.1"}
host:
  description: What M(ailab.hub.host_info) found on the server.
  type: dict
  returned: success, if O(check_host) is V(true)
  sample: {"distribution": "Debian", "version": "12", "docker": {"answers": true}}
msg:
  description: All problems, one on each line.
  type: str
  returned: failure
  sample: |-
    1 problem on web1. Nothing was changed.
    1. jupyterhub_port: found "abc", expected a whole number. Write it in digits, without quotes.
"""
