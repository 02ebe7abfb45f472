# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument specification cannot say about what goes into the images."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_checks import check_values
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_images import ssh_key_problem
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem

GIT = "https://git.example.org/course.git"
SECRET = "s3cr3t-of-the-course"


def problems(**values: Any) -> list[Problem]:
    return list(check_values(["lab_image", "hub_image"], values))


def only(**values: Any) -> Problem:
    found = problems(**values)
    assert len(found) == 1, found
    return found[0]


def kernel(**values: Any) -> dict[str, Any]:
    return {"name": "bash", "commands": ["true"], "packages": [], "user": "root", **values}


def material(**values: Any) -> list[Problem]:
    return problems(lab_image_material=[values])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lab_image_apt_packages", ["graphviz", "g++", "libc6:i386", "r-base-core=4.2.2.20221110-2"]),
        ("lab_image_apt_packages", ["git/bookworm-backports", "python3.11"]),
        ("lab_image_pip_packages", ["bash_kernel==0.10.0", "numpy>=2,<3", "x[a,b]", "x @ https://e.org/x"]),
        ("lab_image_kernels", [kernel(), kernel(name="scala3.3", user="1000:100", packages=["g++"])]),
        ("lab_image_jupyter_config", {"jupyter_server_config.json": {"ServerApp": {"port": 1}}}),
        ("lab_image_jupyter_config", {"labconfig/page_config.json": '{"a": [1]}', "x.py": "c = 1\n"}),
        ("lab_image_jupyter_config", {"custom.css": "a { b: c }"}),
        ("lab_image_entrypoint", ["tini", "-g", "--", "start.sh"]),
        ("lab_image_entrypoint", []),
        ("lab_image_material_path", "/home/jovyan/work"),
        ("lab_image_refresh", "2026-12"),
        ("hub_image_refresh", ""),
        ("lab_image_keep", 0),
        ("lab_image_material", [{"git": GIT}, {"git": "git@git.example.org:group/course.git"}]),
        ("lab_image_material", [{"git": "ssh://git@git.example.org:2222/a", "ssh_key_file": "k"}]),
        ("lab_image_material", [{"git": GIT, "version": "v1.0", "username": "u", "password": "p"}]),
        ("lab_image_material", [{"git": "http://intra.example.org/x", "directory": "a b/c"}]),
        ("lab_image_material", [{"archive": "x.tar.gz", "dest": "it's/here", "version": ""}]),
    ],
)  # fmt: skip
def test_accepts(name: str, value: object) -> None:
    assert problems(**{name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lab_image_apt_packages", ["a b"], "one package an item"),
        ("lab_image_apt_packages", ["--allow-unauthenticated"], "no option of apt-get"),
        ("lab_image_apt_packages", ["sudo-"], "no option of apt-get"),
        ("lab_image_apt_packages", ["x; rm -rf /"], "one package an item"),
        ("lab_image_pip_packages", ["--index-url=x"], "no option of pip"),
        ("lab_image_pip_packages", ["x @ https://me:secret@e.org/x"], "Leave them out"),
        ("hub_image_pip_packages", ["-r x"], "no option of pip"),
        ("lab_image_kernels", [kernel(name="Bash")], "small letters"),
        ("lab_image_kernels", [kernel(name="a b")], "small letters"),
        ("lab_image_kernels", [kernel(), kernel()], "each kernel once"),
        ("lab_image_kernels", [kernel(commands=[])], "Add the commands"),
        ("lab_image_kernels", [kernel(commands=["a", " "])], "Add the commands"),
        ("lab_image_kernels", [kernel(user="root\nRUN x")], "a user of the image"),
        ("lab_image_kernels", [kernel(packages=["-y"])], "no option of apt-get"),
        ("lab_image_jupyter_config", {"../etc/passwd": "x"}, "names of files"),
        ("lab_image_jupyter_config", {"/etc/x": "x"}, "names of files"),
        ("lab_image_jupyter_config", {1: "x"}, "names of files"),
        ("lab_image_jupyter_config", {"x.py": {"a": 1}}, "Write its Python"),
        ("lab_image_jupyter_config", {"x.py": "a b"}, "line 1"),
        ("lab_image_jupyter_config", {"x.json": "{"}, "line 1"),
        ("lab_image_jupyter_config", {"x.json": {"a": float("nan")}}, "JSON has no words"),
        ("lab_image_jupyter_config", {"x.json": ["a"]}, "a dictionary or text"),
        ("lab_image_entrypoint", [""], "[tini, -g, --, start.sh]"),
        ("lab_image_material_path", "/", "a folder's full path"),
        ("lab_image_material_path", "work", "a folder's full path"),
        ("lab_image_material_path", "/home/../etc", "a folder's full path"),
        ("lab_image_material_path", "/home/a b", "a folder's full path"),
        ("lab_image_refresh", 'x" y="z', "such as 2026-12"),
        ("hub_image_refresh", "$HOME", "such as 2026-12"),
        ("lab_image_keep", -1, "0 or more"),
        ("lab_image_material", [{}], "neither git nor archive"),
        ("lab_image_material", [{"git": GIT, "archive": "x.tar"}], "git and archive"),
        ("lab_image_material", [{"git": "course"}], "the address of a git repository"),
        ("lab_image_material", [{"git": "ext::sh -c id"}], "the address of a git repository"),
        ("lab_image_material", [{"git": "--upload-pack=id"}], "the address of a git repository"),
        ("lab_image_material", [{"git": "ssh://-oProxyCommand=id/x"}], "the address of a git repository"),
        ("lab_image_material", [{"git": "https://git.example.org:x/y"}], "the address of a git repository"),
        ("lab_image_material", [{"git": "/srv/course.git"}], "the address of a git repository"),
        ("lab_image_material", [{"git": f"https://me:{SECRET}@e.org/x"}], "Ansible Vault"),
        ("lab_image_material", [{"git": f"https://{SECRET}@e.org/x"}], "Ansible Vault"),
        ("lab_image_material", [{"git": f"ssh://me:{SECRET}@e.org/x"}], "Ansible Vault"),
        ("lab_image_material", [{"git": GIT, "version": "--x"}], "a branch, tag or commit"),
        ("lab_image_material", [{"git": GIT, "version": "a..b"}], "a branch, tag or commit"),
        ("lab_image_material", [{"git": GIT, "username": "u"}], "without a password"),
        ("lab_image_material", [{"git": GIT, "password": SECRET}], "without a username"),
        ("lab_image_material", [{"git": "http://e.org/x", "username": "u", "password": SECRET}], "in the clear"),
        ("lab_image_material", [{"git": "a@e.org:x", "username": "u", "password": SECRET}], "Use ssh_key_file"),
        ("lab_image_material", [{"git": GIT, "ssh_key_file": "key"}], "Use username and password"),
        ("lab_image_material", [{"archive": "x.tar", "version": "v1"}], "Remove version"),
        ("lab_image_material", [{"archive": "x.tar", "dest": "/etc"}], "without a slash"),
        ("lab_image_material", [{"archive": "x.tar", "dest": "a/../../b"}], "without '..'"),
        ("lab_image_material", [{"git": GIT, "directory": ".git"}], "a folder inside"),
    ],
)  # fmt: skip
def test_refuses(name: str, value: object, said: str) -> None:
    problem = only(**{name: value})
    assert problem.subject.startswith(name)
    assert said in str(problem)
    assert SECRET not in str(problem)


def test_all_problems_of_an_entry_are_told_at_once() -> None:
    found = material(git="nothing", version="a b", username="u", directory="/x", dest="..")
    assert [problem.subject.rpartition("]")[2] for problem in found] == [
        ".git", ".version", "", ".directory", ".dest",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["RFC4716", "PEM"])
@pytest.mark.parametrize("passphrase", ["", "a passphrase"])
def test_a_key_is_told_by_its_passphrase(form: str, passphrase: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", form, "-N", passphrase]
    subprocess.run([*command, "-f", str(key)], check=True)
    assert ("passphrase" in ssh_key_problem(key.read_text())) is bool(passphrase)
    assert ssh_key_problem(key.with_suffix(".pub").read_text()) == "no private key"


def test_a_broken_key_is_told() -> None:
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\n1\n-----END OPENSSH PRIVATE KEY-----\n"
    assert ssh_key_problem(text) == "a private key that cannot be read"
