# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of JupyterHub's API, with real servers that are no JupyterHub, or no good one.

What it does with a real JupyterHub is in tests/live/test_people.py.
"""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.module_utils import _jupyterhub_api as api
from ansible_collections.ailab.hub.plugins.module_utils._jupyterhub_api import (
    JupyterHub,
    JupyterHubError,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

TOKEN = "a-token-that-must-not-be-sent"
Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server:
    """An HTTP server that answers every request by one function, and remembers what it was asked."""

    def __init__(self, respond: Respond, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, str, str | None]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                asked = (self.command, self.path, self.headers["Authorization"])
                outer.requests.append(asked)
                with contextlib.suppress(OSError):
                    respond(self)

            do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if context else "http"
        self.url = f"{self.scheme}://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """A function that starts a server."""
    servers: list[Server] = []

    def start(respond: Respond, context: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(respond, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(
    body: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """What gives one answer to everything: JSON, or a text as it is."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return respond


def by_path(answers: dict[str, Respond]) -> Respond:
    """What answers each path (without its query) in its own way."""

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        answers.get(handler.path.partition("?")[0], answer({"message": "?"}, 404))(handler)

    return respond


HUB: dict[str, Respond] = {
    "/hub/api/": answer({"version": "5.5.4"}),
    "/hub/api/user": answer(
        {"kind": "user", "name": "grace", "admin": True, "scopes": ["list:users", "servers!user=a"]}
    ),
}


def problem_of(server: Server, **options: Any) -> str:
    """What opening the hub says of a server that will not do."""
    with pytest.raises(JupyterHubError) as failure:
        JupyterHub(server.url, TOKEN, **options).open()
    return str(failure.value)


# -- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://hub.example.org",
        "https://hub.example.org/",
        "https://hub.example.org/hub",
        "https://hub.example.org/hub/",
        "https://hub.example.org/hub/api",
        "https://hub.example.org/hub/api/",
        " https://hub.example.org/?next=x#y ",
    ],
)
def test_the_address_of_the_hub_and_of_its_api_mean_the_same(url: str) -> None:
    assert api.api_url(url) == "https://hub.example.org/hub/api"


def test_a_hub_below_a_path_is_found_there() -> None:
    assert api.api_url("http://h:8000/jupyter/") == "http://h:8000/jupyter/hub/api"


@pytest.mark.parametrize("url", ["", "hub.example.org", "ftp://hub/", "http://", "http:///hub"])
def test_what_is_no_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(JupyterHubError, match=r"expected the address of a hub .*https://hub"):
        api.api_url(url)


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(JupyterHubError) as failure:
        api.api_url("https://user:secret@hub.example.org/")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (815, "a name .one of digits alone needs quotes"),
        (None, "found None"),
        ("", "an empty name"),
        ("a/b", "has a slash"),
        (" alice", "white space"),
        ("..", "nothing but dots"),
        ("%2e%2e", "nothing but dots"),
    ],
)
def test_names_that_jupyterhub_never_takes_are_told_apart(name: object, said: str) -> None:
    with pytest.raises(ValueError, match=rf"users: .*{said}"):
        api.user_names([name], "users")


def test_all_wrong_names_are_told_at_once() -> None:
    with pytest.raises(ValueError) as failure:
        api.user_names(["alice", "", "a/b"], "users")
    assert len(str(failure.value).splitlines()) == 2


def test_names_are_those_the_hub_keeps_each_once() -> None:
    assert api.user_names(["Bob", "alice", "bob"], "users") == ["bob", "alice"]


def test_long_lists_of_names_end_with_a_number() -> None:
    assert api.enumerate_names(["a", "b"]) == "a, b"
    assert api.enumerate_names([str(n) for n in range(12)], 3) == "0, 1, 2 and 9 more"


@pytest.mark.parametrize("token", ["", "two words", "line\nline", "ünïcode"])
def test_what_cannot_be_a_token_is_not_sent_and_not_shown(token: str) -> None:
    with pytest.raises(JupyterHubError, match="in the file is no API token") as failure:
        JupyterHub("http://127.0.0.1:1/", token, token_source="the file")
    assert not token or token not in str(failure.value)


def test_a_token_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o400)
    text, warning = api.read_token(str(file))
    assert (text.strip(), warning) == (TOKEN, "")


