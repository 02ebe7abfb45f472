# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which traits of a JupyterHub configuration hold a secret."""

from __future__ import annotations

import re
from collections.abc import Callable

DOCUMENTATION = r"""
name: split_secret_traits
short_description: Parts a JupyterHub configuration into what may be shown and what is secret
version_added: 0.1.0
description:
  - Sorts the traits of a configuration, so that secret ones can be kept in a file of their own which no diff shows.
  - A trait holds a secret when its name, or a key anywhere inside its value, contains
    C(password), C(passwd), C(passphrase), C(secret), C(token), C(credential), ends in C(key),
    C(keys), C(_pass) or C(_pwd), or when its value contains an address with a password, such as the one of a database.
  - Names that end in C(_file), C(_path), C(_url) or C(_class), or tell a length or a number of
    something, are no secrets by their name.
author:
  - ailab.hub contributors
positional: _input
options:
  _input:
    description: Traits by class and name, as in C(jupyterhub_config).
    type: dict
    required: true
seealso:
  - plugin: ailab.hub.python_literal
    plugin_type: filter
    description: Writes what may be shown into a file of Python.
  - module: ailab.hub.secret_files
"""

EXAMPLES = r"""
- name: The client's id may be shown, its secret may not
  # {'GitHubOAuthenticator': {'client_id': '1'}}
  ansible.builtin.debug:
    msg: "{{ (traits | ailab.hub.split_secret_traits).shown }}"
  vars:
    traits:
      GitHubOAuthenticator:
        client_id: "1"
        client_secret: "{{ vault_client_secret }}"
"""

RETURN = r"""
_value:
  description: The traits that may be shown, and those that are secret. Together they are the input.
  type: dict
  contains:
    shown:
      description: Traits without a secret, by class and name.
      type: dict
      returned: always
      sample: {"GitHubOAuthenticator": {"client_id": "1"}}
    secret:
      description: Traits that hold a secret, by class and name.
      type: dict
      returned: always
      sample: {"GitHubOAuthenticator": {"client_secret": "..."}}
"""

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|keys?$|(^|_)(pass|pwd)$", re.IGNORECASE
)
_HARMLESS_NAME = re.compile(
    r"_(file|path|url|class|length|age|days|seconds|scopes?|claims?|names?)$|^(minimum|max|check|enable|allow)_",
    re.IGNORECASE,
)
_URL_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def names_secret(name: str) -> bool:
    """Tell whether a trait or key of this name is taken for a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return any(names_secret(str(key)) or _holds_secret(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(_holds_secret(item) for item in value)
    return isinstance(value, str) and bool(_URL_WITH_PASSWORD.search(value))


def split_secret_traits(
    config: dict[str, dict[str, object]],
) -> dict[str, dict[str, dict[str, object]]]:
    """Return ``{"shown": ..., "secret": ...}``, which together are ``config``."""
    parts: dict[str, dict[str, dict[str, object]]] = {"shown": {}, "secret": {}}
    for class_name, traits in config.items():
        for trait, value in traits.items():
            part = "secret" if names_secret(trait) or _holds_secret(value) else "shown"
            parts[part].setdefault(class_name, {})[trait] = value
    return parts


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"split_secret_traits": split_secret_traits}
