# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the testbed finds out about the machine it runs on."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.testbed import engine, rootfs, system


def certificate(content: str) -> str:
    text = base64.b64encode(content.encode()).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose distribution ships one certificate."""
    (tmp_path / "shipped" / "mozilla").mkdir(parents=True)
    (tmp_path / "shipped" / "mozilla" / "one.crt").write_text(certificate("shipped"))
    monkeypatch.setattr(rootfs, "DISTRIBUTED", tmp_path / "shipped")
    monkeypatch.setattr(rootfs, "BUNDLE", tmp_path / "bundle.crt")
    return tmp_path


def test_authorities_the_owner_added_are_told_from_those_of_the_distribution(machine: Path) -> None:
    added = certificate("company")
    (machine / "bundle.crt").write_text(certificate("shipped") + f"# a comment\n{added}")
    assert rootfs.added_authorities() == [added]


def test_a_machine_without_additions_has_none(machine: Path) -> None:
    (machine / "bundle.crt").write_text(certificate("shipped"))
    assert rootfs.added_authorities() == []


def test_the_testbed_keeps_off_the_machines_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = "default via 10.192.0.1 dev eth0\n10.192.0.0/24 dev eth0\nbroadcast 10.193.255.255 dev vpn\n10.194.7.1 dev vpn\n"
    monkeypatch.setattr(engine, "run", lambda *_: routes)
    assert engine._free_prefix() == "10.195"


def test_no_free_network_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "run", lambda *_: "10.0.0.0/8 dev vpn\n")
    with pytest.raises(system.TestbedError, match="no free network"):
        engine._free_prefix()
