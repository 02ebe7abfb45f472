# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real registry on the hosts' network, reached by name and trusted by a CA of its own."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from . import images, network, rootfs
from .engine import LABEL, NETWORK, Engine
from .system import TestbedError, cache, lock, step

HOSTNAME = "registry.testbed"
PORT = 5000
CONTAINER = VOLUME = "ailab-hub-testbed-registry"
SUITE = "bookworm"
START_SECONDS = 30


@dataclass(frozen=True)
class Registry:
    """A registry that answers: the address hosts reach, and the CA (a file) they have to trust."""

    engine: Engine
    address: str
    ca_file: Path

    @property
    def name(self) -> str:
        return f"{HOSTNAME}:{PORT}"

    def digest(self, repository: str, tag: str) -> str | None:
        """What a tag stands for, or None if the registry does not have it."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = http.client.HTTPConnection(self.address, PORT, timeout=10)
        plain = socket.create_connection((self.address, PORT), timeout=10)
        connection.sock = context.wrap_socket(plain, server_hostname=HOSTNAME)
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=accept)
        answer = connection.getresponse()
        connection.close()
        return answer.headers["Docker-Content-Digest"] if answer.status == 200 else None

    def publish(self, image: str, repository: str, tag: str) -> None:
        """Have ``repository:tag`` be this image; pushed only if it is not."""
        with lock("publish"):
            build = f"{tag}-{image.rpartition('-')[2]}"
            digest = self.digest(repository, build)
            if digest and digest == self.digest(repository, tag):
                return
            # Every engine trusts a registry on this machine, so none has to be given our CA.
            local = self.engine("port", CONTAINER, f"{PORT}/tcp").splitlines()[0]
            with step(f"pushing {repository}:{tag}"):
                for name in (f"{local}/{repository}:{build}", f"{local}/{repository}:{tag}"):
                    self.engine("tag", image, name)
                    self.engine("push", name)
                    self.engine("rmi", name)


def up(engine: Engine) -> Registry:
    """Have the registry run; what was pushed before is still in it."""
    image = images.build(engine, "registry", rootfs.base(engine, SUITE))
    address = str(network.up(engine)[2])
    ca_file = cache("registry-ca.pem")
    with lock("registry"):
        container = next(iter(engine.inspect("container", CONTAINER)), None)
        if (
            not container
            or not container["State"]["Running"]
            or container["Config"]["Image"] != image
        ):
            with step("starting the registry"):
                engine("rm", "--force", CONTAINER, check=False)
                engine("volume", "create", f"--label={LABEL}=registry", VOLUME)
                engine(
                    "run",
                    "--detach",
                    f"--name={CONTAINER}",
                    f"--label={LABEL}=registry",
                    f"--network={NETWORK}",
                    f"--ip={address}",
                    f"--publish=127.0.0.1::{PORT}",
                    f"--volume={VOLUME}:/var/lib/registry",
                    f"--env=REGISTRY_NAME={HOSTNAME}",
                    "--restart=unless-stopped",
                    image,
                )
        _await(address)
        authority = engine("exec", CONTAINER, "cat", "/var/lib/registry/tls/ca.pem")
        if not ca_file.exists() or ca_file.read_text() != authority:
            ca_file.write_text(authority)
    return Registry(engine, address, ca_file)


def _await(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((address, PORT), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise TestbedError(f"the registry does not answer at {address}: {error}") from error
            time.sleep(0.2)
