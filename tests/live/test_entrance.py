# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx as the entrance for headers of a central sign-in, whose web server this machine plays.

It begins with a server with HTTPS and passwords, and leaves it like that.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import shlex
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .conftest import Play, Server
from .jupyterhub_client import JupyterHubClient
from .test_https import NAME, URL, StillOpen

LOGIN_PAGE = "https://login.example.org/"
DENIED_PAGE = "https://login.example.org/denied"
GROUP = "SAM-SSLVPNSAMUsers"
SECRET = "/var/lib/ailab-hub/secrets/remote_user_secret"
ENTRANCE = "/var/lib/ailab-hub/https/entrance.conf"
HUB = "10.230.0.2:8081"
HEADERS = ("X-Remote-User", "X-Remote-Groups", "X-Ailab-Hub-Entrance")

pytestmark = pytest.mark.usefixtures("names")
Deploy = Callable[..., Play]


@pytest.fixture(scope="module")
def variables(server: Server) -> dict[str, Any]:
    return {
        "hub_https_remote_user_proxies": [server.controller, "198.51.100.0/28"],
        "jupyterhub_authenticator": "remote-user",
        "jupyterhub_admin_users": ["grace"],
        "jupyterhub_admin_groups": ["operators"],
        "jupyterhub_allow_all": False,
        "jupyterhub_allowed_groups": [GROUP],
        "jupyterhub_config": {"DockerSpawner": {"mem_limit": "1G"}},
        "jupyterhub_remote_user": {"login_page": LOGIN_PAGE, "denied_page": DENIED_PAGE},
    }


@pytest.fixture(scope="module")
def deploy(play: Callable[..., Play]) -> Deploy:
    """Run the roles of the hub and of HTTPS, with some variables otherwise."""

    def run(*arguments: str, playbook: str = "site.yml", **variables: Any) -> Play:
        tags = "--tags=jupyterhub,hub_https"
        done = play(tags, "-e", json.dumps(variables), *arguments, playbook=playbook)
        assert done.returncode == 0, done.output
        return done

    return run


@pytest.fixture(scope="module", autouse=True)
def deployed(
    server: Server, names: None, deploy: Deploy, variables: dict[str, Any]
) -> Iterator[Play]:
    """The run that makes nginx the entrance, with all it can be made to say."""
    yield deploy("--diff", "-vvv", **variables)
    if "remote" in server.run("cat /etc/ailab-hub/jupyterhub_config.py"):
        deploy()


@pytest.fixture(scope="module")
def alice(deployed: Play, ca_file: str) -> Iterator[JupyterHubClient]:
    """A user whose notebook runs, by a WebSocket that stays open from test to test."""
    with JupyterHubClient(URL, ca_file=ca_file) as client:
        sign_in(client, "alice")
        client.start_server()
        yield client


def sign_in(client: JupyterHubClient, name: str, groups: str = GROUP) -> str:
    """Visit the hub by way of the central sign-in; where that leads to."""
    sent = {"X-Remote-User": name, "X-Remote-Groups": groups}
    path = f"{URL}hub/login?next=%2Fhub%2Fhome"
    answer = client._session.get(path, headers=sent, allow_redirects=False, timeout=60)
    where = answer.headers.get("Location", str(answer.status_code))
    if where == "/hub/home":
        client.request("GET", "hub/home")
        client.me()
    return where


def ask(address: str, port: int, name: str, request: str) -> str:
    """Send some bytes, by TLS for a name if there is one, and return what comes until the end."""
    import socket
    import ssl

    connection = socket.create_connection((address, port), timeout=20)
    if name:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname=name)
    with connection:
        connection.sendall(request.encode("latin-1"))
        answer = b""
        try:
            while received := connection.recv(65536):
                answer += received
                # Some connections stay open.
                connection.settimeout(2)
        except OSError:
            pass
    return answer.decode("latin-1")


