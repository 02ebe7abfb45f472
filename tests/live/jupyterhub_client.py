# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user of a JupyterHub, as far as a browser and its notebooks go.

    with JupyterHubClient("https://hub.example.org/", ca_file="ca.pem") as alice:
        alice.login("alice", "secret")
        alice.start_server()
        assert alice.run_code("print(6 * 7)") == "42\\n"
        alice.stop_server()

A client logs in through the form and then uses cookies and XSRF tokens as a browser does, or it
has an API token and uses nothing else.
"""

from __future__ import annotations

import html
import json
import re
import ssl
import time
import uuid
from collections.abc import Iterator
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import websocket
from requests.cookies import get_cookie_header

# No answer of a hub takes longer; what takes longer is waited for by asking again.
_ANSWER_SECONDS = 60
_POLL_SECONDS = 0.2


class JupyterHubError(Exception):
    """The hub, or a user's server, did not do what was asked.

    Attributes:
        status: the HTTP status, or None where there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class LoginError(JupyterHubError):
    """The hub refused a sign-in; the text is what it told the user."""


class SpawnError(JupyterHubError):
    """A server did not start; the text is what the hub told the user."""


class CodeError(JupyterHubError):
    """The code that was run raised an exception.

    Attributes:
        name: the type of the exception.
        value: its text.
        output: what the code had printed before.
    """

    def __init__(self, name: str, value: str, traceback: list[str], output: str) -> None:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(traceback))
        super().__init__(f"{name}: {value}\n{plain}")
        self.name, self.value, self.output = name, value, output


