# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument specification cannot say about the variables."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_checks import (
    CHECKS,
    JUPYTERHUB_VERSIONS,
    certificate_problem,
    check_values,
    key_problem,
    logo_problem,
)
from ansible_collections.ailab.hub.plugins.plugin_utils._preflight_values import Problem

LONG = "x" * 32


def problems(**values: Any) -> list[Problem]:
    return list(check_values(list(CHECKS), values))


def subjects(**values: Any) -> list[str]:
    return [problem.subject for problem in problems(**values)]


def only(**values: Any) -> Problem:
    found = problems(**values)
    assert len(found) == 1, found
    return found[0]


def test_where_nothing_is_known_there_is_nothing_to_say() -> None:
    assert problems() == []


def test_only_the_roles_asked_for_are_checked() -> None:
    assert list(check_values(["docker_engine"], {"jupyterhub_port": 0})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jupyterhub_version", "5.5.4"),
        ("jupyterhub_version", "5.2.1"),
        ("jupyterhub_version", "6.0.0rc1"),
        ("jupyterhub_port", 1),
        ("jupyterhub_port", 65535),
        ("jupyterhub_bind_address", "0.0.0.0"),
        ("jupyterhub_bind_address", "::1"),
        ("jupyterhub_network_name", "jupyterhub"),
        ("jupyterhub_subnet", "10.230.0.0/20"),
        ("jupyterhub_subnet", "192.168.7.0/28"),
        ("jupyterhub_internal_subnet", "172.31.0.0/24"),
        ("jupyterhub_admin_users", ["alice", "Bob.Builder+1@example.org", "ümlaut", "x" * 200]),
        ("jupyterhub_allowed_users", []),
        ("jupyterhub_authenticator", "github"),
        ("jupyterhub_authenticator", "custom-one"),
        ("jupyterhub_authenticator", "package.module.Class"),
        ("jupyterhub_cmd", ["start.sh", "", "it's {{ fine }}"]),
        ("jupyterhub_default_url", "/lab/tree/start.ipynb?x=1"),
        ("jupyterhub_default_url", ""),
        ("jupyterhub_proxy_image", "quay.io/jupyterhub/configurable-http-proxy:5.3.0"),
        ("jupyterhub_lab_image", ""),
        ("jupyterhub_hub_image", "registry:5000/a/b_c/d-e.f:v1"),
        ("jupyterhub_hub_image", "registry:5000/a/b_c/d-e.f@sha256:" + "0" * 64),
        ("jupyterhub_config", {"DockerSpawner": {"mem_limit": "4G", "x": [None, {"a": 1.5}]}}),
        ("jupyterhub_extra_config", ""),
        ("jupyterhub_extra_config", "c.Spawner.environment = {'A': 'b'}\n"),
        ("lab_image_base", "exasol/ai-lab:6.0.0"),
        ("lab_image_base", "registry.example.org:5000/exasol/ai-lab"),
        ("lab_image_name", "exasol/ai-lab-hub"),
        ("lab_image_python", "/home/jupyter/jupyterenv/bin/python3"),
        ("lab_image_user", "1000:100"),
        ("lab_image_http_proxy", "http://proxy.example.org:3128"),
        ("hub_image_https_proxy", ""),
        ("hub_image_pip_packages", ["jupyterhub-ldapauthenticator==2.0.2", "x @ https://e.org/x"]),
        ("docker_engine_registry_mirrors", ["https://mirror.example.org", "http://10.0.0.1:5000/"]),
        ("docker_engine_registry_prefix", "registry.testbed:5000/"),
        ("docker_engine_registry_prefix", "registry.testbed/group/"),
        ("docker_engine_registry_prefix", ""),
        ("docker_engine_registries", [{"name": "r:5000", "username": "u", "password": "p"}]),
        ("docker_engine_users", ["alice", "svc_x", "a.b@example.org"]),
        ("docker_engine_repository_url", "https://mirror.example.org/docker-ce/linux/"),
        ("docker_engine_repository_key_checksum", "sha256:" + "0a" * 32),
        ("docker_engine_version", ""),
        ("docker_engine_version", "28.5.1"),
        ("docker_engine_version", "5:28.5.1"),
        ("docker_engine_version", "5:28.5.1-1~debian.12~bookworm"),
        ("docker_engine_version", "5:29.0.0~rc.1-1~ubuntu.24.04~noble"),
        ("docker_engine_http_proxy", "http://user:p%40ss@proxy.example.org:3128"),
        ("docker_engine_https_proxy", ""),
        ("docker_engine_daemon", {"live-restore": None, "log-opts": {"max-file": "3"}}),
        ("docker_engine_daemon", {"hosts": None}),
    ],
)  # fmt: skip
def test_accepts(name: str, value: object) -> None:
    assert problems(**{name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("jupyterhub_version", "5.5", '"5.5.4"'),
        ("jupyterhub_version", "latest", "three numbers in quotes"),
        ("jupyterhub_version", "5.5.4; rm -rf /", "three numbers"),
        ("jupyterhub_version", "4.1.6", ">=5.2.1,<7"),
        ("jupyterhub_version", "5.2.1rc1", ">=5.2.1,<7"),
        ("jupyterhub_version", "7.0.0", ">=5.2.1,<7"),
        ("lab_image_jupyterhub_version", "5", "three numbers"),
        ("jupyterhub_port", 0, "from 1 to 65535"),
        ("jupyterhub_port", 65536, "from 1 to 65535"),
        ("jupyterhub_bind_address", "localhost", "an IP address"),
        ("jupyterhub_bind_address", "127.0.0.1:8000", "an IP address"),
        ("jupyterhub_bind_address", "", "an IP address"),
        ("jupyterhub_network_name", "my network", "letters, digits"),
        ("jupyterhub_network_name", "", "letters, digits"),
        ("jupyterhub_network_name", "host", "Docker does not use itself"),
        ("jupyterhub_subnet", "10.230.0.1/20", "Did you mean 10.230.0.0/20?"),
        ("jupyterhub_subnet", "10.230.0.0/33", "Write it as 10.230.0.0/20"),
        ("jupyterhub_subnet", "fd00::/64", "an IPv4 network"),
        ("jupyterhub_subnet", "8.8.8.0/24", "a private network"),
        ("jupyterhub_subnet", "127.0.0.0/20", "a private network"),
        ("jupyterhub_subnet", "10.230.0.0/29", "Choose /28"),
        ("jupyterhub_admin_users", ["a/b"], "without '/'"),
        ("jupyterhub_admin_users", [" alice"], "without spaces at its ends"),
        ("jupyterhub_allowed_users", [""], "names JupyterHub accepts"),
        ("jupyterhub_allowed_users", ["x" * 256], "at most 255"),
        ("jupyterhub_authenticator", None, "Set jupyterhub_authenticator"),
        ("jupyterhub_authenticator", "", "Set jupyterhub_authenticator"),
        ("jupyterhub_authenticator", "shared_password", "Did you mean shared-password?"),
        ("jupyterhub_authenticator", "Dummy", "Did you mean dummy?"),
        ("jupyterhub_authenticator", "LDAP", "Did you mean ldap?"),
        ("jupyterhub_user_password", " abcdefgh", "Take it out"),
        ("jupyterhub_public_url", "https://hub.example.org", "https://hub.example.org/?"),
        ("jupyterhub_public_url", "https://example.org/jupyter/", "a name in the DNS"),
        ("jupyterhub_authenticator", "'; import os", "the full name of a class"),
        ("jupyterhub_cmd", [], "Remove jupyterhub_cmd"),
        ("jupyterhub_cmd", [""], "Remove jupyterhub_cmd"),
        ("jupyterhub_default_url", "lab", "with a slash at the beginning"),
        ("jupyterhub_proxy_image", "Upper/Case", "docker pull"),
        ("jupyterhub_lab_image", "https://example.org/image", "docker pull"),
        ("lab_image_base", "", "docker pull"),
        ("lab_image_base", "a b", "docker pull"),
        ("lab_image_base", "name:tag:tag", "docker pull"),
        ("lab_image_base", "name:tag@sha256:" + "0" * 64, "the tag: name@sha256:000"),
        ("hub_image_base", "r:5000/name:tag@sha256:" + "0" * 64, "the tag: r:5000/name@sha256:000"),
        ("jupyterhub_lab_image", "name:tag@sha256:" + "0" * 64, "Leave out one of them"),
        ("jupyterhub_proxy_image", "name:tag@sha256:" + "0" * 64, "Leave out one of them"),
        ("lab_image_base", "{{ image }}", "docker pull"),
        ("lab_image_name", "exasol/ai-lab-hub:latest", "Leave out the tag"),
        ("lab_image_python", "python3", "the full path"),
        ("lab_image_python", "/usr/bin/python3; id", "the full path"),
        ("lab_image_user", "ubuntu; id", "a user of the image"),
        ("lab_image_http_proxy", "proxy.example.org:3128", "http:// or https://"),
        ("lab_image_https_proxy", "socks5://proxy:1080", "http:// or https://"),
        ("hub_image_http_proxy", "http://proxy:port", "http:// or https://"),
        ("hub_image_http_proxy", "http://[::1", "http:// or https://"),
        ("hub_image_pip_packages", ["--index-url=x"], "no option of pip"),
        ("hub_image_pip_packages", [""], "no option of pip"),
        ("docker_engine_registry_mirrors", ["mirror.example.org"], "http:// or https://"),
        ("docker_engine_registry_mirrors", ["https://m.example.org/v2"], "without a path"),
        ("docker_engine_registry_prefix", "registry.testbed:5000", "a slash at its end"),
        ("docker_engine_registry_prefix", "https://registry.testbed/", "without https://"),
        ("docker_engine_repository_url", "download.docker.com/linux", "http:// or https://"),
        ("docker_engine_repository_key_checksum", "0a" * 32, "sha256: and 64 digits"),
        ("docker_engine_version", "latest", "a version such as"),
        ("docker_engine_version", "28", "a version such as"),
        ("docker_engine_version", "28.5.*", "a version such as"),
        ("docker_engine_version", "28.5.1 ", "a version such as"),
        ("docker_engine_https_proxy", "proxy.example.org:3128", "http:// or https://"),
        ("docker_engine_users", ["alice,bob"], "one account"),
        ("docker_engine_users", ["-x"], "names of accounts"),
    ],
)  # fmt: skip
def test_refuses_and_says_what_mends_it(name: str, value: object, said: str) -> None:
    problem = only(**{name: value})
    assert problem.subject == name
    assert said in str(problem)


