#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups of a JupyterHub, many at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_group
short_description: Manage groups of a JupyterHub, their members and properties
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Makes groups in a running JupyterHub, says who is in them and what properties they have, or
    removes them, through its REST API. The hub is not restarted.
  - All groups are named in one task, and all members of a group at once.
  - Everything that can be known before is checked before the first change. That is the token and
    its scopes, the names, and whether all members are users of the hub.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._jupyterhub
  - ailab.hub._jupyterhub.action_group
attributes:
  check_mode:
    support: full
    details:
      - Members the hub does not know yet are an error in the run itself, but only a warning in check
        mode, where a task before this one may not have added them.
  diff_mode:
    support: full
options:
  groups:
    description: The groups, each name once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the group. JupyterHub distinguishes capital and small letters in it.
        type: str
        required: true
      users:
        description:
          - Names of users. What becomes of them is up to O(membership).
          - They must be users of the hub. The module M(ailab.hub.jupyterhub_user) adds them.
          - If it is not set, the members stay as they are.
          - Names of digits alone need quotes.
        type: list
        elements: raw
      properties:
        description:
          - The properties of the group, all of them. JupyterHub attaches no meaning to them. Spawners
            and services may.
          - If it is not set, the properties stay as they are.
        type: dict
  membership:
    description:
      - V(exact) makes the users named the only members. V(present) adds those who are missing.
        V(absent) takes those who are members out of the group.
      - Only used with O(state=present).
    type: str
    choices: [exact, present, absent]
    default: exact
  state:
    description:
      - V(present) makes groups that are missing. V(absent) removes groups with the rights they give.
        Their members stay users.
    type: str
    choices: [present, absent]
    default: present
notes:
  - With C(Authenticator.manage_groups) the groups come from the sign-in. JupyterHub before 5.3 then
    refuses all changes made here, and later versions replace a user's groups at each sign-in.
  - Groups that stand in C(JupyterHub.load_groups) are made again when the hub starts.
  - Needs the scopes C(list:groups) and C(read:groups), to make groups also C(admin:groups), to change
    members and properties C(groups) and C(list:users), and to remove groups C(delete:groups).
seealso:
  - module: ailab.hub.jupyterhub_info
  - module: ailab.hub.jupyterhub_token
  - module: ailab.hub.jupyterhub_user
"""

EXAMPLES = r"""
- name: Groups of a course
  hosts: hub
  become: true
  module_defaults:
    group/ailab.hub.jupyterhub:
      url: http://127.0.0.1:8000/
      token_file: /var/lib/ailab-hub/secrets/admin_api_token
  tasks:
    - name: The people of the course are there
      ailab.hub.jupyterhub_user:
        users: [alice, bob, carol]

    - name: There are two groups, with just these members
      ailab.hub.jupyterhub_group:
        groups:
          - name: monday
            users: [alice, bob]
            properties:
              room: A 12
          - name: tuesday
            users: [carol]

    - name: Bob comes on tuesday, too
      ailab.hub.jupyterhub_group:
        groups:
          - name: tuesday
            users: [bob]
        membership: present

    - name: And does not come on monday any more
      ailab.hub.jupyterhub_group:
        groups:
          - name: monday
            users: [bob]
        membership: absent

    - name: The course is over
      ailab.hub.jupyterhub_group:
        groups:
          - name: monday
          - name: tuesday
        state: absent
"""

RETURN = r"""
added:
  description: Groups that were made.
  type: list
  elements: str
  returned: always
  sample: [tuesday]
removed:
  description: Groups that were removed.
  type: list
  elements: str
  returned: always
  sample: []
updated:
  description: Groups that were there and whose members or properties changed.
  type: list
  elements: str
  returned: always
  sample: [monday]
groups:
  description: The groups of O(groups), as they are now, in the same order.
  type: list
  elements: dict
  returned: if O(state=present)
  contains:
    name:
      description: The group's name.
      type: str
      returned: always
      sample: monday
    users:
      description: Names of its members, sorted.
      type: list
      elements: str
      returned: always
      sample: [alice, bob]
    properties:
      description: Its properties.
      type: dict
      returned: always
      sample: {"room": "A 12"}
