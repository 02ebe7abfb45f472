# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployed hub promises to its users and its administrator, tried from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from .conftest import PROJECT, Play, Server
from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError

Login = Callable[[str], JupyterHubClient]

SEED_COMMAND = yaml.safe_load((PROJECT / "roles/jupyterhub/defaults/main.yml").read_text())[
    "jupyterhub_cmd"
]


def container_ids(server: Server) -> dict[str, str]:
    """Return the id of every running container by its name."""
    return dict(
        line.split()
        for line in server.run("docker ps --no-trunc --format '{{.Names}} {{.ID}}'").splitlines()
    )


@pytest.fixture(scope="module")
def people(server: Server, url: str) -> Iterator[tuple[JupyterHubClient, JupyterHubClient]]:
    """Alice and Bob, logged in, with servers started at the same time."""
    password = server.run("cat /var/lib/ailab-hub/secrets/shared_user_password").strip()

    def enter(name: str) -> JupyterHubClient:
        client = JupyterHubClient(url)
        client.login(name, password)
        client.start_server()
        return client

    with ThreadPoolExecutor(2) as pool:
        alice, bob = pool.map(enter, ["alice", "bob"])
    yield alice, bob
    for client in (alice, bob):
        client.stop_server()
        client.close()


def test_a_dry_run_after_the_run_finds_nothing_to_change(play: Callable[..., Play]) -> None:
    done = play("--check", "--diff")
    assert done.returncode == 0, done.output
    assert done.counts["changed"] == 0, done.output


def test_named_accounts_reach_docker(server: Server) -> None:
    assert "jupyterhub-proxy" in server.run("runuser -u admin -- docker ps")


def test_two_users_run_cells_at_the_same_time(
    people: tuple[JupyterHubClient, JupyterHubClient],
) -> None:
    code = "import os, time; begun = time.time(); time.sleep(3); print(os.environ['JUPYTERHUB_USER'], begun, time.time())"
    with ThreadPoolExecutor(2) as pool:
        (alice, a_begun, a_ended), (bob, b_begun, b_ended) = (
            output.split() for output in pool.map(lambda client: client.run_code(code), people)
        )
    assert (alice, bob) == ("alice", "bob")
    assert float(a_begun) < float(b_ended) and float(b_begun) < float(a_ended)


def test_servers_are_started_by_the_command_of_ai_lab(server: Server, people: object) -> None:
    command = server.inspect("jupyter-alice")["Config"]["Cmd"]
    # Without a Docker socket the command drops root's group first, which the entrypoint would leave to the user.
    assert command == [*SEED_COMMAND[:2], "setpriv", "--clear-groups", *SEED_COMMAND[2:]]


def test_without_docker_access_there_is_no_socket_and_no_group_of_root(
    people: tuple[JupyterHubClient, JupyterHubClient],
) -> None:
    code = "import os; print(os.path.lexists('/var/run/docker.sock'), os.getuid() != 0, 0 in os.getgroups(), os.getgid() == 0)"
    assert people[0].run_code(code).split() == ["False", "True", "False", "False"]


def test_no_user_sees_another_users_files(
    people: tuple[JupyterHubClient, JupyterHubClient],
) -> None:
    alice, bob = people
    alice.run_code("open('/home/jupyter/notebooks/mine.txt', 'w').write('only mine')")
    look = "import os; print([os.path.join(f, n) for f, _, names in os.walk('/home') for n in names if n == 'mine.txt'])"
    assert alice.run_code(look).strip() == "['/home/jupyter/notebooks/mine.txt']"
    assert bob.run_code(look).strip() == "[]"
    with pytest.raises(JupyterHubError) as refused:
        bob.request("GET", f"{alice.server_url()}api/contents/mine.txt")
    assert refused.value.status in (403, 404)


def test_files_survive_a_stop_and_a_start(
    server: Server, people: tuple[JupyterHubClient, JupyterHubClient]
) -> None:
    bob = people[1]
    bob.run_code("open('/home/jupyter/notebooks/kept.txt', 'w').write('kept')")
    before = container_ids(server)["jupyter-bob"]
    bob.stop_server()
    assert "jupyter-bob" not in container_ids(server)
    bob.start_server()
    assert container_ids(server)["jupyter-bob"] != before
    assert bob.run_code("print(open('/home/jupyter/notebooks/kept.txt').read())").strip() == "kept"


