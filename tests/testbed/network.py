# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one network hosts and registry share, with addresses that stay a container's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .engine import LABEL, NETWORK, Engine, address_prefix
from .system import TestbedError, lock

FIRST_HOST = 16
"""Addresses below this one are for what the testbed itself runs."""


def up(engine: Engine) -> ipaddress.IPv4Network:
    """Make the network unless it is there. Returns its addresses."""
    with lock("network"):
        found = engine.inspect("network", NETWORK)
        if not found:
            subnet = f"{address_prefix(engine)}.16.0/20"
            engine("network", "create", f"--label={LABEL}=network", f"--subnet={subnet}", NETWORK)
            found = engine.inspect("network", NETWORK)
    return ipaddress.IPv4Network(found[0]["IPAM"]["Config"][0]["Subnet"])


def address(container: dict[str, Any]) -> str:
    """The address a container (as inspected) was given for good, or has while it runs."""
    attached = container["NetworkSettings"]["Networks"][NETWORK]
    fixed: str = (attached["IPAMConfig"] or {}).get("IPv4Address") or attached["IPAddress"]
    return fixed


@contextmanager
def free_address(engine: Engine) -> Iterator[str]:
    """An address no other container has, running or not; make yours before leaving."""
    network = up(engine)
    with lock("addresses"):
        taken = {
            address(container)
            for container in engine.inspect("container", *engine.labelled("container", LABEL))
            if NETWORK in container["NetworkSettings"]["Networks"]
        }
        for free in list(network.hosts())[FIRST_HOST:]:
            if str(free) not in taken:
                yield str(free)
                return
        raise TestbedError(f"network {NETWORK} has no free address: remove hosts")