def test_versions_are_those_the_package_in_the_hub_image_works_with() -> None:
    package = Path(__file__).parents[4] / "roles/hub_image/files/ailab_hub/pyproject.toml"
    dependencies = tomllib.loads(package.read_text())["project"]["dependencies"]
    assert f"jupyterhub{JUPYTERHUB_VERSIONS}" in dependencies


def test_subnets_are_apart() -> None:
    problem = only(jupyterhub_subnet="10.230.0.0/20", jupyterhub_internal_subnet="10.230.15.0/24")
    assert problem.subject == "jupyterhub_internal_subnet"
    assert "apart from jupyterhub_subnet (10.230.0.0/20)" in problem.expected


# Consent


def test_the_socket_for_users_needs_a_word_that_it_is_meant() -> None:
    consent = "jupyterhub_docker_access_host_gives_root"
    problem = only(jupyterhub_docker_access="host", **{consent: False})
    assert f"Set {consent}: true" in problem.mend
    assert problems(jupyterhub_docker_access="host", **{consent: True}) == []
    assert problems(jupyterhub_docker_access="none", **{consent: False}) == []


@pytest.mark.parametrize("name", ["dummy", "jupyterhub.auth.DummyAuthenticator"])
def test_no_password_at_all_needs_a_word_that_it_is_meant(name: str) -> None:
    consent = "jupyterhub_allow_dummy_authenticator"
    assert f"set {consent}: true" in only(jupyterhub_authenticator=name, **{consent: False}).mend
    assert problems(jupyterhub_authenticator=name, **{consent: True}) == []


