#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a JupyterHub tells about itself and its people."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_info
short_description: Tell a JupyterHub's version, users, servers, groups and services
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Asks a running JupyterHub through its REST API. All pages of long lists are fetched.
  - What is returned has the same structure with every version of JupyterHub, whatever else the hub
    tells.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.info_module
  - ailab.hub._jupyterhub
  - ailab.hub._jupyterhub.action_group
options:
  gather:
    description:
      - What to ask for. The version and the owner of the token are always returned.
      - V(hub) are the hub's authenticator and spawner, with the scope C(read:hub).
      - V(users) are the users and their servers, with the scopes C(list:users), C(read:users) and
        C(read:servers).
      - V(groups) are the groups and their members, with the scopes C(list:groups) and
        C(read:groups).
      - V(services) are the services, with the scopes C(list:services) and C(read:services).
      - V(routes) are the routes of the proxy, with the scope C(proxy). The token the role
        P(ailab.hub.jupyterhub#role) keeps does not have that scope, since with it one can also give
        the hub another proxy.
    type: list
    elements: str
    choices: [hub, users, groups, services, routes]
    default: [hub, users, groups, services]
  users:
    description:
      - Names of the users to return. A name the hub does not know is left out.
      - If it is not set, all users are returned.
    type: list
    elements: str
  servers:
    description:
      - Which users to return, by what their servers do.
      - V(active) are users with a server that runs, starts or stops, V(ready) those with one that can
        be used, V(inactive) those with none of these.
    type: str
    choices: [any, active, ready, inactive]
    default: any
seealso:
  - module: ailab.hub.jupyterhub_group
  - module: ailab.hub.jupyterhub_token
  - module: ailab.hub.jupyterhub_user
"""

EXAMPLES = r"""
- name: What the hub tells
  hosts: hub
  become: true
  module_defaults:
    group/ailab.hub.jupyterhub:
      url: http://127.0.0.1:8000/
      token_file: /var/lib/ailab-hub/secrets/admin_api_token
  tasks:
    - name: Everything is known
      ailab.hub.jupyterhub_info:
      register: _hub

    - name: Version, and who has never logged in
      ansible.builtin.debug:
        msg: "{{ _hub.version }}: {{ _hub.users | selectattr('last_activity', 'none')
          | map(attribute='name') | join(', ') }}"

    - name: Who has a server that runs is known
      ailab.hub.jupyterhub_info:
        gather: [users]
        servers: active
      register: _active

    - name: Nobody works at the moment
      ansible.builtin.assert:
        that: _active.users | length == 0
        fail_msg: "At work: {{ _active.users | map(attribute='name') | join(', ') }}"

    - name: Two users are looked up
      ailab.hub.jupyterhub_info:
        gather: [users]
        users: [alice, bob]
"""

RETURN = r"""
version:
  description: Version of JupyterHub.
  type: str
  returned: always
  sample: 5.5.4
api_url:
  description: Address of the API that was asked.
  type: str
  returned: always
  sample: http://127.0.0.1:8000/hub/api
caller:
  description: The owner of the token.
  type: dict
  returned: always
  contains:
    kind:
      description: V(user) or V(service).
      type: str
      returned: always
      sample: service
    name:
      description: Name of the user or service.
      type: str
      returned: always
      sample: ailab-hub-admin-5f1d7a84
    admin:
      description: Whether the owner is an administrator.
      type: bool
      returned: always
      sample: false
    scopes:
      description: What the token may do, with all that each scope includes, sorted.
      type: list
      elements: str
      returned: always
      sample: ["list:users", "read:users:name"]
hub:
  description: What the hub consists of.
  type: dict
  returned: if O(gather) has V(hub)
  contains:
    python:
      description: Version of the Python that runs it.
      type: str
      returned: always
      sample: 3.12.3
    authenticator:
      description: Class of the authenticator.
      type: str
      returned: always
      sample: jupyterhub.authenticators.shared.SharedPasswordAuthenticator
    spawner:
      description: Class of the spawner.
      type: str
      returned: always
      sample: ailab_hub.spawner.LabSpawner
users:
  description: The users, sorted by their names.
  type: list
  elements: dict
  returned: if O(gather) has V(users)
  contains:
    name:
      description: The user's name.
      type: str
      returned: always
      sample: alice
    admin:
      description: Whether the user is an administrator.
      type: bool
      returned: always
      sample: false
    groups:
      description: Names of the groups the user is in, sorted.
      type: list
      elements: str
      returned: always
      sample: [class-2026]
    created:
      description: When the user was added, in UTC. V(null) if unknown.
      type: str
      returned: always
      sample: "2026-11-20T13:33:00.123456Z"
    last_activity:
      description: When the user was last active, in UTC. V(null) if never.
      type: str
      returned: always
      sample: "2026-11-20T14:01:12.000000Z"
    servers:
      description: The user's servers that run, start or stop, sorted by their names.
      type: list
      elements: dict
      returned: always
      contains:
        name:
          description: Name of the server. Empty for the default server.
          type: str
          returned: always
          sample: ""
        ready:
          description: Whether it can be used.
          type: bool
          returned: always
          sample: true
        pending:
          description: V(spawn) while it starts, V(stop) while it stops, else V(null).
          type: str
          returned: always
          sample: null
        url:
          description: Its path below the hub's address, or its address where users have subdomains.
          type: str
          returned: always
          sample: /user/alice/
        started:
          description: When it was started, in UTC. V(null) while it starts.
          type: str
          returned: always
          sample: "2026-11-20T13:40:00.000000Z"
        last_activity:
          description: When it was last used, in UTC. V(null) if never.
          type: str
          returned: always
          sample: "2026-11-20T14:01:12.000000Z"