class JupyterHubClient:
    """One user's session with a JupyterHub.

    Args:
        url: the address of the hub as users enter it.
        ca_file: PEM file of the authority behind the hub's certificate, if it is no public one.
        token: an API token to use instead of a sign-in.

    Attributes:
        name: the user's name as the hub knows it, once logged in.
    """

    def __init__(self, url: str, *, ca_file: str | None = None, token: str | None = None) -> None:
        self.url = url.rstrip("/") + "/"
        self.name = ""
        self._ca_file = ca_file
        self._session = requests.Session()
        # neither a proxy nor a bundle of authorities that the environment names
        self._session.trust_env = False
        self._session.verify = ca_file or True
        if token:
            self._session.headers["Authorization"] = f"token {token}"
        self._token = token
        # by server and kernelspec
        self._kernels: dict[tuple[str, str], _Kernel] = {}

    def __enter__(self) -> JupyterHubClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Servers, their kernels and the sign-in stay as they are."""
        for kernel in self._kernels.values():
            kernel.close()
        self._kernels.clear()
        self._session.close()

    # -- sign-in -----------------------------------------------------------------------------

    def login(self, name: str, password: str) -> None:
        """Sign in through the login form.

        Raises:
            LoginError: the hub refused it.
        """
        # a page that starts no server, unlike the one that follows a sign-in by default
        home = urljoin(self.url, "hub/home")
        form = f"hub/login?next={quote(urlsplit(home).path, safe='')}"
        page = self.request("GET", form)
        answer = self.request(
            "POST",
            form,
            ok=(403,),
            data={"username": name, "password": password, "_xsrf": _hidden_xsrf(page.text)},
        )
        if answer.status_code == 403 or "/hub/login" in urlsplit(answer.url).path:
            raise LoginError(f"{name}: {_told(answer.text)}", answer.status_code)
        self.name = str(self.api("GET", "user")["name"])

    def logout(self) -> None:
        """Sign out, as the button does."""
        self.request("GET", "hub/logout")
        self._session.cookies.clear()
        self.name = ""

    # -- the hub's API -----------------------------------------------------------------------

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the hub's REST API, with the token or the cookies this client has.

        Args:
            path: below ``/hub/api/``, for example ``users/alice``.
            body: sent as JSON, unless None.

        Returns:
            The decoded answer, None if it is empty.
        """
        answer = self._call(method, f"hub/api/{path.lstrip('/')}", json=body)
        return answer.json() if answer.content else None

    def me(self) -> dict[str, Any]:
        """Return the hub's record of this user."""
        model: dict[str, Any] = self.api("GET", "user")
        self.name = model["name"]
        return model

    # -- the own server ----------------------------------------------------------------------

    def server_url(self, server: str = "") -> str:
        """Return the address of this user's server."""
        path = f"user/{_quoted(self.name or self.me()['name'])}/"
        return urljoin(self.url, path + (f"{_quoted(server)}/" if server else ""))

    def start_server(
        self, server: str = "", *, timeout: float = 180, options: dict[str, Any] | None = None
    ) -> str:
        """Start this user's server and wait until it can be used; return its address.

        Nothing happens if it runs already.

        Raises:
            SpawnError: it failed, or it takes longer than `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        path = self._server_path(server)
        try:
            # 201: runs; 202: starts; 400: runs or starts already, or cannot
            answer = self._call("POST", f"hub/api/{path}", json=options, ok=(400,))
        except JupyterHubError as error:
            if error.status is None or error.status < 500:
                raise
            raise SpawnError(f"{path}: {error}", error.status) from error
        if answer.status_code == 400 and not self._is_known(server):
            raise SpawnError(f"{path}: {_told(answer.text)}", 400)
        if answer.status_code != 201:
            self._wait_for_progress(path, deadline, timeout)
        return self.server_url(server)

    def stop_server(self, server: str = "", *, timeout: float = 60) -> None:
        """Stop this user's server and wait until it is gone.

        Nothing happens if there is none.

        Raises:
            JupyterHubError: it is still there after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        for key in [key for key in self._kernels if key[0] == server]:
            self._kernels.pop(key).close()
        if self._is_known(server):
            self._call("DELETE", f"hub/api/{self._server_path(server)}", ok=(400, 404))
        while self._is_known(server):
            if time.monotonic() > deadline:
                raise JupyterHubError(f"{self.server_url(server)} still runs after {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def is_ready(self, server: str = "") -> bool:
        """Whether the hub says that this user's server can be used."""
        return bool(self._servers().get(server, {}).get("ready"))

    def server_api(self, method: str, path: str, body: Any = None, *, server: str = "") -> Any:
        """Call the REST API of this user's server, for example ``GET contents/a.ipynb``.

        Returns:
            The decoded answer, None if it is empty.
        """
        base = self.server_url(server)
        url = f"{base}api/{path.lstrip('/')}"
        try:
            answer = self._call(method, url, json=body)
        except JupyterHubError as error:
            if self._token or error.status != 403:
                raise
            # not signed in to this server yet, or it is a new one: a visit of its page does it
            self.request("GET", base)
            answer = self._call(method, url, json=body)
        return answer.json() if answer.content else None

    def run_code(
        self, code: str, *, server: str = "", kernel: str = "python3", timeout: float = 60
    ) -> str:
        """Run code in this user's server, as a cell of one notebook of that kernel does.

        The kernel lives on: names defined by one call are there in the next, also after an error
        of the connection, as in a browser that connects again.

        Returns:
            What the code printed, and the text of its last value.

        Raises:
            CodeError: the code raised an exception.
            JupyterHubError: it was not done after `timeout` seconds, or the server cannot be used.
        """
        key = (server, kernel)
        if key not in self._kernels or self._kernels[key].is_broken:
            known = {model["id"] for model in self.server_api("GET", "kernels", server=server)}
            identity = self._kernels[key].identity if key in self._kernels else ""
            if identity not in known:
                model = self.server_api("POST", "kernels", {"name": kernel}, server=server)
                identity = model["id"]
            self._kernels[key] = self._connect(self.server_url(server), identity)
        return self._kernels[key].run(code, timeout)

    # -- requests ----------------------------------------------------------------------------

    def request(
        self, method: str, path: str, *, ok: tuple[int, ...] = (), **options: Any
    ) -> requests.Response:
        """Send any request to the hub; follow redirections; return the answer.

        Args:
            path: below the hub's address, or a whole address.
            ok: statuses of 400 and more that are no errors.

        Raises:
            JupyterHubError: there was no answer, or its status is an error.
        """
        url = urljoin(self.url, path)
        try:
            answer = self._session.request(method, url, timeout=_ANSWER_SECONDS, **options)
        except requests.RequestException as error:
            raise JupyterHubError(f"{method} {url}: {error}") from error
        if answer.status_code >= 400 and answer.status_code not in ok:
            raise JupyterHubError(
                f"{method} {url}: {answer.status_code} {answer.reason}: {_told(answer.text)}",
                answer.status_code,
            )
        return answer

    def _call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """Send a request as a script on a page does: with the XSRF token of that page."""
        url = urljoin(self.url, path)
        sent = {"Referer": url, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        if not self._token:
            sent["X-XSRFToken"] = self._cookie("_xsrf", url)
        return self.request(method, url, headers={**sent, **(headers or {})}, **options)

    def _servers(self) -> dict[str, Any]:
        servers: dict[str, Any] = self.api("GET", f"users/{_quoted(self.name)}")["servers"]
        return servers

    def _is_known(self, server: str) -> bool:
        """Whether the hub knows a server that runs, starts or stops."""
        if not self.name:
            self.me()
        known = self._servers().get(server)
        return known is not None and not known.get("stopped", False)

    def _server_path(self, server: str) -> str:
        user = f"users/{_quoted(self.name or self.me()['name'])}"
        return f"{user}/servers/{_quoted(server)}" if server else f"{user}/server"

    def _wait_for_progress(self, path: str, deadline: float, timeout: float) -> None:
        """Read the hub's progress events until the server is ready."""
        answer = self._call(
            "GET",
            f"hub/api/{path}/progress",
            stream=True,
            headers={"Accept": "text/event-stream"},
        )
        said = ""
        with answer:
            # the hub keeps the stream alive by an empty line every few seconds
            for line in _lines_until(answer, deadline):
                if not line.startswith("data:"):
                    continue
                event = json.loads(line.removeprefix("data:"))
                said = event.get("message") or said
                if event.get("failed"):
                    raise SpawnError(f"{path}: {said}")
                if event.get("ready"):
                    return
        raise SpawnError(f"{path}: not ready after {timeout:g} s; the hub said last: {said}")

    def _cookie(self, name: str, url: str) -> str:
        """Return the cookie a browser would send to `url` first: the one with the longest path."""
        path = urlsplit(url).path
        found = [
            cookie
            for cookie in self._session.cookies
            if cookie.name == name and path.startswith(cookie.path)
        ]
        found.sort(key=lambda cookie: len(cookie.path))
        return str(found[-1].value) if found else ""

    def _connect(self, base: str, kernel: str) -> _Kernel:
        session = uuid.uuid4().hex
        http = f"{base}api/kernels/{kernel}/channels?session_id={session}"
        headers = []
        if self._token:
            headers.append(f"Authorization: token {self._token}")
        else:
            http += f"&_xsrf={quote(self._cookie('_xsrf', base))}"
        parts = urlsplit(http)
        jar: CookieJar = self._session.cookies
        try:
            connection = websocket.create_connection(
                http.replace("http", "ws", 1),
                header=headers,
                cookie=get_cookie_header(jar, requests.Request("GET", http).prepare()),  # type: ignore[no-untyped-call]
                origin=f"{parts.scheme}://{parts.netloc}",
                http_no_proxy=["*"],
                sslopt={"ca_certs": self._ca_file, "cert_reqs": ssl.CERT_REQUIRED},
                timeout=_ANSWER_SECONDS,
            )
        except (OSError, websocket.WebSocketException) as error:
            raise JupyterHubError(f"WebSocket {parts.path}: {error}") from error
        return _Kernel(kernel, connection, session)


class _Kernel:
    """A kernel, reached through its WebSocket.

    Attributes:
        identity: the server's name of the kernel.
        is_broken: whether the connection has failed.
    """

    def __init__(self, identity: str, connection: websocket.WebSocket, session: str) -> None:
        self.identity = identity
        self.is_broken = False
        self._connection = connection
        self._session = session

    def close(self) -> None:
        self._connection.close()

    def run(self, code: str, timeout: float) -> str:
        """Run `code`; return its output (see `JupyterHubClient.run_code`)."""
        request = uuid.uuid4().hex
        self._send(request, "execute_request", {"code": code, "allow_stdin": False})
        output = ""
        failure: dict[str, Any] | None = None
        for message in self._messages(time.monotonic() + timeout, timeout):
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                output += content["text"]
            elif kind in ("execute_result", "display_data"):
                output += content["data"].get("text/plain", "") + "\n"
            elif kind == "error":
                failure = content
            elif kind == "status" and content["execution_state"] == "idle":
                break
        if failure:
            raise CodeError(failure["ename"], failure["evalue"], failure["traceback"], output)
        return output

    def _send(self, identity: str, kind: str, content: dict[str, Any]) -> None:
        header = {
            "msg_id": identity,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
        }
        message = {
            "channel": "shell",
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
        }
        try:
            self._connection.send(json.dumps(message))
        except (OSError, websocket.WebSocketException) as error:
            raise self._broken(error) from error

    def _messages(self, deadline: float, timeout: float) -> Iterator[dict[str, Any]]:
        while True:
            self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                yield json.loads(self._connection.recv())
            except websocket.WebSocketTimeoutException:
                raise JupyterHubError(f"The code was not done after {timeout:g} s") from None
            except (OSError, ValueError, websocket.WebSocketException) as error:
                raise self._broken(error) from error

    def _broken(self, error: Exception) -> JupyterHubError:
        self.is_broken = True
        return JupyterHubError(f"The kernel's WebSocket broke: {error}")


def _quoted(name: str) -> str:
    return quote(name, safe="@~")


def _hidden_xsrf(page: str) -> str:
    """The XSRF token in a form of the hub."""
    field = re.search(r"<input[^>]*name=\"_xsrf\"[^>]*>", page)
    value = re.search(r"value=\"([^\"]*)\"", field.group()) if field else None
    return html.unescape(value.group(1)) if value else ""


def _told(text: str) -> str:
    """What an answer tells a person: the message in JSON, the error on a page, or the beginning."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        pass
    for pattern in (
        r"<p class=\"login_error\">(.*?)</p>",
        r"<div class=\"error\">(.*)",
        r"<body[^>]*>(.*)",
    ):
        found = re.search(pattern, text, re.DOTALL)
        if found:
            text = re.sub(r"<script.*?</script>", " ", found.group(1), flags=re.DOTALL)
            break
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())[:500]


def _lines_until(answer: requests.Response, deadline: float) -> Iterator[str]:
    """The lines of a stream, as long as `deadline` is ahead."""
    try:
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            yield str(line)
            if time.monotonic() > deadline:
                return
    except requests.RequestException as error:
        raise JupyterHubError(f"GET {answer.url}: {error}") from error