# Passwords


def test_shared_passwords_are_as_long_as_jupyterhub_demands() -> None:
    found = problems(
        jupyterhub_authenticator="shared-password",
        jupyterhub_user_password="hunter2",
        jupyterhub_admin_password=LONG[1:],
    )
    assert [(problem.subject, problem.found) for problem in found] == [
        ("jupyterhub_user_password", "7 characters"),
        ("jupyterhub_admin_password", "31 characters"),
    ]
    assert "hunter2" not in str(found)


def test_empty_passwords_are_made_on_the_server() -> None:
    values = {"jupyterhub_user_password": "", "jupyterhub_admin_password": ""}
    assert problems(jupyterhub_authenticator="shared-password", **values) == []


def test_other_authenticators_make_no_demands_on_passwords() -> None:
    values = {"jupyterhub_authenticator": "dummy", "jupyterhub_allow_dummy_authenticator": True}
    assert problems(jupyterhub_user_password="short", **values) == []


def test_users_and_administrators_have_passwords_of_their_own() -> None:
    problem = only(jupyterhub_user_password=LONG, jupyterhub_admin_password=LONG)
    assert problem.subject == "jupyterhub_admin_password"
    assert LONG not in str(problem)


@pytest.mark.parametrize(("version", "count"), [("5.2.1", 1), ("5.3.0", 0), ("6.1.1", 0)])
def test_shared_password_needs_a_jupyterhub_that_has_it(version: str, count: int) -> None:
    found = problems(jupyterhub_authenticator="shared-password", jupyterhub_version=version)
    assert len(found) == count


