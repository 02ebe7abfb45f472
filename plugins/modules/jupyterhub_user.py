#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users of a JupyterHub, many at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_user
short_description: Add and remove users of a JupyterHub, many at once
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Adds users to a running JupyterHub, or removes them, through its REST API. The hub is not
    restarted, and nobody's server is disturbed.
  - All users are named in one task. A class of 500 takes a few seconds.
  - Everything that can be known before is checked before the first change. That is the token and
    its scopes, the names, and on removal whose servers run.
  - A user added here is one JupyterHub knows. How that user proves who they are is up to the hub's
    authenticator, and whether they may log in is up to C(Authenticator.allow_existing_users), which
    is on wherever C(Authenticator.allowed_users) names somebody.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._jupyterhub
  - ailab.hub._jupyterhub.action_group
attributes:
  check_mode:
    support: full
    details:
      - Names that only the hub refuses, because of C(Authenticator.username_pattern), are found in
        the run itself.
  diff_mode:
    support: full
options:
  users:
    description:
      - The users. Each is a name, or a dictionary with C(name) and C(admin).
      - Names are taken in lower case, as JupyterHub keeps them. A name that the hub maps to another
        one (C(Authenticator.username_map)) has to be given as the other one.
      - Names of digits alone need quotes.
    type: list
    elements: raw
    required: true
  state:
    description:
      - V(present) adds users who are missing. V(absent) removes those who are there.
    type: str
    choices: [present, absent]
    default: present
  admin:
    description:
      - Whether the users are administrators of the hub, where an entry of O(users) does not say so
        itself.
      - If it is not set, users are added without the right, and existing users keep what they
        have.
      - JupyterHub lets only administrators give or take this right, and no service does it with
        scopes alone. The token must be one of an administrator.
      - Whoever stands in C(Authenticator.admin_users) becomes an administrator again when the hub
        starts. On a server of this collection that is C(jupyterhub_admin_users), which is the better
        place to name administrators.
      - Only used with O(state=present).
    type: bool
  purge:
    description:
      - Whether users that O(users) does not name are removed, so that the list is the whole truth.
      - Administrators are left alone, see O(purge_admins), and so is the user the token belongs to.
      - An empty list is refused.
      - Only used with O(state=present).
    type: bool
    default: false
  purge_admins:
    description:
      - Whether O(purge) removes administrators, too.
    type: bool
    default: false
  stop_servers:
    description:
      - Whether the servers of users who are removed are stopped first, which ends what runs on
        them.
      - With V(false), the task fails before any change if one of them has a server that runs,
        starts or stops, and names them all.
    type: bool
    default: false
  stop_timeout:
    description: Seconds until all servers must have stopped.
    type: float
    default: 120.0
notes:
  - Files stay. JupyterHub's spawner, not this module, decides what becomes of a user's volume. On a
    server of this collection it is kept, and a user who is added again finds the files again.
  - Tokens of a user who is removed count no more, and the user is in no group any more.
  - Users who stand in C(Authenticator.allowed_users) or C(Authenticator.admin_users) are added again
    when the hub starts. To remove one of them for good, take the name out there, too.
  - Needs the scope C(list:users), to add also C(admin:users), to remove also C(delete:users) and
    C(read:servers), and to stop servers C(delete:servers).
seealso:
  - module: ailab.hub.jupyterhub_group
  - module: ailab.hub.jupyterhub_info
  - module: ailab.hub.jupyterhub_token
  - name: JupyterHub's REST API
    description: What the modules for JupyterHub use.
    link: https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