def test_a_token_file_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    assert f"Run: chmod o= {file}" in api.read_token(str(file))[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"", "holds no token"), (b"\xff\xfe", "holds no token")],
)
def test_a_token_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(JupyterHubError, match=said) as failure:
        api.read_token(str(file))
    assert str(file) in str(failure.value)


# -- what is no JupyterHub, or no good one -------------------------------------------------------


@pytest.mark.parametrize(
    ("respond", "said"),
    [
        pytest.param(answer("<h1>It works</h1>"), "without a version", id="a page"),
        pytest.param(answer("x", 404), "HTTP 404", id="nothing there"),
        pytest.param(answer(["5.5.4"]), "without a version", id="other JSON"),
        pytest.param(answer({"version": "new"}), "without a version", id="another version"),
        pytest.param(answer("[" * 200_000), "without a version", id="nested"),
    ],
)
def test_what_is_no_jupyterhub_is_said_and_gets_no_token(
    serve: Callable[..., Server], respond: Respond, said: str
) -> None:
    server = serve(respond)
    problem = problem_of(server)
    assert "is no JupyterHub" in problem and said in problem and "/hub/api" in problem
    assert [token for _, _, token in server.requests] == [None]


def test_a_jupyterhub_that_is_too_old_is_refused_with_its_version(
    serve: Callable[..., Server],
) -> None:
    problem = problem_of(serve(answer({"version": "4.1.6"})))
    assert "is JupyterHub 4.1.6, expected 5.0 or newer" in problem


def test_a_redirect_is_told_and_not_followed(serve: Callable[..., Server]) -> None:
    target = serve(by_path(HUB))
    server = serve(answer("", 301, {"Location": f"{target.url}hub/api/"}))
    problem = problem_of(server)
    assert f"leads to {target.url}hub/api/" in problem and "Set url" in problem
    assert target.requests == []


def test_a_proxy_without_its_hub_is_told_apart_from_the_hub(serve: Callable[..., Server]) -> None:
    assert "a proxy whose hub does not answer (HTTP 503)" in problem_of(serve(answer("", 503)))


def test_nobody_who_listens_is_told_with_the_address() -> None:
    with pytest.raises(JupyterHubError, match=r"nobody listens on 127\.0\.0\.1:9\b.*docker ps"):
        JupyterHub("http://127.0.0.1:9/", TOKEN).open()


def test_a_name_nobody_knows_is_told() -> None:
    with pytest.raises(JupyterHubError, match=r"the name hub\.invalid is not known"):
        JupyterHub("http://hub.invalid/", TOKEN).open()


def test_what_is_no_http_is_told(serve: Callable[..., Server]) -> None:
    def garbage(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"220 mail.example.org ESMTP\r\n")

    assert "is no HTTP" in problem_of(serve(garbage))


def test_a_wrong_token_is_told_with_where_it_came_from(serve: Callable[..., Server]) -> None:
    server = serve(by_path({**HUB, "/hub/api/user": answer({"message": "Forbidden"}, 403)}))
    problem = problem_of(server, token_source="/etc/token")
    assert "does not know the token from /etc/token (HTTP 403" in problem
    assert TOKEN not in problem