# Volumes


@pytest.mark.parametrize(
    ("path", "name", "subject"),
    [
        ("/home/jupyter", "ailab-{username}", "jupyterhub_volume_path"),
        ("/home/jupyter/", "ailab-{username}", "jupyterhub_volume_path"),
        ("/", "ailab-{username}", "jupyterhub_volume_path"),
        ("notebooks", "ailab-{username}", "jupyterhub_volume_path"),
        ("/a/../b", "ailab-{username}", "jupyterhub_volume_path"),
        ("/a,b", "ailab-{username}", "jupyterhub_volume_path"),
        ("/notebooks", "ailab", "jupyterhub_volume_name"),
        ("/notebooks", "", "jupyterhub_volume_name"),
        ("/notebooks", "ailab/{username}", "jupyterhub_volume_name"),
        ("/notebooks", "{username", "jupyterhub_volume_name"),
        ("/notebooks", "{nobody}", "jupyterhub_volume_name"),
        ("/notebooks", "ailab-{userid}", "jupyterhub_volume_name"),
        ("/notebooks", "{imagename}", "jupyterhub_volume_name"),
        ("/notebooks", "{username.__class__}", "jupyterhub_volume_name"),
    ],
)
def test_refuses_volumes_that_lose_or_mix_files(path: str, name: str, subject: str) -> None:
    assert only(jupyterhub_volume_path=path, jupyterhub_volume_name=name).subject == subject


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/jupyter/notebooks", "ailab-{username}"),
        ("/work", "x_{safe_username}"),
        ("", "anything"),
    ],
)
def test_accepts_volumes_of_one_user_each(path: str, name: str) -> None:
    assert problems(jupyterhub_volume_path=path, jupyterhub_volume_name=name) == []


def test_the_authenticator_has_a_variable_of_its_own() -> None:
    problem = only(jupyterhub_config={"JupyterHub": {"authenticator_class": "dummy"}})
    assert problem.subject == "jupyterhub_config.JupyterHub.authenticator_class"


def test_a_hub_below_a_path_is_refused() -> None:
    assert problems(jupyterhub_config={"JupyterHub": {"base_url": "/"}}) == []
    problem = only(jupyterhub_config={"JupyterHub": {"base_url": "/jupyter/"}})
    assert problem.subject == "jupyterhub_config.JupyterHub.base_url"


