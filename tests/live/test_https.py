# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS as users and attackers meet it, with each source of certificates.

It begins with a server that has a certificate of its own authority, and leaves it like that.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import socket
import ssl
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Error, expect

from tests.certificates import make_certificate

from .acme_authority import Authority, authority
from .browser import people
from .conftest import Play, Server
from .jupyterhub_client import JupyterHubClient, LoginError

NAME = "hub1.example.org"
URL = f"https://{NAME}/"
OTHER_NAME = "wiki.example.org"
STATE = "/var/lib/ailab-hub/https"
PEM = f"{STATE}/certificate.pem"
MIB = 1024 * 1024
# Longer than nginx waits by default for somebody who reads nothing.
PAUSE_SECONDS = 65
GOOD_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)
BAD_CIPHERS = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-RSA-AES128-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
    "AES128-GCM-SHA256",
    "AES128-SHA",
    "DES-CBC3-SHA",
    "aNULL",
    "eNULL",
)

pytestmark = pytest.mark.usefixtures("names")
Deploy = Callable[..., Play]


@pytest.fixture(scope="module")
def deploy(play: Callable[..., Play]) -> Deploy:
    """Run the role of HTTPS, and that of the hub if asked to, with some variables otherwise."""

    def run(*arguments: str, hub: bool = False, **variables: Any) -> Play:
        tags = "--tags=hub_https" + (",jupyterhub" if hub else "")
        done = play(tags, "-e", json.dumps(variables), *arguments)
        assert done.returncode == 0, done.output
        return done

    return run


@pytest.fixture(scope="module")
def ca_file(play: Callable[..., Play]) -> str:
    """The certificate of the server's authority, where the report says it is."""
    done = play("--check", "--tags=hub_https")
    assert done.returncode == 0, done.output
    assert done.counts["changed"] == 0, done.output
    said = " ".join(done.output.split())
    found = re.search(r"here on the controller: (\S+?)['\"]? ", said)
    assert found, done.output
    return found[1]


@pytest.fixture(scope="module")
def password(server: Server) -> str:
    return server.run("cat /var/lib/ailab-hub/secrets/shared_user_password").strip()


@pytest.fixture(scope="module")
def alice(names: None, ca_file: str, password: str) -> Iterator[JupyterHubClient]:
    """A user whose notebook runs, by a WebSocket that stays open from test to test."""
    with JupyterHubClient(URL, ca_file=ca_file) as client:
        client.login("alice", password)
        client.start_server()
        yield client
        client.stop_server()


def connect(server: Server, context: ssl.SSLContext, name: str = NAME) -> ssl.SSLSocket:
    """A connection to the server by one of its names; ssl.SSLError where it cannot be trusted."""
    raw = socket.create_connection((server.address, 443), timeout=10)
    return context.wrap_socket(raw, server_hostname=name)


def fingerprint(server: Server, name: str = NAME) -> str:
    """Of the certificate that is served by a name, whoever issued it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(server, context, name) as connection:
        return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def served(server: Server, ca_file: str | Path, name: str = NAME) -> dict[str, Any]:
    """The certificate that is served by a name, checked with an authority."""
    with connect(server, ssl.create_default_context(cafile=str(ca_file)), name) as connection:
        return dict(connection.getpeercert() or {})


def await_other_certificate(server: Server, former: str) -> None:
    """nginx takes a moment to begin with what it was told to serve."""
    deadline = time.monotonic() + 20
    while fingerprint(server) == former:
        assert time.monotonic() < deadline, "the former certificate is still served"
        time.sleep(0.2)


class StillOpen:
    """Whether a user's notebook went on all the time, through one and the same WebSocket."""

    def __init__(self, client: JupyterHubClient) -> None:
        self._client = client
        if not client._kernels:
            client.start_server()
        client.run_code("count = globals().get('count', 0)")
        self._kernel = next(iter(client._kernels.values()))
        self._count = int(client.run_code("print(count)"))

    def check(self) -> None:
        """The same connection still takes code, whose variables are still there."""
        self._client.run_code("count += 1")
        self._count += 1
        assert int(self._client.run_code("print(count)")) == self._count
        assert next(iter(self._client._kernels.values())) is self._kernel


# A certificate of the server's own authority


def test_who_knows_the_authority_gets_in(alice: JupyterHubClient) -> None:
    assert alice.run_code("print(6 * 7)") == "42\n"


def test_who_does_not_know_the_authority_is_warned(server: Server) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, ssl.create_default_context())