def test_volumes_carry_their_users_name(server: Server, people: object) -> None:
    assert server.inspect("ailab-alice")["Labels"] == {
        "ailab.hub": "user-volume",
        "ailab.hub.user": "alice",
    }


@pytest.mark.parametrize("container", ["jupyterhub", "jupyterhub-proxy"])
def test_users_servers_survive_a_restart(
    container: str, server: Server, url: str, people: tuple[JupyterHubClient, JupyterHubClient]
) -> None:
    before = container_ids(server)
    for client in people:
        client.run_code("value = 'still here'")
    server.run(f"docker restart {container}")
    begun = time.monotonic()
    for client in people:
        while True:
            try:
                assert client.run_code("print(value)").strip() == "still here"
                break
            except JupyterHubError:
                # The hub sees within 10 s that the proxy lost its routes; a browser connects again as this does.
                assert time.monotonic() - begun < 15
                time.sleep(0.5)
    await_health(url)
    after = container_ids(server)
    assert {name: after[name] for name in ("jupyter-alice", "jupyter-bob")} == {
        name: before[name] for name in ("jupyter-alice", "jupyter-bob")
    }


def await_health(url: str, seconds: float = 120) -> None:
    """Wait until the hub says that it is well."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if requests.get(f"{url}hub/health", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, "the hub does not answer"
        time.sleep(0.5)


AWKWARD_NAMES = [
    "grace.hopper",
    "ada+test@example.org",
    "jürgen",
    "Émilie",
    "x" * 200,
    "ü" * 200,
    "a b",
    "o'brien",
    "-dash",
]


@pytest.mark.parametrize(
    "name", AWKWARD_NAMES, ids=lambda name: name if len(name) < 30 else f"{name[0]}*{len(name)}"
)
def test_any_name_gets_a_server_of_its_own(name: str, login: Login) -> None:
    client = login(name)
    client.start_server()
    try:
        assert (
            client.run_code("import os; print(os.environ['JUPYTERHUB_USER'])").strip()
            == name.lower()
        )
    finally:
        client.stop_server()


@pytest.mark.parametrize("name", ["a/b", ""])
def test_a_name_that_cannot_work_is_refused_in_one_sentence(name: str, login: Login) -> None:
    with pytest.raises(LoginError) as refused:
        login(name)
    assert 0 < len(str(refused.value)) < 200


def test_an_administrator_does_not_get_in_with_the_users_password(login: Login) -> None:
    with pytest.raises(LoginError):
        login("admin")


def test_an_administrator_gets_in_with_his_own(server: Server, url: str) -> None:
    password = server.run("cat /var/lib/ailab-hub/secrets/shared_admin_password").strip()
    with JupyterHubClient(url) as client:
        client.login("admin", password)
        assert client.me()["admin"] is True


def test_a_container_that_hangs_is_restarted_and_one_that_starts_has_its_minute(
    server: Server, url: str
) -> None:
    since = "docker inspect --format '{{.State.StartedAt}}' jupyterhub"
    began = datetime.fromisoformat(server.run(since)[:19] + "Z")
    time.sleep(max(0, 62 - (datetime.now(UTC) - began).total_seconds()))
    server.run("systemctl stop ailab-hub-heal.timer ailab-hub-heal.service")
    try:
        # It is restarted just when it was found hanging, and hangs again, as one that is slow to start.
        told = server.run(
            "docker kill --signal STOP jupyterhub > /dev/null; until docker inspect --format"
            " '{{.State.Health.FailingStreak}}' jupyterhub | grep -qv '^0$'; do sleep 1; done;"
            "ailab-hub-heal > /run/heal & sleep 2;"
            "docker restart --time 0 jupyterhub > /dev/null; docker kill --signal STOP jupyterhub > /dev/null;"
            f"{since}; wait; {since}; cat /run/heal; rm /run/heal"
        ).splitlines()
    finally:
        server.run("systemctl start ailab-hub-heal.timer")
    assert len(told) == 2 and told[0] == told[1]
    deadline = time.monotonic() + 180
    while server.run(since).strip() == told[0]:
        assert time.monotonic() < deadline, "the hub hangs and nobody restarts it"
        time.sleep(2)
    await_health(url)


def test_no_secret_can_be_read_by_others(server: Server, url: str) -> None:
    assert (
        server.run(
            "find /etc/ailab-hub /var/lib/ailab-hub -xdev -perm /007 ! -type l ! -path '*/build/*'"
        ).split()
        == []
    )
    files = server.run("find /var/lib/ailab-hub/secrets -type f -printf '%m %u %p\\n'").splitlines()
    assert files and all(
        line.startswith(("400 ailab-hub ", "400 root ", "600 root ")) for line in files
    ), files
    secrets = [
        server.run(f"cat {line.split()[2]}").strip()
        for line in files
        if not line.endswith((".json", "key"))
    ]
    shown = server.run(
        "ps axww; docker inspect jupyterhub jupyterhub-proxy; docker logs jupyterhub 2>&1; docker logs jupyterhub-proxy 2>&1; journalctl --no-pager"
    )
    assert len(secrets) >= 5 and not [
        number for number, secret in enumerate(secrets) if secret in shown
    ]


def test_a_run_shows_no_secret_and_changes_nothing(
    play: Callable[..., Play], server: Server
) -> None:
    done = play("--diff", "-vvv")
    assert done.returncode == 0, done.output
    assert done.counts["changed"] == 0
    for name in (
        "admin_api_token",
        "cookie_secret",
        "proxy_token",
        "shared_user_password",
        "shared_admin_password",
    ):
        assert server.run(f"cat /var/lib/ailab-hub/secrets/{name}").strip() not in done.output


SECRET = "s3cr3t-of-the-inventory-5f1c"


def test_secrets_of_the_inventory_take_effect_and_reach_no_output(
    play: Callable[..., Play], server: Server, url: str, tmp_path: Path
) -> None:
    password = "a-password-of-the-inventory"
    values = {
        "jupyterhub_user_password": password,
        "jupyterhub_config": {
            "GenericOAuthenticator": {"client_secret": SECRET},
        },
    }
    done = play("--diff", "-vvv", "--tags=jupyterhub", f"--extra-vars=@{write(tmp_path, values)}")
    assert SECRET not in done.output and password not in done.output
    assert done.returncode == 0, done.output
    assert SECRET in server.run(
        "docker exec jupyterhub sh -c 'cat /run/secrets/secret_config-*.json'"
    )
    shown = server.run("cat /etc/ailab-hub/jupyterhub_config.py; docker inspect jupyterhub")
    assert SECRET not in shown and password not in shown
    with JupyterHubClient(url) as client:
        client.login("frank", password)


def test_with_a_list_of_users_nobody_else_gets_in(
    play: Callable[..., Play], login: Login, tmp_path: Path
) -> None:
    values = {"jupyterhub_allowed_users": ["alan", "barbara"], "jupyterhub_allow_all": False}
    done = play("--tags=jupyterhub", f"--extra-vars=@{write(tmp_path, values)}")
    assert done.returncode == 0, done.output
    assert login("alan").me()["name"] == "alan"
    with pytest.raises(LoginError):
        login("mallory")


def test_people_are_administered_with_the_token_on_the_server(
    inventories: list[str], server: Server, url: str
) -> None:
    def ask(module: str, **options: Any) -> dict[str, Any]:
        token_file = "/var/lib/ailab-hub/secrets/admin_api_token"
        arguments = json.dumps({"url": url, "token_file": token_file, **options})
        named = [f"--inventory={inventory}" for inventory in inventories]
        done = subprocess.run(
            ["ansible", *named, "hub", "--become", "-m", f"ailab.hub.{module}", "-a", arguments],
            env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout.partition(" => ")[2])
        return result

    wanted = {"users": ["maria", "nuno"]}
    assert ask("jupyterhub_user", **wanted)["added"] == wanted["users"]
    assert not ask("jupyterhub_user", **wanted)["changed"]
    told = ask("jupyterhub_info")
    assert told["caller"]["name"].startswith("ailab-hub-admin-") and not told["caller"]["admin"]
    assert told["hub"]["spawner"] == "ailab_hub.spawner.LabSpawner"
    assert set(wanted["users"]) <= {user["name"] for user in told["users"]}
    assert ask("jupyterhub_user", **wanted, state="absent")["removed"] == wanted["users"]


def write(folder: Path, values: dict[str, Any]) -> Path:
    """Write variables into a file for ``--extra-vars``."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return file


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            {
                "jupyterhub_config": {
                    "DockerSpawner": {"mem_limt": "4G", "remove": "x"},
                    "JupyterHub": {"hub_port": "many"},
                    "DokcerSpawner": {"debug": True},
                }
            },
            [
                "DockerSpawner.mem_limt",
                "mem_limit",
                "DockerSpawner.remove",
                "JupyterHub.hub_port",
                "DokcerSpawner",
            ],
        ),
        ({"jupyterhub_extra_config": "while True: pass"}, ["30 s"]),
    ],
    ids=["four mistakes at once", "a file that never ends"],
)
def test_a_wrong_configuration_leaves_the_running_hub_as_it_was(
    values: dict[str, Any],
    named: list[str],
    play: Callable[..., Play],
    server: Server,
    url: str,
    tmp_path: Path,
) -> None:
    before = container_ids(server), server.run("cat /etc/ailab-hub/jupyterhub_config.py")
    done = play("--tags=jupyterhub", f"--extra-vars=@{write(tmp_path, values)}")
    assert done.returncode != 0
    assert [name for name in named if name not in done.output] == []
    assert (container_ids(server), server.run("cat /etc/ailab-hub/jupyterhub_config.py")) == before
    assert requests.get(f"{url}hub/health", timeout=5).ok