groups:
  description: The groups, sorted by their names.
  type: list
  elements: dict
  returned: if O(gather) has V(groups)
  contains:
    name:
      description: The group's name.
      type: str
      returned: always
      sample: class-2026
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
services:
  description: The services, sorted by their names.
  type: list
  elements: dict
  returned: if O(gather) has V(services)
  contains:
    name:
      description: The service's name.
      type: str
      returned: always
      sample: idle-culler
    admin:
      description: Whether it may do everything.
      type: bool
      returned: always
      sample: false
    url:
      description: Where the hub finds it. Empty if it has no address.
      type: str
      returned: always
      sample: ""
    prefix:
      description: Its path below the hub's address. Empty if it has none.
      type: str
      returned: always
      sample: ""
    managed:
      description: Whether the hub runs it.
      type: bool
      returned: always
      sample: true
routes:
  description: Where the proxy leads to, sorted by the paths.
  type: list
  elements: dict
  returned: if O(gather) has V(routes)
  contains:
    path:
      description: The path, with the host name in front where the hub has subdomains.
      type: str
      returned: always
      sample: /user/alice/
    target:
      description: Where it leads to.
      type: str
      returned: always
      sample: http://172.30.128.1:8888
    user:
      description: The user whose server is there. V(null) for the hub and services.
      type: str
      returned: always
      sample: alice
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils._jupyterhub_api import (
    COMMON_RULES,
    JupyterHub,
    JupyterHubError,
    Model,
    common_arguments,
    open_hub,
    user_names,
)

# What to ask for, and the scopes it takes.
SCOPES: dict[str, tuple[str, ...]] = {
    "hub": ("read:hub",),
    "users": ("list:users", "read:users", "read:servers"),
    "groups": ("list:groups", "read:groups"),
    "services": ("list:services", "read:services"),
    "routes": ("proxy",),
}


def server_of(found: Model) -> Model:
    """What is returned of a server."""
    return {
        "name": found.get("name", ""),
        "ready": bool(found.get("ready")),
        "pending": found.get("pending") or None,
        "url": found.get("url", ""),
        "started": found.get("started"),
        "last_activity": found.get("last_activity"),
    }


def user_of(found: Model) -> Model:
    """What is returned of a user."""
    servers = [server_of(server) for server in (found.get("servers") or {}).values()]
    return {
        "name": found["name"],
        "admin": bool(found.get("admin")),
        "groups": sorted(found.get("groups") or []),
        "created": found.get("created"),
        "last_activity": found.get("last_activity"),
        "servers": sorted(servers, key=lambda server: str(server["name"])),
    }


def group_of(found: Model) -> Model:
    """What is returned of a group."""
    return {
        "name": found["name"],
        "users": sorted(found.get("users") or []),
        "properties": found.get("properties") or {},
    }


def service_of(found: Model) -> Model:
    """What is returned of a service."""
    return {
        "name": found["name"],
        "admin": bool(found.get("admin")),
        "url": found.get("url") or "",
        "prefix": found.get("prefix") or "",
        "managed": bool(found.get("command")),
    }


def route_of(path: str, found: Model) -> Model:
    """What is returned of a route."""
    return {
        "path": path,
        "target": found.get("target", ""),
        "user": (found.get("data") or {}).get("user"),
    }


def by_name(models: t.Iterable[Model]) -> list[Model]:
    """Models sorted by their names."""
    return sorted(models, key=lambda model: str(model["name"]))


def users_of(hub: JupyterHub, names: t.Sequence[str] | None, servers: str) -> list[Model]:
    """The users asked for. Raises JupyterHubError and ValueError."""
    wanted = None if names is None else set(user_names(names, "users"))
    query = {} if servers == "any" else {"state": servers}
    found = hub.items("users", **query)
    return by_name(user_of(user) for user in found if wanted is None or user["name"] in wanted)


def gather(hub: JupyterHub, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """All that was asked for. Raises JupyterHubError and ValueError."""
    parts = options["gather"]
    hub.require(
        {
            scope: f"for gather: [{part}]"
            for part, scopes in SCOPES.items()
            for scope in scopes
            if part in parts
        }
    )
    result: dict[str, t.Any] = {
        "version": hub.version,
        "api_url": hub.api,
        "caller": {
            "kind": hub.caller.kind,
            "name": hub.caller.name,
            "admin": hub.caller.admin,
            "scopes": sorted(hub.caller.scopes),
        },
    }
    if "hub" in parts:
        found = hub.call("GET", "info")
        result["hub"] = {
            "python": found["python"].split()[0],
            "authenticator": found["authenticator"]["class"],
            "spawner": found["spawner"]["class"],
        }
    if "users" in parts:
        result["users"] = users_of(hub, options["users"], options["servers"])
    if "groups" in parts:
        result["groups"] = by_name(map(group_of, hub.items("groups")))
    if "services" in parts:
        result["services"] = by_name(map(service_of, hub.call("GET", "services").values()))
    if "routes" in parts:
        result["routes"] = [route_of(path, route) for path, route in sorted(hub.routes().items())]
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            **common_arguments(),
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": list(SCOPES),
                "default": ["hub", "users", "groups", "services"],
            },
            "users": {"type": "list", "elements": "str"},
            "servers": {
                "type": "str",
                "choices": ["any", "active", "ready", "inactive"],
                "default": "any",
            },
        },
        supports_check_mode=True,
        **COMMON_RULES,
    )
    try:
        module.exit_json(changed=False, **gather(open_hub(module), module.params))
    except (JupyterHubError, ValueError) as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
