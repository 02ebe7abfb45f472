# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JupyterHub started in memory, as far as it goes without network, Docker and files."""

from __future__ import annotations

import copy
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyterhub import orm, scopes
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.crypto import CryptKeeper
from jupyterhub.proxy import Proxy
from jupyterhub.services.service import Service
from jupyterhub.spawner import Spawner
from traitlets import HasTraits, TraitType
from traitlets.config import Config, Configurable

from .errors import SettingError

if TYPE_CHECKING:
    from jupyterhub.user import User

__all__ = [
    "CLASS_TRAITS",
    "ENTRY_POINT_GROUPS",
    "Authenticator",
    "Failure",
    "JupyterHub",
    "Rehearsal",
]

CLASS_TRAITS: dict[str, type[Configurable]] = {
    "authenticator_class": Authenticator,
    "spawner_class": Spawner,
    "proxy_class": Proxy,
}
ENTRY_POINT_GROUPS = {
    "authenticator_class": "jupyterhub.authenticators",
    "spawner_class": "jupyterhub.spawners",
    "proxy_class": "jupyterhub.proxies",
}

_USER = "somebody"


@dataclass(frozen=True)
class Failure:
    """A step of JupyterHub's start that failed, and what in the configuration it belongs to."""

    step: str
    section: str
    trait: str
    error: BaseException

    @property
    def label(self) -> str:
        """What failed, in the words of the configuration."""
        return f"{self.section}.{self.trait}" if self.trait else self.section

    def leave_out(self, config: Config) -> bool:
        """Take what failed out of `config`; return whether a new try makes sense."""
        replacements = {
            "authenticator": ("authenticator_class", "null"),
            "proxy": ("proxy_class", "configurable-http-proxy"),
        }
        if self.step in replacements:
            trait, name = replacements[self.step]
            if config.JupyterHub.get(trait) == name:
                return False
            config.JupyterHub[trait] = name
            if self.step == "proxy":
                for section in ("Proxy", "ConfigurableHTTPProxy"):
                    config.pop(section, None)
            return True
        if self.trait and self.trait in config.get(self.section, {}):
            del config[self.section][self.trait]
            return True
        return False


