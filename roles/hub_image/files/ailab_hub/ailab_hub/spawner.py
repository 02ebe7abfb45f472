# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spawner: a lab container for each user, with a volume of its own."""

from __future__ import annotations

import hashlib
import posixpath
import string
from collections.abc import Mapping
from typing import Any, ClassVar

from docker.types import Mount
from dockerspawner import DockerSpawner
from traitlets import Enum, Unicode, validate

from .errors import SettingError
from .supplementary_groups import clear_supplementary_groups

_SOCKET_IN_LAB = "/var/run/docker.sock"

# A DNS label: the escaped name is used in host names, too.
_LONGEST_NAME = 63
# 128 bit: nobody finds a name that lands on the volume of somebody else.
_DIGEST_LETTERS = 32

_TEMPLATE_FIELDS = frozenset(
    {
        "imagename",
        "prefix",
        "raw_servername",
        "raw_username",
        "safe_username",
        "servername",
        "username",
    }
)
_FIELDS_OF_ONE_USER = frozenset({"raw_username", "safe_username", "username"})


class LabSpawner(DockerSpawner):
    """A DockerSpawner that gives each user a labelled volume.

    Whatever an administrator sets in DockerSpawner's own traits (``volumes``, ``mounts``,
    ``extra_create_kwargs``, ``extra_host_config``, ...) keeps working: volume, labels and socket
    are added to the finished definition of the container.
    """

    user_volume_name = Unicode(
        "ailab-{username}",
        config=True,
        help="""Name of the volume that keeps a user's files.

        A template as in ``DockerSpawner.volumes``; it must contain ``{username}``. A volume for
        all users is set with ``DockerSpawner.volumes`` or ``DockerSpawner.mounts``.

        Changing it gives every user a new, empty volume; the old ones stay.
        """,
    )

    user_volume_path = Unicode(
        "/home/jupyter/notebooks",
        config=True,
        help="""Where in the lab the user's volume is mounted. Empty: there is no volume.

        Anything the administrator mounts at the same path takes its place.

        Never the home directory of the AI Lab image itself: Docker copies what the image has at
        this path into each new volume and from then on hides the image's newer version.
        """,
    )

    docker_access = Enum(
        ("none", "host"),
        default_value="none",
        config=True,
        help="""Whether code in the lab can use a Docker Engine.

        ``none``
            Nothing is mounted. A command that starts with sudo drops root's supplementary groups
            (see :mod:`ailab_hub.supplementary_groups`).
        ``host``
            The socket of the engine that runs the labs is mounted. This makes every user root
            on that machine and so able to read the files of all others.
        """,
    )

    docker_socket = Unicode(
        "/var/run/docker.sock",
        config=True,
        help="""The socket, on the engine's machine, that ``docker_access = "host"`` mounts.""",
    )

    _replaced: ClassVar[set[str]] = set()

    @validate("user_volume_name")
    def _valid_user_volume_name(self, proposal: Any) -> str:
        if not _template_fields(proposal.value) & _FIELDS_OF_ONE_USER:
            raise SettingError(
                "it must contain {username}, so that every user has a volume of their own; "
                "a volume for all users is set with DockerSpawner.volumes"
            )
        return str(proposal.value)

    @validate("user_volume_path")
    def _valid_user_volume_path(self, proposal: Any) -> str:
        if not proposal.value:
            return ""
        _template_fields(proposal.value)
        return _absolute_path(proposal.value)

    @validate("docker_socket")
    def _valid_docker_socket(self, proposal: Any) -> str:
        return _absolute_path(proposal.value)

    @staticmethod
    def _escape(text: str) -> str:
        """Return `text` as a part of a Docker name, at most 63 characters, distinct for each text.

        Short names are escaped as DockerSpawner does. Of a longer one the beginning is kept and a
        digest of the whole follows. ``-x`` marks it: an escape is ``-`` and a hexadecimal digit,
        so no short name can contain the mark, and ``--``, which separates user and server in
        container names, does not occur.

        Volumes are found by this name for ever: its result must never change.
        """
        escaped: str = DockerSpawner._escape(text)
        if len(escaped) <= _LONGEST_NAME:
            return escaped
        mark = "-x" + hashlib.sha256(escaped.encode()).hexdigest()[:_DIGEST_LETTERS]
        return escaped[: _LONGEST_NAME - len(mark)].rstrip("-") + mark

    async def get_command(self) -> list[str]:
        """Return the command of the lab with its arguments, without root's groups if it can be."""
        command: list[str] = await super().get_command()
        if self.docker_access == "none":
            return clear_supplementary_groups(command)
        return command

    def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the Docker client in the background; return its future.

        The definition of a lab passes here once it is complete, after every trait and hook of
        the administrator. Only labs are created with a name.
        """
        if method == "create_container" and "name" in kwargs:
            kwargs = self._complete(kwargs)
        return super().docker(method, *args, **kwargs)

    def _complete(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition of a lab with labels, the user's volume and the socket added."""
        complete = dict(definition)
        labels = complete.get("labels") or {}
        if not isinstance(labels, Mapping):
            labels = dict.fromkeys(labels, "")
        complete["labels"] = {**labels, **self._labels("lab")}

        host_config = complete["host_config"]
        taken = _mount_targets(host_config)
        added = [mount for mount in self._own_mounts() if not self._is_replaced(mount, taken)]
        if added:
            host_config["Mounts"] = [*(host_config.get("Mounts") or ()), *added]
        return complete

    def _own_mounts(self) -> list[Mount]:
        mounts = []
        if self.user_volume_path:
            mounts.append(
                Mount(
                    target=self.format_volume_name(self.user_volume_path, self),
                    source=self.format_volume_name(self.user_volume_name, self),
                    type="volume",
                    labels=self._labels("user-volume"),
                )
            )
        if self.docker_access == "host":
            # as a mount, not a bind: Docker makes a directory where the source of a bind is missing
            mounts.append(Mount(target=_SOCKET_IN_LAB, source=self.docker_socket, type="bind"))
        return mounts

    def _is_replaced(self, mount: Mount, taken: set[str]) -> bool:
        target = mount["Target"]
        if _comparable(target) not in taken:
            return False
        if target not in self._replaced:
            self._replaced.add(target)
            self.log.info(
                "The configuration mounts something else at %s: %s %s is not mounted there",
                target,
                "the user volume" if mount["Type"] == "volume" else "the socket",
                mount["Source"],
            )
        return True

    def _labels(self, kind: str) -> dict[str, str]:
        return {"ailab.hub": kind, "ailab.hub.user": self.user.name}


