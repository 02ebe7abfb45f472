# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images the collection builds on: stand-ins made here, unless the official ones are in reach.

A stand-in is built from packages of Debian, PyPI and npm, is published under the official name
and version in the testbed's registry, and behaves as the official image where the collection
can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from . import images, packages, registry, rootfs
from .engine import Engine
from .registry import Registry

AI_LAB = "6.0.0"
DOCKER_STACKS = "2026-10-05"
JUPYTERHUB = "5.5.4"
PROXY = "5.3.0"
SUITE = "bookworm"


def up(engine: Engine, suite: str, versions: Sequence[str] = (JUPYTERHUB,)) -> Registry:
    """Have the registry run with all stand-ins in it, and what hosts of a suite need.

    That is their image and the repository with Docker's packages. There is a stand-in of the hub
    for each of ``versions``.
    """
    base = rootfs.base(engine, SUITE)

    def python() -> str:
        return images.build(engine, "python", base)

    def lab() -> None:
        image = images.build(engine, "ai-lab", python())
        store.result().publish(image, "exasol/ai-lab", AI_LAB)

    def notebook() -> None:
        image = images.build(engine, "base-notebook", python())
        store.result().publish(image, "jupyter/base-notebook", DOCKER_STACKS)

    def hub(version: str) -> None:
        proxy = images.build(
            engine, "configurable-http-proxy", base, python=python(), version=PROXY
        )
        image = images.build(engine, "jupyterhub", python(), proxy=proxy, version=version)
        store.result().publish(proxy, "jupyterhub/configurable-http-proxy", PROXY)
        store.result().publish(image, "jupyterhub/jupyterhub", version)

    with ThreadPoolExecutor() as pool:
        store = pool.submit(registry.up, engine)
        host = pool.submit(images.host, engine, suite)
        repository = pool.submit(packages.up, engine, suite)
        labs = [pool.submit(lab), pool.submit(notebook)]
        for published in [*labs, *(pool.submit(hub, version) for version in versions)]:
            published.result()
        host.result()
        repository.result()
    return store.result()
