# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration check finds, and that it never tells a value."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupyterhub
import pytest
from ailab_hub._configuration_check import ConfigurationCheck

SECRET = "hunter2-is-grandmas-cat"

# A sound configuration of the kind the role writes; every test adds its mistake.
SOUND = """
c.JupyterHub.spawner_class = "ailab_hub.spawner.LabSpawner"
c.JupyterHub.proxy_class = "ailab_hub.proxy.RouteKeepingProxy"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = "token-of-the-proxy"
"""

Report = dict[str, Any]


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str], Report]:
    """Check a sound configuration with some lines added to it."""

    def checked(lines: str, before: str = SOUND) -> Report:
        file = tmp_path / "jupyterhub_config.py"
        file.write_text(before + lines + "\n")
        made = ConfigurationCheck(file)
        asyncio.run(made.run())
        report = made.report()
        assert SECRET not in json.dumps(report, ensure_ascii=False)
        return report

    return checked


Check = Callable[[str], Report]


def messages(report: Report) -> list[str]:
    """The texts of all problems."""
    return [problem["message"] for problem in report["problems"]]


# -- sound configurations ------------------------------------------------------------------------


def test_a_sound_configuration_has_no_problem_and_no_warning(check: Check) -> None:
    assert check("") == {"problems": [], "warnings": []}


