# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare-metal hosts: systemd as first process, SSH, an engine of their own once a role installs it.

A host is a container that behaves as a customer's server. An instance is a set of hosts that is
made and removed together; its name is this checkout's own, so that two checkouts do not meet.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import images, network, packages, rootfs
from .engine import LABEL, NETWORK, Engine
from .registry import HOSTNAME, Registry
from .system import TestbedError, cache, lock, require, run, step

CHECKOUT = Path(__file__).resolve().parents[2]
# Every capability the engine of Debian 12 knows, but SYS_RESOURCE: machines without that one
# (--privileged fails there) can make hosts too.
CAPABILITIES = """
    AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
    FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MKNOD NET_ADMIN NET_BIND_SERVICE
    NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT
    SYS_NICE SYS_PACCT SYS_PTRACE SYS_TTY_CONFIG
"""
DEVICES = ("/dev/fuse", "/dev/net/tun")
USER = "admin"
SNAPSHOTS = "ailab-hub-testbed/snapshot"
BOOT_SECONDS = 90
IS_RUNNING = ("timeout", str(BOOT_SECONDS), "systemctl", "is-system-running", "--wait")
STOP_SECONDS = 30
# Layers of images never change, so any number of hosts share their files as hard links; what
# belongs to a container is copied.
COPY_DATA = """
set -e
cd /volumes/$1/_data
target=/volumes/$2/_data
find . -mindepth 1 -maxdepth 1 ! -name overlay2 -exec cp -a -t $target {} +
[ -d overlay2 ] || exit 0
cp -a -l overlay2 $target
for file in image/overlay2/layerdb/mounts/*/*-id; do
    [ -e $file ] || continue
    rm -rf $target/overlay2/$(cat $file)
    cp -a overlay2/$(cat $file) $target/overlay2
done
"""


def scope(instance: str) -> str:
    """The name of this checkout's instance among those of all checkouts."""
    return f"{instance}-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Host:
    """One server of an instance."""

    engine: Engine
    instance: str
    name: str

    @property
    def container(self) -> str:
        return f"ailab-hub-testbed-{scope(self.instance)}-{self.name}"

    def up(self, suite: str, store: Registry | None = None, snapshot: str | None = None) -> None:
        """Have the host run and answer by SSH; a new one starts from a snapshot if one is named.

        It knows the registry ``store``; without one it pulls official images.
        """
        labels = {
            LABEL: "host",
            f"{LABEL}.instance": scope(self.instance),
            f"{LABEL}.name": self.name,
            f"{LABEL}.suite": suite,
            f"{LABEL}.registry": store.name if store else "",
        }
        made = self.engine.inspect("container", self.container)
        image = "" if made else images.host(self.engine, suite)
        with step(f"starting host {self.name}"):
            if not made:
                self._create(labels, image, store, snapshot)
            elif any(
                made[0]["Config"]["Labels"].get(key) != value for key, value in labels.items()
            ):
                raise TestbedError(
                    f"host {self.name} is there with another suite or other bases: remove it first"
                )
            else:
                self.engine("start", self.container)
            self._await_boot()

    def save(self, snapshot: str) -> None:
        """Keep file system and engine's data as a snapshot; the host is powered off meanwhile."""
        made = self.engine.inspect("container", self.container)
        if not made:
            raise TestbedError(f"instance {self.instance} has no host {self.name}")
        with step(f"saving host {self.name} as {snapshot}"), lock(f"snapshot-{snapshot}"):
            remove_snapshot(self.engine, snapshot)
            self.engine("stop", "-t", str(STOP_SECONDS), self.container)
            try:
                label = {LABEL: "snapshot"}
                _make_volume(
                    self.engine, _volume(snapshot), label, made[0]["Image"], self.container
                )
                self.engine(
                    "commit", f"--change=LABEL {LABEL}=snapshot", self.container, _image(snapshot)
                )
            finally:
                self.engine("start", self.container)
            self._await_boot()

    def _create(
        self, labels: dict[str, str], image: str, store: Registry | None, snapshot: str | None
    ) -> None:
        if snapshot and snapshot not in snapshots(self.engine):
            raise TestbedError(
                f"no snapshot {snapshot}; there are: {', '.join(snapshots(self.engine))}"
            )
        source = _volume(snapshot) if snapshot else None
        _make_volume(self.engine, self.container, labels, image, source)
        # The default network's resolvers are real ones; on ours there is only Docker's own at
        # 127.0.0.11, out of reach for the containers of an engine inside the host.
        resolvers = self.engine("run", "--rm", image, "cat", "/etc/resolv.conf")
        with network.free_address(self.engine) as address:
            self.engine(
                "run",
                "--detach",
                f"--name={self.container}",
                f"--hostname={self.name}",
                *(f"--label={key}={value}" for key, value in labels.items()),
                f"--network={NETWORK}",
                f"--ip={address}",
                *(f"--add-host={name}" for name in _names(self.engine, store)),
                "--cap-drop=ALL",
                *(f"--cap-add={capability}" for capability in CAPABILITIES.split()),
                *(f"--device={device}" for device in DEVICES if os.path.exists(device)),
                "--security-opt=seccomp=unconfined",
                "--security-opt=apparmor=unconfined",
                "--security-opt=systempaths=unconfined",
                "--cgroupns=private",
                "--tmpfs=/run",
                "--tmpfs=/tmp:exec",
                f"--volume={self.container}:/var/lib/docker",
                f"--env=TESTBED_RESOLV_CONF={resolvers}",
                f"--env=TESTBED_SSH_KEY={key(self.instance).with_suffix('.pub').read_text()}",
                # A reboot ends the first process: the engine is what powers the server on again.
                "--restart=unless-stopped",
                _image(snapshot) if snapshot else image,
            )

    def _await_boot(self) -> None:
        """Wait until systemd has started everything and SSH answers."""
        deadline = time.monotonic() + BOOT_SECONDS
        state = banner = ""
        while state not in ("running", "degraded") and time.monotonic() < deadline:
            state = self.engine("exec", self.container, *IS_RUNNING, check=False)
            time.sleep(0.1)
        address = network.address(self.engine.inspect("container", self.container)[0])
        while not banner.startswith("SSH-"):
            try:
                with socket.create_connection((address, 22), timeout=2) as connection:
                    banner = connection.recv(64).decode(errors="replace")
            except OSError as error:
                banner = str(error)
                time.sleep(0.2)
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"host {self.name} does not boot: systemd says {state or 'nothing'}, SSH {banner!r}; see docker logs {self.container}"
                )