# Registries and daemon


def test_a_registry_is_a_name_once_with_both_or_no_credentials() -> None:
    registries = [
        {"name": "https://r.example.org", "username": None, "password": None},
        {"name": "a", "username": "u", "password": None},
        {"name": "a", "username": "", "password": "hunter2"},
    ]
    found = problems(docker_engine_registries=registries)
    assert [problem.subject for problem in found] == [
        "docker_engine_registries[0].name",
        "docker_engine_registries[1]",
        "docker_engine_registries[2].name",
        "docker_engine_registries[2]",
    ]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "name", ["lab_image_http_proxy", "hub_image_https_proxy", "docker_engine_registry_mirrors"]
)
def test_addresses_hold_no_credentials(name: str) -> None:
    address = "http://user:hunter2@proxy.example.org:3128"
    problem = only(**{name: [address] if name.endswith("mirrors") else address})
    assert "user name or password" in problem.found
    assert "hunter2" not in str(problem)


def test_sources_of_apt_hold_no_credentials() -> None:
    problem = only(docker_engine_repository_url="https://user:hunter2@mirror.example.org/linux")
    assert "/etc/apt/auth.conf.d" in problem.mend
    assert "hunter2" not in str(problem)


def test_a_wrong_proxy_of_the_engine_is_not_quoted() -> None:
    problem = only(docker_engine_https_proxy="user:hunter2@proxy.example.org:3128")
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("source", ["distro", "existing"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("docker_engine_version", "28.5.1"), ("docker_engine_hold", False)],
)
def test_only_dockers_own_packages_have_a_version_to_choose(
    source: str, name: str, value: object
) -> None:
    assert problems(**{name: value, "docker_engine_source": "docker_ce"}) == []
    problem = only(**{name: value, "docker_engine_source": source})
    assert problem.subject == name
    assert "docker_engine_source: docker_ce" in problem.mend


def test_an_engine_cannot_be_both_kept_and_replaced() -> None:
    values = {"docker_engine_replace": True, "docker_engine_source": "existing"}
    assert only(**values).subject == "docker_engine_replace"
    assert problems(docker_engine_replace=True, docker_engine_source="docker_ce") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n", ""),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "a private key"),
        ("\x99\x02\x0d", "no public key"),
        ("", "no public key"),
    ],
)
def test_keys_of_repositories(text: str, said: str) -> None:
    problem = key_problem(text)
    assert problem.startswith(said) if said else problem == ""


def test_packages_hold_no_credentials() -> None:
    problem = only(hub_image_pip_packages=["x @ https://user:hunter2@example.org/x.whl"])
    assert "hunter2" not in str(problem)


def test_systemd_alone_tells_the_engine_where_to_listen() -> None:
    daemon = {"hosts": ["tcp://0.0.0.0:2375"]}
    for source in ("distro", "docker_ce"):
        problem = only(docker_engine_daemon=daemon, docker_engine_source=source)
        assert problem.subject == "docker_engine_daemon.hosts"
    assert problems(docker_engine_daemon=daemon, docker_engine_source="existing") == []


def test_the_daemons_configuration_is_plain_data_with_text_as_keys() -> None:
    daemon = {1: "x", "since": datetime.date(2026, 1, 1)}
    found = subjects(docker_engine_daemon=daemon)
    assert found == ["docker_engine_daemon['since']", "docker_engine_daemon"]


# Configuration