EXAMPLES = r"""
- name: People of a class
  hosts: hub
  become: true
  module_defaults:
    group/ailab.hub.jupyterhub:
      url: http://127.0.0.1:8000/
      token_file: /var/lib/ailab-hub/secrets/admin_api_token
  tasks:
    - name: Three users are there
      ailab.hub.jupyterhub_user:
        users: [alice, bob, "4711"]

    # The file begins with a line of titles; the first column has the names.
    - name: Everybody in the list of the class is there
      ailab.hub.jupyterhub_user:
        users: "{{ lookup('ansible.builtin.file', 'class.csv').splitlines()[1:]
          | map('split', ',') | map('first') }}"
      register: _class

    - name: The new ones are named
      ansible.builtin.debug:
        var: _class.added

    - name: Nobody else is there, but for administrators
      ailab.hub.jupyterhub_user:
        users: [alice, bob]
        purge: true

    - name: The course is over
      ailab.hub.jupyterhub_user:
        users: [alice, bob]
        state: absent
        stop_servers: true

- name: From elsewhere, with a token of an administrator
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Grace is an administrator, her deputy no more
      ailab.hub.jupyterhub_user:
        url: https://hub.example.org/
        ca_path: /etc/ssl/hub-ca.pem
        token: "{{ vault_hub_admin_token }}"
        users:
          - name: grace
            admin: true
          - name: dennis
            admin: false
"""

RETURN = r"""
added:
  description: Users who were added, as the hub calls them.
  type: list
  elements: str
  returned: always
  sample: [alice, bob]
removed:
  description: Users who were removed.
  type: list
  elements: str
  returned: always
  sample: []
updated:
  description: Users who became administrators or are none any more.
  type: list
  elements: str
  returned: always
  sample: []
stopped:
  description:
    - Servers that were stopped before their users were removed, by the names JupyterHub gives
      servers. The part behind the slash is empty for a user's default server.
  type: list
  elements: str
  returned: always
  sample: [carol/]
kept:
  description:
    - Users whom O(purge) left alone because they are administrators or the owner of the token.
  type: list
  elements: str
  returned: always
  sample: [grace]
"""

import concurrent.futures
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils._jupyterhub_api import (
    COMMON_RULES,
    JupyterHubError,
    Model,
    Task,
    carry_out,
    common_arguments,
    enumerate_names,
    name_problem,
    portions,
    quoted,
)

# The hub may wait ten seconds in each request to stop a server.
STOPS_AT_ONCE = 10
POLL_SECONDS = 0.5


class Plan(t.NamedTuple):
    """What is to be done. Names are those of users, sorted.

    add, update: whether each is to be an administrator.
    """

    add: dict[str, bool]
    update: dict[str, bool]
    remove: list[str]
    kept: list[str]

    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.add or self.update or self.remove)


def parse_users(entries: t.Sequence[object], admin: bool | None) -> dict[str, bool | None]:
    """The option users as {name: whether an administrator, None to leave it}.

    Raises ValueError with all that is wrong in it.
    """
    wanted: dict[str, bool | None] = {}
    problems = []
    for number, entry in enumerate(entries, start=1):
        name, is_admin = entry, admin
        if isinstance(entry, dict):
            unknown = sorted(str(key) for key in set(entry) - {"name", "admin"})
            if unknown:
                problems.append(
                    f"users: entry {number} has {', '.join(unknown)}, expected name and admin"
                )
            name, is_admin = entry.get("name", ""), entry.get("admin", admin)
            if is_admin is not None and not isinstance(is_admin, bool):
                problems.append(
                    f"users: entry {number} has admin: {is_admin!r}, expected true or false"
                )
        problem = name_problem(name)
        if problem:
            problems.append(f"users: entry {number}: {problem}")
            continue
        key = str(name).lower()
        if key in wanted and wanted[key] != is_admin:
            problems.append(f"users: {key} is named twice, with different values of admin")
        wanted[key] = is_admin
    if problems:
        raise ValueError("\n".join(problems))
    return wanted


def plan_present(
    wanted: t.Mapping[str, bool | None],
    found: t.Mapping[str, Model],
    *,
    purge: bool,
    purge_admins: bool,
    caller: str,
) -> Plan:
    """What makes of the users found the users wanted. caller: the user who asks, if it is one."""
    add = {name: bool(admin) for name, admin in sorted(wanted.items()) if name not in found}
    update = {
        name: admin
        for name, admin in sorted(wanted.items())
        if name in found and admin is not None and admin != bool(found[name].get("admin"))
    }
    others = sorted(set(found) - set(wanted)) if purge else []
    kept = [
        name for name in others if name == caller or (found[name].get("admin") and not purge_admins)
    ]
    return Plan(add, update, [name for name in others if name not in kept], kept)


