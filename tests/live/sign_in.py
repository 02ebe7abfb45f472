# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub on this machine that signs people in as the variables of role jupyterhub say.

The variables take the way they take in a run: specification, checks, traits, template. Only the
secrets lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from ansible_collections.ailab.hub.plugins.filter.branding_traits import branding_traits
from ansible_collections.ailab.hub.plugins.plugin_utils._authenticators import (
    authenticator_traits,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_checks import check_values
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import convert

from .local_hub import ROOT, LocalHub

ROLE = ROOT / "roles" / "jupyterhub"
SECRETS = {
    "shared_user_password": "password-of-users",
    "shared_admin_password": "password-of-administrators-0123456789",
    "crypt_keys": f"{'1' * 64}\n{'2' * 64}",
    "remote_user_secret": "secret-of-the-entrance-0123456789abcdef",
}


def checked(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables as the preflight hands them to the role.

    Raises:
        AssertionError: the preflight refuses them.
    """
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    assert not set(variables) - set(options)
    values = {}
    problems = []
    for name, spec in options.items():
        value = variables.get(name, spec.get("default"))
        if isinstance(value, str) and "{{" in value:
            # What the variables of another role say where that role is not used.
            value = {"bool": False}.get(spec["type"], "")
        converted = convert(name, spec, value)
        values[name] = converted.value
        problems += converted.problems
    problems += [
        problem
        for problem in check_values(["jupyterhub"], values)
        if "image" not in problem.subject
    ]
    assert not problems, "\n".join(map(str, problems))
    return {name.removeprefix("jupyterhub_"): value for name, value in values.items()}


def hub_of(folder: Path, secrets: Mapping[str, str] | None = None, **variables: Any) -> LocalHub:
    """A hub with such variables, given without their prefix; it is still to be entered.

    Args:
        folder: for all its files.
        secrets: content of files in place of those a server has.
    """
    values = checked({f"jupyterhub_{name}": value for name, value in variables.items()})
    store = folder / "secrets"
    store.mkdir()
    for name, content in {**SECRETS, **(secrets or {})}.items():
        (store / name).write_text(content)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True, autoescape=False
    )
    environment.filters["ailab.hub.python_literal"] = repr
    text = environment.get_template("authenticator.py.j2").render(_jupyterhub_checked=values)
    template = (ROLE / "templates" / "jupyterhub_config.py.j2").read_text()
    imports = [line for line in template.splitlines() if line.startswith("from ailab_hub.")]
    lines = "\n".join(
        [
            *imports,
            "c.JupyterHub.template_paths = [TEMPLATES]",
            text.replace("/run/secrets/", f"{store}/"),
        ]
    )
    config: dict[str, dict[str, Any]] = {"JupyterHub": {"spawner_class": "simple"}}
    for source in (authenticator_traits(values), branding_traits(values), values["config"]):
        for name, traits in source.items():
            config.setdefault(name, {}).update(traits)
    return LocalHub(folder, config, lines=lines)
