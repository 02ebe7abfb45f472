# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable and every server checked before the first change; see modules/preflight.py."""

from __future__ import annotations

import contextlib
import datetime
import tarfile
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import (
    AnsibleConnectionFailure,
    AnsibleError,
    AnsibleTemplateSyntaxError,
    AnsibleUndefinedVariable,
    AnsibleValueOmittedError,
)
from ansible.plugins.action import ActionBase
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_checks import (
    certificate_problem,
    check_values,
    key_problem,
    logo_problem,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_host import (
    check_host,
    host_info_options,
    unreachable,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_https import (
    certificate_problems,
    key_mode_problem,
    wanted_names,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_images import ssh_key_problem
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import (
    UNSET,
    Problem,
    convert,
    is_secret,
    nearest,
)

COLLECTION = "ailab.hub"
# Facts the roles set for each other.
FACTS = frozenset(
    {"lab_image_reference", "hub_image_reference", "lab_image_added_bytes", "docker_engine_notes"}
)
KNOWN_VARIABLES = "jupyterhub_known_variables"
HUB_CA_FILE = "hub_image_ca_file"
CA_FILES = ("lab_image_ca_file", HUB_CA_FILE, "hub_https_acme_ca_file")
CA_TARGET = "hub_https_internal_ca_file"
KEY_FILE = "docker_engine_repository_key_file"
LOGO_FILE = "jupyterhub_logo_file"

# How near (0 to 1) a name of another role must be: half of it, the prefix, differs already.
OTHER_ROLE_LIKENESS = 0.75
# The folder of the roles, relative to this file: the collection may be a checkout of any name.
ROLES = Path(__file__).parents[2] / "roles"

Specs = dict[str, dict[str, Any]]


class ActionModule(ActionBase):
    """The action `ailab.hub.preflight`."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Check everything; the converted values, or one failure that lists all problems."""
        variables = task_vars or {}
        super().run(tmp, variables)
        _result, options = self.validate_argument_spec(
            {
                "roles": {"type": "list", "elements": "str", "required": True},
                "check_host": {"type": "bool", "default": True},
            }
        )
        specs, defaults = self._load_roles()
        roles = options["roles"]
        if unknown := [role for role in roles if role not in specs]:
            known = ", ".join(sorted(specs))
            raise AnsibleError(
                f"roles: there is no role {unknown[0]} in {COLLECTION}, only {known}"
            )

        values, problems = self._values(
            {name: spec for role in roles for name, spec in specs[role].items()},
            variables,
            defaults,
        )
        problems += self._unknown_variables(specs, variables, defaults)
        problems += check_values(roles, values)
        problems += self._check_files(values, variables.get("inventory_dir"))
        host: dict[str, Any] | None = None
        if options["check_host"]:
            host, found = self._check_host(roles, values, variables)
            problems += found
        if problems:
            return self._failure(problems, str(variables.get("inventory_hostname", "the server")))
        return self._success(roles, specs, values, host)

    def _load_roles(self) -> tuple[Specs, dict[str, Any]]:
        """The options of every role of the collection, and all defaults, which are templates."""
        specs: Specs = {}
        defaults: dict[str, Any] = {}
        for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
            loaded = self._loader.load_from_file(str(path), trusted_as_template=True)
            specs[path.parts[-3]] = loaded["argument_specs"]["main"].get("options") or {}
            file = path.parents[1] / "defaults" / "main.yml"
            if file.exists():
                loaded = self._loader.load_from_file(str(file), trusted_as_template=True)
                defaults.update(loaded or {})
        return specs, defaults

    def _values(
        self, options: Mapping[str, Any], variables: Mapping[str, Any], defaults: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Every option filled in and converted on its own, so that one mistake hides no other."""
        # Defaults of roles are no variables of a play before its roles.
        available = ChainMap(dict(variables), dict(defaults))
        templar = self._templar.copy_with_new_env(available_variables=available)
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, spec in options.items():
            default = defaults.get(name, spec.get("default", UNSET))
            try:
                try:
                    value = variables.get(name, default)
                    value = UNSET if value is UNSET else templar.template(value)
                except AnsibleValueOmittedError:
                    value = UNSET if default is UNSET else templar.template(default)
            except AnsibleError as exc:
                problems.append(_template_problem(name, spec, exc))
                continue
            converted = convert(name, spec, value)
            problems += converted.problems
            if not converted.problems:
                values[name] = converted.value
        return values, problems

    def _unknown_variables(
        self, specs: Specs, variables: Mapping[str, Any], defaults: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """Variables with a prefix of the collection that no role knows: misspelt, most likely."""
        options = {name: spec for spec in specs.values() for name, spec in spec.items()}
        spec = {name: options[name] for name in (KNOWN_VARIABLES,) if name in options}
        foreign = self._values(spec, variables, defaults)[0].get(KNOWN_VARIABLES) or []
        prefixes = tuple(f"{role}_" for role in specs)
        known = {*options, *foreign, *FACTS}
        for name in sorted(variables):
            if name.startswith(prefixes) and name not in known:
                yield Problem(
                    name,
                    "a variable no role knows",
                    "one of those the roles document",
                    _meant(name, prefixes, options)
                    + f"Add it to {KNOWN_VARIABLES} if it is one of your own.",
                )

    def _check_files(self, values: dict[str, Any], inventory_dir: str | None) -> Iterator[Problem]:
        """Certificates and keys on the controller; their paths become absolute."""
        for name in CA_FILES:
            if values.get(name):
                values[name] = self._find(values[name], inventory_dir)
                yield from _ca_file(name, values[name])
        if values.get(KEY_FILE):
            values[KEY_FILE] = self._find(values[KEY_FILE], inventory_dir)
            expected = "a file on the controller with a public key of OpenPGP (ASCII-armored)"
            yield from _file(KEY_FILE, values[KEY_FILE], expected, key_problem)
        if values.get(CA_TARGET):
            values[CA_TARGET] = self._loader.path_dwim(values[CA_TARGET])
        if values.get("hub_https_certificate") == "files":
            yield from self._check_certificate(values, inventory_dir)
        if values.get(LOGO_FILE):
            values[LOGO_FILE] = self._find(values[LOGO_FILE], inventory_dir)
            yield from _logo(values[LOGO_FILE])
        for index, entry in enumerate(values.get("lab_image_material") or []):
            yield from self._check_material(f"lab_image_material[{index}]", entry, inventory_dir)
        for index, registry in enumerate(values.get("docker_engine_registries") or []):
            if registry.get("ca_file"):
                registry["ca_file"] = self._find(registry["ca_file"], inventory_dir)
                place = f"docker_engine_registries[{index}].ca_file"
                yield from _ca_file(place, registry["ca_file"])

    def _check_material(
        self, place: str, entry: dict[str, Any], inventory_dir: str | None
    ) -> Iterator[Problem]:
        """An archive and a key on the controller, which Ansible Vault may have encrypted."""
        for name, expected, problem_of in (
            ("archive", "a tar archive on the controller", _archive_problem),
            ("ssh_key_file", "a file on the controller with a private key", _ssh_key_problem),
        ):
            if not entry.get(name):
                continue
            path = entry[name] = self._find(entry[name], inventory_dir)
            mend = f"Put the file there, or correct {place}.{name}."
            try:
                problem = problem_of(self._loader.get_real_file(path))
            except AnsibleError as exc:
                problem = str(exc) if Path(path).exists() else "no such file"
            except OSError as exc:
                problem = str(exc.strerror)
            if problem:
                yield Problem(f"{place}.{name}", f"{path}: {problem}", expected, mend)
        self._loader.cleanup_all_tmp_files()

    def _check_certificate(
        self, values: dict[str, Any], inventory_dir: str | None
    ) -> Iterator[Problem]:
        """The entrance's certificate and key, which Ansible Vault may have encrypted."""
        content: dict[str, bytes] = {}
        for name in ("hub_https_certificate_file", "hub_https_key_file"):
            if not values.get(name):
                continue
            path = values[name] = self._find(values[name], inventory_dir)
            expected = "a file on the controller, in PEM form"
            mend = f"Put the file there, or correct {name}."
            try:
                real = self._loader.get_real_file(path)
                content[name] = Path(real).read_bytes()
                # Of a file of the vault this is a copy, which only we can read.
                mode = Path(real).stat().st_mode if name == "hub_https_key_file" else 0
            except AnsibleError as exc:
                problem = str(exc) if Path(path).exists() else "no such file"
                yield Problem(name, f"{path}: {problem}", expected, mend)
                continue
            except OSError as exc:
                yield Problem(name, f"{path}: {exc.strerror}", expected, mend)
                continue
            if problem := key_mode_problem(mode):
                mend = f"Run: chmod 600 {path}"
                yield Problem(name, f"{path} with {problem}", "mode 0600", mend)
        self._loader.cleanup_all_tmp_files()
        if len(content) == 2:
            now = datetime.datetime.now(datetime.UTC)
            yield from certificate_problems(*content.values(), wanted_names(values), now)

    def _find(self, path: str, inventory_dir: str | None) -> str:
        """The absolute path of a file that is named from the playbook, or else the inventory."""
        found: str = self._loader.path_dwim(path)
        beside = Path(inventory_dir or "", path)
        if inventory_dir and not Path(found).exists() and beside.exists():
            return str(beside.resolve())
        return found

    def _check_host(
        self,
        roles: list[str],
        values: Mapping[str, Any],
        variables: dict[str, Any],
    ) -> tuple[dict[str, Any] | None, list[Problem]]:
        """Ask the server once and judge what it says."""
        options = host_info_options(values)
        if options.get("services") and values.get(HUB_CA_FILE):
            # What is wrong with the file itself was found before.
            with contextlib.suppress(OSError):
                # Comments may be in any language.
                text = Path(values[HUB_CA_FILE]).read_text(encoding="ascii", errors="ignore")
                options["authorities"] = text
        try:
            result = self._execute_module(
                module_name=f"{COLLECTION}.host_info",
                module_args=options,
                task_vars=variables,
            )
        except AnsibleConnectionFailure as exc:
            return None, [unreachable(str(exc))]
        host = result.get("host")
        if result.get("failed") or not host:
            return None, [unreachable(str(result.get("msg", "the check failed")).strip())]
        if "time" in host:
            host["clock_ahead"] = host["time"] - time.time()
        systems = {path.stem for path in ROLES.glob("docker_engine/vars/[A-Z]*_*.yml")}
        return host, list(check_host(roles, values, host, systems))

    @staticmethod
    def _failure(problems: list[Problem], host: str) -> dict[str, Any]:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{count} on {host}. Nothing was changed."]
        lines += [f"{number}. {problem}" for number, problem in enumerate(problems, 1)]
        return {
            "failed": True,
            "changed": False,
            "msg": "\n".join(lines),
        }

    @staticmethod
    def _success(
        roles: list[str], specs: Specs, values: Mapping[str, Any], host: dict[str, Any] | None
    ) -> dict[str, Any]:
        by_role = {
            role: {name.removeprefix(f"{role}_"): values[name] for name in specs[role]}
            for role in roles
        }
        result = dict(by_role[roles[0]]) if len(roles) == 1 else by_role
        if host is not None:
            result["host"] = host
        # The values may hold secrets. This keeps them out of every output at every verbosity, and
        # unlike no_log on the task it leaves a failure readable.
        return {**result, "changed": False, "_ansible_no_log": True}


def _meant(name: str, prefixes: tuple[str, ...], options: Iterable[str]) -> str:
    """A question that names the option that was meant: one of the same role, most likely."""
    prefix = next(prefix for prefix in prefixes if name.startswith(prefix))
    # The common prefix would make every option of the role look near.
    same_role = {option[len(prefix) :]: option for option in options if option.startswith(prefix)}
    if near := nearest(name[len(prefix) :], same_role):
        return f"Did you mean {same_role[near]}? "
    near = nearest(name, options, OTHER_ROLE_LIKENESS)
    return f"Did you mean {near}? " if near else ""


def _template_problem(name: str, spec: Mapping[str, Any], error: AnsibleError) -> Problem:
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, AnsibleUndefinedVariable):
        found = f"a template that cannot be filled in ({text})"
        mend = "Define what it refers to, or give it a value."
    elif isinstance(error, AnsibleTemplateSyntaxError) or not is_secret(name, spec):
        found = f"a template with an error ({text})"
        mend = "Correct the template, or give it a value."
    else:
        # The text of such an error may quote what a filter was given.
        found = f"a value that cannot be read ({type(error).__name__})"
        mend = "Check its template, or the vault password."
    return Problem(name, found, "a value", mend)


def _archive_problem(path: str) -> str:
    return "" if tarfile.is_tarfile(path) else "no tar archive"


def _ssh_key_problem(path: str) -> str:
    return str(ssh_key_problem(Path(path).read_text(encoding="utf-8", errors="replace")))


def _logo(path: str) -> Iterator[Problem]:
    expected = "a picture on the controller, PNG, SVG, JPEG, GIF or WebP, of at most 1 MiB"
    mend = f"Put the file there, or correct {LOGO_FILE}."
    try:
        problem = logo_problem(path, Path(path).read_bytes())
    except OSError as exc:
        problem = str(exc.strerror)
    if problem:
        yield Problem(LOGO_FILE, f"{path}: {problem}", expected, mend)


def _ca_file(name: str, path: str) -> Iterator[Problem]:
    expected = "a file on the controller with certificates in PEM form"
    yield from _file(name, path, expected, certificate_problem)


def _file(
    name: str, path: str, expected: str, problem_of: Callable[[str], str]
) -> Iterator[Problem]:
    mend = f"Put the file there, or correct {name}."
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        yield Problem(name, f"{path}: {exc.strerror}", expected, mend)
        return
    if problem := problem_of(text):
        yield Problem(name, f"{path} with {problem}", expected, mend)
