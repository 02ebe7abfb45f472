# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group and mode of files, by name and by number."""

from __future__ import annotations

import grp
import os
import pwd
import typing as t


class UnknownOwner(Exception):
    """The host has no user or group of that name; the text says which."""


class Attributes(t.NamedTuple):
    """Owner, group and mode; None for an owner that does not exist yet (in check mode only)."""

    uid: int | None
    gid: int | None
    mode: int

    def __str__(self) -> str:
        return f"{self.mode:04o} {user_name(self.uid)}:{group_name(self.gid)}"

    @classmethod
    def of(cls, status: os.stat_result) -> Attributes:
        """Those of a file as it is."""
        return cls(status.st_uid, status.st_gid, status.st_mode & 0o7777)

    def apply(self, descriptor: int) -> None:
        """Give them to an open file or folder. Raises OSError."""
        # The new owner must never meet rights that were meant for the old one.
        os.fchmod(descriptor, os.fstat(descriptor).st_mode & self.mode)
        os.fchown(descriptor, t.cast(int, self.uid), t.cast(int, self.gid))
        os.fchmod(descriptor, self.mode)


def user_id(name: str, may_be_missing: bool) -> int | None:
    """The number of a user, given by name or number. Raises UnknownOwner."""
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        if may_be_missing:
            return None
        raise UnknownOwner(f"owner: no user {name!r} on this host") from None


def group_id(name: str, may_be_missing: bool) -> int | None:
    """The number of a group, given by name or number. Raises UnknownOwner."""
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        if may_be_missing:
            return None
        raise UnknownOwner(f"group: no group {name!r} on this host") from None


def user_name(uid: int | None) -> str:
    """A user's name; its number where it has none, and a question mark for None."""
    try:
        return "?" if uid is None else pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int | None) -> str:
    """A group's name; its number where it has none, and a question mark for None."""
    try:
        return "?" if gid is None else grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
