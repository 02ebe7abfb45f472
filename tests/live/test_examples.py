# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each inventory of examples/ is deployed onto a server, and does for a user what its page promises.

Laid over it is what the server of the test needs, and nothing else but what the example's page names.
People come by HTTPS, with the certificate of the authority that the run fetched. Afterwards the server
is as site.yml leaves it.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import shlex
import shutil
import socket
import ssl
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

from .browser import Crowd, Person, people
from .central_sign_in import CentralSignIn, central_sign_in
from .conftest import Play, Server
from .inventories import HOST, connection, host_variables, write_inventory
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

URL = f"https://{HOST}/"
SECRETS = "/var/lib/ailab-hub/secrets"
PASSWORD = "correct horse battery"
SECRET = "secret-of-the-client-0123456789"

pytestmark = pytest.mark.usefixtures("names")
# Returns the certificate the run fetched, by which people trust the hub.
Deploy = Callable[..., str]


@pytest.fixture(scope="module")
def deploy(
    inventories: list[str],
    play: Callable[..., Play],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deploy]:
    """Copy an example, name the server in it, and run site.yml with it."""
    found = host_variables(inventories)
    needed = {name: value for name, value in found.items() if TESTBED_VARIABLES.match(name)}

    def run(example: str, **variables: Any) -> str:
        folder = tmp_path_factory.mktemp(example)
        shutil.copytree(EXAMPLES / example, folder / "inventory")
        # Ansible comes by the address; people do by the name.
        name = {"hub_https_hostname": HOST} if example != "campus" else {}
        write_inventory(folder / "testbed", connection(found), {**needed, **name, **variables})
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
        return next((str(file) for file in folder.glob("*-ca/*.crt")), "")

    yield run
    done = play()
    assert done.returncode == 0, done.output


def start_anew(user: JupyterHubClient) -> JupyterHubClient:
    """Have the user's server run as the example has it; one that runs already is not changed by it."""
    user.stop_server()
    user.start_server()
    return user


def run_cell(person: Person, code: str, output: str) -> None:
    """In the notebook that is open in JupyterLab, add a cell, run it, and see what it prints."""
    page = person.page
    # Until the kernel is there, JupyterLab runs nothing and does not say so.
    expect(page.get_by_role("button", name="| Idle")).to_be_visible()
    page.get_by_role("button", name="Click to add a cell.").click()
    page.get_by_role("feed", name="Cells").get_by_role("textbox").last.click()
    expect(page.get_by_text("Mode: Edit")).to_be_visible()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text(output, exact=True)).to_be_visible()


def decline_news(page: Page) -> None:
    """JupyterLab asks whoever comes for the first time."""
    page.add_locator_handler(
        page.get_by_text("Would you like to get notified about official Jupyter news?"),
        lambda: page.get_by_role("button", name="No", exact=True).click(),
    )


def remove_volume(server: Server, name: str) -> None:
    """Docker is done with a container a moment after the hub has heard that it ended."""
    remove = f"docker volume rm --force {name}"
    server.run(f"for attempt in $(seq 20); do {remove} && exit; sleep 0.5; done; exit 1")


def test_ai_lab_gives_users_the_start_page_docker_and_files_that_stay(
    deploy: Deploy, server: Server
) -> None:
    with JupyterHubClient(URL, ca_file=deploy("ai-lab")) as alice:
        alice.login("alice", server.run(f"cat {SECRETS}/shared_user_password").strip())
        start_anew(alice)
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
    # The guide's own address, on the server itself.
    ask = "import urllib.request as r; print(r.urlopen('http://localhost:8000/hub/login').status)"
    assert server.run(f"python3 -c {shlex.quote(ask)}").strip() == "200"


def test_ai_lab_word_for_word_has_the_documents_version_and_sign_in(
    deploy: Deploy, server: Server
) -> None:
    (block,) = (block for block in blocks(EXAMPLES / "ai-lab/README.md") if block.is_set)
    variables = yaml.safe_load(block.text)
    assert variables["jupyterhub_version"] == DOCUMENTED_VERSION
    provide_hub(server, DOCUMENTED_VERSION)
    deploy("ai-lab", jupyterhub_bind_address="0.0.0.0", **variables)
    with JupyterHubClient(f"http://{HOST}:8000/") as user:
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