def test_the_authority_counts_for_this_name_alone(server: Server, ca_file: str) -> None:
    assert ("DNS", NAME) in served(server, ca_file)["subjectAltName"]
    others = "subjectAltName = DNS:bank.example.com"
    server.run(
        f"cd {STATE} && openssl req -new -key ca.key -config certificate.cnf -out /tmp/x.csr"
        f" && sed 's/^subjectAltName.*/{others}/' certificate.cnf > /tmp/x.cnf"
        " && openssl x509 -req -in /tmp/x.csr -CA ca.crt -CAkey ca.key -set_serial 7"
        " -extfile /tmp/x.cnf -extensions server -out /tmp/x.crt"
    )
    said = server.run(f"openssl verify -CAfile {STATE}/ca.crt /tmp/x.crt 2>&1", check=False)
    assert "permitted subtree violation" in said


def test_keys_are_roots_alone(server: Server) -> None:
    listed = server.run(f"stat -c '%a %U %n' {STATE} {STATE}/*").splitlines()
    assert len(listed) >= 6
    assert [line for line in listed if not line.startswith(("600 root ", "700 root "))] == []


def test_nobody_comes_in_beside_https(server: Server) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.address, 8000), timeout=5)
    assert server.run("ss -Hltn sport = :8000").split()[3] == "127.0.0.1:8000"


def test_plain_http_is_redirected(ca_file: str) -> None:
    answer = requests.get(f"http://{NAME}/hub/login?next=%2Fx", allow_redirects=False, timeout=10)
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"{URL}hub/login?next=%2Fx"


def test_browsers_are_told_to_stay_with_https(ca_file: str) -> None:
    for path in ("hub/login", "nowhere"):
        answer = requests.get(URL + path, verify=ca_file, timeout=10)
        assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"


def test_cookies_are_sent_by_https_alone(ca_file: str, password: str) -> None:
    with JupyterHubClient(URL, ca_file=ca_file) as bob:
        bob.login("bob", password)
        jar: CookieJar = bob._session.cookies
        cookies = list(jar)
    assert {"jupyterhub-session-id", "_xsrf"} <= {cookie.name for cookie in cookies}
    assert [cookie.name for cookie in cookies if not cookie.secure] == []


