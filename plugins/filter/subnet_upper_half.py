# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The upper half of a network."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

DOCUMENTATION = r"""
name: subnet_upper_half
short_description: The upper half of a network
version_added: 0.1.0
description:
  - Gives the upper half of an IPv4 or IPv6 network, so that addresses given out from it never meet fixed ones in the lower half.
author:
  - ailab.hub contributors
positional: _input
options:
  _input:
    description: The network in CIDR notation.
    type: str
    required: true
seealso:
  - plugin: ailab.hub.subnet_address
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The addresses Docker gives out are in the upper half, 10.230.8.0/21
  ansible.builtin.debug:
    msg: "{{ '10.230.0.0/20' | ailab.hub.subnet_upper_half }}"
"""

RETURN = r"""
_value:
  description: The upper half in CIDR notation.
  type: str
  sample: 10.230.8.0/21
"""


def subnet_upper_half(network: str) -> str:
    """Return the upper half of ``network``; ValueError where it is no network or a single address."""
    return str(list(ipaddress.ip_network(str(network)).subnets())[1])


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"subnet_upper_half": subnet_upper_half}
