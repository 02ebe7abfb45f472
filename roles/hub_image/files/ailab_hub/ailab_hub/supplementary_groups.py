# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the server of a user out of root's groups.

The entrypoint of the AI Lab image runs as root under sudo and then becomes the user ``jupyter``.
It calls ``setgroups`` only where it finds Docker's socket. Where there is none, the groups sudo
gave it stay: the server runs as ``jupyter`` with the supplementary group 0, and so may read and
write whatever the image leaves open to the group of root. ``setpriv --clear-groups`` (util-linux,
in every Debian and Ubuntu) drops them before the entrypoint starts.
"""

from __future__ import annotations

from collections.abc import Sequence

_SETPRIV = ["setpriv", "--clear-groups"]

_SHORT_WITH_VALUE = frozenset("aCcDghpRrTtUu")
_SHORT_ALONE = frozenset("ABbEHiknNPSs")
_LONG_WITH_VALUE = {
    "auth-type",
    "chdir",
    "chroot",
    "close-from",
    "command-timeout",
    "group",
    "host",
    "login-class",
    "other-user",
    "prompt",
    "role",
    "type",
    "user",
}
_LONG_ALONE = {
    "askpass",
    "background",
    "bell",
    "login",
    "no-update",
    "non-interactive",
    "preserve-env",  # takes a value only as --preserve-env=...
    "preserve-groups",
    "reset-timestamp",
    "set-home",
    "shell",
    "stdin",
}
_USER = {"u": "user", "g": "group"}


def clear_supplementary_groups(command: Sequence[str]) -> list[str]:
    """Return `command` with ``setpriv --clear-groups`` after sudo and sudo's own options.

    ``["sudo", "-E", "python3", "x"]`` becomes
    ``["sudo", "-E", "setpriv", "--clear-groups", "python3", "x"]``.

    A command comes back as it is where setpriv is not needed or would fail: it does not begin
    with sudo, sudo changes to another user than root (that user's groups are the right ones and
    only root may drop them), sudo runs no command, an option is unknown, or setpriv is there.
    """
    unchanged = list(command)
    position = _command_of_root(unchanged)
    if position is None or _base(unchanged[position]) == "setpriv":
        return unchanged
    return unchanged[:position] + _SETPRIV + unchanged[position:]


def _command_of_root(argv: list[str]) -> int | None:
    """Where in a sudo call the command begins, or None if it is no command run as root."""
    if not argv or _base(argv[0]) != "sudo":
        return None
    values: dict[str, str] = {}
    position = 1
    while position < len(argv) and argv[position].startswith("-"):
        argument = argv[position]
        position += 1
        if argument == "--":
            break
        wanted = _read_option(argument, values)
        if wanted is None:
            return None
        if wanted:
            if position == len(argv):
                return None
            values[wanted] = argv[position]
            position += 1
    while position < len(argv) and _is_assignment(argv[position]):
        position += 1
    if position == len(argv):
        return None
    # sudo -g without -u keeps the calling user
    user = values.get("user", "" if "group" in values else "root")
    return position if user in ("root", "#0") else None


def _read_option(argument: str, values: dict[str, str]) -> str | None:
    """Note the values in one option of sudo.

    Returns the name of the option whose value is the next argument, "" if none is, None if the
    option is unknown or lets sudo run no command.
    """
    if argument.startswith("--"):
        name, equals, value = argument[2:].partition("=")
        full = _long_name(name)
        if full is None:
            return None
        if full in _LONG_ALONE:
            return ""
        if equals:
            values[full] = value
            return ""
        return full
    for index, letter in enumerate(argument[1:], start=2):
        if letter in _SHORT_WITH_VALUE:
            name = _USER.get(letter, letter)
            if argument[index:]:
                values[name] = argument[index:]
                return ""
            return name
        if letter not in _SHORT_ALONE:
            return None
    return ""


def _long_name(name: str) -> str | None:
    """The option meant by `name`, which may be shortened as long as it is unambiguous."""
    known = _LONG_WITH_VALUE | _LONG_ALONE
    if name in known:
        return name
    meant = [option for option in known if option.startswith(name)]
    return meant[0] if len(meant) == 1 else None


def _is_assignment(argument: str) -> bool:
    name, equals, _value = argument.partition("=")
    return bool(equals) and name.isidentifier()


def _base(program: str) -> str:
    return program.rpartition("/")[2]