@pytest.mark.parametrize(
    "lines",
    [
        "c.Spawner.environment.update({'A': 'b'})",
        "c.Spawner.args.append('--debug')",
        "c.Spawner.args.extend(['--debug']); c.Spawner.args.prepend(['-x'])",
        "c.Authenticator.admin_users.add('ann')",
        "c.Authenticator.admin_users = {'ann', 'jörg.b+c@example.org', 'x' * 200}",
        "c.Spawner.cmd = 'start-lab'",
        "c.Spawner.mem_limit = '4G'",
        "c.Spawner.mem_limit = None",
        "c.DockerSpawner.mem_limit = lambda spawner: '2G'",
        "c.DockerSpawner.cpu_limit = 2",
        "c.Spawner.image = 'a trait of a class below the section'",
        "c.Configurable.image = 'set in the class above all'",
        "c.LoggingConfigurable.image = 'set in a class above'",
        "c.LabSpawner.docker_access = 'host'",
        "c.DockerSpawner.extra_create_kwargs = {'user': 'root'}",
        "async def extra(spawner): return {}\nc.DockerSpawner.extra_host_config = extra",
        "c.Spawner.pre_spawn_hook = lambda spawner: None",
        "c.DockerSpawner.volumes = {'/data/{username}': '/data'}",
        "c.DockerSpawner.allowed_images = ['a:1', 'b:2']",
        "c.JupyterHub.LabSpawner.image = 'a section inside the one of its parent'",
        "c.JupyterHub.services = [{'name': 'x', 'url': 'http://x:1', 'api_token': 'x' * 32}]",
        "c.JupyterHub.services.append({'name': 'x', 'command': ['python3', '-m', 'x']})",
        "c.JupyterHub.load_roles = [{'name': 'user', 'scopes': ['self', 'users:activity!user']}]",
        "c.JupyterHub.load_roles = [{'name': 'one', 'users': ['ann'], 'groups': ['g']}]",
        "c.JupyterHub.custom_scopes = {'custom:read': {'description': 'x'}}\n"
        "c.JupyterHub.load_roles = [{'name': 'one', 'scopes': ['custom:read']}]",
        "c.JupyterHub.load_groups = {'g': {'users': ['ann'], 'properties': {}}}",
        "c.JupyterHub.db_url = 'sqlite:////nowhere/hub.sqlite'",
        "c.JupyterHub.db_url = 'hub.sqlite'",
        "c.JupyterHub.cookie_secret = bytes(32)",
        "c.JupyterHub.hub_bind_url = 'http://:8081'",
        "c.JupyterHub.hub_connect_url = 'http://10.0.0.2:8081'",
        "c.JupyterHub.template_paths = ['/nowhere']",
        "c.JupyterHub.logging_config = {'handlers': {'f': {'class': 'logging.FileHandler', "
        "'filename': '/proc/no/such/file'}}, 'loggers': {'JupyterHub': {'handlers': ['f']}}}",
        "c.CryptKeeper.keys = ['ab' * 32]; c.Authenticator.enable_auth_state = True",
        "c.JupyterHub.tornado_settings = {'slow_spawn_timeout': 0}",
        "load_subconfig('not_there.py')",
        "if c.JupyterHub.port: pass",
        "if c.JupyterHub.proxy_class == 'x' or c.JupyterHub.log_level: pass",
        "get_config().JupyterHub.port = 8000",
    ],
)
def test_what_jupyterhub_accepts_is_no_problem(check: Check, lines: str) -> None:
    assert messages(check(lines)) == []


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("c.DokerSpawner.image = 'x'", "DokerSpawner is no class .* mean DockerSpawner?"),
        ("c.Dockerspawner.image = 'x'", "Dockerspawner is no class .* mean DockerSpawner?"),
        ("c.jupyterhub.port = 1", "jupyterhub is no class .* mean JupyterHub?"),
        ("c.JupyterHubApp.port = 1", "JupyterHubApp is no class .* mean JupyterHub?"),
        ("c.Qwertz.port = 1", "Qwertz is no class of JupyterHub or of its installed parts"),
        ("c['Qwertz']['port'] = 1", "Qwertz is no class of JupyterHub or of its installed parts"),
        ("c.port = 1", "port is no class .*"),
        ("c.DockerSpawner.mem_limt = '1G'", "DockerSpawner has no option mem_limt; .* mem_limit?"),
        ("c.DockerSpawner.memlimit = '1G'", "DockerSpawner has no option .* mean mem_limit?"),
        ("c.Spawner.mem_limt = '1G'", "Spawner has no option mem_limt; did you mean mem_limit?"),
        ("c.JupyterHub.allow_all = True", "JupyterHub has no option allow_all"),
        ("c.JupyterHub.users = {}", "JupyterHub has no option users"),
        ("c.JupyterHub.qwertz.x = 1", "JupyterHub has no option qwertz"),
        ("c.SwarmSpawner.spawn_timeout = 1", "SwarmSpawner has no option spawn_timeout; .*"),
        ("c.JupyterHub.LabSpawner.imag = 'x'", "LabSpawner has no option imag; .* mean image?"),
    ],
)
def test_an_unknown_name_is_a_problem_with_the_nearest_known(
    check: Check, lines: str, message: str
) -> None:
    found = messages(check(lines))
    assert len(found) == 1
    assert re.fullmatch(message.replace("?", r"\?"), found[0])


def test_a_class_of_an_installed_part_that_is_not_used_has_a_warning(check: Check) -> None:
    report = check("c.SwarmSpawner.image = 'x'\nc.PAMAuthenticator.service = 'login'")
    assert report["problems"] == []
    assert [warning["message"] for warning in report["warnings"]] == [
        "SwarmSpawner has no effect: JupyterHub.spawner_class is LabSpawner",
        "PAMAuthenticator has no effect: JupyterHub.authenticator_class is DummyAuthenticator",
    ]