@pytest.mark.parametrize(
    ("config", "subject"),
    [
        ({"DockerSpawner.mem_limit": "4G"}, "jupyterhub_config"),
        ({"class": {}}, "jupyterhub_config"),
        ({5: {}}, "jupyterhub_config"),
        ({"X": "hunter2"}, "jupyterhub_config.X"),
        ({"X": ["hunter2"]}, "jupyterhub_config.X"),
        ({"X": {"y; import os": "hunter2"}}, "jupyterhub_config.X"),
        ({"X": {"a\nb": "hunter2"}}, "jupyterhub_config.X"),
        ({"X": {"since": datetime.date(2026, 1, 1)}}, "jupyterhub_config.X.since"),
        ({"X": {"y": [{"z": b"hunter2"}]}}, "jupyterhub_config.X.y[0]['z']"),
    ],
)
def test_the_configuration_is_classes_with_traits_and_plain_data(
    config: dict[Any, Any], subject: str
) -> None:
    problem = only(jupyterhub_config=config)
    assert problem.subject == subject
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("c.X.y = (\n", "in line 1"),
        ("x = 1\nif True\n", "Mend line 2"),
        ("nul\0byte", "Python that can be read"),
        ("(" * 5000, "Python that can be read"),
        ("x = " + "-" * 100000 + "1", "Python that can be read"),
    ],
)
def test_raw_configuration_is_python(source: str, said: str) -> None:
    assert said in str(only(jupyterhub_extra_config=source))


@pytest.mark.parametrize(
    "source",
    [
        "c.GitHubOAuthenticator.client_secret = 'hunter2'",
        "c.LDAPAuthenticator.lookup_dn_search_password = 'hunter2'",
        "c.ConfigurableHTTPProxy.auth_token: str = 'hunter2'",
        "c.CryptKeeper.keys = [b'hunter2']",
        "c['JupyterHub']['api_tokens'] = {'hunter2': 'hunter2'}",
        "if True:\n    c.X.password = 'hun' + 'ter2'",
        "c.X.password = f'hunter2'",
        "a = c.X.password = 'hunter2'",
    ],
)
def test_a_secret_in_raw_configuration_belongs_elsewhere(source: str) -> None:
    problem = only(jupyterhub_extra_config=source)
    assert "Move it to jupyterhub_config" in problem.mend
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nc.X.client_secret = os.environ['CLIENT_SECRET']",
        "c.JupyterHub.cookie_secret_file = '/srv/jupyterhub/cookie_secret'",
        "c.X.token_url = 'https://example.org/token'",
        "c.X.password = ''",
        "c.X.password = None",
        "c.X.token_expires_in = 3600",
        "c.JupyterHub.ssl_key = '/etc/ssl/private/key.pem'",
        "c.X.username_claim = 'email'",
        "c.X.enable_secret = True",
    ],
)
def test_what_only_looks_like_a_secret_may_stay(source: str) -> None:
    assert problems(jupyterhub_extra_config=source) == []


# Certificates


def test_certificates_with_comments_are_fine(certificate: str) -> None:
    assert certificate_problem(f"# a comment, ü\n{certificate}\n# another\n{certificate}") == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no certificate in PEM form"),
        ("\x30\x82binary", "no certificate in PEM form"),
        ("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", "cannot be read"),
        ("-----BEGIN CERTIFICATE-----\nü\n-----END CERTIFICATE-----\n", "cannot be read"),
        ("-----BEGIN RSA PRIVATE KEY-----\n", "a private key"),
    ],
)
def test_a_broken_certificate_is_told(text: str, problem: str) -> None:
    assert problem in certificate_problem(text)


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("logo.png", PNG),
        ("/a/Logo.PNG", PNG),
        ("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("logo.svg", b"<?xml version='1.0'?>\n<!-- made by x -->\n<!DOCTYPE svg>\n<svg>\n</svg>"),
        ("logo.jpg", b"\xff\xd8\xff\xe0"),
        ("logo.gif", b"GIF89a"),
        ("logo.webp", b"RIFF\x00\x00\x00\nWEBPVP8 "),
    ],
)
def test_a_picture_is_one(name: str, content: bytes) -> None:
    assert logo_problem(name, content) == ""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("logo.html", b"<svg/>", "none of the suffixes gif, jpeg"),
        ("logo", PNG, "none of the suffixes"),
        ("logo.png", b"", "no picture of the kind png"),
        ("logo.svg", b"<html><svg></svg></html>", "no picture of the kind svg"),
        ("logo.png", PNG + bytes(1024 * 1024), "1048584 bytes"),
    ],
)
def test_what_is_no_picture_is_told(name: str, content: bytes, said: str) -> None:
    assert said in logo_problem(name, content)
