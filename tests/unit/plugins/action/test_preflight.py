# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `ailab.hub.preflight`.

The fast tests run it in this process on small roles of their own, the others as administrators do,
with `ansible-playbook` on the roles of the collection.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.ailab.hub.plugins.action import preflight

from tests.certificates import make_certificate

SERVER_OPTIONS = {
    "server_port": {"type": "int", "default": 8000},
    "server_name": {"type": "str", "default": "{{ client_name }}-server"},
    "server_password": {"type": "str", "no_log": True, "default": ""},
    "server_config": {"type": "dict", "default": {}},
}
IMAGE_OPTIONS = {
    "lab_image_ca_file": {"type": "str", "default": ""},
    "lab_image_material": {"type": "list", "elements": "dict", "default": []},
}
ENGINE_OPTIONS = {"docker_engine_repository_key_file": {"type": "path", "default": ""}}
HTTPS_OPTIONS = {
    "hub_https_certificate": {"type": "str", "default": "files"},
    "hub_https_hostname": {"type": "str", "default": "hub1.example.org"},
    "hub_https_certificate_file": {"type": "path", "default": "hub.crt"},
    "hub_https_key_file": {"type": "path", "default": "hub.key"},
    "hub_https_internal_ca_file": {"type": "path", "default": "ca.crt"},
}
HUB_OPTIONS = {"jupyterhub_known_variables": {"type": "list", "elements": "str", "default": []}}
CLIENT_OPTIONS = {"client_name": {"type": "str", "default": "client"}}

Check = Callable[..., dict[str, Any]]