def test_a_class_the_file_defines_is_known(check: Check) -> None:
    report = check(
        "from ailab_hub.spawner import LabSpawner\n"
        "from traitlets import Unicode\n"
        "class OurSpawner(LabSpawner):\n"
        "    cluster = Unicode(config=True)\n"
        "c.JupyterHub.spawner_class = OurSpawner\n"
        "c.OurSpawner.cluster = 5\n"
        "c.LabSpawner.cluster = 'set in a class above'\n"
    )
    assert messages(report) == ["OurSpawner.cluster: expected a string, found an int"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'dumy'", "there is none of this name; installed are .*dummy.*; did you mean dummy?"),
        ("'nosuchmodule.Auth'", "cannot be imported (No module named 'nosuchmodule'); installed"),
        ("'jupyterhub.auth.NoSuch'", "cannot be imported (No module named NoSuch); installed"),
        ("'jupyterhub.spawner.Spawner'", "is no class below Authenticator; installed are"),
        ("5", "expected a class below Authenticator, found an int"),
    ],
)
def test_an_authenticator_that_cannot_be_had_is_one_problem(
    check: Check, value: str, message: str
) -> None:
    found = messages(check(f"c.JupyterHub.authenticator_class = {value}\nc.Authenticator.x = 1"))
    assert len(found) == 1
    pattern = re.escape("JupyterHub.authenticator_class: " + message).replace(r"\.\*", ".*")
    assert re.match(pattern, found[0])


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("c.JupyterHub.port = '8000'", "JupyterHub.port: expected an int, found a str"),
        ("c.JupyterHub.port = None", "JupyterHub.port: expected an int, found None"),
        ("c.DockerSpawner.image = 5", "DockerSpawner.image: expected a string, found an int"),
        ("c.DockerSpawner.remove = 'yes'", "DockerSpawner.remove: expected a boolean, found a str"),
        ("c.DockerSpawner.volumes = ['x']", "DockerSpawner.volumes: expected a dict, found a list"),
        (
            "c.Spawner.args = ['x', 5]",
            "Spawner.args: expected a list, each entry a string, "
            "found a list whose entry 2 is an int",
        ),
        (
            f"c.DockerSpawner.mem_limit = {SECRET!r}",
            "DockerSpawner.mem_limit: expected a callable or a number of bytes, or a string with "
            "the suffix K, M, G or T, found another str",
        ),
        (
            f"c.LabSpawner.docker_access = {SECRET!r}",
            "LabSpawner.docker_access: expected one of 'none', 'host', found another str",
        ),
        (
            "c.LabSpawner.user_volume_name = 'shared'",
            "LabSpawner.user_volume_name: it must contain {username}, so that every user has a "
            "volume of their own; a volume for all users is set with DockerSpawner.volumes",
        ),
        ("c.Spawner.cmd = 5", "Spawner.cmd: expected a command line as a list of strings, or one "),
        (
            "c.Spawner.args.update({'x': 'y'})",
            "Spawner.args: update or add has no effect on a list",
        ),
        (
            "c.DockerSpawner.volumes.append('x')",
            "DockerSpawner.volumes: append, extend, prepend or insert has no effect on a dict",
        ),
        ("c.Spawner.args.append(5)", "Spawner.args: expected a list, each entry a string, found a"),
        ("c.RouteKeepingProxy.route_check_interval = 0", "RouteKeepingProxy.route_check_interval"),
        ("c.SwarmSpawner.image = 5", "SwarmSpawner.image: expected a string, found an int"),
    ],
)
def test_a_wrong_value_is_told_by_what_is_expected_and_its_type(
    check: Check, lines: str, message: str
) -> None:
    (found,) = messages(check(lines))
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (f"c.JupyterHub.cookie_secret = {SECRET!r}", "an even amount of hexadecimal characters"),
        (f"c.CryptKeeper.keys = [{SECRET!r}]", "Encryption keys must be 32 bytes"),
        (f"c.Proxy.extra_routes = {{'/x/': {SECRET!r}}}", "doesn't look like a URL"),
        (f"c.DockerSpawner.escape = {SECRET!r}", "must be callable"),
        (f"c.DockerSpawner.allowed_images = {SECRET!r}", "is the only accepted string value"),
    ],
)
def test_a_value_jupyterhub_refuses_is_told_in_its_words_without_the_value(
    check: Check, lines: str, words: str
) -> None:
    (found,) = messages(check(lines))
    assert words in found


@pytest.mark.skipif(jupyterhub.version_info[:2] < (5, 3), reason="shared-password is new in 5.3")
def test_too_short_a_password_is_told_by_the_documentation_of_the_option(check: Check) -> None:
    (found,) = messages(
        check(
            "c.JupyterHub.authenticator_class = 'shared-password'\n"
            f"c.SharedPasswordAuthenticator.admin_password = {SECRET!r}"
        )
    )
    assert "Be 32 characters or longer" in found


