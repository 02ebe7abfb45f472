# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of a network, by Python's own ipaddress module."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

DOCUMENTATION = r"""
name: subnet_address
short_description: The address at a position of a network
version_added: 0.1.0
description:
  - Gives the address at a position of an IPv4 or IPv6 network in CIDR notation, position 0 being the network's own address.
author:
  - ailab.hub contributors
positional: _input, position
options:
  _input:
    description: The network in CIDR notation.
    type: str
    required: true
  position:
    description: The position; a negative one counts from the end.
    type: int
    required: true
seealso:
  - plugin: ailab.hub.subnet_upper_half
    plugin_type: filter
  - name: ansible.utils.ipaddr
    description: Does the same and much more, and needs the Python package netaddr on the controller.
    link: https://docs.ansible.com/ansible/latest/collections/ansible/utils/ipaddr_filter.html
"""

EXAMPLES = r"""
- name: The address behind the gateway, 10.230.0.2
  ansible.builtin.debug:
    msg: "{{ '10.230.0.0/20' | ailab.hub.subnet_address(2) }}"
"""

RETURN = r"""
_value:
  description: The address.
  type: str
  sample: 10.230.0.2
"""


def subnet_address(network: str, position: int) -> str:
    """Return the address at ``position`` of ``network``; ValueError or IndexError where there is none."""
    return str(ipaddress.ip_network(str(network))[position])


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"subnet_address": subnet_address}