def write_role(folder: Path, role: str, options: dict[str, Any]) -> None:
    """A role with nothing but a specification and the defaults of it."""
    specification = {"argument_specs": {"main": {"options": options}}}
    defaults = {name: option["default"] for name, option in options.items()}
    for path, content in (
        ("meta/argument_specs.yml", specification),
        ("defaults/main.yml", defaults),
    ):
        file = folder / role / path
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs the action on the roles server and client, with variables, without a server."""
    write_role(tmp_path / "roles", "server", SERVER_OPTIONS)
    write_role(tmp_path / "roles", "client", CLIENT_OPTIONS)
    write_role(tmp_path / "roles", "lab_image", IMAGE_OPTIONS)
    write_role(tmp_path / "roles", "docker_engine", ENGINE_OPTIONS)
    write_role(tmp_path / "roles", "hub_https", HTTPS_OPTIONS)
    write_role(tmp_path / "roles", "jupyterhub", HUB_OPTIONS)
    monkeypatch.setattr(preflight, "ROLES", tmp_path / "roles")

    def run(
        *roles: str,
        execute: Callable[..., Any] | None = None,
        basedir: Path = tmp_path,
        vault: VaultSecret | None = None,
        **variables: Any,
    ) -> dict[str, Any]:
        loader = DataLoader()
        loader.set_basedir(str(basedir))
        if vault:
            loader.set_vault_secrets([("default", vault)])
        task = Task()
        task.args = {"roles": list(roles or ["server"]), "check_host": execute is not None}
        task.check_mode = False
        context = PlayContext()
        available = {"inventory_hostname": "web1", **variables}
        action = preflight.ActionModule(
            task=task,
            connection=connection_loader.get("ansible.builtin.local", context),
            play_context=context,
            loader=loader,
            templar=Templar(loader, variables=available),
            shared_loader_obj=None,
        )
        if execute:
            monkeypatch.setattr(action, "_execute_module", execute)
        result: dict[str, Any] = action.run(task_vars=available)
        return result

    return run


def template(text: str) -> str:
    """Text that Ansible fills in, as that of an inventory."""
    trusted: str = trust_as_template(text)
    return trusted


# The result


def test_one_role_gives_its_options_at_once(check: Check) -> None:
    result = check("server", server_port="9000")
    assert result["port"] == 9000
    assert result["name"] == "client-server"
    assert result["changed"] is False


def test_several_roles_give_a_dictionary_each(check: Check) -> None:
    result = check("server", "client", client_name="x")
    assert result["server"]["name"] == "x-server"
    assert result["client"] == {"name": "x"}


def test_defaults_of_roles_not_asked_for_count_in_templates(check: Check) -> None:
    assert check("server")["name"] == "client-server"


def test_a_variable_wins_over_a_default_inside_a_default(check: Check) -> None:
    assert check("server", client_name=template("{{ other }}"), other="y")["name"] == "y-server"


def test_data_that_looks_like_a_template_stays_data(check: Check) -> None:
    config = {"a": "{{ lookup('env', 'HOME') }}", "b": [template("{{ 1 + 1 }}")]}
    assert check("server", server_config=config)["config"] == {
        "a": "{{ lookup('env', 'HOME') }}",
        "b": [2],
    }


def test_an_omitted_variable_has_its_default(check: Check) -> None:
    assert check("server", server_port=template("{{ omit }}"))["port"] == 8000


def test_a_success_is_kept_out_of_every_output(check: Check) -> None:
    assert check("server")["_ansible_no_log"] is True


def test_a_failure_can_be_read(check: Check) -> None:
    result = check("server", server_port="x", server_password="hunter2")
    assert result["failed"]
    assert "_ansible_no_log" not in result
    assert "hunter2" not in str(result)


# Problems


def test_all_problems_are_told_at_once_each_on_a_line(check: Check) -> None:
    result = check(
        "server",
        server_port="x",
        server_name=template("{{ nowhere.to.be.found }}"),
        server_config=[],
        sever_port=1,
        server_prot=2,
    )
    lines = result["msg"].splitlines()
    assert lines[0] == "4 problems on web1. Nothing was changed."
    assert lines[1] == (
        '1. server_port: found "x", expected a whole number. Write it in digits, without quotes.'
    )
    assert lines[2].startswith("2. server_name: found a template that cannot be filled in (")
    assert "'nowhere' is undefined" in lines[2]
    assert lines[3].startswith("3. server_config: found a list of 0, expected a dictionary")
    assert lines[4].startswith("4. server_prot: found a variable no role knows")
    assert "Did you mean server_port?" in lines[4]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{{ x", "a template with an error"),
        ("{{ 'a' | no_such_filter }}", "a template with an error"),
        ("{{ lookup('file', '/nowhere') }}", "a template with an error"),
    ],
)
def test_a_broken_template_is_a_problem_of_its_variable(
    check: Check, value: str, said: str
) -> None:
    message = check("server", server_name=template(value))["msg"]
    assert message.splitlines()[1].startswith(f"1. server_name: found {said}")
    assert len(message.splitlines()) == 2


def test_a_template_error_of_a_secret_says_only_its_kind(check: Check) -> None:
    value = template("{{ undef('hunter2') if false else lookup('file', 'hunter2') }}")
    message = check("server", server_password=value, server_config={"a": [value]})["msg"]
    assert "server_password: found a value that cannot be read" in message
    assert "server_config: found a value that cannot be read" in message
    assert "hunter2" not in message


def test_a_variable_of_a_role_not_asked_for_is_known(check: Check) -> None:
    assert check("client", server_port="not checked").get("failed") is None


@pytest.mark.parametrize("name", ["_server_internal", "other_server_port", "serverless"])
def test_other_names_are_nobodys_business(check: Check, name: str) -> None:
    assert check("server", **{name: 1}).get("failed") is None


@pytest.mark.parametrize("known", [["server_mine", "x"], "server_mine,x"])
def test_names_of_ones_own_are_let_through(check: Check, known: object) -> None:
    result = check("server", server_mine=1, jupyterhub_known_variables=known)
    assert result.get("failed") is None
    result = check("server", server_other=1, jupyterhub_known_variables=known)
    assert "server_other: found" in result["msg"]


@pytest.mark.parametrize("fact", ["lab_image_reference", "hub_image_reference"])
def test_facts_the_roles_set_are_known(check: Check, fact: str) -> None:
    assert check("server", **{fact: "name:tag"}).get("failed") is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("server_prot", "Did you mean server_port?"),
        ("jupyterhub_client_name", "document. Add it to jupyterhub_known_variables"),
        ("lab_image_server_config", "document. Add it to jupyterhub_known_variables"),
        ("server_lab_image_ca_file", "Did you mean lab_image_ca_file?"),
    ],
)
def test_what_was_meant_is_of_the_same_role_or_very_near(
    check: Check, name: str, meant: str
) -> None:
    assert meant in check("server", **{name: 1})["msg"]


def test_an_unknown_role_is_an_error(check: Check) -> None:
    with pytest.raises(
        AnsibleError,
        match=r"there is no role nobody .*, only client, docker_engine, hub_https, jupyterhub, lab_image, server",
    ):
        check("nobody")


# Certificates on the controller


@pytest.mark.parametrize("folder", ["playbooks", "inventory"])
def test_certificates_are_found_from_the_playbook_and_the_inventory(
    check: Check, tmp_path: Path, folder: str, certificate: str
) -> None:
    for name in ("playbooks", "inventory"):
        (tmp_path / name).mkdir()
    (tmp_path / folder / "ca.pem").write_text(certificate, encoding="utf-8")
    result = check(
        "lab_image",
        basedir=tmp_path / "playbooks",
        inventory_dir=str(tmp_path / "inventory"),
        lab_image_ca_file="ca.pem",
    )
    assert result["ca_file"] == str(tmp_path / folder / "ca.pem")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("", "no certificate in PEM form"),
        ("-----BEGIN PRIVATE KEY-----", "a private key, which must never get into an image"),
    ],
)
def test_a_file_that_is_no_certificate_is_told(
    check: Check, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content, encoding="utf-8")
    message = check("lab_image", lab_image_ca_file="ca.pem")["msg"]
    assert f"1. lab_image_ca_file: found {tmp_path}/ca.pem" in message
    assert said in message


def test_archives_and_keys_on_the_controller_are_found(check: Check, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "course.tar.gz", "w:gz"):
        pass
    key = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True)
    by_key = {"git": "git@git.example.org:x", "ssh_key_file": "key"}
    result = check("lab_image", lab_image_material=[{"archive": "course.tar.gz"}, by_key])
    assert result["material"][0]["archive"] == str(tmp_path / "course.tar.gz")
    assert result["material"][1]["ssh_key_file"] == str(key)


def test_all_archives_and_keys_that_cannot_be_used_are_named(check: Check, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    by_key = {"git": "git@git.example.org:x", "ssh_key_file": "text"}
    material = [{"archive": "text"}, {"archive": "missing.tar"}, by_key]
    message = check("lab_image", lab_image_material=material)["msg"]
    assert f"lab_image_material[0].archive: found {tmp_path}/text: no tar archive" in message
    assert f"lab_image_material[1].archive: found {tmp_path}/missing.tar: no such file" in message
    assert f"lab_image_material[2].ssh_key_file: found {tmp_path}/text: no private key" in message


def test_a_key_of_apt_is_found_and_looked_at(check: Check, tmp_path: Path) -> None:
    key = tmp_path / "docker.asc"
    key.write_bytes(b"\x99\x02\x0d")
    message = check("docker_engine", docker_engine_repository_key_file="docker.asc")["msg"]
    assert f"1. docker_engine_repository_key_file: found {key} with no public key" in message
    key.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n", encoding="utf-8")
    result = check("docker_engine", docker_engine_repository_key_file="docker.asc")
    assert result["repository_key_file"] == str(key)


def write_certificate(folder: Path, name: str = "hub1.example.org") -> None:
    """A certificate of its own making, and its key: hub.crt and hub.key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-noenc", "-days", "2", "-subj", "/CN=hub", "-addext", f"subjectAltName=DNS:{name}"]
    files = ["-keyout", str(folder / "hub.key"), "-out", str(folder / "hub.crt")]
    subprocess.run([*command, *files], check=True, capture_output=True)