@pytest.mark.skipif(jupyterhub.version_info[:2] < (5, 3), reason="shared-password is new in 5.3")
def test_values_that_exclude_each_other_are_found_in_any_order(check: Check) -> None:
    shared = "c.JupyterHub.authenticator_class = 'shared-password'\n"
    one = f"c.SharedPasswordAuthenticator.admin_password = {SECRET * 2!r}\n"
    other = f"c.SharedPasswordAuthenticator.user_password = {SECRET * 2!r}\n"
    assert messages(check(shared + one + other)) != []
    assert messages(check(shared + other + one)) != []


def test_all_problems_are_told_at_once(check: Check) -> None:
    report = check(
        "c.JupyterHub.port = 'x'\nc.Spawner.nme = 1\nc.Qwertz.x = 1\nc.DockerSpawner.image = 1\n"
        "c.JupyterHub.services = [{'name': 'x', 'comand': []}]\n"
        "c.JupyterHub.load_roles = [{'name': 'X'}]\n"
    )
    assert {(problem["class"], problem["trait"]) for problem in report["problems"]} == {
        ("JupyterHub", "port"),
        ("Spawner", "nme"),
        ("Qwertz", ""),
        ("DockerSpawner", "image"),
        ("JupyterHub", "services"),
        ("JupyterHub", "load_roles"),
    }


def test_a_problem_names_the_line_that_sets_the_option(check: Check) -> None:
    report = check("c.Spawner.args = []\nc.Spawner.args = [\n  5,\n]\nc.Spawner['nme'] = 1")
    sound_lines = SOUND.count("\n")
    assert [problem["line"] - sound_lines for problem in report["problems"]] == [5, 2]


def test_a_problem_set_from_elsewhere_has_no_line(check: Check) -> None:
    (problem,) = check("setattr(c.Spawner, 'args', 5)")["problems"]
    assert "line" not in problem


def test_a_function_that_fails_for_an_unknown_user_has_a_warning(check: Check) -> None:
    report = check("c.DockerSpawner.mem_limit = lambda spawner: {'ann': '1G'}[spawner.user.name]")
    assert report["problems"] == []
    assert "its function fails for an unknown user (KeyError)" in report["warnings"][0]["message"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("c.JupyterHub.admin_access = True", "JupyterHub.admin_access: DEPRECATED since"),
        ("c.DockerSpawner.container_image = 'x'", "Deprecated, use ``DockerSpawner.image``"),
        ("c.Authenticator.whitelist = {'x'}", "Deprecated, use `Authenticator.allowed_users`"),
    ],
)
def test_a_deprecated_option_has_a_warning_that_tells_the_new_one(
    check: Check, line: str, words: str
) -> None:
    report = check(line)
    assert report["problems"] == []
    assert words in report["warnings"][0]["message"]


def test_an_authenticator_that_lets_nobody_in_has_a_warning(check: Check) -> None:
    (warning,) = check("c.Authenticator.allow_all = False")["warnings"]
    assert "lets nobody in" in warning["message"]


