# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each inventory of examples/ is deployed onto a server, and does for a user what its page promises.

Laid over it is what the server of the test needs, and nothing else but what the example's page names.
Afterwards the server is as site.yml leaves it.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.pages import EXAMPLES, PROJECT, blocks
from tests.testbed import bases

from .browser import Crowd, people
from .conftest import Play, Server
from .inventories import connection, host_variables, write_inventory
from .jupyterhub_client import JupyterHubClient, JupyterHubError, LoginError
from .openid_provider import OpenIDProvider, sign_in

# Registry, engine and authorities of the testbed.
TESTBED_VARIABLES = re.compile(r"testbed_|docker_engine_|\w+_image_ca_file$")
DOCUMENTED_COMMAND = yaml.safe_load((PROJECT / "roles/jupyterhub/defaults/main.yml").read_text())[
    "jupyterhub_cmd"
]
DOCUMENTED_VERSION = "5.2.1"
# Longer than the cells of the test take on a busy machine: they are no sign of life to the hub.
IDLE_SECONDS = 30

PASSWORD = "correct horse battery"
SECRET = "secret-of-the-client-0123456789"

Deploy = Callable[..., None]
Login = Callable[[str], JupyterHubClient]


@pytest.fixture(scope="module")
def deploy(
    inventories: list[str],
    server: Server,
    play: Callable[..., Play],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deploy]:
    """Copy an example, name the server in it, and run site.yml with it."""
    found = host_variables(inventories)
    needed = {name: value for name, value in found.items() if TESTBED_VARIABLES.match(name)}

    def run(example: str, **variables: Any) -> None:
        folder = tmp_path_factory.mktemp(example)
        shutil.copytree(EXAMPLES / example, folder / "inventory")
        overlay = {**needed, "jupyterhub_bind_address": "0.0.0.0", **variables}
        write_inventory(folder / "testbed", connection(found), overlay)
        done = subprocess.run(
            ["ansible-playbook", "-i", folder / "inventory", "-i", folder / "testbed", "site.yml"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    yield run
    done = play()
    assert done.returncode == 0, done.output


def start_anew(user: JupyterHubClient) -> JupyterHubClient:
    """Have the user's server run as the example has it; one that runs already is not changed by it."""
    user.stop_server()
    user.start_server()
    return user


def remove_volume(server: Server, name: str) -> None:
    """Docker is done with a container a moment after the hub has heard that it ended."""
    remove = f"docker volume rm --force {name}"
    server.run(f"for attempt in $(seq 20); do {remove} && exit; sleep 0.5; done; exit 1")


def test_ai_lab_gives_users_the_start_page_docker_and_files_that_stay(
    deploy: Deploy, server: Server, login: Login
) -> None:
    deploy("ai-lab")
    alice = start_anew(login("alice"))
    assert alice.request("GET", alice.server_url()).url.endswith("/lab/tree/start.ipynb")
    assert server.inspect("jupyter-alice")["Config"]["Cmd"] == DOCUMENTED_COMMAND
    containers = "import docker; print(*(c.name for c in docker.from_env().containers.list()))"
    assert "jupyterhub-proxy" in alice.run_code(containers).split()
    alice.run_code("open('/home/jupyter/notebooks/kept.txt', 'w').write('kept')")
    alice.stop_server()
    alice.start_server()
    kept = alice.run_code("print(open('/home/jupyter/notebooks/kept.txt').read())")
    assert kept.strip() == "kept"
    alice.stop_server()


def test_ai_lab_word_for_word_has_the_documents_version_and_sign_in(
    deploy: Deploy, server: Server, url: str
) -> None:
    (block,) = (block for block in blocks(EXAMPLES / "ai-lab/README.md") if block.is_set)
    variables = yaml.safe_load(block.text)
    assert variables["jupyterhub_version"] == DOCUMENTED_VERSION
    provide_hub(server, DOCUMENTED_VERSION)
    deploy("ai-lab", **variables)
    with JupyterHubClient(url) as user:
        # "you can enter any name/password pair here"; the document's own user is called 1
        user.login("1", "anything")
        assert user.request("GET", "hub/api/").json()["version"] == DOCUMENTED_VERSION
        start_anew(user)
        lab = user.run_code("import jupyterhub; print(jupyterhub.__version__)")
        assert lab.strip() == DOCUMENTED_VERSION
        assert user.request("GET", user.server_url()).url.endswith("/user/1/lab/tree/start.ipynb")
        user.stop_server()
    assert "DEBUG" in server.run("docker exec jupyterhub cat /etc/jupyterhub/jupyterhub_config.py")


def provide_hub(server: Server, version: str) -> None:
    """Have a stand-in of the official hub image of a version in the registry of the testbed."""
    suite = server.run(". /etc/os-release && echo $VERSION_CODENAME").strip()
    command = [sys.executable, "-m", "tests.testbed", "bases", "up", "--suite", suite]
    command += ["--jupyterhub", bases.JUPYTERHUB, version]
    subprocess.run(command, cwd=PROJECT, check=True, timeout=600)


def test_course_gives_participants_a_kernel_and_the_material(
    deploy: Deploy, inventories: list[str], server: Server, url: str, tmp_path: Path
) -> None:
    put_repository(server, tmp_path, {"notebooks/lesson.ipynb": "{}", "solutions/no.ipynb": "{}"})
    archive = tmp_path / "course.tar.gz"
    archive.write_bytes(tar({"exercise.txt": "print it"}))
    deploy(
        "course",
        lab_image_pip_packages=["bash_kernel==0.10.0"],
        lab_image_kernels=[
            {
                "name": "bash",
                "commands": ["/opt/conda/bin/python3 -m bash_kernel.install --sys-prefix"],
            }
        ],
        lab_image_material=[
            {
                # the account of the test itself stands in for a host of repositories
                "git": "ssh://admin@127.0.0.1/srv/course.git",
                "ssh_key_file": host_variables(inventories)["ansible_ssh_private_key_file"],
                "version": "master",
                "directory": "notebooks",
                "dest": "notebooks",
            },
            {"archive": str(archive), "dest": "content"},
        ],
    )
    with people(url, tmp_path) as crowd:
        sign_up_and_be_approved(crowd, server, url)
    alice = JupyterHubClient(url)
    alice.login("alice", PASSWORD)
    alice.stop_server()
    # What the image has gets into a volume when that is made.
    remove_volume(server, "ailab-alice")
    alice.start_server()
    try:
        kernels = alice.server_api("GET", "kernelspecs")["kernelspecs"]
        assert {"bash", "python3"} <= set(kernels)
        # as the notebook's page does it, but from Python
        bash = (
            "from jupyter_client.manager import start_new_kernel\n"
            "kernel, client = start_new_kernel(kernel_name='bash')\n"
            "client.execute_interactive('echo from $((40 + 2)); git --version', timeout=30)\n"
            "kernel.shutdown_kernel(now=True)"
        )
        assert "from 42" in alice.run_code(bash)
        find = "import pathlib; print(*sorted(str(p) for p in pathlib.Path('/home/jovyan/work').rglob('*.*')))"
        assert alice.run_code(find).split() == [
            "/home/jovyan/work/content/exercise.txt",
            "/home/jovyan/work/notebooks/lesson.ipynb",
        ]
        change = (
            "f = open('/home/jovyan/work/notebooks/lesson.ipynb', 'a'); f.write(' '); f.close()"
        )
        alice.run_code(change)
        assert server.inspect("jupyter-alice")["HostConfig"]["Memory"] == 2 * 1024**3
        with pytest.raises(LoginError), JupyterHubClient(url) as stranger:
            stranger.login("mallory", PASSWORD)
    finally:
        alice.stop_server()
        alice.close()
        remove_volume(server, "ailab-alice")


def sign_up_and_be_approved(crowd: Crowd, server: Server, url: str) -> None:
    """A participant signs up in one browser; the teacher approves in another."""
    participant, teacher = crowd.new("alice").page, crowd.new("teacher").page
    participant.goto(url)
    expect(participant.get_by_text("The teacher lets you in.")).to_be_visible()
    participant.goto(f"{url}hub/signup")
    participant.locator("input[name=username]").fill("alice")
    participant.locator("input[name=signup_password]").fill(PASSWORD)
    participant.locator("input[name=signup_password_confirmation]").fill(PASSWORD)
    participant.get_by_role("button", name="Create User").click()
    expect(participant.get_by_text("has been sent to the admin")).to_be_visible()
    participant.goto(f"{url}hub/login?next=/hub/home")
    fill_in(participant, "alice", PASSWORD)
    expect(participant.get_by_text("has not been authorized")).to_be_visible()

    teacher.goto(f"{url}hub/login?next=/hub/home")
    password = "/var/lib/ailab-hub/secrets/shared_admin_password"
    fill_in(teacher, "teacher", server.run(f"cat {password}").strip())
    teacher.get_by_role("link", name="Approve users").click()
    row = teacher.get_by_role("row").filter(has=teacher.get_by_role("cell", name="alice"))
    row.get_by_role("button", name="Authorize").click()
    expect(row.get_by_role("button", name="Unauthorize")).to_be_visible()

    fill_in(participant, "alice", PASSWORD)
    expect(participant.get_by_role("link", name="Change password")).to_be_visible()
    expect(participant.get_by_role("link", name="Approve users")).to_have_count(0)


def fill_in(page: Page, name: str, password: str) -> None:
    """Fill in the form for signing in."""
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign In").click()


def put_repository(server: Server, folder: Path, files: dict[str, str]) -> None:
    """Have a git repository with some files on the server, which the account admin may read."""
    work = folder / "work"
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    author = ["-c", "user.name=teacher", "-c", "user.email=teacher@example.org"]
    for command in (
        ["init", "--quiet", "--initial-branch=master"],
        ["add", "."],
        [*author, "commit", "--quiet", "--message=Lessons"],
        ["clone", "--quiet", "--bare", ".", str(folder / "course.git")],
    ):
        subprocess.run(["git", *command], cwd=work, check=True, timeout=60)
    repository = folder / "course.git"
    packed = tar(
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in repository.rglob("*")
            if path.is_file()
        },
        folders=("course.git/refs/heads", "course.git/objects/info"),
    )
    text = shlex.quote(base64.b64encode(packed).decode())
    server.run(f"rm -rf /srv/course.git && echo {text} | base64 -d | tar -xz -C /srv")
    server.run("chown -R admin: /srv/course.git")


def tar(files: dict[str, Any], folders: tuple[str, ...] = ()) -> bytes:
    """A compressed archive of some files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in folders:
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def test_research_gives_members_packages_and_limits_and_ends_idle_servers(
    deploy: Deploy, server: Server, url: str, tmp_path: Path
) -> None:
    values = yaml.safe_load((EXAMPLES / "research/group_vars/hub.yml").read_text())
    config = values["jupyterhub_config"]
    (culler,) = config["JupyterHub"]["services"]
    assert culler["command"][-1] == "--timeout=3600"
    culler["command"][-1:] = [f"--timeout={IDLE_SECONDS}", "--cull-every=2"]
    accounts = {"alice": {"groups": ["research"]}, "mallory": {"groups": ["chess"]}}
    service = OpenIDProvider(tmp_path, accounts, own_address(server))
    callback = f"{url}hub/oauth_callback"
    service.clients.append(
        {"client_id": "jupyterhub", "client_secret": SECRET, "redirect_uris": [callback]}
        | {"token_endpoint_auth_method": "client_secret_post"}
    )
    assert service.authority
    trusted = service.authority.certificate.read_text()
    path = "/var/lib/ailab-hub/hub/authority.pem"
    server.run(f"echo {shlex.quote(trusted)} > {path} && chown ailab-hub {path}")
    config["OAuthenticator"] = {
        "http_request_kwargs": {"ca_certs": "/srv/jupyterhub/authority.pem"}
    }
    deploy(
        "research",
        vault_client_secret=SECRET,
        jupyterhub_oauth={
            **values["jupyterhub_oauth"],
            "callback_url": callback,
            **service.endpoints(),
        },
        # Of docker-stacks' images the testbed has this one.
        lab_image_base=values["lab_image_base"].replace("tensorflow-", "base-"),
        lab_image_kernels=[],
        jupyterhub_config=config,
    )
    remove_volume(server, "jupyterhub-user-alice")
    with service, people(url, tmp_path) as crowd:
        sign_in_with_the_service(crowd, url)
        alice = JupyterHubClient(url, ca_file=str(service.authority.certificate))
        sign_in(alice.request, f"{url}hub/oauth_login?next=/hub/home", "alice")
    assert alice.me()["groups"] == ["research"]
    start_anew(alice)
    try:
        inspected = server.inspect("jupyter-alice")
        limits = inspected["HostConfig"]
        assert limits["Memory"] == 4 * 1024**3
        assert limits["CpuQuota"] == limits["CpuPeriod"]
        assert [mount["Name"] for mount in inspected["Mounts"]] == ["jupyterhub-user-alice"]
        code = "import networkx; print(networkx.complete_graph(4).number_of_edges())"
        assert alice.run_code(code).strip() == "6"
        alice.run_code("open('/home/jovyan/work/mine.txt', 'w').close()")
        listed = alice.server_api("GET", "contents")["content"]
        assert [entry["name"] for entry in listed] == ["mine.txt"]
        settings = json.loads(
            alice.run_code("print(open('/etc/jupyter/jupyter_config.json').read())")
        )
        assert settings == values["lab_image_jupyter_config"]["jupyter_config.json"]
        assert "SQLite" in alice.run_code("!sqlite3 --version && echo SQLite")
        alice.close()
        deadline = time.monotonic() + IDLE_SECONDS + 60
        while "jupyter-alice" in server.run("docker ps --format '{{.Names}}'").split():
            assert time.monotonic() < deadline, "an idle server goes on"
            time.sleep(1)
    finally:
        alice.stop_server()
        remove_volume(server, "jupyterhub-user-alice")


def own_address(server: Server) -> str:
    """The address of this machine that the server reaches."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server.address, 22))
        return str(probe.getsockname()[0])


def sign_in_with_the_service(crowd: Crowd, url: str) -> None:
    """Two people in a browser: the group decides who of them gets in."""
    browser = crowd.new("starter").page.context.browser
    assert browser
    for name, seen in (("alice", "link"), ("mallory", "text")):
        # The service's authority is one of the test's own.
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"{url}hub/login?next=/hub/home")
        page.get_by_role("link", name="Sign in with the institute").click()
        page.locator("input[name=login]").fill(name)
        page.locator("input[name=password]").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
        if seen == "link":
            expect(page.get_by_role("link", name="Token")).to_be_visible()
        else:
            expect(page.get_by_text("not currently authorized")).to_be_visible()
        context.close()