def test_the_time_out_is_for_the_whole_answer(serve: Callable[..., Server]) -> None:
    def trickle(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    server = serve(trickle)
    start = time.monotonic()
    problem = problem_of(server, timeout=0.5)
    assert time.monotonic() - start < 2
    assert "no whole answer within 0.5 s" in problem


def test_a_time_out_of_nothing_is_refused() -> None:
    with pytest.raises(JupyterHubError, match="timeout: found 0, expected more"):
        JupyterHub("http://127.0.0.1:9/", TOKEN, timeout=0)


def test_an_answer_without_an_end_is_not_taken(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_ANSWER", 1 << 20)
    assert "more than 1 MiB" in problem_of(serve(answer("x" * (2 << 20))))


def test_a_proxy_of_the_environment_does_not_lead_to_the_host_itself(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.delenv("no_proxy", raising=False)
    hub = JupyterHub(serve(by_path(HUB)).url, TOKEN)
    hub.open()
    assert hub.version == "5.5.4"


def test_a_password_in_the_netrc_file_does_not_replace_the_token(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(by_path(HUB))
    JupyterHub(server.url, TOKEN).open()
    assert [token for _, _, token in server.requests] == [None, f"token {TOKEN}"]


# -- scopes, pages, refusals ---------------------------------------------------------------------


def test_all_scopes_that_are_missing_are_named_at_once(serve: Callable[..., Server]) -> None:
    hub = JupyterHub(serve(by_path(HUB)).url, TOKEN, token_source="/etc/token")
    hub.open()
    hub.require({"list:users": "to list users", "servers": "to start servers"})
    with pytest.raises(JupyterHubError) as failure:
        hub.require({"tokens": "to make tokens", "list:users": "", "proxy": "to see routes"})
    assert str(failure.value).startswith(
        "The token of user grace from /etc/token lacks the scopes tokens, proxy. Expected: tokens "
        "to make tokens; proxy to see routes. Found: list:users, servers."
    )


def test_all_pages_of_a_list_are_fetched(serve: Callable[..., Server]) -> None:
    def users(handler: http.server.BaseHTTPRequestHandler) -> None:
        query = dict(part.split("=") for part in handler.path.partition("?")[2].split("&"))
        offset = int(query["offset"])
        # A hub may give less than it is asked for.
        following = {"offset": offset + 2} if offset < 4 else None
        items = [{"name": f"u{number}"} for number in range(offset, min(offset + 2, 5))]
        answer({"items": items, "_pagination": {"next": following}})(handler)

    hub = JupyterHub(serve(by_path({**HUB, "/hub/api/users": users})).url, TOKEN)
    assert [user["name"] for user in hub.items("users")] == ["u0", "u1", "u2", "u3", "u4"]


@pytest.mark.parametrize(
    "body", [[], {"items": []}, {"items": [], "_pagination": {"next": {"offset": 0}}}]
)
def test_pages_that_make_no_sense_end_with_an_error(
    serve: Callable[..., Server], body: object
) -> None:
    hub = JupyterHub(serve(by_path({"/hub/api/users": answer(body)})).url, TOKEN)
    with pytest.raises(JupyterHubError, match=r"pages? of|no page"):
        list(hub.items("users"))


@pytest.mark.parametrize(
    ("respond", "said"),
    [
        (
            answer({"status": 400, "message": "Invalid usernames: a b"}, 400),
            "Invalid usernames: a b",
        ),
        (answer("<html><body>Payload <b>too large</b></body>", 413), "Payload too large"),
        (answer("", 500), "Internal Server Error"),
        (answer({"message": None}, 400), "None"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_hub(
    serve: Callable[..., Server], respond: Respond, said: str
) -> None:
    hub = JupyterHub(serve(respond).url, TOKEN)
    with pytest.raises(JupyterHubError) as failure:
        hub.call("POST", "users", {"usernames": ["a b"]})
    assert str(failure.value).endswith(said) and failure.value.said == said
    assert f"POST {hub.api}/users: the hub answered HTTP" in str(failure.value)


def test_what_is_not_there_is_no_error_where_it_is_looked_for(serve: Callable[..., Server]) -> None:
    assert JupyterHub(serve(by_path(HUB)).url, TOKEN).find("users/nobody") is None


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that no authority signed, and what serves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def test_a_certificate_nobody_vouches_for_is_refused_and_gets_no_token(
    serve: Callable[..., Server], certificate: tuple[Path, ssl.SSLContext]
) -> None:
    server = serve(by_path(HUB), certificate[1])
    problem = problem_of(server)
    assert "the certificate of 127.0.0.1 is not trusted" in problem and "ca_path" in problem
    assert server.requests == []


def test_the_file_of_an_authority_makes_its_certificates_good(
    serve: Callable[..., Server], certificate: tuple[Path, ssl.SSLContext]
) -> None:
    hub = JupyterHub(serve(by_path(HUB), certificate[1]).url, TOKEN, ca_path=str(certificate[0]))
    hub.open()
    assert hub.caller.name == "grace"


def test_a_certificate_can_be_left_unchecked(
    serve: Callable[..., Server], certificate: tuple[Path, ssl.SSLContext]
) -> None:
    hub = JupyterHub(serve(by_path(HUB), certificate[1]).url, TOKEN, validate_certs=False)
    hub.open()
    assert hub.caller.name == "grace"


def test_https_where_there_is_none_is_told(serve: Callable[..., Server]) -> None:
    url = serve(by_path(HUB)).url.replace("http:", "https:")
    with pytest.raises(JupyterHubError, match=r"does not speak TLS.*begins with http://"):
        JupyterHub(url, TOKEN).open()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(JupyterHubError, match=f"ca_path: {file} .*in PEM format"):
        JupyterHub("https://127.0.0.1:9/", TOKEN, ca_path=str(file))
