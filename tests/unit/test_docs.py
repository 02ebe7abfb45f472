# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages and examples name what exists, and the roles accept every variable they show."""

from __future__ import annotations

import os
import re
import shlex
import ssl
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar
from ansible_collections.ailab.hub.plugins.action import preflight
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.pages import DOCS, EXAMPLES, PROJECT, Block, blocks, pages

PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]
EXAMPLE_FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/hosts.yml"))
INVENTORIES = [PROJECT / "inventory.example", *EXAMPLE_FOLDERS]
OPTIONS = {
    name
    for file in PROJECT.glob("roles/*/meta/argument_specs.yml")
    for name in yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"]
}
ROLES = sorted(path.parents[1].name for path in PROJECT.glob("roles/*/meta/argument_specs.yml"))
# What begins with the name of a role and is none of its variables.
PYTHON_MODULES = {"jupyterhub_idle_culler"}

Check = Callable[[str], dict[str, Any]]


def relative(path: Path) -> str:
    return str(path.relative_to(PROJECT))


EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=relative)
EVERY_INVENTORY = pytest.mark.parametrize("inventory", INVENTORIES, ids=relative)
EVERY_EXAMPLE = pytest.mark.parametrize("example", EXAMPLE_FOLDERS, ids=relative)


def of_kind(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "block", [block for block in BLOCKS if block.kind == kind], ids=str
    )


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks variables, given as the text of a file, as the first task of site.yml does."""
    _write_files_pages_name(tmp_path)

    def run(text: str) -> dict[str, Any]:
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        (tmp_path / "vars.yml").write_text(text)
        variables = loader.load_from_file(str(tmp_path / "vars.yml"), trusted_as_template=True)
        vault = {name: f"{name}-has-a-value-of-its-own" for name in re.findall(r"vault_\w+", text)}
        available = {
            "inventory_hostname": "hub1.example.org",
            "inventory_dir": str(tmp_path),
            **(variables or {}),
            **vault,
        }
        task = Task()
        task.args = {"roles": ROLES, "check_host": False}
        task.check_mode = False
        context = PlayContext()
        action = preflight.ActionModule(
            task=task,
            connection=connection_loader.get("ansible.builtin.local", context),
            play_context=context,
            loader=loader,
            templar=Templar(loader, variables=available),
            shared_loader_obj=None,
        )
        result: dict[str, Any] = action.run(task_vars=available)
        return result

    return run


def _write_files_pages_name(folder: Path) -> None:
    """The files on the controller that variables in the pages name."""
    authority = ssl.DER_cert_to_PEM_cert(_some_certificate())
    (folder / "company-ca.pem").write_text(authority)
    (folder / "registry-ca.pem").write_text(authority)
    (folder / "docker.asc").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    with tarfile.open(folder / "course.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("lesson.ipynb"))
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    key = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    (folder / "course-key").write_bytes(key)
    own = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=hub"]
    own += ["-addext", "subjectAltName=DNS:hub1.example.org"]
    files = ["-keyout", str(folder / "hub1.key"), "-out", str(folder / "hub1.crt")]
    subprocess.run(["openssl", "req", "-x509", *own, *files], check=True, capture_output=True)


def _some_certificate() -> bytes:
    """A certificate of an authority, from those Python trusts or, where it has none, from pip's."""
    if found := ssl.create_default_context().get_ca_certs(binary_form=True):
        return bytes(found[0])
    import certifi

    return bytes(ssl.create_default_context(cafile=certifi.where()).get_ca_certs(True)[0])


def with_example(text: str) -> str:
    """The variables of the example inventory with those of a block in their place."""
    example = yaml.safe_load((PROJECT / "inventory.example/group_vars/hub.yml").read_text())
    named = yaml.safe_load(text)
    assert isinstance(named, dict), "a block of variables is a dictionary"
    rest = {name: value for name, value in example.items() if name not in named}
    return f"{yaml.safe_dump(rest)}\n{text}"