def test_course_gives_participants_an_account_a_kernel_and_the_material(
    deploy: Deploy, inventories: list[str], server: Server, tmp_path: Path
) -> None:
    put_repository(server, tmp_path, {"notebooks/lesson.ipynb": LESSON, "solutions/no.ipynb": "{}"})
    archive = tmp_path / "course.tar.gz"
    archive.write_bytes(tar({"exercise.txt": "print it"}))
    ca_file = deploy(
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
    password = server.run(f"cat {SECRETS}/shared_admin_password").strip()
    forget_user(ca_file, password, "alice")
    # What the image has gets into a volume when that is made.
    remove_volume(server, "ailab-alice")
    alice = JupyterHubClient(URL, ca_file=ca_file)
    try:
        with people(URL, tmp_path, ca_file, {HOST: server.address}) as crowd:
            participant = sign_up_and_be_approved(crowd, password)
            decline_news(participant.page)
            participant.page.goto(f"{URL}hub/spawn")
            expect(participant.page).to_have_url(f"{URL}user/alice/lab")
            participant.page.goto(f"{URL}user/alice/lab/tree/work/notebooks/lesson.ipynb")
            lesson = participant.page.get_by_role("paragraph").filter(
                has_text="Change the next cell."
            )
            expect(lesson).to_be_visible()
            run_cell(participant, "print('six times', 7, 'is', 6 * 7)", "six times 7 is 42")
        alice.login("alice", PASSWORD)
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
        find = (
            "import pathlib; work = pathlib.Path('/home/jovyan/work')\n"
            "print(*sorted(str(p.relative_to(work)) for p in work.glob('*/[!.]*.*')))"
        )
        assert alice.run_code(find).split() == ["content/exercise.txt", "notebooks/lesson.ipynb"]
        change = (
            "f = open('/home/jovyan/work/notebooks/lesson.ipynb', 'a'); f.write(' '); f.close()"
        )
        alice.run_code(change)
        assert server.inspect("jupyter-alice")["HostConfig"]["Memory"] == 2 * 1024**3
        with pytest.raises(LoginError), JupyterHubClient(URL, ca_file=ca_file) as stranger:
            stranger.login("mallory", PASSWORD)
    finally:
        alice.close()
        forget_user(ca_file, password, "alice")
        remove_volume(server, "ailab-alice")


LESSON = json.dumps(
    {
        "cells": [{"cell_type": "markdown", "metadata": {}, "source": "Change the next cell."}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
)


def forget_user(ca_file: str, password: str, name: str) -> None:
    """The teacher deletes an account, with the server that runs."""
    with JupyterHubClient(URL, ca_file=ca_file) as teacher:
        teacher.login("teacher", password)
        if name in {user["name"] for user in teacher.api("GET", "users")}:
            teacher.api("DELETE", f"users/{name}")


def sign_up_and_be_approved(crowd: Crowd, password: str) -> Person:
    """A participant signs up in one browser; the teacher, by a password, approves in another."""
    alice = crowd.new("alice")
    participant, teacher = alice.page, crowd.new("teacher").page
    participant.goto(URL)
    expect(participant.get_by_text("The teacher lets you in.")).to_be_visible()
    participant.goto(f"{URL}hub/signup")
    participant.locator("input[name=username]").fill("alice")
    participant.locator("input[name=signup_password]").fill(PASSWORD)
    participant.locator("input[name=signup_password_confirmation]").fill(PASSWORD)
    participant.get_by_role("button", name="Create User").click()
    expect(participant.get_by_text("has been sent to the admin")).to_be_visible()
    participant.goto(f"{URL}hub/login?next=/hub/home")
    fill_in(participant, "alice", PASSWORD)
    expect(participant.get_by_text("has not been authorized")).to_be_visible()

    teacher.goto(f"{URL}hub/login?next=/hub/home")
    fill_in(teacher, "teacher", password)
    teacher.get_by_role("link", name="Approve users").click()
    row = teacher.get_by_role("row").filter(has=teacher.get_by_role("cell", name="alice"))
    row.get_by_role("button", name="Authorize").click()
    expect(row.get_by_role("button", name="Unauthorize")).to_be_visible()

    fill_in(participant, "alice", PASSWORD)
    expect(participant.get_by_role("link", name="Change password")).to_be_visible()
    expect(participant.get_by_role("link", name="Approve users")).to_have_count(0)
    return alice


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


def together(file: Path, *certificates: str | Path) -> str:
    """Write the certificates of several files into one."""
    file.write_text("".join(Path(name).read_text() for name in certificates))
    return str(file)


def test_research_gives_members_packages_and_limits_and_ends_idle_servers(
    deploy: Deploy, inventories: list[str], server: Server, tmp_path: Path
) -> None:
    values = yaml.safe_load((EXAMPLES / "research/group_vars/hub.yml").read_text())
    config = values["jupyterhub_config"]
    (culler,) = config["JupyterHub"]["services"]
    assert culler["command"][-1] == "--timeout=3600"
    culler["command"][-1:] = [f"--timeout={IDLE_SECONDS}", "--cull-every=2"]
    accounts = {"alice": {"groups": ["research"]}, "mallory": {"groups": ["chess"]}}
    service = OpenIDProvider(tmp_path, accounts, server.controller)
    service.clients.append(
        {
            "client_id": values["jupyterhub_oauth"]["client_id"],
            "client_secret": SECRET,
            "redirect_uris": [f"{URL}hub/oauth_callback"],
            "token_endpoint_auth_method": "client_secret_post",
        }
    )
    trusted = host_variables(inventories)["testbed_ca_file"]
    # A run that names the service asks whether it answers.
    with service:
        own_ca = deploy(
            "research",
            vault_client_secret=SECRET,
            # The service's authority is one of the test's own, besides that of the testbed's network.
            hub_image_ca_file=together(tmp_path / "ca.pem", trusted, service.ca_file),
            jupyterhub_oauth={**values["jupyterhub_oauth"], **service.endpoints()},
            # Of docker-stacks' images the testbed has this one.
            lab_image_base=values["lab_image_base"].replace("tensorflow-", "base-"),
            lab_image_kernels=[],
            jupyterhub_config=config,
        )
        ca_file = together(tmp_path / "both.pem", own_ca, service.ca_file)
        remove_volume(server, "jupyterhub-user-alice")
        with people(URL, tmp_path, ca_file, {HOST: server.address}) as crowd:
            sign_in_with_the_service(crowd)
            alice = JupyterHubClient(URL, ca_file=ca_file)
            sign_in(alice.request, f"{URL}hub/oauth_login?next=/hub/home", "alice")
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


def sign_in_with_the_service(crowd: Crowd) -> None:
    """Two people in browsers of their own: the group decides who of them gets in."""
    alice, mallory = crowd.new("alice").page, crowd.new("mallory").page
    for page, name in ((alice, "alice"), (mallory, "mallory")):
        page.goto(f"{URL}hub/login?next=/hub/home")
        page.get_by_role("button", name="Sign in with the institute").click()
        fill_in_at_the_service(page, name)
    expect(alice.get_by_role("link", name="Token")).to_be_visible()
    expect(mallory.get_by_text("not currently authorized")).to_be_visible()


def fill_in_at_the_service(page: Page, name: str) -> None:
    """Fill in the forms of the service of OpenID Connect: name and password, then consent."""
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_campus_lets_in_whom_the_central_sign_in_names_and_nobody_can_forge_that(
    deploy: Deploy, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = yaml.safe_load((EXAMPLES / "campus/group_vars/hub.yml").read_text())
    name, pages = values["hub_https_hostname"], values["jupyterhub_remote_user"]
    (role,) = values["jupyterhub_allowed_groups"]
    accounts = {
        "alice": {"groups": ["staff", role]},
        "mallory": {"groups": ["staff"]},
        "operator": {"groups": []},
    }
    url = f"https://{name}/"
    with central_sign_in("examples-sign-in", tmp_path, accounts, name) as front:
        own_ca = deploy("campus", hub_https_remote_user_proxies=[front.address])
        front.serve(EXAMPLES / "campus/README.md", own_ca, server.address)
        with people(url, tmp_path, front.ca_file, {name: front.address}) as crowd:
            enter_by_the_central_sign_in(crowd, front, url, pages["denied_page"], values)
        secret = server.run(f"cat {SECRETS}/remote_user_secret").strip()
        headers = {
            "X-Remote-User": "operator",
            "X-Remote-Groups": role,
            "X-Ailab-Hub-Entrance": secret,
        }
        # who knows all that, but is not the web server of the central sign-in
        assert ask_nginx(server.address, name, own_ca, {}) == (pages["login_page"], False)
        assert ask_nginx(server.address, name, own_ca, headers) == (pages["login_page"], False)

        ask = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **options: ask(
                front.address if host == name else host, *rest, **options
            ),
        )
        with (
            JupyterHubClient(url, ca_file=front.ca_file) as alice,
            JupyterHubClient(url, ca_file=front.ca_file) as operator,
        ):
            # what a browser says of itself counts for nothing at the web server either
            sign_in(alice.request, f"{url}hub/login?next=/hub/home", "alice", headers=headers)
            assert sorted(alice.me()["groups"]) == [role, "staff"]
            try:
                forge = FORGE.replace("ADDRESS", server.address).replace("NAME", name)
                assert alice.run_code(forge).splitlines() == [f"{pages['login_page']} False"] * 4
                assert secret not in alice.run_code("import os; print(os.environ)")
                # an administrator, whom the inventory gives no way into servers
                sign_in(operator.request, f"{url}hub/login?next=/hub/home", "operator")
                assert operator.me()["admin"]
                with pytest.raises(JupyterHubError) as refusal:
                    operator.request("GET", alice.server_url())
                assert refusal.value.status == 403
            finally:
                alice.stop_server()
                remove_volume(server, "ailab-alice")


def enter_by_the_central_sign_in(
    crowd: Crowd, front: CentralSignIn, url: str, denied_page: str, values: dict[str, Any]
) -> None:
    """Two people in browsers of their own: one gets to a notebook, one lacks the role."""
    alice, mallory = crowd.new("alice"), crowd.new("mallory")
    mallory.page.route(denied_page, lambda route: route.fulfill(body="How to get the role"))
    decline_news(alice.page)
    for person in (alice, mallory):
        person.page.goto(url)
        assert person.page.url.startswith(front.service.issuer)
        fill_in_at_the_service(person.page, person.name)
    expect(mallory.page.get_by_text("How to get the role")).to_be_visible()
    expect(mallory.page).to_have_url(denied_page)
    expect(alice.page).to_have_url(f"{url}user/alice/lab/tree/start.ipynb")
    run_cell(alice, "print('six times', 7, 'is', 6 * 7)", "six times 7 is 42")
    alice.page.goto(f"{url}hub/home")
    expect(alice.page.get_by_text(values["jupyterhub_announcement"])).to_be_visible()
    expect(alice.page).to_have_title(re.compile(values["jupyterhub_title"]))


def ask_nginx(
    address: str, name: str, ca_file: str, headers: dict[str, str]
) -> tuple[str | None, bool]:
    """Ask the server itself for the page that logs in: where it leads to, and whether one is in."""
    context = ssl.create_default_context(cafile=ca_file)
    with (
        socket.create_connection((address, 443), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        lines = [f"{key}: {value}" for key, value in {"Host": name, **headers}.items()]
        request = "\r\n".join(["GET /hub/login HTTP/1.1", *lines, "Connection: close", "", ""])
        connection.sendall(request.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        cookies = answer.headers.get_all("Set-Cookie") or []
        is_in = any("jupyterhub-hub-login=" in cookie for cookie in cookies)
        return answer.headers["Location"], is_in


# A cell that asks the hub itself, then the server's nginx, with the headers of the central sign-in, to
# be the administrator.
FORGE = """
import http.client, os, socket, ssl, urllib.parse
hub = urllib.parse.urlsplit(os.environ["JUPYTERHUB_API_URL"])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for host in (hub.hostname, hub.port), ("ADDRESS", 443):
    for secret in ({}, {"X-Ailab-Hub-Entrance": os.environ["JUPYTERHUB_API_TOKEN"]}):
        connection = http.client.HTTPConnection(*host, timeout=30)
        connection.connect()
        if host[1] == 443:
            connection.sock = context.wrap_socket(connection.sock, server_hostname="NAME")
        headers = {"X-Remote-User": "operator", "X-Remote-Groups": "SAM-SSLVPNSAMUsers", **secret}
        connection.request("GET", "/hub/login", headers={"Host": "NAME", **headers})
        answer = connection.getresponse()
        cookies = answer.headers.get_all("Set-Cookie") or []
        print(answer.headers["Location"], any("jupyterhub-hub-login=" in cookie for cookie in cookies))
"""