@pytest.mark.parametrize(
    ("version", "works"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_versions_of_tls(version: ssl.TLSVersion, works: bool, server: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # This machine's own OpenSSL must not be what refuses.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if works:
        with connect(server, context) as connection:
            assert connection.version() == version.name.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version|unsupported protocol"):
            connect(server, context)


@pytest.mark.parametrize(
    ("cipher", "works"),
    [*((name, True) for name in GOOD_CIPHERS), *((name, False) for name in BAD_CIPHERS)],
)
def test_ciphers(cipher: str, works: bool, server: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    except ssl.SSLError:
        pytest.skip("this machine's OpenSSL does not know it either")
    if works:
        with connect(server, context) as connection:
            assert (connection.cipher() or ("",))[0] == cipher
    else:
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
            connect(server, context)


def test_the_hub_sees_where_users_come_from_whatever_they_say(server: Server, ca_file: str) -> None:
    forged = "203.0.113.66"
    headers = dict.fromkeys(("X-Forwarded-For", "X-Real-IP"), forged)
    headers["Forwarded"] = f"for={forged}"
    path = f"hub/forged-headers-{time.time():.0f}"
    requests.get(URL + path, headers=headers, verify=ca_file, timeout=10)
    (line,) = server.run(f"docker logs jupyterhub 2>&1 | grep {path}").splitlines()
    assert forged not in line
    assert f"@{server.controller})" in line


def test_users_come_by_ipv6(server: Server) -> None:
    """From the server itself: the tests' network has no IPv6."""
    path = f"/hub/by-ipv6-{time.time():.0f}"
    answer = server.run(
        "sysctl -qw net.ipv6.conf.lo.disable_ipv6=0 &&"
        f" printf 'GET {path} HTTP/1.0\\r\\nHost: {NAME}\\r\\n\\r\\n' |"
        f" openssl s_client -connect '[::1]:443' -servername {NAME} -quiet"
        f" -CAfile {STATE}/ca.crt -verify_return_error -verify_hostname {NAME} 2> /dev/null"
    )
    assert answer.startswith("HTTP/1.1 404 ")
    assert "(@::1)" in server.run(f"docker logs jupyterhub 2>&1 | grep {path}")


# What goes through


def test_large_files_and_slow_readers_pass(alice: JupyterHubClient) -> None:
    size = 200 * MIB
    text = "0123456789abcdef" * (size // 16)
    content = {"type": "file", "format": "text", "content": text}
    alice.server_api("PUT", "contents/large.txt", content)
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = "/home/jupyter/notebooks/large.txt"
    code = f"import hashlib; print(hashlib.sha256(open({name!r}, 'rb').read()).hexdigest())"
    assert alice.run_code(code).strip() == digest
    download = alice._session.get(f"{alice.server_url()}files/large.txt", stream=True, timeout=60)
    assert download.ok
    arrived = hashlib.sha256()
    for number, chunk in enumerate(download.iter_content(MIB)):
        if number == 3:
            time.sleep(PAUSE_SECONDS)
        arrived.update(chunk)
    assert arrived.hexdigest() == digest
    alice.run_code(f"import os; os.remove({name!r})")


def test_a_websocket_survives_reloads(server: Server, alice: JupyterHubClient) -> None:
    notebook = StillOpen(alice)
    workers = set(server.run("pgrep -P $(cat /run/nginx.pid)").split())
    for _ in range(3):
        server.run("nginx -t -q && systemctl reload nginx")
        time.sleep(1)
        notebook.check()
    assert set(server.run("pgrep -P $(cat /run/nginx.pid)").split()) - workers


def let_certificate_end_soon(server: Server) -> str:
    """Have a certificate in place that ends in ten days; return its fingerprint."""
    former = fingerprint(server)
    server.run(
        f"cd {STATE} && openssl req -new -key certificate.pem -config certificate.cnf -out /tmp/old.csr"
        " && openssl x509 -req -in /tmp/old.csr -CA ca.crt -CAkey ca.key -set_serial 7 -days 10"
        " -extfile certificate.cnf -extensions server -out /tmp/old.crt"
        " && openssl pkey -in certificate.pem >> /tmp/old.crt"
        " && install -m 0600 /tmp/old.crt certificate.pem && rm /tmp/old.* && systemctl reload nginx"
    )
    await_other_certificate(server, former)
    return fingerprint(server)


def days_left(certificate: dict[str, Any]) -> float:
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86400


def test_the_timer_renews_the_certificate_under_an_open_websocket(
    server: Server, ca_file: str, alice: JupyterHubClient
) -> None:
    notebook = StillOpen(alice)
    former = let_certificate_end_soon(server)
    assert 9 < days_left(served(server, ca_file)) < 11
    assert "ailab-hub-certificate.timer" in server.run("systemctl list-timers --no-legend")
    server.run("systemctl start ailab-hub-certificate.service")
    await_other_certificate(server, former)
    assert days_left(served(server, ca_file)) > 80
    notebook.check()


def test_the_doctor_tells_of_a_certificate_that_ended(
    server: Server, ca_file: str, play: Callable[..., Play]
) -> None:
    former = fingerprint(server)
    ended = b"".join(make_certificate(-3, NAME)).decode()
    server.run(f"echo {shlex.quote(ended)} > {PEM} && systemctl reload nginx")
    await_other_certificate(server, former)
    done = play(playbook="playbooks/doctor.yml", timeout=120)
    assert done.returncode != 0
    said = " ".join(done.output.split())
    assert f"CN={NAME}, expired 3 days ago" in said and "Broken on hub1: HTTPS, Certificate" in said
    assert re.search(r"HTTPS broken .*?expired", said), said
    former = fingerprint(server)
    server.run("systemctl start ailab-hub-certificate.service")
    await_other_certificate(server, former)
    assert days_left(served(server, ca_file)) > 80
    said = " ".join(play(playbook="playbooks/doctor.yml", timeout=120).output.split())
    assert "HTTPS ok " in said and " broken " not in said, said


def test_a_run_renews_it_as_well(server: Server, ca_file: str, deploy: Deploy) -> None:
    let_certificate_end_soon(server)
    done = deploy()
    assert "the certificate ends within 30 days" in " ".join(done.output.split())
    assert days_left(served(server, ca_file)) > 80
    assert deploy().counts["changed"] == 0


# A browser


def test_a_browser_that_knows_the_authority(
    ca_file: str, password: str, server: Server, tmp_path: Path
) -> None:
    with people(URL, tmp_path, ca_file, {NAME: server.address}) as crowd:
        eve = crowd.new("eve")
        eve.page.goto(f"http://{NAME}/hub/home")
        assert eve.page.url.startswith(f"{URL}hub/login")
        assert eve.page.evaluate("window.isSecureContext")
        eve.page.get_by_label("Username").fill("eve")
        eve.page.get_by_label("Password").fill(password)
        eve.page.get_by_role("button", name="Sign in").click()
        expect(eve.page.get_by_role("button", name="Start My Server")).to_be_visible()
        assert eve.hosts == {NAME}
        assert eve.complaints == []
        protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        newer = "VERSION_CODENAME=trixie" in server.run("cat /etc/os-release")
        assert eve.page.evaluate(protocol) == ("h2" if newer else "http/1.1")


def test_a_browser_that_does_not_know_it(server: Server, tmp_path: Path) -> None:
    with people(URL, tmp_path, None, {NAME: server.address}) as crowd:
        page = crowd.new("mallory").page
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            page.goto(URL)


# Guessing


def guess(ca_file: str, stop: threading.Event, name: str, answers: list[int]) -> None:
    """Try passwords as fast as it goes, with the cookie a form needs."""
    with JupyterHubClient(URL, ca_file=ca_file) as client:
        page = client.request("GET", "hub/login")
        token = (re.search(r'name="_xsrf" value="([^"]*)"', page.text) or ["", ""])[1]
        while not stop.is_set():
            data = {"username": name, "password": "wrong password", "_xsrf": token}
            answer = client._session.post(f"{URL}hub/login", data=data, timeout=30)
            answers.append(answer.status_code)


def median_seconds(ca_file: str, number: int) -> float:
    """How long the hub takes for a page others look at."""
    with requests.Session() as session:
        session.verify = ca_file
        session.trust_env = False
        times = []
        for _ in range(number):
            begun = time.perf_counter()
            assert session.get(f"{URL}hub/login", timeout=30).ok
            times.append(time.perf_counter() - begun)
            time.sleep(0.05)
    return statistics.median(times)


def test_a_guessed_account_tells_how_long_to_wait(ca_file: str, password: str) -> None:
    with JupyterHubClient(URL, ca_file=ca_file) as client:
        for _ in range(6):
            with pytest.raises(LoginError, match="Invalid"):
                client.login("carol", "wrong password")
        response = client._session.get(f"{URL}hub/login")
        token = (re.search(r'name="_xsrf" value="([^"]*)"', response.text) or ["", ""])[1]
        data = {"username": "carol", "password": password, "_xsrf": token}
        refused = client._session.post(f"{URL}hub/login", data=data, timeout=30)
        assert refused.status_code == 429
        assert "Too many wrong passwords" in refused.text
        time.sleep(int(refused.headers["Retry-After"]))
        client.login("carol", password)


def test_who_guesses_passwords_is_slowed_down_and_nobody_else_is(
    ca_file: str, alice: JupyterHubClient
) -> None:
    quiet = median_seconds(ca_file, 40)
    stop = threading.Event()
    answers: list[int] = []
    begun = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        guessing = [pool.submit(guess, ca_file, stop, "mallory", answers) for _ in range(4)]
        try:
            time.sleep(10)
            busy = median_seconds(ca_file, 80)
            notebook = alice.run_code("print('goes on')")
        finally:
            stop.set()
        for guesser in guessing:
            guesser.result()
    per_minute = 60 * len(answers) / (time.monotonic() - begun)
    figures = f"{per_minute:.0f} guesses a minute; a page takes {quiet:.3f} s, then {busy:.3f} s"
    print(figures)
    # Whoever guesses shares the processors with the server here.
    assert busy < quiet + 0.5, figures
    assert notebook == "goes on\n"
    assert answers.count(403) <= 10
    assert answers.count(429) > len(answers) * 0.9
    assert per_minute > 5000


KEYS = {
    "192.0.2.10": "c000020a",
    "10.10.10.10": "0a0a0a0a",
    "::ffff:192.0.2.10": "c000020a",
    "2001:db8::1": "20010db800000000",
    "2001:db8::2:3:4:5": "20010db800000000",
    "2001:0db8:0000:0000:ffff:ffff:ffff:ffff": "20010db800000000",
    "2001:db8:0:0:1::1": "20010db800000000",
    "2001:db8:0:1::1": "20010db800000001",
    "2001:db8:0a0a:0a0a:0a0a:0a0a:0a0a:0a0a": "20010db80a0a0a0a",
    "a0a:a0a:a0a:a0a:a0a:a0a:a0a:a0a": "0a0a0a0a0a0a0a0a",
    "::1": "0000000000000000",
}


def test_of_an_ipv6_address_the_network_is_counted(server: Server) -> None:
    """By the maps of the site, in an nginx that believes what it is told of addresses."""
    folder = "/run/ailab-hub-maps"
    server.run(
        f"mkdir {folder} && sed -n '/^map .*ailab_hub_/,/^}}/p'"
        f" /etc/nginx/sites-available/ailab-hub > {folder}/maps"
        f" && echo 'pid {folder}/pid; events {{}} http {{ include {folder}/maps;"
        " set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; server { listen 127.0.0.1:8099;"
        f" location / {{ return 200 $ailab_hub_sign_in; }} }} }}' > {folder}/conf && nginx -c {folder}/conf 2> /dev/null"
    )
    asked = [*((address, "/hub/login") for address in KEYS)]
    asked += [("2001:db8::1", "/hub/api/users/a%2Fb%0A/tokens"), ("2001:db8::1", "/user/a/api/x")]
    code = f"""
from http.client import HTTPConnection
for address, path in {asked!r}:
    connection = HTTPConnection("127.0.0.1", 8099)
    connection.request("POST", path, headers={{"X-Forwarded-For": address}})
    print(connection.getresponse().read().hex())
"""
    try:
        found = server.run(f"python3 -c {shlex.quote(code)}").split("\n")
    finally:
        server.run(f"kill $(cat {folder}/pid) && rm -r {folder}")
    assert dict(zip(KEYS, found, strict=False)) == KEYS
    assert found[len(KEYS) :] == ["20010db800000000", "", ""]


# Wrong values


def issue(folder: Path, *names: str, days: int = 30, key: Path | None = None) -> tuple[Path, Path]:
    """A certificate by an authority that stands in for a public one, and its key."""
    certificate, own_key = folder / "hub.crt", key or folder / "hub.key"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    command = ["openssl", "req", "-x509", "-subj", "/CN=hub", "-days", str(days)]
    command += [
        "-addext",
        f"subjectAltName={alternatives}",
        "-addext",
        "extendedKeyUsage=serverAuth",
    ]
    command += ["-out", str(certificate)]
    command += (
        ["-key", str(key)]
        if key
        else [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-noenc",
            "-keyout",
            str(own_key),
        ]
    )
    subprocess.run(command, check=True, capture_output=True)
    return certificate, own_key


def refused(play: Callable[..., Play], server: Server, **variables: Any) -> str:
    """What a run with wrong values says, which must leave everything as it is."""
    before = server.run(f"sha256sum {PEM} /etc/nginx/sites-available/ailab-hub; docker ps -q")
    certificate = fingerprint(server)
    done = play("-e", json.dumps(variables))
    assert done.returncode != 0
    assert done.counts["changed"] == 0, done.output
    assert fingerprint(server) == certificate
    assert before == server.run(
        f"sha256sum {PEM} /etc/nginx/sites-available/ailab-hub; docker ps -q"
    )
    return " ".join(done.output.split())


def test_files_that_cannot_serve_are_refused(
    play: Callable[..., Play], server: Server, tmp_path: Path
) -> None:
    certificate, _key = issue(tmp_path, "other.example.org", days=1)
    other = tmp_path / "other"
    other.mkdir()
    _certificate, other_key = issue(other, NAME)
    other_key.chmod(0o644)
    said = refused(
        play,
        server,
        hub_https_certificate="files",
        hub_https_certificate_file=str(certificate),
        hub_https_key_file=str(other_key),
    )
    assert "the key of another certificate" in said
    assert f"one that covers {NAME}" in said
    assert "mode 0644, with which others than its owner may use the key" in said


def test_a_certificate_that_ended_is_refused(
    play: Callable[..., Play], server: Server, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "hub.crt", tmp_path / "hub.key"
    for path, content in zip((certificate, key), make_certificate(-3, NAME), strict=True):
        path.touch(0o600)
        path.write_bytes(content)
    said = refused(
        play,
        server,
        hub_https_certificate="files",
        hub_https_certificate_file=str(certificate),
        hub_https_key_file=str(key),
    )
    assert "a certificate that ended on" in said


def test_a_port_that_is_taken_is_refused(play: Callable[..., Play], server: Server) -> None:
    said = refused(play, server, hub_https_port=22)
    assert "hub_https_port: found 22 taken by sshd" in said


def test_a_clock_that_is_off_is_refused(play: Callable[..., Play], server: Server) -> None:
    """The machine's clock is that of all tests, so what Ansible runs on the server gets another."""
    python = "/usr/local/bin/python-in-three-days"
    server.run(
        "apt-get install --quiet=2 --no-install-recommends faketime"
        f" && printf '#!/bin/sh\nexec faketime +3days /usr/bin/python3 \"$@\"\n' > {python}"
        f" && chmod +x {python}"
    )
    try:
        said = refused(play, server, ansible_python_interpreter=python)
        assert "clock: found 3 days ahead of that of this machine" in said
    finally:
        server.run(f"rm {python}; apt-get purge --quiet=2 --auto-remove faketime")


def test_a_name_acme_cannot_find_is_refused(play: Callable[..., Play], server: Server) -> None:
    said = refused(
        play,
        server,
        hub_https_certificate="acme",
        hub_https_acme_agree_to_terms=True,
        hub_https_hostname="nobody.invalid",
    )
    assert "nobody.invalid, which does not resolve on the server" in said


def test_a_site_nginx_refuses_leaves_the_one_it_has(
    play: Callable[..., Play], server: Server
) -> None:
    """Nothing the preflight knows of: another site has a zone of the same name."""
    path = "/etc/nginx/conf.d/clash.conf"
    server.run(f"echo 'limit_req_zone $uri zone=ailab_hub_sign_in:1m rate=1r/s;' > {path}")
    site = server.run("sha256sum /etc/nginx/sites-available/ailab-hub")
    certificate = fingerprint(server)
    try:
        done = play("--tags=hub_https", "-e", json.dumps({"hub_https_max_body_size": "1g"}))
    finally:
        server.run(f"rm {path}")
    assert done.returncode != 0
    assert "ailab_hub_sign_in" in done.output
    assert server.run("sha256sum /etc/nginx/sites-available/ailab-hub") == site
    server.run("systemctl reload nginx")
    assert fingerprint(server) == certificate


def test_a_reload_nginx_cannot_do_fails_the_run_and_is_done_by_the_next(
    play: Callable[..., Play], server: Server, deploy: Deploy
) -> None:
    """Another site wants a port somebody else has, which nginx's own check does not tell."""
    path, values = "/etc/nginx/conf.d/clash.conf", {"hub_https_max_body_size": "12g"}
    server.run(f"echo 'server {{ listen 22; }}' > {path}")
    try:
        done = play("--tags=hub_https", "-e", json.dumps(values))
    finally:
        server.run(f"rm {path}")
    assert done.returncode != 0
    assert "goes on with its former configuration" in done.output
    assert "0.0.0.0:22 failed (98: Address already in use)" in " ".join(done.output.split())
    done = deploy(**values)
    assert done.counts["changed"] == 1
    assert "Changed: nginx" in done.output


def test_a_run_that_ended_before_nginx_was_told_is_finished(server: Server, deploy: Deploy) -> None:
    site, read_workers = "/etc/nginx/sites-available/ailab-hub", "pgrep -P $(cat /run/nginx.pid)"
    workers = server.run(read_workers)
    server.run(f"sed -i 's/client_max_body_size 12g/client_max_body_size 10g/' {site}")
    done = deploy()
    assert done.counts["changed"] == 1
    assert "Changed: nginx" in done.output
    assert server.run(read_workers) != workers


# Another site


@pytest.fixture
def other_site(server: Server) -> Iterator[None]:
    """Somebody else's site on the same nginx, that answers to any name."""
    server.run(
        "install -d -m 0700 /etc/wiki && openssl req -x509 -newkey rsa:2048 -noenc -days 5 -subj /CN=wiki"
        f" -addext subjectAltName=DNS:{OTHER_NAME} -keyout /etc/wiki/key -out /etc/wiki/crt 2>&1"
    )
    site = (
        f"server {{ listen 80; listen 443 ssl; server_name {OTHER_NAME}; ssl_certificate /etc/wiki/crt;"
        " ssl_certificate_key /etc/wiki/key; location / { return 200 'the wiki'; } }"
    )
    server.run(
        f"echo {shlex.quote(site)} > /etc/nginx/sites-enabled/wiki && systemctl reload nginx"
    )
    yield
    server.run("rm -r /etc/nginx/sites-enabled/wiki /etc/wiki && systemctl reload nginx")


def test_another_site_stays_as_it_is(
    server: Server, ca_file: str, deploy: Deploy, other_site: None, play: Callable[..., Play]
) -> None:
    time.sleep(1)
    before = fingerprint(server, OTHER_NAME)
    site = server.run("sha256sum /etc/nginx/sites-enabled/wiki /etc/nginx/nginx.conf")
    assert "Changed: nginx" in deploy(hub_https_max_body_size="11g").output
    assert fingerprint(server, OTHER_NAME) == before != fingerprint(server)
    for address in (f"http://{OTHER_NAME}", f"https://{OTHER_NAME}", "https://unknown.example.org"):
        assert requests.get(address, verify=False, timeout=10).text == "the wiki", address
    assert server.run("sha256sum /etc/nginx/sites-enabled/wiki /etc/nginx/nginx.conf") == site
    assert served(server, ca_file)
    said = refused(play, server, hub_https_hostname=OTHER_NAME)
    assert "which nginx serves from /etc/nginx/sites-enabled/wiki already" in said


# Names of users' servers


class OwnNames(JupyterHubClient):
    """A user whose server has a name of its own."""

    def server_url(self, server: str = "") -> str:
        return f"https://{self.name}.{NAME}/user/{self.name}/"


def test_each_users_server_has_a_name_of_its_own(
    server: Server, ca_file: str, deploy: Deploy, password: str, alice: JupyterHubClient
) -> None:
    alice.stop_server()
    before = fingerprint(server)
    try:
        done = deploy(hub=True, hub_https_subdomains=True)
        assert "the certificate was for other names" in " ".join(done.output.split())
        await_other_certificate(server, before)
        assert served(server, ca_file, f"dora.{NAME}")
        with OwnNames(URL, ca_file=ca_file) as dora:
            dora.login("dora", password)
            dora.start_server()
            assert dora.run_code("print(6 * 7)") == "42\n"
            page = dora.request("GET", f"{URL}hub/user-redirect/lab")
            assert page.url.startswith(f"https://dora.{NAME}/user/dora/lab")
            jar: CookieJar = dora._session.cookies
            cookies = {(cookie.name, cookie.domain) for cookie in jar}
            assert {domain for name, domain in cookies if name.startswith("__Host-")} >= {
                NAME,
                f"dora.{NAME}",
            }
            dora.stop_server()
        redirect = requests.get(f"http://dora.{NAME}/x", allow_redirects=False, timeout=10)
        assert redirect.headers["Location"] == f"https://dora.{NAME}/x"
    finally:
        deploy(hub=True)


# Addresses


def test_nginx_goes_from_all_addresses_to_one_and_back(
    server: Server, ca_file: str, deploy: Deploy, alice: JupyterHubClient
) -> None:
    """Only a restart can, which ends what is open."""
    alice.stop_server()
    from_itself = "bash -c '< /dev/tcp/127.0.0.1/443' 2> /dev/null; echo $?"
    try:
        done = deploy(hub_https_bind_addresses=[server.address])
        assert "nginx was restarted, which ended open connections" in " ".join(done.output.split())
        assert served(server, ca_file)
        assert server.run(from_itself).strip() == "1", "nobody should listen on 127.0.0.1"
    finally:
        done = deploy()
    assert "nginx was restarted, which ended open connections" in " ".join(done.output.split())
    assert server.run(from_itself).strip() == "0"
    assert served(server, ca_file)
    assert deploy().counts["changed"] == 0


# A certificate of one's own


def test_a_certificate_from_files(
    server: Server, deploy: Deploy, tmp_path: Path, alice: JupyterHubClient
) -> None:
    certificate, key = issue(tmp_path, NAME)
    notebook = StillOpen(alice)
    values = {
        "hub_https_certificate": "files",
        "hub_https_certificate_file": str(certificate),
        "hub_https_key_file": str(key),
    }
    before = fingerprint(server)
    done = deploy("--diff", "-vvv", **values)
    secret = "".join(key.read_text().splitlines()[1:-1])
    assert secret[:40] not in done.output.replace("\n", "").replace("\\n", "")
    await_other_certificate(server, before)
    assert ("DNS", NAME) in served(server, certificate)["subjectAltName"]
    assert server.run(f"stat -c '%a %U' {PEM}").strip() == "600 root"
    assert "ailab-hub-certificate" not in server.run("systemctl list-timers --all --no-legend")
    notebook.check()
    assert deploy(**values).counts["changed"] == 0
    issue(tmp_path, NAME, key=key)
    before = fingerprint(server)
    assert deploy(**values).counts["changed"] == 2
    await_other_certificate(server, before)
    notebook.check()


# A certificate of an ACME authority


@pytest.fixture(scope="module")
def acme(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    folder = tmp_path_factory.mktemp("acme")
    # Each of these authorities is a new one, where nobody has an account yet.
    server.run("rm -rf /etc/letsencrypt/accounts")
    server.run(f"grep -q {NAME} /etc/hosts || echo '{server.address} {NAME}' >> /etc/hosts")
    with authority("https-authority", folder, NAME, server.address) as found:
        yield found


def renew(server: Server) -> None:
    """Do what certbot's timer does; AssertionError with the end of certbot's log where it fails."""
    log = "/var/log/letsencrypt/letsencrypt.log"
    server.run(
        f"systemctl start certbot.service || {{ tail --lines 60 {log}; exit 1; }}", timeout=120
    )


def test_an_acme_authority_issues_and_certbot_renews(
    server: Server, deploy: Deploy, acme: Authority, alice: JupyterHubClient, tmp_path: Path
) -> None:
    notebook = StillOpen(alice)
    before = fingerprint(server)
    done = deploy("--diff", "-vvv", **acme.variables)
    assert acme.hmac_key not in done.output
    await_other_certificate(server, before)
    roots = acme.roots(tmp_path / "roots.pem")
    assert ("DNS", NAME) in served(server, roots)["subjectAltName"]
    notebook.check()
    assert deploy(**acme.variables).counts["changed"] == 0
    assert deploy("--check", **acme.variables).counts["changed"] == 0

    # What certbot's timer starts, for a certificate it thinks ends soon.
    assert "certbot.timer" in server.run("systemctl list-timers --no-legend")
    server.run("sed -i '1i renew_before_expiry = 10 years' /etc/letsencrypt/renewal/ailab-hub.conf")
    before = fingerprint(server)
    renew(server)
    await_other_certificate(server, before)
    assert served(server, roots)
    notebook.check()


def test_an_acme_authority_may_be_down_when_a_certificate_is_due(
    server: Server,
    deploy: Deploy,
    play: Callable[..., Play],
    acme: Authority,
    alice: JupyterHubClient,
) -> None:
    notebook = StillOpen(alice)
    before = fingerprint(server)
    with acme.unreachable(server):
        server.run("systemctl start certbot.service", check=False, timeout=120)
        assert "certbot.service" in server.run("systemctl --failed --no-legend")
        assert fingerprint(server) == before
        assert deploy(**acme.variables).counts["changed"] == 0
        others = {**acme.variables, "hub_https_acme_email": "other@example.org"}
        done = play("--tags=hub_https", "-e", json.dumps(others))
        assert done.returncode != 0
        said = " ".join(done.output.split())
        assert f"No certificate was issued for {NAME}" in said
        assert "The hub keeps the one it had" in said
        assert fingerprint(server) == before
    notebook.check()
    renew(server)
    await_other_certificate(server, before)
    notebook.check()


def renew_with_another_challenge(server: Server, deploy: Deploy, variables: dict[str, Any]) -> None:
    """certbot would keep the certificate of the same name, and where and how it was renewed."""
    before, renewal = fingerprint(server), "/etc/letsencrypt/renewal/ailab-hub.conf"
    server.run(f"sed -i '/renew_before_expiry/d' {renewal}")
    deploy(**variables)
    await_other_certificate(server, before)
    settings = server.run(f"cat {renewal}")
    assert "authenticator = dns-rfc2136" in settings
    assert f"server = {variables['hub_https_acme_directory']}" in settings
    server.run(f"sed -i '1i renew_before_expiry = 10 years' {renewal}")
    before = fingerprint(server)
    renew(server)
    await_other_certificate(server, before)


def test_an_acme_authority_issues_for_all_names_below_by_the_dns(
    server: Server, deploy: Deploy, acme: Authority, tmp_path: Path
) -> None:
    # Nothing but the DNS is to prove it.
    variables = {**acme.dns_variables, "hub_https_subdomains": True, "hub_https_http_port": 0}
    renew_with_another_challenge(server, deploy, {**variables, "hub_https_subdomains": False})
    before = fingerprint(server)
    done = deploy("--diff", "-vvv", **variables)
    assert acme.dns_secret not in done.output
    await_other_certificate(server, before)
    certificate = served(server, acme.roots(tmp_path / "roots.pem"), f"alice.{NAME}")
    assert {("DNS", NAME), ("DNS", f"*.{NAME}")} <= set(certificate["subjectAltName"])
    # Debian's own site, which listens there as well.
    assert "Welcome to nginx" in requests.get(f"http://{NAME}/", timeout=10).text
    assert deploy(**variables).counts["changed"] == 0


def test_leaving_an_acme_authority_leaves_nothing_of_it(
    server: Server, ca_file: str, deploy: Deploy, acme: Authority, alice: JupyterHubClient
) -> None:
    notebook = StillOpen(alice)
    before = fingerprint(server)
    deploy()
    await_other_certificate(server, before)
    assert served(server, ca_file)
    notebook.check()
    assert server.run("ls /etc/letsencrypt/renewal").split() == []
    assert "ailab-hub" not in server.run("systemctl cat certbot.service")
    assert deploy().counts["changed"] == 0


def test_without_https_the_hub_is_reached_as_before(
    server: Server, deploy: Deploy, ca_file: str
) -> None:
    deploy(hub=True, hub_https_certificate="none", jupyterhub_bind_address="0.0.0.0")
    assert requests.get(f"http://{server.address}:8000/hub/health", timeout=10).ok
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.address, 443), timeout=5)
    again = deploy(hub=True, hub_https_certificate="none", jupyterhub_bind_address="0.0.0.0")
    assert again.counts["changed"] == 0
    deploy(hub=True)
    assert served(server, ca_file)