def plan_absent(wanted: t.Iterable[str], found: t.Container[str]) -> Plan:
    """What removes users."""
    return Plan({}, {}, sorted(name for name in wanted if name in found), [])


def active_servers(user: Model) -> list[str]:
    """The names of the servers of a user that run, start or stop."""
    servers = user.get("servers") or {}
    return sorted(name for name, server in servers.items() if not server.get("stopped"))


def difference(plan: Plan, found: t.Mapping[str, Model]) -> dict[str, t.Any]:
    """The users a plan touches, before and after."""
    touched = [*plan.update, *plan.remove]
    before = {name: {"admin": bool(found[name].get("admin"))} for name in sorted(touched)}
    after = {name: {"admin": admin} for name, admin in sorted({**plan.add, **plan.update}.items())}
    return {"before": {"users": before}, "after": {"users": after}}


def needed_scopes(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The scopes a task needs, and what for."""
    scopes = {"list:users": "to list users"}
    if options["state"] == "present":
        scopes["admin:users"] = "to add users"
    if options["state"] == "absent" or options["purge"]:
        scopes["delete:users"] = "to remove users"
        scopes["read:servers"] = "to see whose servers run"
        if options["stop_servers"]:
            scopes["delete:servers"] = "to stop servers"
    return scopes


class Users(Task):
    """The users of a hub, while they are changed."""

    LISTS = ("added", "removed", "updated", "stopped", "kept")

    def bring_about(self, *, check_mode: bool, diff: bool) -> None:
        """Do what the options ask for, or see what it would be."""
        options = self.options
        wanted = parse_users(options["users"] or [], options["admin"])
        self.hub.require(needed_scopes(options))
        found = {user["name"]: user for user in self.hub.items("users")}
        if options["state"] == "absent":
            plan = plan_absent(wanted, found)
        else:
            plan = plan_present(
                wanted,
                found,
                purge=options["purge"],
                purge_admins=options["purge_admins"],
                caller=self._own_name(),
            )
        active = {name: active_servers(found[name]) for name in plan.remove}
        self._refuse(plan, {name: servers for name, servers in active.items() if servers})
        self.result["kept"] = plan.kept
        if diff:
            self.result["diff"] = difference(plan, found)
        if check_mode:
            self._foresee(plan, active)
        else:
            self._stop(active)
            self._add(plan.add)
            self._update(plan.update)
            self._remove(plan.remove)

    def _own_name(self) -> str:
        """The user the token belongs to; empty for a service."""
        return self.hub.caller.name if self.hub.caller.kind == "user" else ""

    def _refuse(self, plan: Plan, active: t.Mapping[str, t.Sequence[str]]) -> None:
        """Raise JupyterHubError for what the hub would refuse only after other changes."""
        problems = []
        if (
            self.options["purge"]
            and self.options["state"] == "present"
            and not self.options["users"]
        ):
            problems.append(
                "users: found an empty list, with which purge would remove everybody. Expected at "
                "least one name."
            )
        if self._own_name() in plan.remove:
            problems.append(
                f"users: {self._own_name()} is the owner of the token, and JupyterHub lets nobody "
                "remove themselves. Use another administrator's token."
            )
        changes = [name for name, admin in plan.add.items() if admin] + list(plan.update)
        if changes and not self.hub.caller.admin:
            problems.append(
                f"admin: the right of {enumerate_names(changes)} is to change, but the token is the "
                f"one of {self.hub.caller}, who is no administrator, and JupyterHub lets only "
                "administrators give or take that right. Use a token of an administrator, or name "
                "the administrators in jupyterhub_admin_users."
            )
        if active and not self.options["stop_servers"]:
            problems.append(
                f"Users to be removed have servers that run: {enumerate_names(active)}. Stopping "
                "them ends what runs on them; set stop_servers: true to do that, or wait until "
                "they have stopped. Nobody was removed."
            )
        if problems:
            raise JupyterHubError("\n".join(problems))

    def _foresee(self, plan: Plan, active: t.Mapping[str, t.Sequence[str]]) -> None:
        self.result.update(
            changed=not plan.is_empty(),
            added=list(plan.add),
            updated=list(plan.update),
            removed=plan.remove,
            stopped=[f"{name}/{server}" for name, servers in active.items() for server in servers],
        )

    def _note(self, what: str, names: t.Iterable[str]) -> None:
        self.result["changed"] = True
        self.result[what] = sorted([*self.result[what], *names])

    def _add(self, users: t.Mapping[str, bool]) -> None:
        for is_admin in (False, True):
            names = [name for name, admin in users.items() if admin == is_admin]
            for portion in portions(names):
                body: Model = {"usernames": portion, "admin": True} if is_admin else {}
                try:
                    made = self.hub.call("POST", "users", body or {"usernames": portion})
                except JupyterHubError as exc:
                    # The hub knows all of them by other names, or somebody else was faster.
                    if exc.status != 409:
                        raise
                    continue
                self._note("added", [user["name"] for user in made])

    def _update(self, users: t.Mapping[str, bool]) -> None:
        for name, admin in users.items():
            self.hub.call("PATCH", f"users/{quoted(name)}", {"admin": admin})
            self._note("updated", [name])

    def _stop(self, active: t.Mapping[str, t.Sequence[str]]) -> None:
        """Stop servers, and wait until they have. Raises JupyterHubError."""
        servers = [(name, server) for name, names in active.items() for server in names]
        if not servers:
            return
        deadline = time.monotonic() + self.options["stop_timeout"]
        with concurrent.futures.ThreadPoolExecutor(STOPS_AT_ONCE) as pool:
            list(pool.map(self._stop_server, servers))
        waited_for = {name for name, names in active.items() if names}
        while waited_for:
            waited_for = {name for name in waited_for if self._has_servers(name)}
            if waited_for and time.monotonic() > deadline:
                raise JupyterHubError(
                    f"Servers of {enumerate_names(sorted(waited_for))} had not stopped after "
                    f"{self.options['stop_timeout']:g} s. Nobody was removed. Set stop_timeout, or "
                    "look why with: docker logs jupyterhub"
                )
            if waited_for:
                time.sleep(POLL_SECONDS)
        self._note("stopped", [f"{name}/{server}" for name, server in servers])

    def _stop_server(self, server: tuple[str, str]) -> None:
        user, name = server
        path = f"servers/{quoted(name)}" if name else "server"
        try:
            self.hub.call("DELETE", f"users/{quoted(user)}/{path}")
        except JupyterHubError as exc:
            # Gone in the meantime.
            if exc.status != 404:
                raise

    def _has_servers(self, name: str) -> bool:
        user = self.hub.find(f"users/{quoted(name)}")
        return bool(user and active_servers(user))

    def _remove(self, names: t.Iterable[str]) -> None:
        for name in names:
            try:
                self.hub.call("DELETE", f"users/{quoted(name)}")
            except JupyterHubError as exc:
                # Somebody else was faster.
                if exc.status != 404:
                    raise
                continue
            self._note("removed", [name])


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            **common_arguments(),
            "users": {"type": "list", "elements": "raw", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "admin": {"type": "bool"},
            "purge": {"type": "bool", "default": False},
            "purge_admins": {"type": "bool", "default": False},
            "stop_servers": {"type": "bool", "default": False},
            "stop_timeout": {"type": "float", "default": 120.0},
        },
        supports_check_mode=True,
        **COMMON_RULES,
    )
    module.exit_json(**carry_out(module, Users))


if __name__ == "__main__":
    main()