def test_a_build_that_fails_leaves_the_running_hub_as_it_was(
    play: Callable[..., Play], server: Server, url: str, tmp_path: Path
) -> None:
    before = container_ids(server)
    done = play(
        f"--extra-vars=@{write(tmp_path, {'hub_image_pip_packages': ['no-such-package-at-all==1.0']})}"
    )
    assert done.returncode != 0
    assert "no-such-package-at-all" in done.output
    assert container_ids(server) == before
    assert requests.get(f"{url}hub/health", timeout=5).ok


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            {
                "jupyterhub_port": "eighty",
                "jupyterhub_subnet": "10.230.0.0/33",
                "jupyterhub_amdin_users": ["x"],
                "docker_engine_daemon": "x: y",
            },
            [
                "jupyterhub_port",
                "jupyterhub_subnet",
                "jupyterhub_amdin_users",
                "jupyterhub_admin_users",
                "docker_engine_daemon",
            ],
        ),
        ({"jupyterhub_docker_access": "host"}, ["jupyterhub_docker_access_host_gives_root"]),
        ({"jupyterhub_authenticator": "dummy"}, ["jupyterhub_allow_dummy_authenticator"]),
        ({"lab_image_ca_file": "/nowhere/ca.pem"}, ["lab_image_ca_file", "/nowhere/ca.pem"]),
        ({"jupyterhub_port": 22}, ["jupyterhub_port", "22"]),
        ({"jupyterhub_subnet": "172.17.0.0/16"}, ["jupyterhub_subnet"]),
        ({"hub_https_certifcate": "acme"}, ["hub_https_certifcate", "hub_https_certificate"]),
    ],
    ids=[
        "four at once",
        "root without consent",
        "dummy without consent",
        "a path that is not there",
        "a port taken",
        "a network taken",
        "what no role knows",
    ],
)
def test_wrong_values_stop_the_run_before_any_change(
    values: dict[str, Any],
    named: list[str],
    play: Callable[..., Play],
    server: Server,
    tmp_path: Path,
) -> None:
    before = container_ids(server)
    done = play(f"--extra-vars=@{write(tmp_path, values)}")
    assert done.returncode != 0
    assert [name for name in named if name not in done.output] == []
    assert done.counts["changed"] == 0
    assert container_ids(server) == before