"""

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
    portions,
    quoted,
    user_names,
)

MANAGED = "group management via api is disabled"


class Wanted(t.NamedTuple):
    """A group as it is asked for; None leaves what is there."""

    name: str
    users: list[str] | None
    properties: Model | None


class Group(t.NamedTuple):
    """A group as it is, or is to be."""

    users: frozenset[str]
    properties: Model

    def shown(self) -> Model:
        """What a difference shows of it."""
        return {"users": sorted(self.users), "properties": self.properties}


NEW = Group(frozenset(), {})


def parse_groups(entries: t.Sequence[Model]) -> list[Wanted]:
    """The option groups. Raises ValueError with all that is wrong in it."""
    wanted: list[Wanted] = []
    problems = []
    for number, entry in enumerate(entries, start=1):
        name = entry["name"]
        if not name or set(name) == {"."}:
            problems.append(
                f"groups: entry {number} has the name {name!r}, with which the hub's API cannot "
                "address a group"
            )
        elif name in [other.name for other in wanted]:
            problems.append(f"groups: {name} is named twice")
        users = None
        if entry.get("users") is not None:
            try:
                users = user_names(entry["users"], f"groups: {name}: users")
            except ValueError as exc:
                problems.append(str(exc))
        wanted.append(Wanted(name, users, entry.get("properties")))
    if problems:
        raise ValueError("\n".join(problems))
    return wanted


def target(wanted: Wanted, found: Group, membership: str) -> Group:
    """What a group is to be."""
    users = found.users
    if wanted.users is not None:
        named = frozenset(wanted.users)
        users = {"exact": named, "present": users | named, "absent": users - named}[membership]
    properties = found.properties if wanted.properties is None else wanted.properties
    return Group(users, properties)


def needed_scopes(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The scopes a task needs, and what for, apart from those to make groups."""
    scopes = {"list:groups": "to list groups", "read:groups": "to see their members"}
    if options["state"] == "absent":
        scopes["delete:groups"] = "to remove groups"
        return scopes
    groups = options["groups"] or []
    if any(group.get("users") for group in groups):
        scopes["list:users"] = "to see whether members are users of the hub"
    if any(group.get(key) is not None for group in groups for key in ("users", "properties")):
        scopes["groups"] = "to change members and properties"
    return scopes


class Groups(Task):
    """The groups of a hub, while they are changed."""

    LISTS = ("added", "removed", "updated")

    def bring_about(self, *, check_mode: bool, diff: bool) -> None:
        """Do what the options ask for, or see what it would be."""
        wanted = parse_groups(self.options["groups"] or [])
        self.hub.require(needed_scopes(self.options))
        found = {
            group["name"]: Group(
                frozenset(group.get("users") or ()), dict(group.get("properties") or {})
            )
            for group in self.hub.items("groups")
        }
        if self.options["state"] == "absent":
            before = {group.name: found[group.name] for group in wanted if group.name in found}
            after: dict[str, Group] = {}
        else:
            membership = self.options["membership"]
            after = {
                group.name: target(group, found.get(group.name, NEW), membership)
                for group in wanted
            }
            before = {name: found[name] for name in after if name in found}
            if any(name not in found for name in after):
                self.hub.require({"admin:groups": "to make groups"})
            self._know_members(after, before, check_mode=check_mode)
        touched = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if diff:
            self.result["diff"] = {
                "before": {"groups": {n: before[n].shown() for n in touched if n in before}},
                "after": {"groups": {n: after[n].shown() for n in touched if n in after}},
            }
        for name in touched:
            if not check_mode:
                self._change(name, before.get(name), after.get(name))
            self._note(name, before.get(name), after.get(name))
        if self.options["state"] == "present":
            self.result["groups"] = [
                {"name": name, **group.shown()} for name, group in after.items()
            ]

    def _know_members(
        self,
        after: t.Mapping[str, Group],
        before: t.Mapping[str, Group],
        *,
        check_mode: bool,
    ) -> None:
        """Raise JupyterHubError if somebody to be added is no user of the hub."""
        new = {name: group.users - before.get(name, NEW).users for name, group in after.items()}
        if not any(new.values()):
            return
        users = {user["name"] for user in self.hub.items("users")}
        unknown = {name: sorted(names - users) for name, names in new.items() if names - users}
        problems = [
            f"groups: {name}: the hub has no user {enumerate_names(names)}."
            for name, names in unknown.items()
        ]
        if problems and check_mode:
            self.warnings += problems
        elif problems:
            problems.append("Add them first with ailab.hub.jupyterhub_user. Nothing was changed.")
            raise JupyterHubError("\n".join(problems))

    def _note(self, name: str, before: Group | None, after: Group | None) -> None:
        what = "removed" if after is None else "added" if before is None else "updated"
        self.result[what].append(name)
        self.result["changed"] = True

    def _change(self, name: str, before: Group | None, after: Group | None) -> None:
        """Make of a group what it is to be. Raises JupyterHubError."""
        path = f"groups/{quoted(name)}"
        if after is None:
            self._call("DELETE", path)
            return
        if before is None:
            self._call("POST", path, {})
            before = NEW
        for method, users in (
            ("POST", sorted(after.users - before.users)),
            ("DELETE", sorted(before.users - after.users)),
        ):
            for portion in portions(users):
                self._call(method, f"{path}/users", {"users": portion})
        if after.properties != before.properties:
            self._call("PUT", f"{path}/properties", after.properties)

    def _call(self, method: str, path: str, body: t.Any = None) -> None:
        try:
            self.hub.call(method, path, body)
        except JupyterHubError as exc:
            if MANAGED not in exc.said.lower():
                raise
            raise JupyterHubError(
                f"{exc} Authenticator.manage_groups is on: the groups come from the sign-in, and "
                f"JupyterHub {self.hub.version} lets nobody else change them. Change them where "
                "people sign in, or set Authenticator.manage_groups to false.",
                exc.status,
                exc.said,
            ) from exc


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            **common_arguments(),
            "groups": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "users": {"type": "list", "elements": "raw"},
                    "properties": {"type": "dict"},
                },
            },
            "membership": {
                "type": "str",
                "choices": ["exact", "present", "absent"],
                "default": "exact",
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
        **COMMON_RULES,
    )
    module.exit_json(**carry_out(module, Groups))


if __name__ == "__main__":
    main()
