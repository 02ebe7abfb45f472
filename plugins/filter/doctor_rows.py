# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two modules say of a server, as the rows of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

DOCUMENTATION = r"""
name: doctor_rows
short_description: Results of docker_access and hub_health as the rows of one table
version_added: 0.1.0
description:
  - Puts the results of M(ailab.hub.docker_access) and M(ailab.hub.hub_health) into one order, the order to mend in.
  - A server that cannot be reached, and a module that failed, are rows as well.
  - What is wrong with the access to Docker is V(broken). What is wrong for named users alone is a V(warning), as the hub needs none of them. Notes are V(ok).
author:
  - ailab.hub contributors
positional: _input, access
options:
  _input:
    description: The registered result of M(ailab.hub.hub_health).
    type: dict
    required: true
  access:
    description: The registered result of M(ailab.hub.docker_access).
    type: dict
    required: true
seealso:
  - plugin: ailab.hub.doctor_table
    plugin_type: filter
  - module: ailab.hub.docker_access
  - module: ailab.hub.hub_health
"""

EXAMPLES = r"""
- name: What is broken is known by name
  ansible.builtin.debug:
    msg: "{{ health | ailab.hub.doctor_rows(access) | selectattr('state', 'eq', 'broken') | map(attribute='subject') }}"
  vars:
    health: {checks: [{subject: Hub, state: broken, message: no answer, hint: "Run: docker restart jupyterhub"}], deployed: true}
    access: {problems: []}
"""

RETURN = r"""
_value:
  description: The rows.
  type: list
  elements: dict
  contains:
    subject:
      description: What was looked at.
      type: str
      returned: always
      sample: Docker access
    state:
      description: V(ok), V(warning), V(broken) or V(unknown).
      type: str
      returned: always
      sample: broken
    message:
      description: What was found.
      type: str
      returned: always
      sample: There is no group docker on this host.
    hint:
      description: What mends it. Empty if there is nothing to mend.
      type: str
      returned: always
      sample: "Run: groupadd --system docker"
"""

Row = dict[str, str]

# Of docker_access: what keeps users of the server from Docker, not the hub.
USERS_ALONE = frozenset(
    {
        "relogin_needed",
        "socket_group_wrong",
        "user_denied",
        "user_folder_closed",
        "user_missing",
        "user_not_in_group",
        "user_untested",
    }
)
# All there is to say of a server without an engine.
NO_ENGINE = frozenset({"group_missing", "socket_missing"})
LONGEST = 500


def row(subject: str, state: str, message: object, hint: str = "") -> Row:
    """One row, of one line."""
    text = " ".join(str(message).split())
    return {"subject": subject, "state": state, "message": text[:LONGEST], "hint": hint}


def doctor_rows(health: Mapping[str, Any], access: Mapping[str, Any]) -> list[Row]:
    """Return the rows for two results, which may also be of a task that failed or was skipped."""
    for result in (health, access):
        if result.get("unreachable"):
            hint = "Look with: ansible -i inventory hub -m ansible.builtin.ping -vvv"
            return [row("Connection", "broken", result.get("msg", "not reachable"), hint)]
    checks = list(health.get("checks", ()))
    if "checks" not in health:
        hint = "Mend what it names. Ansible needs Python 3 on the server, and to become root there (ansible_become_password, or --ask-become-pass)."
        checks = [row("Server", "broken", f"could not be looked at: {health.get('msg')}", hint)]
    first = [each for each in checks if each["subject"] == "Deployment"]
    rest = [each for each in checks if each["subject"] != "Deployment"]
    return [*first, *_docker_rows(access, bool(first)), *rest]


def _docker_rows(access: Mapping[str, Any], is_bare: bool) -> Iterator[Row]:
    if "problems" not in access:
        # Where the server itself could not be looked at that is said already.
        if access.get("failed"):
            hint = "Mend docker_engine_users in the inventory, which names the users to test."
            message = f"could not be looked at: {access.get('msg')}"
            yield row("Docker access", "broken", message, hint)
        return
    problems = access["problems"]
    if is_bare and NO_ENGINE.issuperset(problem["code"] for problem in problems) and problems:
        yield row(
            "Docker access", "unknown", "there is no Docker Engine", "The deployment installs it."
        )
        return
    for problem in problems:
        state = "warning" if problem["code"] in USERS_ALONE else "broken"
        yield row("Docker access", state, problem["message"], problem["hint"])
    if not problems:
        daemon, path = access.get("daemon", {}), access.get("socket", {}).get("path")
        users = ", ".join(user["name"] for user in access.get("users", ()))
        engine = f"{str(daemon.get('engine') or 'Docker').capitalize()} {daemon.get('version')}"
        message = f"{engine} answers on {path}" + (f", {users} may use it" if users else "")
        yield row("Docker access", "ok", message)
    for note in access.get("notes", ()):
        yield row("Docker access", "ok", note["message"], note["hint"])


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"doctor_rows": doctor_rows}
