# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lab images with all an inventory can add, their refresh, what stays of them, and the way back.

The tests build on each other, in their order: each run of the main job takes its time.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.testbed import bases

from .conftest import Play, Server
from .jupyterhub_client import JupyterHubClient, JupyterHubError

Login = Callable[[str], JupyterHubClient]

USERNAME, PASSWORD = "course-reader", "p4ssw0rd-of-the-course-81d3"
HIDDEN = "s3cr3t-in-the-history-5f0a"
PYTHON = "/home/jupyter/jupyterenv/bin/python3"
NOTEBOOKS = "/home/jupyter/notebooks"
SSH_REPOSITORY = "/srv/lab-material.git"
# More than these tests make: none is pruned before its time.
KEEP_ALL = {"lab_image_keep": 9, "hub_image_keep": 9}


@dataclass
class GitServer:
    """Repositories at an HTTPS address of this machine, for who knows the password."""

    url: str
    certificate: str
    folder: Path
    # Called while the server waits for an answer, once it has sent its password.
    meanwhile: list[Callable[[], None]] = field(default_factory=list)

    def git(self, *arguments: str) -> str:
        """Run git in the work tree the repository is filled from."""
        identity = ["-c", "user.name=Author", "-c", "user.email=author@example.org"]
        command = ["git", "-C", str(self.folder / "work"), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def commit(self, files: dict[str, str]) -> None:
        """Change files and publish them."""
        for name, content in files.items():
            path = self.folder / "work" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "material")
        self.git("push", "--quiet", str(self.folder / "course.git"), "HEAD:refs/heads/autumn")