def test_an_engine_that_is_there_is_kept_as_it_is(
    play: Callable[..., Play], server: Server, tmp_path: Path
) -> None:
    values = {"docker_engine_source": "existing", "docker_engine_registry_mirrors": []}
    done = play("--tags=docker_engine", f"--extra-vars=@{write(tmp_path, values)}")
    assert done.returncode == 0, done.output
    assert done.counts["changed"] == 0


def test_a_daemon_configuration_that_is_wrong_is_refused(
    play: Callable[..., Play], server: Server, tmp_path: Path
) -> None:
    before = server.run("cat /etc/docker/daemon.json")
    done = play(
        "--tags=docker_engine",
        f"--extra-vars=@{write(tmp_path, {'docker_engine_daemon': {'no-such-option': True}})}",
    )
    assert done.returncode != 0
    assert "no-such-option" in done.output
    assert server.run("cat /etc/docker/daemon.json") == before
    assert server.run("systemctl is-active docker").strip() == "active"


def test_a_daemon_configuration_that_does_not_start_is_taken_back(
    play: Callable[..., Play], server: Server, url: str, tmp_path: Path
) -> None:
    before = server.run("cat /etc/docker/daemon.json")
    done = play(
        "--tags=docker_engine",
        f"--extra-vars=@{write(tmp_path, {'docker_engine_daemon': {'log-opts': {'max-siz': '1m'}}})}",
    )
    assert done.returncode != 0
    assert server.run("cat /etc/docker/daemon.json") == before
    assert server.run("systemctl is-active docker").strip() == "active"
    await_health(url)


