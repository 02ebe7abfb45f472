# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs on a recording engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from ailab_hub.spawner import LabSpawner
from jupyterhub import orm
from jupyterhub.auth import Authenticator
from jupyterhub.objects import Hub
from jupyterhub.user import User
from recording_engine import RecordingEngine
from traitlets.config import Config


@dataclass
class Labs:
    """Labs of any users, on one engine, with one configuration."""

    engine: RecordingEngine
    session: Any = field(default_factory=lambda: orm.new_session_factory("sqlite:///:memory:")())

    def spawner(self, user: str = "alice", server: str = "", **traits: Any) -> LabSpawner:
        """Return the LabSpawner of a server of `user`, made the way JupyterHub makes it."""
        orm_user = orm.User.find(self.session, user)
        if orm_user is None:
            orm_user = orm.User(name=user)
            self.session.add(orm_user)
        if server:
            self.session.add(orm.Spawner(name=server, user=orm_user))
        self.session.commit()
        given = {"image": "lab:1", "network_name": "jupyterhub", "cmd": ["start-lab"], **traits}
        settings = {
            "authenticator": Authenticator(),
            "config": Config(LabSpawner={"client_kwargs": {"base_url": self.engine.url}, **given}),
            "hub": Hub(ip="127.0.0.1", port=8081, base_url="/hub/"),
            "spawner_class": LabSpawner,
        }
        spawner = User(orm_user, settings).spawners[server]
        spawner.api_token = "token"
        assert isinstance(spawner, LabSpawner)
        return spawner

    def start(self, user: str = "alice", server: str = "", **traits: Any) -> dict[str, Any]:
        """Start a lab; return the definition of its container as the engine received it."""
        spawner = self.spawner(user, server, **traits)
        asyncio.run(spawner.start())
        return self.engine.created[spawner.object_name]