def test_a_certificate_and_its_key_are_found_and_looked_at(check: Check, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    result = check("hub_https")
    assert result["certificate_file"] == str(tmp_path / "hub.crt")
    assert result["key_file"] == str(tmp_path / "hub.key")
    assert result["internal_ca_file"] == str(tmp_path / "ca.crt")
    write_certificate(tmp_path, "other.example.org")
    assert "one that covers hub1.example.org" in check("hub_https")["msg"]


def test_a_key_others_may_read_is_refused(check: Check, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    (tmp_path / "hub.key").chmod(0o644)
    message = check("hub_https")["msg"]
    assert f"1. hub_https_key_file: found {tmp_path}/hub.key with mode 0644" in message
    assert f"Run: chmod 600 {tmp_path}/hub.key" in message


def test_a_key_of_the_vault_may_be_read(check: Check, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    key = tmp_path / "hub.key"
    secret = VaultSecret(b"vault password")
    key.write_bytes(VaultLib([("default", secret)]).encrypt(key.read_bytes(), secret))
    key.chmod(0o644)
    assert check("hub_https", vault=secret)["key_file"] == str(key)
    assert f"1. hub_https_key_file: found {key}: " in check("hub_https")["msg"]


def test_all_files_that_are_missing_are_named(check: Check, tmp_path: Path) -> None:
    message = check("hub_https")["msg"]
    assert f"1. hub_https_certificate_file: found {tmp_path}/hub.crt: no such file" in message
    assert f"2. hub_https_key_file: found {tmp_path}/hub.key: no such file" in message


# The server


def test_the_server_is_not_asked_if_told_so(check: Check) -> None:
    assert "host" not in check("server")


def test_a_server_that_cannot_be_reached_is_told_with_the_other_problems(check: Check) -> None:
    def execute(**_arguments: Any) -> dict[str, Any]:
        raise AnsibleConnectionFailure("no route to host")

    message = check("server", execute=execute, server_port="x")["msg"]
    assert message.startswith("2 problems on web1.")
    assert "2. server: found no answer: no route to host" in message


def test_the_hubs_authorities_go_with_the_question_of_its_services(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_role(
        tmp_path / "roles", "hub_image", {"hub_image_ca_file": {"type": "path", "default": ""}}
    )
    monkeypatch.setattr(preflight, "host_info_options", lambda _values: {"services": [{}]})
    monkeypatch.setattr(preflight, "check_host", lambda *_arguments: [])
    pem = make_certificate()[0].decode()
    (tmp_path / "ca.pem").write_text(f"# Behörde\n{pem}", encoding="utf-8")
    asked: list[dict[str, Any]] = []

    def execute(**arguments: Any) -> dict[str, Any]:
        asked.append(arguments["module_args"])
        return {"host": {"services": []}}

    assert not check("hub_image", execute=execute, hub_image_ca_file="ca.pem").get("failed")
    assert not check("hub_image", execute=execute).get("failed")
    assert asked == [{"services": [{}], "authorities": f"# Behrde\n{pem}"}, {"services": [{}]}]


def test_a_server_without_python_is_told(check: Check) -> None:
    failure = {"failed": True, "msg": "/bin/sh: 1: python3: not found\n"}
    message = check("server", execute=lambda **_arguments: failure)["msg"]
    assert "1. server: found no answer: /bin/sh: 1: python3: not found, expected" in message


# As administrators run it, on the roles of the collection

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ailab.hub.preflight:
        roles: [docker_engine, lab_image, hub_image, jupyterhub]
        check_host: false
      register: _checked
    - ansible.builtin.copy:
        dest: "{{ result }}"
        mode: "0600"
        content: "{{ _checked | to_json }}"
      no_log: true
"""


@pytest.fixture
def play(tmp_path: Path, ansible_environment: dict[str, str]) -> Callable[..., Any]:
    """Runs a playbook on hosts of the connection local; gives the finished process."""

    def run(*options: str, hosts: str = "web1,", playbook: str = PLAYBOOK) -> Any:
        path = tmp_path / "play.yml"
        path.write_text(playbook, encoding="utf-8")
        command = [sys.executable, "-m", "ansible", "playbook", "-i", hosts, "-c", "local"]
        return subprocess.run(
            [*command, "-e", f"result={tmp_path}/result.json", *options, str(path)],
            env={**os.environ, **ansible_environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_secrets_of_a_success_are_in_no_output_but_reach_later_tasks(
    play: Callable[..., Any], tmp_path: Path
) -> None:
    vault_password = tmp_path / "vault-password"
    vault_password.write_text("open sesame", encoding="utf-8")
    secret = VaultSecret(vault_password.read_bytes())
    vaulted = VaultLib([("default", secret)]).encrypt("hunter2-vaulted-{{ 1 }}", secret).decode()
    variables = tmp_path / "variables.yml"
    variables.write_text(
        textwrap.dedent("""\
            jupyterhub_authenticator: shared-password
            jupyterhub_user_password: "{{ ['hunter2', 'user'] | join('-') }}"
            jupyterhub_config:
              GitHubOAuthenticator:
                client_secret: hunter2-secret
                scope: !unsafe ["{{ untouched }}"]
                enabled: true
              DockerSpawner: {cpu_limit: 1.5, ports: {8888: null}}
            jupyterhub_admin_password: !vault |
            """)
        + textwrap.indent(vaulted, "  "),
        encoding="utf-8",
    )
    run = play(
        "-vvvvv",
        *("-e", f"@{variables}", "--vault-password-file", str(vault_password)),
        *("-e", "jupyterhub_port=8443", "-e", "jupyterhub_admin_users=alice,bob"),
        *("-e", "jupyterhub_allow_dummy_authenticator=no"),
    )
    # The value is shorter than the 32 characters of an administrator's password.
    assert run.returncode == 2
    assert "jupyterhub_admin_password: found 23 characters" in run.stdout
    assert "hunter2" not in run.stdout + run.stderr

    variables.write_text(
        variables.read_text(encoding="utf-8").replace("shared-password", "native"),
        encoding="utf-8",
    )
    run = play(
        "-vvvvv",
        *("-e", f"@{variables}", "--vault-password-file", str(vault_password)),
        *("-e", "jupyterhub_port=8443", "-e", "jupyterhub_admin_users=alice,bob"),
        *("-e", "jupyterhub_allow_dummy_authenticator=no"),
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "hunter2" not in run.stdout + run.stderr
    hub = yaml.safe_load((tmp_path / "result.json").read_text(encoding="utf-8"))["jupyterhub"]
    assert hub["user_password"] == "hunter2-user"
    assert hub["admin_password"] == "hunter2-vaulted-{{ 1 }}"
    assert hub["config"] == {
        "GitHubOAuthenticator": {
            "client_secret": "hunter2-secret",
            "scope": ["{{ untouched }}"],
            "enabled": True,
        },
        "DockerSpawner": {"cpu_limit": 1.5, "ports": {"8888": None}},
    }
    assert (hub["port"], hub["admin_users"]) == (8443, ["alice", "bob"])
    assert hub["allow_dummy_authenticator"] is False


def test_each_host_tells_its_own_problems_and_check_mode_tells_the_same(
    play: Callable[..., Any], tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.yml"
    hosts = {
        "web1": {"jupyterhub_port": "x"},
        "web2": {
            "jupyterhub_subnet": "10.230.0.1/20",
            "jupyterhub_authenticator": "dummy",
            "jupyterhub_allow_all": True,
        },
    }
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    run = play("-e", "jupyterhub_kown_variables=x", "--check", hosts=str(inventory))
    assert run.returncode == 2
    assert "3 problems on web1. Nothing was changed." in run.stdout + run.stderr
    assert "3 problems on web2. Nothing was changed." in run.stdout + run.stderr
    assert "Did you mean 10.230.0.0/20?" in run.stdout
    assert "Did you mean jupyterhub_known_variables?" in run.stdout
    assert "DEPRECATION" not in run.stdout + run.stderr
    assert "WARNING" not in run.stdout + run.stderr


def test_without_a_look_at_the_server_there_is_no_connection(play: Callable[..., Any]) -> None:
    playbook = PLAYBOOK.split("    - ansible.builtin.copy:", maxsplit=1)[0].replace(
        "  gather_facts: false\n", "  gather_facts: false\n  become: true\n"
    )
    run = play(
        *("-e", "ansible_connection=ssh", "-e", "ansible_host=203.0.113.1"),
        *("-e", "ansible_become_exe=/nowhere", "-e", "jupyterhub_authenticator=shared-password"),
        *("-e", "jupyterhub_admin_users=alice"),
        playbook=playbook,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_server_is_asked_once_and_judged(play: Callable[..., Any], tmp_path: Path) -> None:
    playbook = PLAYBOOK.replace("check_host: false", "check_host: true")
    run = play(
        *("-e", "jupyterhub_authenticator=github", "-e", "jupyterhub_bind_address=203.0.113.1"),
        *("-e", "jupyterhub_internal_subnet=10.230.0.0/24"),
        playbook=playbook,
    )
    assert run.returncode == 2
    assert (
        "jupyterhub_bind_address: found 203.0.113.1, which the server does not have" in run.stdout
    )
    assert "jupyterhub_internal_subnet" in run.stdout