def test_two_runs_at_once_do_not_meet(play: Callable[..., Play], server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(play, "--tags=jupyterhub") for _ in range(2)]
        done = sorted((run.result() for run in runs), key=lambda run: run.returncode)
    assert done[0].returncode == 0, done[0].output
    assert done[1].returncode != 0
    assert "since" in done[1].output


def test_host_mode_reaches_docker_and_none_takes_it_back(
    play: Callable[..., Play], server: Server, login: Login, tmp_path: Path
) -> None:
    values = {"jupyterhub_docker_access": "host", "jupyterhub_docker_access_host_gives_root": True}
    done = play("--tags=jupyterhub", f"--extra-vars=@{write(tmp_path, values)}")
    assert done.returncode == 0, done.output
    client = login("carol")
    client.start_server()
    seen = client.run_code(
        "import docker; print([c.name for c in docker.from_env().containers.list()])"
    )
    assert "jupyterhub-proxy" in seen
    assert server.inspect("jupyter-carol")["Config"]["Cmd"] == SEED_COMMAND
    client.stop_server()
    done = play()
    assert done.returncode == 0, done.output
    client.start_server()
    assert (
        client.run_code("import os; print(os.path.lexists('/var/run/docker.sock'))").strip()
        == "False"
    )
    client.stop_server()


def test_an_upgrade_of_the_lab_image_keeps_files_and_running_servers(
    play: Callable[..., Play], server: Server, login: Login, tmp_path: Path
) -> None:
    client = login("dave")
    client.start_server()
    client.run_code("open('/home/jupyter/notebooks/kept.txt', 'w').write('kept')")
    old = server.inspect("jupyter-dave")
    done = play(
        f"--extra-vars=@{write(tmp_path, {'lab_image_jupyter_config': {'another.json': {}}})}"
    )
    assert done.returncode == 0, done.output
    assert container_ids(server)["jupyter-dave"] == old["Id"]
    client.stop_server()
    client.start_server()
    assert server.inspect("jupyter-dave")["Image"] != old["Image"]
    assert (
        client.run_code("print(open('/home/jupyter/notebooks/kept.txt').read())").strip() == "kept"
    )
    client.stop_server()


def test_the_hub_finds_a_docker_socket_that_was_made_anew(
    server: Server, url: str, login: Login
) -> None:
    server.run(
        "systemctl stop docker.service docker.socket; systemctl reset-failed --all 'docker.s*';"
        "systemctl start docker.socket docker.service"
    )
    begun = server.inspect("jupyterhub")["State"]["StartedAt"]
    deadline = time.monotonic() + 180
    while server.inspect("jupyterhub")["State"]["StartedAt"] == begun:
        assert time.monotonic() < deadline, "the hub has lost Docker and nobody restarts it"
        time.sleep(2)
    await_health(url)
    client = login("erin")
    client.start_server()
    client.stop_server()
