#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells what is wrong with the access to Docker, and how to mend it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_access
short_description: Tell what is wrong with the access to Docker, and how to mend it
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Checks the socket of a Docker Engine, the group that may use it, named users, and whether the
    engine answers.
  - Everything that is wrong is reported at once, ordered by what to mend first, each with the
    command that mends it.
  - Each named user is tested as that user. A process with that user's groups opens the socket, so
    that what is reported is what will happen.
  - Works for Docker Engine and for Podman behind a socket of its own, on any server, with or without
    the roles of this collection.
  - Needs Python 3.8 or newer on the host, and neither a Docker library nor the C(docker) command.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.info_module
options:
  socket:
    description:
      - Path of the socket. The form V(unix:///var/run/docker.sock) is accepted too.
      - If it is not given, the environment variable E(DOCKER_HOST) of the module counts.
      - Addresses of other forms, such as C(tcp://) and C(ssh://), have no socket to check and are
        refused.
    type: path
    default: /var/run/docker.sock
  group:
    description: Name of the group whose members may use the socket.
    type: str
    default: docker
  users:
    description:
      - Names of users who should be able to use the socket.
      - Users other than the one the module runs as can only be tested by root.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds the engine may take for its whole answer, more than V(0). A slow trickle of bytes does
        not prolong it.
    type: float
    default: 5.0
  probe_daemon:
    description:
      - Whether to ask the engine what it is, and so whether it answers.
      - With V(false) only the socket, the group and the users are checked.
    type: bool
    default: true
  min_api_version:
    description:
      - Oldest version of the engine's API that will do, such as V("1.41").
      - Quote it in YAML, since V(1.50) is read as 1.5 otherwise.
      - Needs O(probe_daemon=true).
    type: str
  fail_on_problems:
    description:
      - Whether to fail if there are problems.
      - With V(false) the module succeeds and leaves it to RV(ok) and RV(problems).
    type: bool
    default: false
notes:
  - It only checks. Users, groups and services have modules of their own.
  - Whoever may open the socket of an engine that runs as root is root on the host.
seealso:
  - module: ailab.hub.host_info
  - module: community.docker.docker_host_info
  - name: Manage Docker as a non-root user
    description: What members of the group docker may do.
    link: https://docs.docker.com/engine/install/linux-postinstall/
"""

EXAMPLES = r"""
- name: Docker answers, and alice may use it
  ailab.hub.docker_access:
    users: [alice]
    min_api_version: "1.41"
    fail_on_problems: true

- name: The access to Docker is known
  ailab.hub.docker_access:
    users: [alice, bob]
  register: docker

- name: Everything to mend is shown
  ansible.builtin.debug:
    msg: "{{ item.message }} {{ item.hint }}"
  loop: "{{ docker.problems }}"
  loop_control:
    label: "{{ item.code }}"

- name: A container uses the socket by its group and need not be root
  community.docker.docker_container:
    name: exporter
    image: registry.example.org/docker-exporter:1.0
    user: nobody
    groups: ["{{ docker.socket.gid }}"]
    volumes: ["{{ docker.socket.realpath }}:/var/run/docker.sock"]
  when: docker.ok

- name: The session of the play itself knows the group docker
  ailab.hub.docker_access:
  become: false
  register: session

- name: It begins anew if it is older than its membership
  ansible.builtin.meta: reset_connection
  when: "'relogin_needed' in session.problems | map(attribute='code')"

- name: Group and mode of Podman's socket are right, whether it answers or not
  ailab.hub.docker_access:
    socket: /run/podman/podman.sock
    group: podman
    probe_daemon: false
"""

RETURN = r"""
ok:
  description: Whether nothing is wrong.
  type: bool
  returned: always
  sample: false
problems:
  description: What is wrong, ordered by what to mend first.
  type: list
  elements: dict
  returned: always
  contains:
    code:
      description:
        - A fixed name of the problem.
        - About the socket, V(socket_missing), V(socket_is_directory), V(socket_link_broken),
          V(socket_link_loop), V(socket_not_a_socket), V(socket_folder_closed),
          V(socket_unreadable), V(socket_group_unknown), V(socket_group_wrong),
          V(socket_group_denied), V(socket_world_writable).
        - About the group, V(group_missing).
        - About users, V(user_missing), V(user_not_in_group), V(user_folder_closed), V(user_denied),
          V(user_untested), V(relogin_needed).
        - About the engine, V(daemon_refused), V(daemon_denied), V(daemon_timeout),
          V(daemon_protocol), V(api_too_old).
      type: str
      returned: always
      sample: user_not_in_group
    message:
      description: What was found and what was expected.
      type: str
      returned: always
      sample: User alice is not in group docker (998).
    hint:
      description: The command (for root on the host) or the variable that mends it.
      type: str
      returned: always
      sample: "Run: usermod --append --groups docker alice"
notes:
  description: What is not wrong and yet worth knowing. It does not count for RV(ok).
  type: list
  elements: dict
  returned: always
  contains:
    code:
      description: V(daemon_is_podman), V(daemon_is_rootless), or V(daemon_remaps_users).
      type: str
      returned: always
      sample: daemon_is_podman
    message:
      description: What was found.
      type: str
      returned: always
      sample: Podman 4.3.1 answers in the place of Docker.
    hint:
      description: What to do where that is not wanted.
      type: str
      returned: always
      sample: "Where Docker Engine is needed, install it, or name its socket with the option socket."
socket:
  description: The socket.
  type: dict
  returned: always
  contains:
    path:
      description: Its path as it was asked for.
      type: str
      returned: always
      sample: /var/run/docker.sock
    realpath:
      description: Its path with symbolic links followed.
      type: str
      returned: always
      sample: /run/docker.sock
    exists:
      description: Whether there is anything at the path.
      type: bool
      returned: always
      sample: true
    type:
      description:
        - V(socket), V(directory), V(file), V(broken_link), V(link_loop) or V(other).
          V(null) if there is nothing.
      type: str
      returned: always
      sample: socket
    owner:
      description: Name of its owner. V(null) if unknown.
      type: str
      returned: always
      sample: root
    uid:
      description: User id of its owner. V(null) if unknown.
      type: int
      returned: always
      sample: 0
    group:
      description: Name of its group. V(null) if unknown.
      type: str
      returned: always
      sample: docker
    gid:
      description: Group id of its group, which a container needs to use it. V(null) if unknown.
      type: int
      returned: always
      sample: 998
    mode:
      description: Its mode. V(null) if unknown.
      type: str
      returned: always
      sample: "0660"
    world_accessible:
      description: Whether everybody on the host may use it, and so become root.
      type: bool
      returned: always
      sample: false
group:
  description: The group O(group).
  type: dict
  returned: always
  contains:
    name:
      description: Its name.
      type: str
      returned: always
      sample: docker
    exists:
      description: Whether the host knows it.
      type: bool
      returned: always
      sample: true
    gid:
      description: Its id. V(null) if the host does not know it.
      type: int
      returned: always
      sample: 998
    members:
      description:
        - Users listed in the group. Those who have it as their primary group are not listed there.
      type: list
      elements: str
      returned: always
      sample: [alice]
    matches_socket:
      description: Whether it is the group of the socket.
      type: bool
      returned: always
      sample: true
users:
  description: The users O(users), in the same order.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the user.
      type: str
      returned: always
      sample: alice
    exists:
      description: Whether the host knows the user.
      type: bool
      returned: always
      sample: true
    in_group:
      description:
        - Whether the user is in the group, be it as primary group or from a directory service.
      type: bool
      returned: always
      sample: true
    can_access:
      description:
        - Whether the user could open the socket just now. V(null) if that could not be tested.
      type: bool
      returned: always
      sample: true
session:
  description: The session the module runs in.
  type: dict
  returned: always
  contains:
    user:
      description: Name of the effective user.
      type: str
      returned: always
      sample: root
    uid:
      description: Effective user id.
      type: int
      returned: always
      sample: 0
    groups:
      description: Group ids the session has. They were fixed at its login.
      type: list
      elements: int
      returned: always
      sample: [0]
    effective:
      description: Whether the session itself could open the socket.
      type: bool
      returned: always
      sample: true
daemon:
  description: The engine.
  type: dict
  returned: always
  contains:
    reachable:
      description: Whether it answered. V(null) if it was not asked.
      type: bool
      returned: always
      sample: true
    error:
      description:
        - Why not. One of V(missing), V(not_a_socket), V(denied), V(refused), V(timeout),
          V(protocol).
        - V(null) if it answered or was not asked.
      type: str
      returned: always
      sample: refused
    engine:
      description: V(docker), or V(podman) where Podman stands in for it. V(null) if unknown.
      type: str
      returned: always
      sample: docker
    version:
      description: Its version. V(null) if unknown.
      type: str
      returned: always
      sample: 20.10.24+dfsg1
    api_version:
      description: Newest version of the API it knows. V(null) if unknown.
      type: str
      returned: always
      sample: "1.41"
    min_api_version:
      description: Oldest version of the API it knows. V(null) if unknown.
      type: str
      returned: always
      sample: "1.12"
    os:
      description: Operating system it runs on. V(null) if unknown.
      type: str
      returned: always
      sample: linux
    arch:
      description: Machine it runs on. V(null) if unknown.
      type: str
      returned: always
      sample: amd64
    rootless:
      description: Whether it runs without the rights of root. V(null) if unknown.
      type: bool
      returned: always
      sample: false
    userns_remap:
      description:
        - Whether it maps the users of containers to others of the host (C(userns-remap)). V(null) if
          unknown.
      type: bool
      returned: always
      sample: false
"""

import errno
import grp
import json
import math
import os
import pwd
import re
import select
import shlex
import signal
import socket
import stat
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.ailab.hub.plugins.module_utils._docker_socket import (
    DEFAULT_SOCKET,
    PROTOCOL,
    TIMEOUT,
    DockerSocket,
    DockerSocketError,
)

# Answers to /version and /info have 1 to 3 KiB; whoever sends more than this is no engine.
MAX_ANSWER = 128 * 1024
# A user's test only opens a local socket; longer means that the lookup of a folder hangs.
USER_TEST_SECONDS = 5.0
API_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
UNIX_SCHEME = "unix://"

Report = t.Dict[str, t.Any]

# The sockets of engines that run without root, below the id of their user.
USER_SOCKET = re.compile(r"/run/user/([0-9]+)/")

# Every problem: code, what is said, what mends it. The order is the order to mend them in: nothing
# below helps while something above is wrong. "Run: " is followed by a command that mends it as it
# stands; what helps besides is in parentheses.
PROBLEMS: dict[str, tuple[str, str]] = {
    "socket_is_directory": (
        "{path} is a directory, expected the engine's socket. Docker makes one when a container "
        "mounts a socket that is not there.",
        "Run: rmdir {path} && {{ {restart}; }}",
    ),
    "socket_link_broken": (
        "{path} is a symbolic link to {target}, which does not exist.",
        "Run: {relink} (or make what listens on {target} start)",
    ),
    "socket_link_loop": (
        "{path} is a symbolic link that leads back to itself.",
        "Run: rm {path} && {{ {restart}; }}",
    ),
    "socket_not_a_socket": (
        "{path} is not a socket (type: {type}), expected the engine's socket.",
        "Run: rm {path} && {{ {restart}; }}",
    ),
    "socket_folder_closed": (
        "User {user} may not enter the folder {folder}, so that {path} cannot be looked at.",
        "Run: chmod o+x {folder} (or run the check as root: become: true)",
    ),
    "socket_unreadable": (
        "{path} cannot be looked at: {error}.",
        "Run the check as root (become: true).",
    ),
    "group_missing": (
        "There is no group {group} on this host.",
        "Run: groupadd --system {group}",
    ),
    "socket_missing": (
        "There is no {path}: no engine runs, or it listens elsewhere.",
        "Run: {enable} (or install an engine, or name its socket with the option socket)",
    ),
    "daemon_refused": (
        "{path} is there but nothing listens on it: the engine is down and left its socket behind.",
        "Run: {restart} (if it fails: journalctl --unit {unit})",
    ),
    "daemon_timeout": (
        "The engine did not answer within {timeout:g} s.",
        "Run: {restart} (what it was doing: journalctl --unit {unit})",
    ),
    "daemon_protocol": (
        "What listens on {path} is not Docker: {error}.",
        "Run: rm {path} && {{ {restart}; }} (who listens there: ss -xlp src {path})",
    ),
    "socket_group_unknown": (
        "{path} belongs to group id {gid}, which has no name here; expected group {group} "
        "({group_gid}). The group was made anew after the socket.",
        "Run: chgrp {group} {path}",
    ),
    "socket_group_wrong": (
        "{path} belongs to group {socket_group} ({gid}), expected {group} ({group_gid}).",
        "Run: chgrp {group} {path} (to keep it: SocketGroup={group} in {unit}.socket, or the option "
        "group, if the other one is meant)",
    ),
    "socket_group_denied": (
        "{path} has mode {mode}: group {socket_group} may not read and write it.",
        "Run: chmod g+rw {path} (to keep it: SocketMode=0660 in {unit}.socket)",
    ),
    "socket_world_writable": (
        "{path} has mode {mode}: everybody on this host can use it, and so become root.",
        "Run: chmod o= {path} (to keep it: SocketMode=0660 in {unit}.socket)",
    ),
    "user_missing": (
        "There is no user {user} on this host.",
        "Run: useradd --create-home {user} (or correct the name)",
    ),
    "user_not_in_group": (
        "User {user} is not in group {group} ({group_gid}).",
        "Run: usermod --append --groups {group} {user}",
    ),
    "relogin_needed": (
        "User {user} is in group {group}, but this session began before that and does not have it.",
        "Log out and in again; in a playbook: ansible.builtin.meta: reset_connection.",
    ),
    "user_folder_closed": (
        "User {user} may not enter the folder {folder}.",
        "Run: chmod o+x {folder}",
    ),
    "user_denied": (
        "User {user} could not open {path}: {error}.",
        "Look at the rights with: namei --long {path}; and at security modules with: "
        "journalctl --dmesg --grep denied",
    ),
    "user_untested": (
        "User {user} could not be tested, since only root can take another user's place.",
        "Run the check as root (become: true).",
    ),
    "daemon_denied": (
        "The session of {user} may not open {path}, so that the engine could not be asked.",
        "Run the check as root (become: true), or as a member of group {group}.",
    ),
    "api_too_old": (
        "The engine's API has version {api_version}, expected {min_api_version} or newer.",
        "Upgrade the engine, which is version {version} now (docker_engine_version of role "
        "ailab.hub.docker_engine), or ask for less (min_api_version).",
    ),
}

# What is worth knowing and not wrong, in the same form.
NOTES: dict[str, tuple[str, str]] = {
    "daemon_is_podman": (
        "Podman {version} answers in the place of Docker.",
        "Where Docker Engine is needed, install it, or name its socket with the option socket.",
    ),
    "daemon_is_rootless": (
        "The engine runs without the rights of root: its containers have those of user {owner} at "
        "most, and some options of containers do nothing.",
        "Where a container needs more, name the socket of the system's engine with the option "
        "socket.",
    ),
    "daemon_remaps_users": (
        "The engine maps users and groups of containers to others of the host: what a container "
        "mounts belongs to somebody else there, and the socket's group does not open it.",
        "For a container that needs the ids of the host: --userns=host. For none to need it: take "
        "userns-remap out of /etc/docker/daemon.json.",
    ),
}


def parse_socket(value: str) -> str:
    """The path in a path or unix:// address. Raises ValueError, with a reason, for others."""
    if value.startswith(UNIX_SCHEME):
        value = value[len(UNIX_SCHEME) :]
    elif "://" in value:
        raise ValueError(
            f"{value} is no Unix socket, and there are no group and rights to check; expected a "
            "path or unix:///PATH"
        )
    if not value.startswith("/"):
        raise ValueError(f"the socket {value!r} is no full path")
    return value


def parse_api_version(value: str) -> tuple[int, ...]:
    """The numbers of an API version. Raises ValueError for anything else."""
    if not API_VERSION.fullmatch(value):
        raise ValueError(f'{value!r} is no version of the API; expected one such as "1.41"')
    return tuple(int(number) for number in value.split("."))


def judge(report: Report, min_api_version: str | None = None) -> list[dict[str, str]]:
    """All problems of a report, ordered by what to mend first. No I/O.

    report: the dictionaries socket, group, users, session and daemon of the result; those of a
    user, the socket and the daemon may hold C(_detail), what to say of an error.
    """
    found: list[tuple[str, dict[str, object]]] = []
    found += _judge_socket(report["socket"], report["group"])
    found += _judge_session(report)
    found += _judge_daemon(report, min_api_version)
    for user in report["users"]:
        found += _judge_user(user, report)
    order = list(PROBLEMS)
    found.sort(key=lambda item: order.index(item[0]))
    return [_say(PROBLEMS, code, report, values) for code, values in found]


def notes_of(report: Report) -> list[dict[str, str]]:
    """What is worth knowing of a report and not wrong. No I/O."""
    daemon = report["daemon"]
    true = {
        "daemon_is_podman": daemon["engine"] == "podman",
        "daemon_is_rootless": daemon["rootless"],
        "daemon_remaps_users": daemon["userns_remap"],
    }
    return [_say(NOTES, code, report, {}) for code in NOTES if true[code]]


def _say(
    texts: dict[str, tuple[str, str]], code: str, report: Report, values: dict[str, object]
) -> dict[str, str]:
    fields = _fields(report)
    fields.update(values)
    message, hint = texts[code]
    # What is put into a command may hold what a shell understands in its own way.
    quoted = {
        key: shlex.quote(str(value)) if key in _NAMES else value for key, value in fields.items()
    }
    return {"code": code, "message": message.format(**fields), "hint": hint.format(**quoted)}


_NAMES = frozenset({"path", "target", "group", "user", "folder"})


def _fields(report: Report) -> dict[str, object]:
    """What messages may name, whatever the problem."""
    sock, daemon = report["socket"], report["daemon"]
    fields: dict[str, object] = {
        "path": sock["path"],
        "target": sock["realpath"],
        "type": sock["type"],
        "mode": sock["mode"],
        "gid": sock["gid"],
        "owner": sock["owner"] or sock["uid"],
        "socket_group": sock["group"] or sock["gid"],
        "folder": sock.get("_folder"),
        "group": report["group"]["name"],
        "group_gid": report["group"]["gid"],
        "user": report["session"]["user"],
        "version": daemon["version"],
        "api_version": daemon["api_version"],
        "error": daemon.get("_detail") or sock.get("_detail"),
        "timeout": report.get("_timeout", 0.0),
    }
    fields.update(_commands(sock))
    return fields


def _commands(sock: Report) -> dict[str, object]:
    """The commands that start the engine of a socket, by systemd's units of Docker and Podman."""
    unit = "podman" if "podman" in os.path.basename(sock["realpath"]) else "docker"
    units = f"{unit}.socket {unit}"
    systemctl = "systemctl"
    if sock.get("_user"):
        systemctl = f"systemctl --user --machine={shlex.quote(sock['_user'])}@"
        # Docker's own script for this makes no unit of the socket.
        units = "docker" if unit == "docker" else units
    # An engine that failed a few times in a row is not started again before that is forgotten, and
    # a unit of a socket that still runs does not make its lost socket anew.
    restart = f"{systemctl} reset-failed {units}; {systemctl} restart {units}"
    enable = f"{systemctl} enable {units}; {restart}"
    # The package podman-docker makes a link to Podman's socket, which may only wait for it.
    relink = enable if unit == "podman" else f"rm {shlex.quote(sock['path'])}; {enable}"
    return {"unit": unit, "restart": restart, "enable": enable, "relink": relink}


Found = t.Iterator[t.Tuple[str, t.Dict[str, object]]]


def _judge_socket(sock: Report, group: Report) -> Found:
    if not group["exists"]:
        yield "group_missing", {}
    if not sock["exists"]:
        yield "socket_missing", {}
        return
    kinds = {
        "directory": "socket_is_directory",
        "broken_link": "socket_link_broken",
        "link_loop": "socket_link_loop",
        None: "socket_unreadable",
    }
    if sock["type"] != "socket":
        code = kinds.get(sock["type"], "socket_not_a_socket")
        yield "socket_folder_closed" if sock.get("_folder") else code, {}
        return
    mode = int(sock["mode"], 8)
    if group["exists"] and not group["matches_socket"]:
        yield ("socket_group_wrong" if sock["group"] else "socket_group_unknown"), {}
    if mode & 0o060 != 0o060:
        yield "socket_group_denied", {}
    if sock["world_accessible"]:
        yield "socket_world_writable", {}


def _judge_session(report: Report) -> Found:
    session, gid = report["session"], report["group"]["gid"]
    usable = report["socket"]["type"] == "socket" and not session["effective"]
    if usable and session["_member"] and gid not in session["groups"]:
        yield "relogin_needed", {}


def _judge_daemon(report: Report, min_api_version: str | None) -> Found:
    daemon = report["daemon"]
    codes = {
        "refused": "daemon_refused",
        "timeout": "daemon_timeout",
        "protocol": "daemon_protocol",
        "denied": "daemon_denied",
    }
    if report["socket"]["type"] == "socket":
        # A socket of another kind, such as one for single messages.
        codes["not_a_socket"] = "daemon_protocol"
    # A session that has to begin anew for its group, or stands before a closed folder, is not
    # allowed in for that very reason.
    denied_for_now = daemon["error"] == "denied" and (
        report["socket"]["type"] != "socket" or any(_judge_session(report))
    )
    if daemon["error"] in codes and not denied_for_now:
        yield codes[daemon["error"]], {}
    api_version = daemon["api_version"]
    oldest = parse_api_version(min_api_version or "0.0")
    if api_version and parse_api_version(api_version) < oldest:
        yield "api_too_old", {"min_api_version": min_api_version}


def _judge_user(user: Report, report: Report) -> Found:
    name, session = user["name"], report["session"]
    if not user["exists"]:
        yield "user_missing", {"user": name}
        return
    # The superuser needs no group, and neither does whom the test let in for another reason.
    needs_group = not user["can_access"] and user.get("_uid") != 0
    if needs_group and report["group"]["exists"] and not user["in_group"]:
        yield "user_not_in_group", {"user": name}
        return
    if report["socket"]["type"] != "socket" or user["can_access"]:
        return
    if name == session["user"] and any(_judge_session(report)):
        return
    if user["can_access"] is None:
        yield "user_untested", {"user": name}
    elif user.get("_folder"):
        yield "user_folder_closed", {"user": name, "folder": user["_folder"]}
    elif report["group"]["matches_socket"] and int(report["socket"]["mode"], 8) & 0o020:
        # Otherwise the socket's group or mode is the reason, and already said.
        yield "user_denied", {"user": name, "error": user.get("_detail")}


def look_at_socket(path: str) -> Report:
    """What is at the path, for the result."""
    found: Report = {
        "path": path,
        "realpath": os.path.realpath(path),
        "exists": os.path.lexists(path),
        "type": None,
        "owner": None,
        "uid": None,
        "group": None,
        "gid": None,
        "mode": None,
        "world_accessible": False,
    }
    user = USER_SOCKET.match(found["realpath"])
    if user:
        found["_user"] = _user_name(int(user.group(1))) or user.group(1)
    try:
        status = os.stat(path)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            found.update(type="link_loop", exists=True)
        elif exc.errno == errno.ENOENT and os.path.islink(path):
            found["type"] = "broken_link"
        elif exc.errno not in (errno.ENOENT, errno.ENOTDIR):
            found.update(exists=True, _detail=exc.strerror)
            if exc.errno == errno.EACCES:
                found["_folder"] = closed_folder(path)
        return found
    kinds = {stat.S_IFSOCK: "socket", stat.S_IFDIR: "directory", stat.S_IFREG: "file"}
    mode = stat.S_IMODE(status.st_mode)
    found.update(
        type=kinds.get(stat.S_IFMT(status.st_mode), "other"),
        owner=_user_name(status.st_uid),
        uid=status.st_uid,
        group=_group_name(status.st_gid),
        gid=status.st_gid,
        mode=f"{mode:04o}",
        world_accessible=bool(mode & 0o002),
    )
    return found


def look_at_group(name: str, socket_gid: int | None) -> Report:
    """The group, for the result."""
    try:
        entry = grp.getgrnam(name)
    except KeyError:
        return {"name": name, "exists": False, "gid": None, "members": [], "matches_socket": False}
    return {
        "name": name,
        "exists": True,
        "gid": entry.gr_gid,
        "members": list(entry.gr_mem),
        "matches_socket": entry.gr_gid == socket_gid,
    }


def look_at_session(path: str, group_gid: int | None) -> Report:
    """The session the module runs in, for the result."""
    uid = os.geteuid()
    name = _user_name(uid)
    member = bool(name) and group_gid in os.getgrouplist(str(name), pwd.getpwuid(uid).pw_gid)
    return {
        "_member": member,
        "user": name or str(uid),
        "uid": uid,
        "groups": sorted({*os.getgroups(), os.getegid()}),
        "effective": open_error(path) is None,
    }


def look_at_user(name: str, group_gid: int | None, path: str, session_uid: int) -> Report:
    """A user, for the result, tested as that user where possible."""
    found: Report = {"name": name, "exists": False, "in_group": False, "can_access": None}
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        found["can_access"] = False
        return found
    groups = os.getgrouplist(name, entry.pw_gid)
    in_group = group_gid is not None and group_gid in groups
    found.update(exists=True, in_group=in_group, _uid=entry.pw_uid)
    if session_uid == 0:
        identity: tuple[int, int, list[int]] | None = (entry.pw_uid, entry.pw_gid, groups)
    elif session_uid == entry.pw_uid:
        # What counts is the running session, with the groups it has.
        identity = None
    else:
        return found
    answer = test_in_child(path, identity)
    found["can_access"] = answer.get("errno") is None
    if not found["can_access"]:
        found.update(_folder=answer.get("folder"), _detail=os.strerror(answer["errno"]))
    return found


def look_at_daemon(path: str, timeout: float) -> Report:
    """The engine, for the result."""
    found: Report = unknown_daemon()
    deadline = time.monotonic() + timeout
    try:
        found.update(_version_of(DockerSocket(path, timeout, MAX_ANSWER).get_json("/version")))
        remaining = max(0.0, deadline - time.monotonic())
        engine = DockerSocket(path, remaining, MAX_ANSWER)
        found.update(_podman_kind(engine) if found["engine"] == "podman" else _docker_kind(engine))
        found["reachable"] = True
    except DockerSocketError as exc:
        found.update(reachable=False, error=exc.reason, _detail=str(exc))
    except (AttributeError, KeyError, TypeError, ValueError):
        detail = "an answer that is not Docker's came"
        found.update(reachable=False, error=PROTOCOL, _detail=detail)
    return found


def _version_of(answer: t.Any) -> Report:
    """What an answer to /version says. Raises AttributeError, KeyError, TypeError, ValueError."""
    parse_api_version(answer["ApiVersion"])
    components = [str(part.get("Name")) for part in answer.get("Components") or []]
    podman = any(part.startswith("Podman") for part in components)

    def text(key: str) -> str | None:
        value = answer.get(key)
        return value if isinstance(value, str) else None

    return {
        "engine": "podman" if podman else "docker",
        "version": str(answer["Version"]),
        "api_version": answer["ApiVersion"],
        "min_api_version": text("MinAPIVersion"),
        "os": text("Os"),
        "arch": text("Arch"),
    }


def _docker_kind(engine: DockerSocket) -> Report:
    """Whether Docker is rootless or maps users; nothing if it does not tell."""
    options = _look_up(engine, "/info", "SecurityOptions")
    if not isinstance(options, list):
        return {}
    # Options are such as name=seccomp,profile=default.
    names = {str(option).partition(",")[0] for option in options}
    return {"rootless": "name=rootless" in names, "userns_remap": "name=userns" in names}


def _podman_kind(engine: DockerSocket) -> Report:
    """Whether Podman is rootless, which it tells by its own API alone; nothing if it does not."""
    rootless = _look_up(engine, "/v1.0.0/libpod/info", "host", "security", "rootless")
    return {"rootless": rootless, "userns_remap": False} if isinstance(rootless, bool) else {}


def _look_up(engine: DockerSocket, target: str, *keys: str) -> t.Any:
    """A value of an answer; None if there is none, for instance since a filter lets no more pass.

    Raises DockerSocketError if the engine does not answer in time: one that hangs often still tells
    its version.
    """
    try:
        value = engine.get_json(target)
        for key in keys:
            value = value[key]
    except DockerSocketError as exc:
        if exc.reason == TIMEOUT:
            raise
        return None
    except (IndexError, KeyError, TypeError):
        return None
    return value


def unknown_daemon() -> Report:
    """The engine, for the result, where it was not asked."""
    keys = ("reachable", "error", "engine", "version", "api_version", "min_api_version")
    return dict.fromkeys((*keys, "os", "arch", "rootless", "userns_remap"))


def open_error(path: str) -> int | None:
    """The errno of opening the socket as the current process; None if that is allowed.

    An engine that is down or busy lets nobody in, but the kernel asks for the rights first.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        try:
            connection.connect(path)
        except OSError as exc:
            if exc.errno in (errno.ECONNREFUSED, errno.EAGAIN, errno.EINPROGRESS):
                return None
            return exc.errno or errno.EINVAL
    return None


def closed_folder(path: str) -> str | None:
    """The first folder on the way to a path that the current process may not enter."""
    folder = "/"
    for part in os.path.realpath(path).split("/")[1:-1]:
        folder = os.path.join(folder, part)
        if not os.access(folder, os.X_OK, effective_ids=True):
            return folder
    return None


def test_in_child(path: str, identity: tuple[int, int, list[int]] | None) -> Report:
    """Open the socket in a forked process, as a user (uid, gid, groups), or as the current one.

    Returns errno (None if the socket opened) and, if a folder is the reason, folder.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Nothing of the module may run on in the child, whatever happens.
        try:
            os.close(reader)
            os.write(writer, json.dumps(_test_as(path, identity)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        return _read_answer(reader)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _test_as(path: str, identity: tuple[int, int, list[int]] | None) -> Report:
    if identity:
        uid, gid, groups = identity
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    error = open_error(path)
    folder = closed_folder(path) if error == errno.EACCES else None
    return {"errno": error, "folder": folder}


def _read_answer(reader: int) -> Report:
    deadline = time.monotonic() + USER_TEST_SECONDS
    answer = b""
    while True:
        ready, _writable, _failed = select.select(
            [reader], [], [], max(0.0, deadline - time.monotonic())
        )
        if not ready:
            return {"errno": errno.ETIMEDOUT}
        data = os.read(reader, 4096)
        if not data:
            break
        answer += data
    try:
        return t.cast(Report, json.loads(answer.decode("utf-8")))
    except ValueError:
        # The child ended early: it was not allowed to take the user's place.
        return {"errno": errno.EPERM}


def _user_name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _group_name(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def investigate(
    path: str, group: str, users: t.Iterable[str], timeout: float, probe_daemon: bool
) -> Report:
    """Look at everything; the report that judge takes."""
    sock = look_at_socket(path)
    entry = look_at_group(group, sock["gid"])
    report: Report = {
        "socket": sock,
        "group": entry,
        "session": look_at_session(path, entry["gid"]),
        "daemon": look_at_daemon(path, timeout) if probe_daemon else unknown_daemon(),
        "_timeout": timeout,
    }
    uid = report["session"]["uid"]
    report["users"] = [look_at_user(name, entry["gid"], path, uid) for name in users]
    return report


def result_of(report: Report, problems: list[dict[str, str]]) -> Report:
    """The module's result: the report without what only judge needs."""

    def public(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {key: public(item) for key, item in value.items() if not key.startswith("_")}
        return [public(item) for item in value] if isinstance(value, list) else value

    result: Report = {
        "changed": False,
        "ok": not problems,
        "problems": problems,
        "notes": notes_of(report),
    }
    result.update(public(report))
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "socket": {
                "type": "path",
                "default": DEFAULT_SOCKET,
                "fallback": (env_fallback, ["DOCKER_HOST"]),
            },
            "group": {"type": "str", "default": "docker"},
            "users": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 5.0},
            "probe_daemon": {"type": "bool", "default": True},
            "min_api_version": {"type": "str"},
            "fail_on_problems": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        path = parse_socket(params["socket"])
        if params["min_api_version"]:
            parse_api_version(params["min_api_version"])
        if not 0 < params["timeout"] < math.inf:
            raise ValueError("the timeout {timeout} is no number of seconds".format(**params))
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    report = investigate(
        path, params["group"], params["users"], params["timeout"], params["probe_daemon"]
    )
    problems = judge(report, params["min_api_version"])
    result = result_of(report, problems)
    if problems and params["fail_on_problems"]:
        lines = ["{} {}".format(problem["message"], problem["hint"]) for problem in problems]
        module.fail_json(msg="\n".join(lines), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