def _mount_targets(host_config: Mapping[str, Any]) -> set[str]:
    """The paths in the container at which `host_config`, in the form of Docker's API, mounts."""
    targets = [mount["Target"] for mount in host_config.get("Mounts") or ()]
    targets += host_config.get("Tmpfs") or ()
    # SOURCE:TARGET[:MODE], or TARGET alone
    targets += [bind.split(":")[:2][-1] for bind in host_config.get("Binds") or ()]
    return {_comparable(target) for target in targets}


def _comparable(path: str) -> str:
    path = posixpath.normpath(path)
    # /var/run is a link to /run in every current image
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def _template_fields(template: str) -> set[str]:
    try:
        fields = {
            field
            for _text, field, _spec, _conversion in string.Formatter().parse(template)
            if field is not None
        }
    except ValueError:
        raise SettingError("its braces do not match; a literal brace is written twice") from None
    if not fields <= _TEMPLATE_FIELDS:
        known = ", ".join(f"{{{field}}}" for field in sorted(_TEMPLATE_FIELDS))
        raise SettingError(f"it contains an unknown field; known are {known}")
    return fields


def _absolute_path(path: str) -> str:
    if not path.startswith("/") or posixpath.normpath(path) in ("/", "//"):
        raise SettingError("it must be an absolute path below /")
    return posixpath.normpath(path)
