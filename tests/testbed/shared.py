# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all instances of this machine share: made by whoever comes first, removed by the last."""

from __future__ import annotations

import shutil

from . import engine, packages, registry
from .engine import LABEL, NETWORK, Engine
from .system import TestbedError, cache, lock, say


def release() -> None:
    """Remove registry, package repository, network and a private engine if nobody uses them.

    It says so. Images and what registry and repository hold stay in the cache, so that the next time is quick.
    """
    with lock("busy", wait=False) as alone:
        running = engine.running()
        if not running:
            return
        if not alone:
            return say("engine and registry stay: another command of the testbed uses them")
        if hosts := running.labelled("container", f"{LABEL}=host"):
            return say(f"engine and registry stay for {', '.join(hosts)}")
        _remove(running)
        engine.down()


def purge() -> None:
    """Remove all the testbed keeps: images, snapshots, registry, cache."""
    with lock("busy", wait=False) as alone:
        if not alone:
            raise TestbedError("another command of the testbed uses the cache")
        if running := engine.running():
            if hosts := running.labelled("container", f"{LABEL}=host"):
                raise TestbedError(f"hosts use the cache, remove them first: {', '.join(hosts)}")
            _remove(running)
            # The private engine's are in the cache folder.
            if not running.private:
                images = running("image", "ls", "--quiet", f"--filter=label={LABEL}").split()
                running("image", "rm", "--force", *images, check=False)
                running("volume", "rm", *running.labelled("volume", LABEL), check=False)
        if not engine.down():
            raise TestbedError(f"the private engine has other containers, so {cache()} stays")
        shutil.rmtree(cache())
    say(f"{cache()} is removed")


def _remove(running: Engine) -> None:
    running("rm", "--force", registry.CONTAINER, packages.CONTAINER, check=False)
    running("network", "rm", NETWORK, check=False)