class Rehearsal:
    """One start of JupyterHub with a configuration.

    Attributes:
        objects: what JupyterHub made, by class.
    """

    def __init__(self, config: Config) -> None:
        self.objects: dict[type[Configurable], HasTraits] = {}
        self._config = config
        self._app: Any = None
        self._lab: Any = None

    @staticmethod
    def other_classes() -> list[type[Configurable]]:
        """The classes JupyterHub uses whatever the configuration says."""
        from jupyter_events import EventLogger
        from jupyterhub.metrics import PeriodicMetricsCollector

        classes: list[type[Configurable]] = [CryptKeeper, EventLogger, PeriodicMetricsCollector]
        try:
            from jupyterhub.httpclient import JupyterHubHTTPClient
        except ImportError:
            # since JupyterHub 6
            return [*classes, Service]
        return [*classes, JupyterHubHTTPClient, Service]

    @staticmethod
    def known_scopes() -> set[str]:
        """Every scope a role can have."""
        return set(scopes.scope_definitions)

    @staticmethod
    def service_fields() -> dict[str, TraitType[Any, Any]]:
        """The fields of an entry in ``JupyterHub.services``."""
        fields: dict[str, TraitType[Any, Any]] = Service.class_traits(input=True)
        return fields

    async def run(self) -> Failure | None:
        """Take the steps of JupyterHub's start; return the first that fails."""
        JupyterHub.clear_instance()
        CryptKeeper.clear_instance()
        section = trait = ""
        for step, section, trait in (
            ("options", "JupyterHub", ""),
            ("encryption", "CryptKeeper", ""),
            ("cookie_secret", "JupyterHub", "cookie_secret_file"),
            ("database", "JupyterHub", "db_url"),
            ("hub", "JupyterHub", "hub_bind_url"),
            ("authenticator", "", ""),
            ("auth_state", "Authenticator", "enable_auth_state"),
            ("proxy", "", ""),
            ("custom_scopes", "JupyterHub", "custom_scopes"),
            ("role_creation", "JupyterHub", "load_roles"),
            ("users", "Authenticator", "admin_users"),
            ("groups", "JupyterHub", "load_groups"),
            ("services", "JupyterHub", "services"),
            ("api_tokens", "JupyterHub", "services"),
            ("role_assignment", "JupyterHub", "load_roles"),
            ("pages", "JupyterHub", ""),
            ("handlers", "JupyterHub", "extra_handlers"),
            ("spawner", "", ""),
            ("volumes", "", "volumes"),
            ("mounts", "", "mounts"),
        ):
            try:
                done = getattr(self, f"_do_{step}")()
                if inspect.isawaitable(done):
                    await done
            except BaseException as error:
                return Failure(step, section or self._class_of(step), trait, error)
        return None

    def entries(self, failure: Failure) -> list[Any]:
        """The value of the trait that failed, as one value for each of its entries, if any."""
        if failure.section != "JupyterHub" or not failure.trait:
            return []
        value = getattr(self._app, failure.trait)
        if isinstance(value, list):
            return [[entry] for entry in value]
        if isinstance(value, dict):
            return [{key: entry} for key, entry in value.items()]
        return []

    @staticmethod
    def joined(entries: list[Any], some: list[Any]) -> Any:
        """Return the value that `some` of the `entries` of a trait are when taken together."""
        if isinstance(entries[0], dict):
            return {key: value for entry in some for key, value in entry.items()}
        return [value for entry in some for value in entry]

    def warnings(self) -> list[tuple[str, str, str]]:
        """What JupyterHub would only write to its log: class, trait and message."""
        authenticator = self._app.authenticator
        name = type(authenticator).__name__
        if getattr(authenticator, "any_allow_config", True):
            return []
        return [
            (
                name,
                "",
                f"{name} lets nobody in: set one of allow_all, allowed_users, "
                "allow_existing_users or the groups of the authenticator",
            )
        ]

    def _class_of(self, step: str) -> str:
        trait = {"authenticator": "authenticator_class", "proxy": "proxy_class"}.get(
            step, "spawner_class"
        )
        return str(getattr(self._app, trait).__name__)

    def _made(self, thing: Any) -> None:
        self.objects[type(thing)] = thing

    # -- the steps: each does what JupyterHub.initialize does, in its order -------------------

    def _do_options(self) -> None:
        # without classes= JupyterHub imports every installed authenticator and spawner
        self._app = JupyterHub.instance(classes=[JupyterHub])
        self._app.update_config(copy.deepcopy(self._config))
        self._made(self._app)

    def _do_encryption(self) -> None:
        self._made(CryptKeeper.instance(config=self._app.config))

    def _do_cookie_secret(self) -> None:
        file = Path(self._app.cookie_secret_file).expanduser().absolute()
        if os.access(file, os.R_OK):
            self._app.init_secrets()
        elif not self._app.cookie_secret:
            # JupyterHub would write a new one
            self._app.cookie_secret = bytes(32)

    def _do_database(self) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError

        # finds the driver and checks the arguments, connects to nothing
        if not self._app.db_url.startswith("sqlite"):
            try:
                create_engine(self._app.db_url, **self._app.db_kwargs)
            except ArgumentError:
                raise SettingError(
                    "is no address of a database SQLAlchemy knows, "
                    "such as postgresql://USER:PASSWORD@HOST/NAME"
                ) from None
        self._app.db_url, self._app.db_kwargs = "sqlite:///:memory:", {}
        self._app.upgrade_db = self._app.reset_db = False
        # comparing schemas takes longest of all, and this database is new
        compare, orm.check_db_revision = orm.check_db_revision, lambda _: None
        try:
            self._app.init_db()
        finally:
            orm.check_db_revision = compare

    def _do_hub(self) -> None:
        self._app.init_hub()

    def _do_authenticator(self) -> None:
        authenticator = self._app.authenticator
        self._made(authenticator)

        async def no_roles() -> list[Any]:
            return []

        # They act on the world: accounts are made, a directory is asked.
        authenticator.add_user = lambda _: None
        authenticator.load_managed_roles = no_roles

    def _do_auth_state(self) -> None:
        if self._app.authenticator.enable_auth_state and not CryptKeeper.instance().keys:
            raise SettingError(
                "needs CryptKeeper.keys or the environment variable JUPYTERHUB_CRYPT_KEY"
            )

    def _do_proxy(self) -> None:
        self._app.init_proxy()
        self._made(self._app.proxy)

    def _do_custom_scopes(self) -> None:
        if self._app.custom_scopes:
            scopes.define_custom_scopes(self._app.custom_scopes)

    async def _do_role_creation(self) -> None:
        self._app.init_oauth()
        await self._app.init_role_creation()

    async def _do_users(self) -> None:
        authenticator = self._app.authenticator
        for trait in ("admin_users", "allowed_users"):
            for name in getattr(authenticator, trait):
                if not authenticator.validate_username(authenticator.normalize_username(name)):
                    raise SettingError(
                        f"a name in {trait} is not valid: names may not be empty, contain / or "
                        "begin or end with a space, and must match username_pattern"
                    )
        await self._app.init_users()

    async def _do_groups(self) -> None:
        await self._app.init_groups()

    def _do_services(self) -> None:
        self._app.init_services()

    async def _do_api_tokens(self) -> None:
        await self._app.init_api_tokens()

    async def _do_role_assignment(self) -> None:
        await self._app.init_role_assignment()

    def _do_pages(self) -> None:
        self._app.init_eventlog()
        self._made(self._app.eventlog)
        self._app.init_tornado_settings()

    def _do_handlers(self) -> None:
        self._app.init_handlers()
        self._app.init_tornado_application()

    def _spawner_of_a_user(self) -> Any:
        orm_user = orm.User(name=_USER)
        self._app.db.add(orm_user)
        self._app.db.commit()
        user: User = self._app.users.add(orm_user)
        return user.spawners[""]

    def _do_spawner(self) -> None:
        self._lab = self._spawner_of_a_user()
        self._made(self._lab)

    def _do_volumes(self) -> None:
        self._fill_templates("volume_binds")

    def _do_mounts(self) -> None:
        self._fill_templates("mount_binds")

    def _fill_templates(self, name: str) -> None:
        """Have a DockerSpawner fill in the templates of its mounts for a user."""
        try:
            getattr(self._lab, name, None)
        except (KeyError, IndexError, ValueError):
            fields = ", ".join(f"{{{field}}}" for field in sorted(self._lab.template_namespace()))
            raise SettingError(
                f"a source or a target is missing or is no template; known fields are {fields}"
            ) from None
