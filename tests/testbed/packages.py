# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed apt repository on the hosts' network that stands in for Docker's.

It has docker-ce, docker-ce-cli and containerd.io in two versions, repacked from Debian's packages
of the same suite. Each suite is an image; who needs it first puts it into the server's volume.
"""

from __future__ import annotations

import hashlib
import http.client
import time

from . import images, network, rootfs
from .engine import LABEL, NETWORK, Engine
from .system import TestbedError, cache, lock, step

HOSTNAME = "packages.testbed"
URL = f"http://{HOSTNAME}/linux"
CONTAINER = VOLUME = "ailab-hub-testbed-packages"
SERVER_SUITE = "bookworm"
DISTRIBUTION = "/linux/debian"
FOLDER = "/var/lib/packages"
START_SECONDS = 60


def up(engine: Engine, suite: str) -> None:
    """Have the repository answer, with the packages of a suite in it."""
    server = images.build(engine, "packages-server", rootfs.base(engine, SERVER_SUITE))
    packages = images.build(engine, "packages", rootfs.base(engine, suite))
    with lock("packages"):
        _start(engine, server)
        _publish(engine, suite, packages)
        cache("packages-key.asc").write_bytes(_await(address(engine)))


def address(engine: Engine) -> str:
    """Where the repository is, or will be once it is up."""
    return str(network.up(engine)[3])


def key_checksum() -> str:
    """The checksum of the key the repository is signed with, as ``sha256:...``."""
    return "sha256:" + hashlib.sha256(cache("packages-key.asc").read_bytes()).hexdigest()


def _start(engine: Engine, image: str) -> None:
    container = next(iter(engine.inspect("container", CONTAINER)), None)
    if container and container["State"]["Running"] and container["Config"]["Image"] == image:
        return
    with step("starting the package repository"):
        engine("rm", "--force", CONTAINER, check=False)
        engine("volume", "create", f"--label={LABEL}=packages", VOLUME)
        engine(
            "run",
            "--detach",
            f"--name={CONTAINER}",
            f"--label={LABEL}=packages",
            f"--network={NETWORK}",
            f"--ip={address(engine)}",
            f"--volume={VOLUME}:{FOLDER}",
            "--restart=unless-stopped",
            image,
        )
        _await(address(engine))


def _publish(engine: Engine, suite: str, image: str) -> None:
    folder = f"{FOLDER}/www{DISTRIBUTION}/dists/{suite}"
    if engine("exec", CONTAINER, "cat", f"{folder}/image", check=False) == image:
        return
    with step(f"publishing Docker's packages ({suite})"):
        copy = (
            f"rm -rf {folder} && mkdir -p {folder} && cp -a /srv/packages/dists/{suite}/. {folder}"
        )
        mount = f"--volume={VOLUME}:{FOLDER}"
        engine("run", "--rm", "--network=none", mount, image, "sh", "-c", copy)
        engine("exec", CONTAINER, "sign", suite, image)


def _await(host: str) -> bytes:
    """The key, once the server hands it out."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = http.client.HTTPConnection(host, timeout=5)
            connection.request("GET", f"{DISTRIBUTION}/gpg")
            answer = connection.getresponse()
            key = answer.read()
            connection.close()
            if answer.status == 200:
                return key
            error = f"status {answer.status}"
        except OSError as exc:
            error = str(exc)
        if time.monotonic() > deadline:
            raise TestbedError(f"the package repository does not answer at {host}: {error}")
        time.sleep(0.2)