def request(*headers: str, path: str = "/hub/login", host: str = NAME, close: str = "close") -> str:
    """A request for who is an administrator, with further headers or others in their place."""
    named = {line.partition(":")[0] for line in headers}
    usual = [f"Host: {host}", "X-Remote-User: grace", f"X-Remote-Groups: {GROUP}"]
    usual += [f"Connection: {close}"]
    lines = [line for line in usual if line.partition(":")[0] not in named] + list(headers)
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])


def leads_to(answer: str) -> str:
    """Where an answer sends to, or its status."""
    found = re.search(r"^location: (\S+)", answer, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else answer.partition("\r\n")[0]


def ask_here(server: Server, text: str) -> str:
    """Ask nginx from this machine, which plays the central sign-in."""
    return leads_to(ask(server.address, 443, NAME, text))


def ask_there(server: Server, address: str, text: str) -> str:
    """Ask nginx from the server itself; THE SECRET stands for it, since sudo logs commands."""
    code = f"text = {text!r}.replace('THE SECRET', open({SECRET!r}).read())"
    code += f"\n{inspect.getsource(ask)}\nprint(ask({address!r}, 443, {NAME!r}, text))"
    return leads_to(server.run(f"python3 -c {shlex.quote(code)}").replace("\n", "\r\n"))


# Who gets in


def test_who_the_central_sign_in_names_gets_in(ca_file: str) -> None:
    with JupyterHubClient(URL, ca_file=ca_file) as bob:
        assert sign_in(bob, "Bob", f"chess,{GROUP}") == "/hub/home"
        told = bob.me()
        assert (told["name"], told["admin"]) == ("bob", False)
        assert sorted(told["groups"]) == [GROUP, "chess"]


def test_administrators_are_named_or_of_a_group(ca_file: str) -> None:
    for name, groups in (("grace", ""), ("oscar", "operators")):
        with JupyterHubClient(URL, ca_file=ca_file) as client:
            assert sign_in(client, name, groups) == "/hub/home"
            assert client.me()["admin"] is True


def test_a_notebook_runs(alice: JupyterHubClient) -> None:
    assert alice.run_code("print(6 * 7)") == "42\n"


def test_without_the_group_one_is_sent_elsewhere(ca_file: str) -> None:
    with JupyterHubClient(URL, ca_file=ca_file) as client:
        assert sign_in(client, "mallory", "chess") == DENIED_PAGE


def test_whom_nobody_names_is_sent_to_the_central_sign_in(server: Server) -> None:
    assert ask_here(server, request("X-Remote-User:", "X-Remote-Groups:")) == LOGIN_PAGE


@pytest.mark.parametrize(
    ("twice", "where"),
    [("X-Remote-User: alice", LOGIN_PAGE), (f"X-Remote-Groups: {GROUP}", DENIED_PAGE)],
)
def test_who_is_named_twice_is_nobody(server: Server, twice: str, where: str) -> None:
    """What a central sign-in passes on that adds its headers to the visitor's own."""
    name = twice.partition(":")[0]
    other = {"X-Remote-User": "grace", "X-Remote-Groups": "operators"}[name]
    rest = () if name == "X-Remote-User" else ("X-Remote-User: mallory",)
    assert ask_here(server, request(f"{name}: {other}", twice, *rest)) == where


def test_the_hub_sees_where_the_user_comes_from(server: Server) -> None:
    mark = f"/hub/x{time.time():.0f}"
    forwarded = "X-Forwarded-For: 203.0.113.66, 203.0.113.77"
    ask_here(server, request(forwarded, path=f"{mark}a"))
    ask_there(server, server.address, request(forwarded, path=f"{mark}b"))
    log = server.run(f"docker logs jupyterhub 2>&1 | grep {mark}").splitlines()
    (first,) = (line for line in log if f"{mark}a" in line)
    (second,) = (line for line in log if f"{mark}b" in line)
    assert "@203.0.113.77)" in first
    assert f"@{server.address})" in second


# Who does not


FORGED = [
    (),
    ("X-Ailab-Hub-Entrance: ",),
    (f"X-Ailab-Hub-Entrance: {'0' * 64}",),
    ("X_Ailab_Hub_Entrance: THE SECRET",),
    ("Connection: close, X-Ailab-Hub-Entrance", "X-Ailab-Hub-Entrance: THE SECRET"),
    ("X-Ailab-Hub-Entrance: THE SECRET",),
    ("X-Forwarded-For: {controller}", "X-Real-IP: {controller}", "Forwarded: for={controller}"),
]


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_from_elsewhere_nobody_is_believed(server: Server, forged: tuple[str, ...]) -> None:
    """Not even who knows the secret."""
    lines = [line.format(controller=server.controller) for line in forged]
    for address in (server.address, "127.0.0.1"):
        assert ask_there(server, address, request(*lines)) == LOGIN_PAGE


def test_from_a_lab_nobody_is_believed(server: Server, alice: JupyterHubClient) -> None:
    """Neither through nginx, nor at the proxy, nor at the hub itself."""
    alice.run_code(inspect.getsource(ask))
    forged = request(f"X-Ailab-Hub-Entrance: {'0' * 64}")
    gateway = HUB.replace("0.2:8081", "0.1")
    for target in (
        (server.address, 443, NAME),
        (gateway, 443, NAME),
        ("jupyterhub", 8081, ""),
        ("jupyterhub-proxy", 8000, ""),
    ):
        code = f"print(ask(*{target!r}, {forged!r}))"
        answer = alice.run_code(code).replace("\r\n", "\n").replace("\n", "\r\n")
        assert leads_to(answer) == LOGIN_PAGE, target


# Where the secret goes

TAP = """
import json, select, socket, sys
words = json.loads(sys.stdin.readline())
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 25)
seen = {word: set() for word in words}
print("listens", flush=True)
while True:
    ready, _, _ = select.select([tap, sys.stdin], [], [])
    if tap in ready:
        packet, about = tap.recvfrom(1 << 16)
        if about[1] != 0x0800 or packet[9] != 6:
            continue
        segment = packet[(packet[0] & 15) * 4 :]
        data = segment[(segment[12] >> 4) * 4 :]
        to = "%s:%d" % (socket.inet_ntoa(packet[16:20]), int.from_bytes(segment[2:4], "big"))
        for word in words:
            if word.encode() in data:
                seen[word].add(to)
    elif sys.stdin in ready:
        print(json.dumps({word: sorted(found) for word, found in seen.items()}))
        break
"""


@contextmanager
def tap(server: Server, *words: str) -> Iterator[dict[str, list[str]]]:
    """Where words are sent to in the clear, on any of the server's networks, until the block ends."""
    found: dict[str, list[str]] = {}
    with subprocess.Popen(
        [*server.ssh, f"sudo python3 -c {shlex.quote(TAP)}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        print(json.dumps(words), file=process.stdin, flush=True)
        assert process.stdout.readline() == "listens\n"
        yield found
        time.sleep(1)
        print("end", file=process.stdin, flush=True)
        found.update(json.loads(process.stdout.readline()))


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
PIPELINE = f"GET /user/alice/api HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
TRICKS = {
    "dots": request(path="/user/alice/../../hub/login?{mark}"),
    "encoded-dots": request(path="/user/alice/%2e%2e/%2e%2e/hub/login?{mark}"),
    "encoded-slashes": request(path="/user/alice/..%2f..%2fhub/login?{mark}"),
    "dots-behind": request(path="/hub/login/../../user/alice/api?{mark}"),
    "encoded-behind": request(path="/hub/login/%2e%2e/%2e%2e/user/alice/api?{mark}"),
    "encoded-question": request(path="/hub/login%3f/../../user/alice/api?{mark}"),
    "semicolon": request(path="/hub/login;/../../user/alice/api?{mark}"),
    "fragment": request(path="/hub/login#/../../user/alice/api?{mark}"),
    "backslashes": request(path="/hub/login\\..\\..\\user\\alice\\api?{mark}"),
    "two-slashes": request(path="//hub/login?{mark}"),
    "two-slashes-user": request(path="//user/alice//../../hub/login?{mark}"),
    "slash-behind": request(path="/hub/login/?{mark}"),
    "encoded-letter": request(path="/hub/logi%6e?{mark}"),
    "upper-case": request(path="/HUB/LOGIN?{mark}"),
    "no-slash": request(path="hub/login?{mark}"),
    "absolute": request(path=f"https://{NAME}/user/alice/../../hub/login?{{mark}}"),
    "absolute-subdomain": request(path=f"https://alice.{NAME}/user/alice/api?{{mark}}"),
    "host-subdomain": request(f"Host: alice.{NAME}", path="/hub/login?{mark}"),
    "absolute-other-host": request(
        f"Host: alice.{NAME}", path=f"https://{NAME}/hub/login?{{mark}}"
    ),
    "host-other": request("Host: wiki.example.org", path="/hub/login?{mark}"),
    "host-with-dot": request(f"Host: {NAME}.", path="/hub/login?{mark}"),
    "host-twice": request(f"Host: {NAME}", f"Host: alice.{NAME}", path="/hub/login?{mark}"),
    "no-host": request(path="/hub/login?{mark}").replace(f"Host: {NAME}\r\n", ""),
    "http-1.0": f"GET /user/alice/../../hub/login?{{mark}} HTTP/1.0\r\nHost: {NAME}\r\n\r\n",
    "upgrade": request(*UPGRADE, path="/user/alice/../../hub/login?{mark}"),
    "user": request(path="/user/alice/api?{mark}"),
    "query": request(path="/user/alice/api?{mark}&/hub/login"),
}
# These mean the page for signing in and nothing else, so the hub gets the secret.
MEANT = {
    "plain": request(path="/hub/login?{mark}"),
    "query": request(path="/hub/login?{mark}&next=/../../user/alice/api"),
    "query-fragment": request(path="/hub/login?{mark}#/../../user/alice/api"),
    "two-questions": request(path="/hub/login??{mark}/../../user/alice/api"),
    "port": request(f"Host: {NAME}:443", path="/hub/login?{mark}"),
    "upper-case-host": request(f"Host: {NAME.upper()}", path="/hub/login?{mark}"),
    "absolute": request(path=f"https://{NAME}/hub/login?{{mark}}"),
    "absolute-of-another": request(path=f"https://alice.{NAME}/hub/login?{{mark}}"),
    "upgrade": request(*UPGRADE, path="/hub/login?{mark}"),
    "upgrade-h2c": request(
        "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", path="/hub/login?{mark}"
    ),
    "pipeline": request(path="/hub/login?{mark}", close="keep-alive") + PIPELINE,
    "length-and-chunks": request(
        "Content-Length: 4", "Transfer-Encoding: chunked", path="/hub/login?{mark}"
    )
    + f"5c\r\n{PIPELINE}\r\n0\r\n\r\n",
    "length": request(f"Content-Length: {len(PIPELINE)}", path="/hub/login?{mark}") + PIPELINE,
}


def http2(server: Server, *fields: tuple[str, str]) -> None:
    """Send a request by HTTP/2, with its fields as they are."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
        begin = len(content).to_bytes(3, "big") + bytes([kind, flags])
        return begin + stream.to_bytes(4, "big") + content

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    raw = socket.create_connection((server.address, 443), timeout=10)
    with context.wrap_socket(raw, server_hostname=NAME) as connection:
        if connection.selected_alpn_protocol() != "h2":
            pytest.skip("this nginx offers no HTTP/2")
        # Each field literally, with its name, to be indexed by nobody.
        block = b"".join(b"\x00" + text(name) + text(value) for name, value in fields)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        connection.sendall(frame(1, 0x05, 1, block))
        connection.settimeout(1)
        # What comes of it is not of interest here: an answer, or the end of the connection.
        with contextlib.suppress(TimeoutError):
            while connection.recv(65536):
                pass


def lab_of(server: Server, name: str) -> str:
    """Address and port of a user's lab."""
    networks = server.inspect(f"jupyter-{name}")["NetworkSettings"]["Networks"]
    (address,) = (network["IPAddress"] for network in networks.values())
    return f"{address}:8888"


def test_the_secret_goes_to_the_hub_and_nowhere_else(
    server: Server, alice: JupyterHubClient
) -> None:
    """Whatever the central sign-in passes on, and whoever has thought it out."""
    secret = server.run(f"cat {SECRET}").strip()
    lab = lab_of(server, "alice")
    tricks = {f"trick-{name}.": text for name, text in TRICKS.items()}
    meant = {f"meant-{name}.": text for name, text in MEANT.items()}
    with tap(server, secret, *tricks) as went:
        for mark, text in tricks.items():
            ask(server.address, 443, NAME, text.format(mark=mark))
    assert went[secret] == []
    led_there = {mark for mark in tricks if lab in went[mark]}
    print("These led to the lab:", sorted(led_there))
    assert {"trick-user.", "trick-query.", "trick-dots-behind."} <= led_there
    with tap(server, secret, "X-Remote-User", *meant) as went:
        for mark, text in meant.items():
            ask(server.address, 443, NAME, text.format(mark=mark))
    assert went[secret] == [HUB]
    assert went["X-Remote-User"] == [HUB]
    assert not [mark for mark in meant if lab in went[mark]]
    for mark in ("plain", "port", "absolute", "upgrade", "pipeline", "query-fragment"):
        assert HUB in went[f"meant-{mark}."], mark


def test_the_headers_reach_no_lab(server: Server, alice: JupyterHubClient) -> None:
    lines = ("X-Remote-User: grace-the-first", "X-Ailab-Hub-Entrance: forged-secret")
    with tap(server, "grace-the-first", "forged-secret", "mark-of-this") as went:
        for path in ("/user/alice/api", "/user/alice/../../hub/login", "/hub/home", "/"):
            ask(server.address, 443, NAME, request(*lines, path=f"{path}?mark-of-this"))
    assert lab_of(server, "alice") in went["mark-of-this"]
    assert went["grace-the-first"] == went["forged-secret"] == []


def test_http2_is_no_other_way(server: Server, alice: JupyterHubClient) -> None:
    secret = server.run(f"cat {SECRET}").strip()
    usual = [(":method", "GET"), (":scheme", "https"), ("x-remote-user", "grace")]
    good = [*usual, (":authority", NAME), (":path", "/hub/login?good")]
    bad = [
        [(":authority", NAME), (":path", "/hub/login/../../user/alice/api?bad-dots")],
        [(":authority", f"alice.{NAME}"), (":path", "/hub/login?bad-name")],
        [(":authority", NAME), (":path", "/hub/login?bad-twice"), ("host", f"alice.{NAME}")],
        [(":authority", NAME), (":path", "/hub/login\r\nX: ?bad-lines")],
    ]
    with tap(server, secret, "bad-dots") as went:
        for fields in bad:
            pseudo = [field for field in usual + fields if field[0].startswith(":")]
            http2(server, *pseudo, *(field for field in usual + fields if field not in pseudo))
    assert went[secret] == []
    assert lab_of(server, "alice") in went["bad-dots"]
    with tap(server, secret, "?good") as went:
        pseudo = [field for field in good if field[0].startswith(":")]
        http2(server, *pseudo, *(field for field in good if field not in pseudo))
    assert went[secret] == [HUB]
    assert HUB in went["?good"]


# Who can read it


def test_the_secret_is_roots_alone(server: Server) -> None:
    secret = server.run(f"cat {SECRET}").strip()
    assert server.run(f"stat -c '%a %U' {ENTRANCE}").strip() == "600 root"
    assert server.run(f"cat {ENTRANCE}") == f"proxy_set_header X-Ailab-Hub-Entrance {secret};\n"
    assert secret in server.run("nginx -T 2>/dev/null")
    said = server.run("setpriv --reuid=nobody --clear-groups nginx -T 2>&1", check=False)
    assert "Permission denied" in said
    assert secret not in said
    # No command names the secret: sudo writes commands to the journal.
    found = server.run(
        f"grep -rlFf {SECRET} /etc /var/log/nginx /run /tmp 2>/dev/null", check=False
    )
    assert found.split() == []
    logs = "docker logs jupyterhub 2>&1; docker logs jupyterhub-proxy 2>&1; journalctl --boot"
    assert server.run(f"({logs}) | grep -cFf {SECRET}", check=False) == "0\n"


def test_the_run_has_told_nothing_of_it(server: Server, deployed: Play) -> None:
    secret = server.run(f"cat {SECRET}").strip()
    assert "entrance.conf" in deployed.output
    assert secret not in deployed.output
    assert f"X-Ailab-Hub-Entrance {secret[:8]}" not in deployed.output


# Later runs


def test_a_second_run_changes_nothing(deploy: Deploy, variables: dict[str, Any]) -> None:
    assert deploy("--check", "--diff", **variables).counts["changed"] == 0
    assert deploy(**variables).counts["changed"] == 0


def test_whom_anybody_could_pretend_to_be_is_refused(
    server: Server, play: Callable[..., Play], variables: dict[str, Any]
) -> None:
    proxies = [server.address, "10.230.0.9", "127.0.0.1"]
    wrong = {**variables, "hub_https_remote_user_proxies": proxies}
    done = play("-e", json.dumps(wrong))
    assert done.returncode != 0
    assert done.counts["changed"] == 0
    said = " ".join(done.output.split())
    assert f"with the server's own address {server.address}" in said
    assert "with addresses of 10.230.0.0/20 (jupyterhub_subnet)" in said
    assert "127.0.0.1, from which every account of the server can send" in said


def test_a_new_secret_leaves_open_notebooks_alone(
    server: Server, deploy: Deploy, variables: dict[str, Any], ca_file: str
) -> None:
    with JupyterHubClient(URL, ca_file=ca_file) as alice:
        assert sign_in(alice, "alice") == "/hub/home"
        notebook = StillOpen(alice)
        former = server.run(f"cat {SECRET}")
        server.run(f"rm {SECRET}")
        done = deploy("--diff", "-vvv", **variables)
        secret = server.run(f"cat {SECRET}")
        assert secret != former
        assert secret.strip() in server.run(f"cat {ENTRANCE}")
        assert secret.strip() not in done.output
        assert "Changed: nginx, secret of the entrance" in done.output
        notebook.check()
    with JupyterHubClient(URL, ca_file=ca_file) as carol:
        assert sign_in(carol, "carol") == "/hub/home"


def test_the_rotation_of_all_secrets_reaches_the_entrance(
    server: Server, deploy: Deploy, variables: dict[str, Any], ca_file: str
) -> None:
    former = server.run(f"cat {SECRET}").strip()
    lab = server.inspect("jupyter-alice")["State"]["StartedAt"]
    deploy(playbook="playbooks/rotate_secrets.yml", **variables)
    assert former not in server.run(f"cat {SECRET} {ENTRANCE}")
    with JupyterHubClient(URL, ca_file=ca_file) as carol:
        assert sign_in(carol, "carol") == "/hub/home"
    assert ask_there(server, server.address, request()) == LOGIN_PAGE
    assert server.inspect("jupyter-alice")["State"]["StartedAt"] == lab


def test_another_sign_in_leaves_nothing_of_it(server: Server, deploy: Deploy, ca_file: str) -> None:
    with JupyterHubClient(URL, ca_file=ca_file) as alice:
        assert sign_in(alice, "alice") == "/hub/home"
        alice.stop_server()
    deploy()
    assert server.run(f"ls {ENTRANCE}", check=False) == ""
    assert "X-Ailab" not in server.run("nginx -T 2>/dev/null")
    assert server.run("nginx -t 2>&1")
    assert "password" in ask(server.address, 443, NAME, request())