# Pages


def test_every_page_is_in_the_index() -> None:
    assert {path.name for path in DOCS.glob("*.md")} == {
        page.name for page in PAGES if page.parent == DOCS
    }


@EVERY_PAGE
def test_every_block_says_what_it_is(page: Path) -> None:
    found = blocks(page)
    assert [f"{block}: ```{block.info}" for block in found if block.kind == "unknown"] == []
    # A fence the pattern does not find would hide its commands from the tests.
    assert page.read_text().count("```") == 2 * len(found)


@EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EVERY_PAGE
def test_every_variable_named_exists(page: Path) -> None:
    prefixes = "|".join(ROLES)
    # Files, the roles themselves and what a role only keeps for itself end or begin otherwise.
    named = re.findall(rf"(?<![\w/.@-])((?:{prefixes})_\w+)\b(?![/.]\w)", page.read_text())
    assert (
        sorted({name for name in named if name not in OPTIONS | preflight.FACTS | PYTHON_MODULES})
        == []
    )


@of_kind("variables")
def test_the_roles_accept_the_variables(block: Block, check: Check) -> None:
    result = check(with_example(block.text))
    assert not result.get("failed"), result.get("msg")


@of_kind("hosts")
def test_the_group_has_a_host(block: Block) -> None:
    assert yaml.safe_load(block.text)["hub"]["hosts"]


@of_kind("playbook")
def test_ansible_takes_the_playbook(
    block: Block, tmp_path: Path, ansible_environment: dict[str, str]
) -> None:
    (tmp_path / block.file).write_text(block.text)
    done = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", "hub1.example.org,", block.file],
        cwd=tmp_path,
        env={**os.environ, **ansible_environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@of_kind("commands")
def test_commands_can_be_read(block: Block) -> None:
    words = shlex.split(block.text, comments=True)
    assert words
    playbooks = [word for word in words if re.fullmatch(r"(playbooks/)?[\w-]+\.yml", word)]
    own = {other.file for other in blocks(block.page)}
    assert [name for name in playbooks if not (PROJECT / name).exists() and name not in own] == []


def test_the_check_refuses_what_is_wrong(check: Check) -> None:
    """Guards the tests of this file: what they hand to the preflight is really judged."""
    result = check(with_example("jupyterhub_prot: 8001\nlab_image_base: Not an image\n"))
    assert result["failed"]
    assert "jupyterhub_port" in result["msg"] and "lab_image_base" in result["msg"]


# Inventories to copy


@EVERY_INVENTORY
def test_the_roles_accept_the_inventory(inventory: Path, check: Check) -> None:
    result = check((inventory / "group_vars/hub.yml").read_text())
    assert not result.get("failed"), result.get("msg")


@EVERY_INVENTORY
def test_the_inventory_names_a_host(inventory: Path) -> None:
    assert yaml.safe_load((inventory / "hosts.yml").read_text())["hub"]["hosts"]


@EVERY_INVENTORY
def test_every_value_is_explained(inventory: Path) -> None:
    lines = (inventory / "group_vars/hub.yml").read_text().splitlines()
    unexplained = []
    explained = False
    for line in lines:
        if line.startswith("#"):
            explained = True
        elif not line.strip():
            explained = False
        elif re.match(r"\w+:", line) and not explained:
            unexplained.append(line)
    assert unexplained == []


@EVERY_EXAMPLE
def test_the_page_of_an_example_names_all_its_variables(example: Path) -> None:
    variables = set(yaml.safe_load((example / "group_vars/hub.yml").read_text()))
    page = (example / "README.md").read_text()
    assert sorted(name for name in variables if f"`{name}" not in page) == []


def test_there_is_an_example_for_every_document() -> None:
    assert [path.name for path in EXAMPLE_FOLDERS] == ["ai-lab", "campus", "course", "research"]
