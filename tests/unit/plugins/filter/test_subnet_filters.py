# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.ailab.hub.plugins.filter.subnet_address import subnet_address
from ansible_collections.ailab.hub.plugins.filter.subnet_upper_half import subnet_upper_half


def test_positions_count_from_the_network_address() -> None:
    assert subnet_address("10.230.0.0/20", 2) == "10.230.0.2"


def test_a_position_outside_the_network_is_an_error() -> None:
    with pytest.raises(IndexError):
        subnet_address("10.230.0.0/30", 4)


def test_the_upper_half_meets_no_address_of_the_lower() -> None:
    half = ipaddress.ip_network(subnet_upper_half("10.230.0.0/20"))
    assert half == ipaddress.ip_network("10.230.8.0/21")
    assert ipaddress.ip_address("10.230.0.3") not in half