# -- roles, services and the rest of the start ---------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "c.JupyterHub.load_roles = [{'name': 'one'}, {'name': 'two', 'scope': []}]",
            "JupyterHub.load_roles: entry 2 has a key that is none of .* did you mean scopes?",
        ),
        (
            "c.JupyterHub.load_roles = [{'name': 'one', 'scopes': ['self', 'list:user']}]",
            "JupyterHub.load_roles: entry 1 names as scope 2 one .* did you mean list:users?",
        ),
        (
            "c.JupyterHub.load_roles = [{'name': 'one', 'users': 'ann'}]",
            "JupyterHub.load_roles: entry 1 needs a list of strings as users",
        ),
        (
            f"c.JupyterHub.load_roles = [{{'name': 'one'}}, {{'name': {SECRET + '!'!r}}}]",
            "JupyterHub.load_roles: entry 2: InvalidNameError: .*Role names must.*",
        ),
        (
            "c.JupyterHub.load_roles = [{'scopes': []}]",
            "JupyterHub.load_roles: entry 1: KeyError.*",
        ),
        (
            f"c.JupyterHub.load_roles = [{{'name': 'one', 'services': [{SECRET!r}]}}]",
            "JupyterHub.load_roles: entry 1: ValueError: Found undefined service .* Define it .*",
        ),
        (
            "c.JupyterHub.load_roles = [{'name': 'one'}, {'name': 'one'}]",
            "JupyterHub.load_roles: ValueError: .*multiply defined.*",
        ),
        (
            f"c.JupyterHub.services = [{SECRET!r}]",
            "JupyterHub.services: expected a list, each entry a dict, found a list whose entry 1 "
            "is a str",
        ),
        (
            "c.JupyterHub.services = [{'name': 'x'}, {'command': []}]",
            "JupyterHub.services: entry 2 has no name",
        ),
        (
            "c.JupyterHub.services = [{'name': 'x', 'comand': []}]",
            "JupyterHub.services: entry 1 has a field that is none of .* did you mean command?",
        ),
        (
            "c.JupyterHub.services = [{'name': 'x', 'url': 5}]",
            "JupyterHub.services: entry 1 is wrong in url: expected a string, found an int",
        ),
        (
            f"c.JupyterHub.services = [{{'name': 'x'}}, {{'name': 'y', 'url': {SECRET!r}}}]",
            "JupyterHub.services: entry 2: ValueError: Unsupported scheme in URL for service .*",
        ),
        (
            "c.JupyterHub.services = [{'name': 'x'}, {'name': 'y', 'api_token': 'abc'}]",
            "JupyterHub.services: entry 2: ValueError: .*must be at least.*",
        ),
        (
            f"c.JupyterHub.db_url = 'nosuch://u:{SECRET}@h/d'",
            "JupyterHub.db_url: is no address of a database SQLAlchemy knows, .*",
        ),
        (
            "c.DockerSpawner.volumes = {'/data/{user}': '/data'}",
            "LabSpawner.volumes: a source or .* known fields are .*{username}",
        ),
        (
            "c.DockerSpawner.mounts = [{'source': 'x'}]",
            "LabSpawner.mounts: a source or a target is missing .*",
        ),
        (
            f"c.Authenticator.admin_users = {{'a/{SECRET}'}}",
            "Authenticator.admin_users: a name in admin_users is not valid: .*",
        ),
        (
            "c.Authenticator.enable_auth_state = True",
            "Authenticator.enable_auth_state: needs CryptKeeper.keys or .* JUPYTERHUB_CRYPT_KEY",
        ),
    ],
)
def test_what_would_keep_jupyterhub_from_starting_is_found(
    check: Check, lines: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTERHUB_CRYPT_KEY", raising=False)
    found = messages(check(lines))
    assert len(found) == 1
    assert re.fullmatch(message.replace("?", r"\?"), found[0])


def test_an_external_proxy_without_a_token_is_found(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONFIGPROXY_AUTH_TOKEN", raising=False)
    (found,) = messages(check("del c.ConfigurableHTTPProxy['auth_token']"))
    assert "CONFIGPROXY_AUTH_TOKEN env is required if Proxy.should_start is False" in found


def test_an_unsafe_cookie_secret_file_is_found(check: Check, tmp_path: Path) -> None:
    secret = tmp_path / "cookie_secret"
    secret.write_text("ab" * 32)
    secret.chmod(0o644)
    line = f"c.JupyterHub.cookie_secret_file = {str(secret)!r}"
    (problem,) = check(line)["problems"]
    assert (problem["class"], problem["trait"]) == ("JupyterHub", "cookie_secret_file")
    secret.chmod(0o600)
    assert check(line)["problems"] == []


def test_nothing_is_written(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    check(
        f"c.JupyterHub.db_url = 'sqlite:///{folder}/hub.sqlite'\n"
        f"c.JupyterHub.cookie_secret_file = '{folder}/cookie_secret'\n"
        f"c.JupyterHub.pid_file = '{folder}/pid'\n"
        f"c.ConfigurableHTTPProxy.pid_file = '{folder}/proxy-pid'\n"
        f"c.JupyterHub.extra_log_file = '{folder}/log'\n"
        "c.JupyterHub.upgrade_db = True\n"
    )
    assert list(folder.iterdir()) == []


def test_docker_is_never_asked(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("docker.APIClient.__init__", never)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert check("c.LabSpawner.docker_access = 'host'")["problems"] == []


def test_no_account_is_made_and_no_directory_is_asked(check: Check, tmp_path: Path) -> None:
    report = check(
        "from jupyterhub.auth import Authenticator\n"
        "class Ours(Authenticator):\n"
        "    def add_user(self, user):\n"
        f"        open({str(tmp_path / 'added')!r}, 'w')\n"
        "    async def load_managed_roles(self):\n"
        f"        open({str(tmp_path / 'asked')!r}, 'w')\n"
        "c.JupyterHub.authenticator_class = Ours\n"
        "c.Authenticator.manage_roles = True\n"
        "c.Authenticator.admin_users = {'ann'}\n"
    )
    assert report["problems"] == []
    assert [file.name for file in tmp_path.iterdir()] == ["jupyterhub_config.py"]


# -- the file itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (f"x = '{SECRET}", "SyntaxError: unterminated string literal"),
        (f"x = {{{SECRET!r}", "SyntaxError: "),
        ("  x = 1", "IndentationError: unexpected indent"),
        ("c.Spawner.args = arguments", "NameError: name 'arguments' is not defined"),
        ("import nosuchmodule", "ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("c.Spawner.args = ''.nosuch", "AttributeError: 'str' object has no attribute 'nosuch'"),
        (f"raise ValueError({SECRET!r})", "ValueError"),
        (f"{{}}[{SECRET!r}]", "KeyError"),
        (f"int({SECRET!r})", "ValueError"),
        (f"open('/nowhere/{SECRET}')", "FileNotFoundError: No such file or directory"),
        (f"import json; json.loads({SECRET!r})", "JSONDecodeError"),
        (f"raise SystemExit({SECRET!r})", "the file ends the program (sys.exit)"),
        ("import sys; sys.exit(0)", "the file ends the program (sys.exit)"),
        (f"raise KeyboardInterrupt({SECRET!r})", "KeyboardInterrupt"),
        (
            "from ailab_hub.config import read_secret; read_secret('/nowhere')",
            "/nowhere: No such file or directory",
        ),
    ],
)
def test_a_file_that_cannot_be_executed_is_told_with_its_line(
    check: Check, lines: str, message: str
) -> None:
    (problem,) = check("pass\n" + lines)["problems"]
    assert problem["message"].startswith(message)
    assert problem["line"] == SOUND.count("\n") + 2
    if message in ("ValueError", "KeyError", "KeyboardInterrupt"):
        assert problem["message"] == message


def test_a_file_of_any_name_is_read(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py.new"
    file.write_text("c.JupyterHub.prt = 1")
    made = ConfigurationCheck(file)
    asyncio.run(made.run())
    assert [problem["line"] for problem in made.problems] == [1]


def test_a_line_inside_a_function_of_the_file_is_named(check: Check) -> None:
    (problem,) = check("def f():\n    return undefined\nimport functools\nfunctools.partial(f)()")[
        "problems"
    ]
    assert problem["line"] == SOUND.count("\n") + 2


def test_secrets_of_a_secret_file_are_checked_and_never_told(check: Check, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"DockerSpawner": {"cpu_limit": SECRET, "image": "lab:1"}}))
    (found,) = messages(
        check(f"from ailab_hub.config import apply_secret_config as a; a(c, {str(secret)!r})")
    )
    assert found.startswith("DockerSpawner.cpu_limit: expected a callable or a float")