def test_campus_lets_in_whom_the_entrance_names_and_no_lab_can_forge_that(
    deploy: Deploy, server: Server, url: str
) -> None:
    values = yaml.safe_load((EXAMPLES / "campus/group_vars/hub.yml").read_text())
    deploy("campus")
    secret = server.run("cat /var/lib/ailab-hub/secrets/remote_user_secret").strip()
    (role,) = values["jupyterhub_allowed_groups"]
    entrance = {"X-Ailab-Hub-Entrance": secret}
    named = {"X-Remote-User": "alice", "X-Remote-Groups": f"staff,{role}"}
    pages = values["jupyterhub_remote_user"]
    for headers, page in (
        (named, pages["login_page"]),
        ({**entrance, **named, "X-Remote-Groups": "staff"}, pages["denied_page"]),
        ({**entrance, **named}, "/hub/home"),
    ):
        with JupyterHubClient(url) as visitor:
            answer = visitor.request(
                "GET", "hub/login?next=/hub/home", headers=headers, allow_redirects=False
            )
            assert answer.headers["Location"] == page
    with JupyterHubClient(url) as alice, JupyterHubClient(url) as operator:
        alice.request("GET", "hub/login?next=/hub/home", headers={**entrance, **named})
        start_anew(alice)
        try:
            forged = alice.run_code(FORGE).split()
            assert forged == [pages["login_page"], "None"] * 2
            assert secret not in alice.run_code("import os; print(os.environ)")
            # an administrator, whom the inventory gives no way into servers
            operator.request(
                "GET",
                "hub/login?next=/hub/home",
                headers={**entrance, "X-Remote-User": "operator"},
            )
            assert operator.me()["admin"]
            with pytest.raises(JupyterHubError) as refusal:
                operator.request("GET", alice.server_url())
            assert refusal.value.status == 403
            home = alice.request("GET", "hub/home").text
            assert values["jupyterhub_announcement"] in home
            assert values["jupyterhub_title"] in home
        finally:
            alice.stop_server()


# A cell that asks the hub itself, with the headers of an entrance, to be the administrator.
FORGE = """
import http.client, os, urllib.parse
hub = urllib.parse.urlsplit(os.environ["JUPYTERHUB_API_URL"])
for secret in ({}, {"X-Ailab-Hub-Entrance": os.environ["JUPYTERHUB_API_TOKEN"]}):
    connection = http.client.HTTPConnection(hub.hostname, hub.port, timeout=30)
    headers = {"X-Remote-User": "operator", "X-Remote-Groups": "SAM-SSLVPNSAMUsers", **secret}
    connection.request("GET", "/hub/login", headers=headers)
    answer = connection.getresponse()
    cookies = answer.headers.get_all("Set-Cookie") or []
    logged_in = [cookie for cookie in cookies if "jupyterhub-hub-login=" in cookie]
    print(answer.headers["Location"], logged_in or None)
"""