def down(engine: Engine, instance: str, name: str | None = None) -> None:
    """Remove a host, or all of an instance and its key. Nothing of another instance is touched."""
    labels = [f"{LABEL}.instance={scope(instance)}"] + ([f"{LABEL}.name={name}"] if name else [])
    for kind, command in (("container", ["rm", "--force"]), ("volume", ["volume", "rm"])):
        if found := engine.labelled(kind, *labels):
            with step(f"removing {', '.join(found)}"):
                engine(*command, *found)
    if not name:
        shutil.rmtree(_folder(instance), ignore_errors=True)


def snapshots(engine: Engine) -> list[str]:
    """Names of all snapshots."""
    return sorted(engine("image", "ls", "--format={{.Tag}}", SNAPSHOTS).split())


def remove_snapshot(engine: Engine, snapshot: str) -> None:
    """Remove a snapshot if there is one; hosts made from it stay."""
    engine("image", "rm", "--force", _image(snapshot), check=False)
    engine("volume", "rm", "--force", _volume(snapshot))


def describe(engine: Engine, instance: str) -> dict[str, dict[str, Any]]:
    """Every host of an instance by name: its ``address`` and its ``registry`` ("" for none)."""
    containers = engine.labelled("container", f"{LABEL}.instance={scope(instance)}")
    return {
        labels[f"{LABEL}.name"]: {
            "address": network.address(container),
            "registry": labels[f"{LABEL}.registry"],
        }
        for container in engine.inspect("container", *containers)
        if (labels := container["Config"]["Labels"])
    }


def inventory(engine: Engine, instance: str) -> str:
    """An Ansible inventory of an instance: group ``hub``, and what overlays need to know."""
    hosts = describe(engine, instance)
    if not hosts:
        raise TestbedError(f"instance {instance} has no hosts")
    store = next(iter(hosts.values()))["registry"]
    variables = {
        "ansible_user": USER,
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(key(instance)),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        "testbed_registry": store,
        "testbed_registry_ca_file": str(cache("registry-ca.pem")) if store else "",
        "testbed_packages_url": packages.URL if store else "",
        "testbed_packages_key_checksum": packages.key_checksum() if store else "",
        "testbed_ca_file": str(rootfs.BUNDLE) if rootfs.added_authorities() else "",
    }
    lines = ["hub:", "  hosts:"]
    for name, host in sorted(hosts.items()):
        lines += [f"    {name}:", f"      ansible_host: {host['address']}"]
    lines += ["  vars:", *(f"    {key}: {json.dumps(value)}" for key, value in variables.items())]
    return "\n".join(lines) + "\n"


def _names(engine: Engine, store: Registry | None) -> list[str]:
    """What a host knows of the testbed, as ``name:address``; nothing where all is official."""
    if not store:
        return []
    return [f"{HOSTNAME}:{store.address}", f"{packages.HOSTNAME}:{packages.address(engine)}"]


def _image(snapshot: str) -> str:
    return f"{SNAPSHOTS}:{snapshot}"


def _volume(snapshot: str) -> str:
    return f"ailab-hub-testbed-snapshot-{snapshot}"


def _folder(instance: str) -> Path:
    return cache("instances", scope(instance))


def key(instance: str) -> Path:
    """The private key of an instance, made on first use."""
    require("ssh-keygen")
    file = _folder(instance) / "id_ed25519"
    with lock("keys"):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", file)
    return file


def _make_volume(
    engine: Engine, volume: str, labels: dict[str, str], image: str, source: str | None
) -> None:
    """Make a volume for an engine's data: empty, or a copy of another one made in an image."""
    engine("volume", "rm", "--force", volume)
    engine("volume", "create", *(f"--label={key}={value}" for key, value in labels.items()), volume)
    if source:
        mount = engine("info", "--format={{.DockerRootDir}}/volumes:/volumes")
        shell = ["sh", "-c", COPY_DATA, "sh", source, volume]
        engine("run", "--rm", "--network=none", f"--volume={mount}", image, *shell)