def certify(address: str, folder: Path) -> Path:
    """Make a key and a certificate for an address, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture(scope="module")
def git_server(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    folder = tmp_path_factory.mktemp("git")
    here = server.controller
    pem = certify(here, folder)
    expected = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="course"')
                self.end_headers()
                return
            while made.meanwhile:
                made.meanwhile.pop()()
            length = int(self.headers.get("Content-Length") or 0)
            path, _question, query = self.path.partition("?")
            environment = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(length),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REMOTE_USER": USERNAME,
            }
            done = subprocess.run(
                ["git", "http-backend"],
                env=environment,
                input=self.rfile.read(length),
                capture_output=True,
                check=True,
            )
            head, _empty, body = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    certificate = pem.read_text()[pem.read_text().index("-----BEGIN CERTIFICATE") :]
    url = f"https://{here}:{httpd.server_port}/course.git"
    made = GitServer(url, certificate, folder)
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder / "course.git")], check=True)
    subprocess.run(["git", "init", "--quiet", str(folder / "work")], check=True)
    made.commit({"notes/secret.txt": HIDDEN})
    (folder / "work/notes/secret.txt").unlink()
    made.commit(
        {
            'notebooks/it\'s a "lesson" $1.ipynb': "{}",
            "notebooks/data/numbers.csv": "1,2",
            "teachers/solutions.txt": "not for users",
        }
    )
    yield made
    httpd.shutdown()
    httpd.server_close()


@dataclass
class Lab:
    """The image users get now, with all a test asks of it."""

    reference: str
    layers: list[str]

    @classmethod
    def of(cls, server: Server) -> Lab:
        reference = str(server.inspect("jupyterhub")["Config"]["Labels"]["ailab.hub.lab-image"])
        return cls(reference, server.inspect(reference)["RootFS"]["Layers"])


@dataclass
class Story:
    """The images the tests have made so far, by the name of what they are."""

    labs: dict[str, Lab] = field(default_factory=dict)
    hub: str = ""


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def deploy(play: Callable[..., Play], folder: Path) -> Callable[..., Play]:
    """Run the main job with further variables; it has to succeed."""

    def run(values: dict[str, Any], *arguments: str, playbook: str = "site.yml") -> Play:
        file = folder / "values.json"
        file.write_text(json.dumps({**KEEP_ALL, **values}))
        done = play(f"--extra-vars=@{file}", *arguments, playbook=playbook)
        assert done.returncode == 0, done.output
        return done

    return run


@pytest.fixture(scope="module")
def values(git_server: GitServer, folder: Path) -> dict[str, Any]:
    """One of everything."""
    archive = folder / "slides.tar.gz"
    for name, content in {
        "slides/one.txt": "one",
        "slides/.git/config": f"url = https://me:{HIDDEN}@git.example.org",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "slides/nowhere").symlink_to("/nowhere/at/all")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "slides", "slides")
    ca_file = folder / "ca.pem"
    added = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    ca_file.write_text(added + git_server.certificate)
    return {
        "lab_image_ca_file": str(ca_file),
        "lab_image_apt_packages": ["tree"],
        "lab_image_pip_packages": ["bash_kernel==0.10.0", "packaging>=20,<100"],
        "lab_image_kernels": [
            {
                "name": "bash",
                "packages": ["bc"],
                "commands": [
                    "test \"$PWD\" != / && test 'it''s' = \"its\"",
                    f"{PYTHON} -m bash_kernel.install --prefix /usr/local",
                ],
            }
        ],
        "lab_image_jupyter_config": {
            "jupyter_server_config.json": {"ServerApp": {"terminals_enabled": False}},
            "jupyter_server_config.py": "c.ServerApp.tornado_settings = {'headers': {'X-Lab': 'it\\'s \"set\"'}}\n",
        },
        "lab_image_material": [
            {
                "git": git_server.url,
                "version": "autumn",
                "directory": "notebooks",
                "dest": "course",
                "username": USERNAME,
                "password": PASSWORD,
            },
            {"archive": str(archive), "directory": "slides", "dest": "slides"},
        ],
    }


@pytest.fixture
def without_git(server: Server) -> Iterator[None]:
    """A server that never built anything from git."""
    server.run(
        "rm -rf /var/lib/ailab-hub/build; test ! -e /usr/bin/git || mv /usr/bin/git /root/git"
    )
    yield
    server.run("test ! -e /root/git || mv /root/git /usr/bin/git")


@pytest.mark.usefixtures("without_git")
def test_a_dry_run_needs_neither_git_nor_a_folder_to_build_in(
    deploy: Callable[..., Play], server: Server, values: dict[str, Any]
) -> None:
    # A package that is there changes nothing but the Dockerfile.
    done = deploy({**values, "hub_image_pip_packages": ["pip"]}, "--check")
    assert "The lab image would be built" in done.output
    assert "The hub image would be built" in done.output
    server.run("test ! -e /var/lib/ailab-hub/build")


def test_one_of_everything_is_built_and_no_credential_is_seen(
    deploy: Callable[..., Play],
    server: Server,
    git_server: GitServer,
    values: dict[str, Any],
    story: Story,
) -> None:
    story.labs["former"] = Lab.of(server)
    seen: list[str] = []
    # Every process with its arguments and environment, in the moment the password is used.
    look = "ps axww -o args; cat /proc/[0-9]*/environ | tr '\\0' '\\n'"
    git_server.meanwhile.append(lambda: seen.append(server.run(look, check=False)))
    done = deploy(values, "-vvv", "--diff")
    story.labs["everything"] = Lab.of(server)
    assert seen and "git" in seen[0] and PASSWORD not in seen[0]
    assert PASSWORD not in done.output
    assert "over its base" in done.output
    assert "nowhere" in done.output


def test_a_user_has_packages_kernel_configuration_and_material(
    server: Server, login: Login, story: Story
) -> None:
    client = login("pia")
    server.run("docker volume rm --force ailab-pia")
    client.start_server()
    try:
        assert client.run_code("echo $((6 * 7)) | bc", kernel="bash").strip() == "42"
        with pytest.raises(JupyterHubError) as refused:
            client.server_api("POST", "terminals")
        assert refused.value.status == 404
        headers = client.request("GET", f"{client.server_url()}api/status").headers
        assert headers["X-Lab"] == 'it\'s "set"'
        code = f"import os; print(sorted(os.path.join(f, n) for f, _, s in os.walk('{NOTEBOOKS}') for n in s if 'course' in f or 'slides' in f))"
        assert client.run_code(code).strip() == repr(
            sorted(
                [
                    f'{NOTEBOOKS}/course/it\'s a "lesson" $1.ipynb',
                    f"{NOTEBOOKS}/course/data/numbers.csv",
                    f"{NOTEBOOKS}/slides/one.txt",
                ]
            )
        )
        # What pip has put there belongs to the user, as the rest of the environment does.
        owner = "import jupyterhub, os; print(os.stat(jupyterhub.__file__).st_uid == os.getuid())"
        assert client.run_code(owner).strip() == "True"
        assert client.run_code("!tree --version").startswith("tree")
    finally:
        client.stop_server()


def test_no_secret_is_in_the_image_or_left_on_the_server(server: Server, story: Story) -> None:
    reference = story.labs["everything"].reference
    history = server.run(f"docker history --no-trunc {reference}; docker inspect {reference}")
    assert PASSWORD not in history and "PRIVATE KEY" not in history
    # Layers are plain tar archives inside of one: files in them are found as they are.
    for text, found in ((PASSWORD, False), (HIDDEN, False), ("numbers.csv", True)):
        count = server.run(
            f"docker save {reference} | grep --text --count --fixed-strings {text} || true",
            timeout=300,
        )
        assert (int(count) > 0) is found
    places = "/var/lib/ailab-hub /etc/ailab-hub /root /tmp /run /var/tmp /home /var/log"
    for secret in (PASSWORD, HIDDEN):
        files = server.run(f"grep -rIls --fixed-strings {secret} {places} || true", timeout=300)
        assert files.split() == []


@pytest.fixture(scope="module")
def ssh_key(server: Server, folder: Path) -> Iterator[Path]:
    """A key that may read a repository on the server itself through its SSH."""
    key = folder / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab-material", "-f", str(key)]
    subprocess.run(command, check=True)
    public = key.with_suffix(".pub").read_text().strip()
    server.run(
        f"git init --quiet --bare {SSH_REPOSITORY} && cd {SSH_REPOSITORY} "
        "&& tree=$(printf '100644 blob %s\\textra.txt\\n' $(echo extra | git hash-object -w --stdin) | git mktree) "
        "&& git -c user.name=A -c user.email=a@example.org update-ref refs/heads/main "
        "$(git -c user.name=A -c user.email=a@example.org commit-tree -m extra $tree) "
        "&& git symbolic-ref HEAD refs/heads/main && chown -R admin "
        f"{SSH_REPOSITORY} && echo '{public}' >> ~admin/.ssh/authorized_keys"
    )
    yield key
    server.run(f"rm -r {SSH_REPOSITORY}; sed -i '/ lab-material$/d' ~admin/.ssh/authorized_keys")


def test_changed_material_installs_no_package_anew(
    deploy: Callable[..., Play],
    server: Server,
    git_server: GitServer,
    values: dict[str, Any],
    ssh_key: Path,
    story: Story,
) -> None:
    former = story.labs["everything"]
    git_server.commit({"notebooks/second lesson.ipynb": "{}"})
    by_key = {
        "git": f"ssh://admin@127.0.0.1{SSH_REPOSITORY}",
        "ssh_key_file": str(ssh_key),
        "dest": "extra",
    }
    material = [*values["lab_image_material"], by_key]
    done = deploy({**values, "lab_image_material": material}, "-vvv")
    secret = ssh_key.read_text().splitlines()[1]
    assert secret not in done.output
    assert server.run(f"grep -rls {secret} /var/lib/ailab-hub /root /tmp /run || true") == ""
    assert server.run("pgrep ssh-agent || true") == ""
    lab = story.labs["changed"] = Lab.of(server)
    # Material is the last layer with files.
    assert lab.layers[:-1] == former.layers[:-1]
    assert lab.layers[-1] != former.layers[-1]
    listed = server.run(
        f"docker run --rm --entrypoint find {lab.reference} /home/jupyter/notebook-defaults -type f -user jupyter"
    )
    for name in ("course/second lesson.ipynb", "extra/extra.txt", "slides/one.txt"):
        assert f"/home/jupyter/notebook-defaults/{name}\n" in listed


def test_a_repository_that_cannot_be_read_is_named(
    play: Callable[..., Play], git_server: GitServer, values: dict[str, Any], folder: Path
) -> None:
    wrong = [{**values["lab_image_material"][0], "password": "wr0ng-passw0rd-77"}]
    missing = {**values["lab_image_material"][0], "version": "winter"}
    file = folder / "wrong.json"
    file.write_text(json.dumps({**KEEP_ALL, **values, "lab_image_material": [*wrong, missing]}))
    done = play("--tags=lab_image", f"--extra-vars=@{file}")
    assert done.returncode != 0
    assert git_server.url in done.output
    assert "username and password" in done.output
    assert "no branch or tag winter" in done.output
    assert "wr0ng-passw0rd-77" not in done.output


def test_an_image_of_docker_stacks_has_other_user_command_and_folders(
    deploy: Callable[..., Play],
    server: Server,
    login: Login,
    values: dict[str, Any],
    story: Story,
) -> None:
    prefix = "{{ docker_engine_registry_prefix | default('quay.io/', true) }}"
    deploy(
        {
            "lab_image_base": f"{prefix}jupyter/base-notebook:{bases.DOCKER_STACKS}",
            "lab_image_name": "ailab-hub/research",
            "lab_image_python": "/opt/conda/bin/python3",
            "lab_image_user": "jovyan",
            "lab_image_entrypoint": ["tini", "-g", "--", "start.sh"],
            "lab_image_material": [values["lab_image_material"][1]],
            "lab_image_material_path": "/home/jovyan/work",
            "jupyterhub_cmd": ["start-singleuser.py"],
            "jupyterhub_default_url": "/lab",
            "jupyterhub_volume_path": "/home/jovyan/work",
        }
    )
    story.labs["docker-stacks"] = Lab.of(server)
    client = login("rita")
    server.run("docker volume rm --force ailab-rita")
    client.start_server()
    code = "import getpass, os, pathlib; w = pathlib.Path('/home/jovyan/work'); print(getpass.getuser(), os.getgid(), (w / 'slides/one.txt').owner(), w.owner(), os.access(w / 'slides/one.txt', os.W_OK), pathlib.Path('/proc/1/comm').read_text())"
    # The volume is new: Docker has copied into it what the image has in its place.
    assert client.run_code(code).split() == ["jovyan", "100", "jovyan", "jovyan", "True", "tini"]


def test_a_refresh_takes_newer_images_and_leaves_users_servers_alone(
    deploy: Callable[..., Play], server: Server, story: Story
) -> None:
    running = server.inspect("jupyter-rita")["Id"]
    former_hub = server.inspect("jupyterhub")["Config"]["Image"]
    done = deploy({}, playbook="playbooks/update_images.yml")
    lab = story.labs["refreshed"] = Lab.of(server)
    story.hub = server.inspect("jupyterhub")["Config"]["Image"]
    assert done.output.count("The base image is pulled") == 2
    assert lab.reference not in [former.reference for former in list(story.labs.values())[:-1]]
    assert story.hub != former_hub
    # Ansible breaks long lines of its output.
    assert f"{former_hub} before, {story.hub} now" in " ".join(done.output.split())
    assert server.inspect("jupyter-rita")["Id"] == running
    history = server.run(f"docker history --no-trunc {lab.reference}")
    assert "apt-get upgrade" in history


def test_the_way_back_is_one_variable_and_keeps_that_image(
    deploy: Callable[..., Play], server: Server, login: Login, story: Story
) -> None:
    labs = story.labs
    server.run(f"docker tag {labs['changed'].reference} somebody/elses:1")
    server.run(f"docker create --name stopped {labs['former'].reference} true")
    none = {"lab_image_keep": 0, "hub_image_keep": 0}
    try:
        deploy({**none, "jupyterhub_lab_image": labs["everything"].reference}, "--tags=jupyterhub")
        there = server.run("docker images --format '{{.Repository}}:{{.Tag}}'").split()
        # One that is configured, built, run, held by a stopped container, or tagged by somebody.
        assert [name for name, lab in labs.items() if lab.reference not in there] == []
        assert story.hub in there
        client = login("pia")
        client.start_server()
        image = server.inspect("jupyter-pia")["Config"]["Image"]
        client.stop_server()
        assert image == labs["everything"].reference
    finally:
        server.run("docker rm stopped; docker rmi somebody/elses:1")


def test_a_later_run_does_not_go_back_to_older_images_and_prunes(
    deploy: Callable[..., Play], server: Server, login: Login, story: Story
) -> None:
    login("rita").stop_server()
    done = deploy({"lab_image_keep": 0, "hub_image_keep": 0})
    assert Lab.of(server).reference == story.labs["refreshed"].reference
    assert server.inspect("jupyterhub")["Config"]["Image"] == story.hub
    assert "is built]" not in done.output
    for kind, kept in (("lab", story.labs["refreshed"].reference), ("hub", story.hub)):
        images = f"docker images --filter label=ailab.hub={kind}-image"
        names = server.run(images + " --format '{{.Repository}}:{{.Tag}}'").split()
        assert names == [kept]
    done = deploy({})
    assert done.counts["changed"] == 0, done.output
