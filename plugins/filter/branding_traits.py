# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the variables for the look of the hub's pages mean to JupyterHub."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

DOCUMENTATION = r"""
name: branding_traits
short_description: Makes JupyterHub's traits of the variables for the look of its pages
version_added: 0.1.0
description:
  - Gives the traits, by class and name as in C(jupyterhub_config), that C(jupyterhub_title),
    C(jupyterhub_announcement), C(jupyterhub_login_message) and C(jupyterhub_logo_file) of role
    P(ailab.hub.jupyterhub#role) stand for.
  - JupyterHub puts announcements into its pages as they are, as HTML. Here each character of a text
    comes out as itself.
author:
  - ailab.hub contributors
positional: _input
options:
  _input:
    description: The converted variables of the role, without the prefix C(jupyterhub_).
    type: dict
    required: true
seealso:
  - plugin: ailab.hub.authenticator_traits
    plugin_type: filter
    description: Does the same for signing in.
"""

EXAMPLES = r"""
- name: What the variables mean to JupyterHub is shown
  # {'JupyterHub': {'template_vars': {'announcement': 'Down on Monday, 8 &lt; 9 am'}}}
  ansible.builtin.debug:
    msg: "{{ variables | ailab.hub.branding_traits }}"
  vars:
    variables:
      announcement: Down on Monday, 8 < 9 am
"""

RETURN = r"""
_value:
  description: Traits by class and name.
  type: dict
  sample: {"JupyterHub": {"template_vars": {"hub_title": "Research"}}}
"""

TEXTS = ("jupyterhub_title", "jupyterhub_announcement", "jupyterhub_login_message")
# Where the hub's container has the folder with the logo.
FOLDER = "/etc/jupyterhub/branding"


def logo_name(path: str) -> str:
    """The name of a logo on the server; the suffix tells browsers what it is."""
    return f"logo{PurePath(path).suffix.lower()}"


def branding_traits(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the traits of JupyterHub by class and name."""
    given = {name: values.get(name.removeprefix("jupyterhub_")) or "" for name in TEXTS}
    everywhere = html.escape(given["jupyterhub_announcement"])
    login = html.escape(given["jupyterhub_login_message"])
    texts = {
        # Templates escape this one themselves.
        "hub_title": given["jupyterhub_title"],
        "announcement": everywhere,
        # On this page it takes the place of the other.
        "announcement_login": "<br>".join(filter(None, (everywhere, login))) if login else "",
    }
    traits: dict[str, Any] = {}
    if values.get("authenticator") == "native":
        texts["hub_signs_up"] = "yes"
    if shown := {name: text for name, text in texts.items() if text}:
        traits["template_vars"] = shown
    if logo := values.get("logo_file"):
        traits["logo_file"] = f"{FOLDER}/{logo_name(logo)}"
    return {"JupyterHub": traits} if traits else {}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"branding_traits": branding_traits}
