# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module, action, filter and role has a page in ansible-doc, with examples that work."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.galaxy import CHECKOUT, working_files
from tests.readmes import RoleReadme, readmes

PROGRAMS = Path(sys.executable).parent
# Words of a task or a play that are no module.
KEYWORDS = {
    "any_errors_fatal", "become", "block", "always", "check_mode", "hosts", "loop", "loop_control",
    "name", "no_log", "register", "tasks", "vars", "when",
}  # fmt: skip
# What the examples of filters take from the reader's inventory.
READERS_VARIABLES = {"vault_client_secret": "of the reader"}


def names(folder: str) -> list[str]:
    """The plugins of a folder, by the names of their files."""
    files = (Path(name) for name in working_files())
    return sorted(
        {
            file.stem
            for file in files
            if str(file.parent) == f"plugins/{folder}" and file.suffix == ".py"
        }
    )


MODULES, FILTERS, ACTIONS = names("modules"), names("filter"), names("action")
READMES = readmes(CHECKOUT / "roles")
PAGES = [("module", name) for name in MODULES] + [("filter", name) for name in FILTERS]

EVERY_PAGE = pytest.mark.parametrize(("kind", "name"), PAGES)
EVERY_MODULE = pytest.mark.parametrize("name", MODULES)
EVERY_ROLE = pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.file.parent.name)


def run(program: str, *arguments: str) -> tuple[str, str]:
    """What a program of Ansible prints and what it complains of; it has to succeed."""
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [str(PROGRAMS / program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@functools.cache
def ansible_doc(kind: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The pages of all modules, filters or roles by their short names; and complaints."""
    known = [name for of_kind, name in PAGES if of_kind == kind]
    known = known or [readme.file.parent.name for readme in READMES]
    found, complaints = run("ansible-doc", "-t", kind, "--json", *(f"ailab.hub.{n}" for n in known))
    loaded = json.loads(found)
    return {name.removeprefix("ailab.hub."): page for name, page in loaded.items()}, complaints


def pages(kind: str) -> dict[str, dict[str, Any]]:
    return ansible_doc(kind)[0]


def examples(kind: str, name: str) -> list[dict[str, Any]]:
    loaded = yaml.safe_load(pages(kind)[name]["examples"])
    assert isinstance(loaded, list)
    return loaded


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tasks of plays, blocks and lists of tasks."""
    for entry in entries:
        inner = [entry[key] for key in ("tasks", "block", "always") if key in entry]
        for part in inner:
            yield from tasks(part)
        if not inner:
            yield entry


def described(values: Mapping[str, Mapping[str, Any]], deeper: str, place: str = "") -> list[str]:
    """The places among options or return values that lack something a reader needs."""
    lacking = []
    for name, value in values.items():
        if not value.get("description") or not value.get("type"):
            lacking.append(place + name)
        lacking += described(value.get(deeper) or {}, deeper, f"{place}{name}.")
    return lacking


def test_there_are_plugins_and_roles() -> None:
    assert len(MODULES) >= 5 and len(FILTERS) >= 4 and len(ACTIONS) >= 2 and len(READMES) >= 4


@pytest.mark.parametrize("kind", ["module", "filter", "role"])
def test_ansible_doc_reads_every_page_without_a_complaint(kind: str) -> None:
    assert ansible_doc(kind)[1] == ""


@EVERY_PAGE
def test_every_plugin_has_a_page(kind: str, name: str) -> None:
    doc = pages(kind)[name]["doc"]
    assert doc["short_description"] and not doc["short_description"].endswith(".")
    assert doc["description"] and doc["author"] and doc["version_added"] and doc["seealso"]
    assert described(doc.get("options") or {}, "suboptions") == []


@EVERY_PAGE
def test_every_page_tells_what_comes_out(kind: str, name: str) -> None:
    values = pages(kind)[name]["return"]
    assert values
    assert described(values, "contains") == []
    assert [key for key, value in values.items() if not {"sample", "contains"} & set(value)] == []


@EVERY_MODULE
def test_modules_tell_how_they_behave(name: str) -> None:
    attributes = pages("module")[name]["doc"]["attributes"]
    assert {"check_mode", "diff_mode", "platform"} <= set(attributes)
    assert all(attribute["support"] for attribute in attributes.values())
    assert ("action" in attributes) == (name in ACTIONS)


@EVERY_PAGE
def test_examples_show_what_the_page_is_about(kind: str, name: str) -> None:
    found = list(tasks(examples(kind, name)))
    assert all(task.get("name") for task in found)
    assert any(f"ailab.hub.{name}" in json.dumps(task) for task in found)
    used = {key for task in found for key in set(task) - KEYWORDS}
    assert all(re.fullmatch(r"\w+\.\w+\.\w+", module) for module in used), used


@EVERY_MODULE
def test_examples_use_options_that_exist(name: str) -> None:
    options = set(pages("module")[name]["doc"].get("options") or {})
    for task in tasks(examples("module", name)):
        assert set(task.get(f"ailab.hub.{name}") or {}) <= options, task["name"]


def test_ansible_takes_the_examples_of_modules(tmp_path: Path) -> None:
    plays: list[dict[str, Any]] = []
    for name in MODULES:
        found = examples("module", name)
        plays += found if "hosts" in found[0] else [{"hosts": "all", "tasks": found}]
    (tmp_path / "examples.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    run("ansible-playbook", "--syntax-check", "-i", "localhost,", str(tmp_path / "examples.yml"))


@pytest.mark.parametrize("name", FILTERS)
def test_examples_of_filters_can_be_filled_in(name: str, tmp_path: Path) -> None:
    (tmp_path / "examples.yml").write_text(pages("filter")[name]["examples"])
    loader = DataLoader()
    loaded = loader.load_from_file(str(tmp_path / "examples.yml"), trusted_as_template=True)
    for task in tasks(loaded):
        templar = Templar(loader, variables=READERS_VARIABLES | task.get("vars", {}))
        (module,) = set(task) - KEYWORDS
        assert templar.template(task[module])


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_have_the_page_of_the_module_with_their_name(name: str) -> None:
    assert name in MODULES


@EVERY_ROLE
def test_every_role_has_a_page(readme: RoleReadme) -> None:
    main = pages("role")[readme.file.parent.name]["entry_points"]["main"]
    assert main["short_description"] and main["description"]
    assert described(main["options"], "options") == []


@EVERY_ROLE
def test_links_of_a_roles_readme_lead_somewhere(readme: RoleReadme) -> None:
    texts = {other.file: other.text() for other in READMES}
    for link in re.findall(r"\]\(([^)\s]+)\)", texts[readme.file]):
        if link.startswith("https://"):
            continue
        path, _hash, anchor = link.partition("#")
        target = (readme.file.parent / path).resolve() if path else readme.file
        assert target in texts or target.is_file(), link
        assert not anchor or f"### {anchor}\n" in texts[target], link


@EVERY_ROLE
def test_a_roles_readme_names_every_variable(readme: RoleReadme) -> None:
    spec = yaml.safe_load((readme.file.parent / "meta/argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    assert re.findall(r"^### (\w+)$", readme.text(), re.MULTILINE) == list(options)
