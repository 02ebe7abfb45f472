# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JupyterHub's REST API, asked with what Python and ansible-core bring along.

    hub = JupyterHub("https://hub.example.org/", token)
    hub.open()
    hub.require({"list:users": "to list the users"})
    names = [user["name"] for user in hub.items("users")]

Every failure is a JupyterHubError, whose text is a sentence for an administrator.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import stat
import threading
import typing as t
import urllib.error
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from ansible.module_utils.urls import Request, make_context

PAGINATION = "application/jupyterhub-pagination+json"
# The hub cuts larger pages down to JupyterHub.api_page_max_limit, which is 200 unless set.
PAGE_SIZE = 200
# While the hub adds users it answers nobody else: 25 at once keep others waiting for half a second.
PORTION = 25
# Far beyond any page of 200 users; whoever sends more is no JupyterHub.
MAX_ANSWER = 64 * 1024 * 1024
OLDEST = (5, 0)
REDIRECTS = (301, 302, 303, 307, 308)
# What a token may consist of to stand in an HTTP header.
TOKEN = re.compile(r"[!-~]+")

Json = t.Any
Model = t.Dict[str, t.Any]


class JupyterHubError(Exception):
    """What was asked for did not happen; the text says what was found and what mends it.

    status: of the hub's answer, None where there was none. said: the hub's own words.
    """

    def __init__(self, text: str, status: int | None = None, said: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.said = said


class Caller(t.NamedTuple):
    """Who the token belongs to, and what it may do.

    kind: user or service. scopes: expanded, as the hub lists them.
    """

    kind: str
    name: str
    admin: bool
    scopes: frozenset[str]
    token_id: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def has(self, scope: str) -> bool:
        """Whether the token has a scope, if only for some users, groups or servers."""
        return any(held.partition("!")[0] == scope for held in self.scopes)


class Answer(t.NamedTuple):
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def common_arguments() -> dict[str, dict[str, t.Any]]:
    """The options all modules for JupyterHub have."""
    return {
        "url": {"type": "str", "required": True},
        "token": {"type": "str", "no_log": True},
        # It is a path.
        "token_file": {"type": "path", "no_log": False},
        "ca_path": {"type": "path"},
        "validate_certs": {"type": "bool", "default": True},
        "timeout": {"type": "float", "default": 30.0},
    }


COMMON_RULES: dict[str, t.Any] = {
    "mutually_exclusive": [("token", "token_file")],
    "required_one_of": [("token", "token_file")],
}


def open_hub(module: t.Any) -> JupyterHub:
    """The hub that the common options of an AnsibleModule name, after its first answers.

    Raises JupyterHubError.
    """
    options = module.params
    token = options["token"] or ""
    source = "the option token"
    if options["token_file"]:
        source = options["token_file"]
        token, warning = read_token(source)
        if warning:
            module.warn(warning)
    token = token.strip()
    # Whatever the hub or a proxy repeats of a request, the token is not shown.
    module.no_log_values.add(token)
    hub = JupyterHub(
        options["url"] or "",
        token,
        token_source=source,
        ca_path=options["ca_path"],
        validate_certs=options["validate_certs"],
        timeout=options["timeout"],
    )
    hub.open()
    return hub


class Task:
    """What a module changes on a hub, while it does.

    result: what the module returns; after a failure, what was done before it.
    """

    # The lists in the result.
    LISTS: tuple[str, ...] = ()

    def __init__(self, hub: JupyterHub, options: t.Mapping[str, t.Any]) -> None:
        self.hub = hub
        self.options = options
        self.warnings: list[str] = []
        self.result: dict[str, t.Any] = {"changed": False, **{name: [] for name in self.LISTS}}

    def bring_about(self, *, check_mode: bool, diff: bool) -> None:
        """Do what the options ask for, or see what it would be.

        Raises JupyterHubError, ValueError where options make no sense, and OSError.
        """
        raise NotImplementedError


def carry_out(module: t.Any, kind: type[Task]) -> dict[str, t.Any]:
    """The result of a task with the options of an AnsibleModule, which fails where that does."""
    result: dict[str, t.Any] = {}
    try:
        task = kind(open_hub(module), module.params)
        result = task.result
        task.bring_about(check_mode=module.check_mode, diff=module._diff)
        for warning in task.warnings:
            module.warn(warning)
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or module.params.get('path')}: {exc.strerror}.", **result
        )
    except (JupyterHubError, ValueError) as exc:
        module.fail_json(msg=str(exc), **result)
    return result


def read_token(path: str) -> tuple[str, str]:
    """The text of a token file, and a warning where others can read it. Raises JupyterHubError."""
    try:
        with open(path, encoding="utf-8") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = stream.read(4096)
    except OSError as exc:
        raise JupyterHubError(
            f"token_file: {path} on the managed host cannot be read: {exc.strerror}. Expected a "
            "file with an API token. Correct the path, or run the task as root (become: true)."
        ) from exc
    except UnicodeDecodeError:
        text, mode = "", 0
    if not text.strip():
        raise JupyterHubError(f"token_file: {path} holds no token. Expected one line of text.")
    if mode & stat.S_IROTH:
        return text, (
            f"{path} can be read by everybody on the host (mode {mode:04o}). Run: chmod o= {path}"
        )
    return text, ""


def api_url(url: str) -> str:
    """The address of the API, without a slash at its end, for the address of a hub or of its API.

    Raises JupyterHubError for what is no address of the web.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise JupyterHubError(
            f"url: found {url!r}, expected the address of a hub or of its API, such as "
            "https://hub.example.org/ or https://hub.example.org/hub/api."
        )
    if "@" in parts.netloc:
        raise JupyterHubError("url: expected no user and no password in it; set token_file.")
    path = parts.path.rstrip("/")
    if path.endswith("/hub"):
        path += "/api"
    elif not path.endswith("/hub/api"):
        path += "/hub/api"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def name_problem(name: object) -> str:
    """Why JupyterHub refuses a name of a user whatever its settings are; empty if it does not."""
    if not isinstance(name, str):
        return f"found {name!r}, expected a name (one of digits alone needs quotes)"
    if not name:
        return "found an empty name"
    if "/" in name:
        return f"{name!r} has a slash, which JupyterHub allows in no name"
    if name != name.strip():
        return f"{name!r} begins or ends with white space, which JupyterHub allows in no name"
    if set(name) == {"."} or set(unquote(name)) == {"."}:
        return f"{name!r} has nothing but dots, which JupyterHub does not allow"
    return ""


def user_names(values: t.Iterable[object], place: str) -> list[str]:
    """Names of users as JupyterHub keeps them, in lower case, each once.

    Raises ValueError with all that is wrong; place is the name of the option.
    """
    names: dict[str, None] = {}
    problems = []
    for value in values:
        problem = name_problem(value)
        if problem:
            problems.append(f"{place}: {problem}")
        else:
            names[str(value).lower()] = None
    if problems:
        raise ValueError("\n".join(problems))
    return list(names)


def portions(names: t.Sequence[str], size: int = PORTION) -> t.Iterator[list[str]]:
    """The names in lists of at most size."""
    for start in range(0, len(names), size):
        yield list(names[start : start + size])


def enumerate_names(names: t.Iterable[str], most: int = 10) -> str:
    """Names for a sentence; where there are many, the first of them and a number."""
    listed = list(names)
    if len(listed) > most:
        return f"{', '.join(listed[:most])} and {len(listed) - most} more"
    return ", ".join(listed)


class JupyterHub:
    """A JupyterHub as the owner of a token sees it."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        token_source: str = "the option token",
        ca_path: str | None = None,
        validate_certs: bool = True,
        timeout: float = 30.0,
    ) -> None:
        """url: of the hub or of its API. timeout: seconds for each whole answer.

        Raises JupyterHubError where these cannot be right.
        """
        self.api = api_url(url)
        self.timeout = timeout
        self.version = ""
        self.caller = Caller("user", "", False, frozenset(), None)
        self._token = token
        self._token_source = token_source
        self._ca_path = ca_path
        if timeout <= 0:
            raise JupyterHubError(f"timeout: found {timeout:g}, expected more than 0 seconds.")
        if not TOKEN.fullmatch(token):
            raise JupyterHubError(
                f"What was found in {token_source} is no API token: it is empty, or has white "
                "space or letters in it that no token has."
            )
        # A proxy that the environment names does not lead to the host itself.
        host = urlsplit(self.api).hostname or ""
        is_here = host in ("localhost", "::1") or host.startswith("127.")
        self._request = Request(
            use_proxy=not is_here,
            use_netrc=False,
            follow_redirects="none",
            http_agent="ailab.hub",
            context=self._context(ca_path, validate_certs),
        )

    def _context(self, ca_path: str | None, validate_certs: bool) -> ssl.SSLContext:
        try:
            return t.cast(
                ssl.SSLContext, make_context(cafile=ca_path, validate_certs=validate_certs)
            )
        except OSError as exc:
            # Also what ssl raises for a file that is none of certificates.
            reason = exc.strerror or str(exc)
            raise JupyterHubError(
                f"ca_path: {ca_path} on the managed host cannot be used: {reason}. Expected a "
                "file with certificates in PEM format."
            ) from exc

    def open(self) -> None:
        """Ask which JupyterHub it is, and whose the token is.

        Raises JupyterHubError if either is not what it has to be.
        """
        # Whoever is no JupyterHub does not get the token.
        self.version = self._ask_version()
        try:
            found = self.call("GET", "user")
        except JupyterHubError as exc:
            if exc.status not in (401, 403):
                raise
            raise JupyterHubError(
                f"The hub does not know the token from {self._token_source} (HTTP {exc.status} "
                f"from {self.api}/user). Expected an API token of this hub that is neither expired "
                "nor revoked. People make one on the page /hub/token; the role "
                "ailab.hub.jupyterhub keeps one in /var/lib/ailab-hub/secrets/admin_api_token on "
                "the server.",
                exc.status,
                exc.said,
            ) from exc
        if not isinstance(found, dict) or not isinstance(found.get("name"), str):
            raise self._not_jupyterhub("an answer to /user that names nobody")
        self.caller = Caller(
            "service" if found.get("kind") == "service" else "user",
            found["name"],
            bool(found.get("admin")),
            frozenset(found.get("scopes") or ()),
            found.get("token_id"),
        )

    def _ask_version(self) -> str:
        answer = self.send("GET", "", token="")
        location = answer.headers.get("location", "")
        if answer.status in REDIRECTS and location:
            raise JupyterHubError(
                f"{self.api}/ leads to {location}. Expected the hub's own address, since a token "
                "is not sent on to another. Set url to where it leads.",
                answer.status,
            )
        if answer.status in (502, 503, 504):
            raise JupyterHubError(
                f"What answers at {self.api}/ is a proxy whose hub does not answer (HTTP "
                f"{answer.status}). Look at the hub with: docker logs jupyterhub",
                answer.status,
            )
        if answer.status != 200:
            raise self._not_jupyterhub(f"HTTP {answer.status}")
        try:
            version = json.loads(answer.body.decode("utf-8"))["version"]
            numbers = tuple(int(part) for part in version.split(".")[:2])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise self._not_jupyterhub("an answer without a version") from exc
        if numbers < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise JupyterHubError(
                f"{self.api} is JupyterHub {version}, expected {oldest} or newer. Upgrade it."
            )
        return str(version)

    def _not_jupyterhub(self, found: str) -> JupyterHubError:
        return JupyterHubError(
            f"What answers at {self.api}/ is no JupyterHub: found {found}. Expected the hub's "
            "version. Set url to the address people enter, or to the address of the API, which "
            "ends with /hub/api."
        )

    def require(self, scopes: t.Mapping[str, str]) -> None:
        """See to it that the token has scopes, {scope: what for}.

        Raises JupyterHubError naming all that it lacks.
        """
        lacking = [scope for scope in scopes if not self.caller.has(scope)]
        if not lacking:
            return
        needed = "; ".join(f"{scope} {scopes[scope]}" for scope in lacking)
        held = enumerate_names(sorted({held.partition("!")[0] for held in self.caller.scopes}), 30)
        raise JupyterHubError(
            f"The token of {self.caller} from {self._token_source} lacks the "
            f"scope{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}. Expected: {needed}. "
            f"Found: {held or 'none'}. Use a token of an administrator, or give the scope to a "
            "role of its owner in JupyterHub.load_roles."
        )

    def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        query: t.Mapping[str, t.Any] | None = None,
        *,
        accept: str = "application/json",
    ) -> Json:
        """Send a request; returns the decoded answer, None where it is empty.

        path: below the API, such as C(users/alice), with quoted names.
        Raises JupyterHubError where there is no answer or the hub refuses.
        """
        return self._decoded(method, path, self.send(method, path, body, query, accept=accept))

    def _decoded(self, method: str, path: str, answer: Answer) -> Json:
        if answer.status >= 300:
            raise self._refusal(method, path, answer)
        if not answer.body.strip():
            return None
        try:
            return json.loads(answer.body.decode("utf-8"))
        except (ValueError, RecursionError) as exc:
            raise self._not_jupyterhub(f"an answer to {method} {path} that is no JSON") from exc

    def find(self, path: str) -> Json:
        """The answer to a GET request, None if there is no such thing. Raises JupyterHubError."""
        try:
            return self.call("GET", path)
        except JupyterHubError as exc:
            if exc.status == 404:
                return None
            raise

    def identify(self, token: str) -> str | None:
        """The hub's name of another token, None if it does not know it. Raises JupyterHubError."""
        answer = self.send("GET", "user", token=token)
        if answer.status in (401, 403):
            return None
        found = self._decoded("GET", "user", answer)
        return t.cast(t.Optional[str], found.get("token_id"))

    def items(self, path: str, **query: t.Any) -> t.Iterator[Model]:
        """All entries of a list, page by page. Raises JupyterHubError."""
        for page in self._pages(path, query):
            if not isinstance(page, list):
                raise self._not_jupyterhub(f"pages of {path} that are no lists")
            yield from page

    def routes(self) -> dict[str, Model]:
        """The routes of the proxy by their paths. Raises JupyterHubError."""
        found: dict[str, Model] = {}
        for page in self._pages("proxy", {}):
            found.update(page)
        return found

    def _pages(self, path: str, query: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
        offset = 0
        while True:
            page = {**query, "offset": offset, "limit": PAGE_SIZE}
            found = self.call("GET", path, query=page, accept=PAGINATION)
            try:
                items, following = found["items"], found["_pagination"]["next"]
                after = following["offset"] if following else None
            except (TypeError, KeyError) as exc:
                raise self._not_jupyterhub(f"an answer to {path} that is no page") from exc
            yield items
            if after is None:
                return
            if after <= offset:
                raise self._not_jupyterhub(f"pages of {path} that do not end")
            offset = after

    def send(
        self,
        method: str,
        path: str,
        body: Json = None,
        query: t.Mapping[str, t.Any] | None = None,
        *,
        accept: str = "application/json",
        token: str | None = None,
    ) -> Answer:
        """Send a request and return whatever is answered. Raises JupyterHubError for no answer.

        token: another one than the hub's own; empty for none.
        """
        url = f"{self.api}/{path}"
        if query:
            url += "?" + urlencode(query)
        headers = {"Accept": accept}
        data = None
        token = self._token if token is None else token
        if token:
            headers["Authorization"] = f"token {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode("utf-8")

        def exchange() -> Answer:
            try:
                response = self._request.open(
                    method, url, data=data, headers=headers, timeout=self.timeout
                )
            except urllib.error.HTTPError as exc:
                response = exc
            with response:
                content = response.read(MAX_ANSWER + 1)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(int(response.status), names, content)

        try:
            answer = within(self.timeout, exchange)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise self._no_answer(method, url, exc) from exc
        if len(answer.body) > MAX_ANSWER:
            raise self._not_jupyterhub(f"an answer of more than {MAX_ANSWER >> 20} MiB")
        return answer

    def _refusal(self, method: str, path: str, answer: Answer) -> JupyterHubError:
        said = told(answer)
        text = f"{method} {self.api}/{path}: the hub answered HTTP {answer.status}: {said}"
        if answer.status == 403:
            text += f" (The token is the one of {self.caller} from {self._token_source}.)"
        return JupyterHubError(text, answer.status, said)

    def _no_answer(self, method: str, url: str, exc: Exception) -> JupyterHubError:
        reason: object = getattr(exc, "reason", None) or exc
        parts = urlsplit(self.api)
        look = "Correct url, or look whether the hub runs: docker ps --filter name=jupyterhub"
        if isinstance(reason, ssl.SSLCertVerificationError):
            why = (
                f"the certificate of {parts.hostname} is not trusted: {reason.verify_message}. "
                "Expected one of an authority this host knows, for this name. Name the file of its "
                "authority with ca_path."
            )
        elif isinstance(reason, ssl.SSLError):
            why = (
                f"{parts.netloc} does not speak TLS as expected: {reason.reason or reason}. "
                "If there is no HTTPS, url begins with http://."
            )
        elif isinstance(reason, socket.gaierror):
            why = f"the name {parts.hostname} is not known on this host. Correct url."
        elif isinstance(reason, (TimeoutError, socket.timeout)):
            why = (
                f"there was no whole answer within {self.timeout:g} s. Set timeout, or look what "
                "the hub does: docker logs jupyterhub"
            )
        elif isinstance(reason, ConnectionRefusedError):
            why = f"nobody listens on {parts.netloc}. {look}"
        elif isinstance(reason, http.client.HTTPException):
            why = f"what came from {parts.netloc} is no HTTP ({type(reason).__name__}). {look}"
        else:
            text = getattr(reason, "strerror", None) or str(reason)
            why = f"{parts.netloc} cannot be reached: {text}. {look}"
        return JupyterHubError(f"{method} {url}: {why}")


def told(answer: Answer) -> str:
    """What an answer says to a person: the message of the hub, or the beginning of a text."""
    text = answer.body.decode("utf-8", "replace")
    try:
        message = json.loads(text)["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        message = re.sub(r"<[^>]*>", " ", text)
    return " ".join(str(message).split())[:500] or http.client.responses.get(answer.status, "?")


def quoted(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def within(seconds: float, work: t.Callable[[], Answer]) -> Answer:
    """What work returns. Raises what it raises, and socket.timeout if it takes longer.

    The time-outs of sockets count for each piece of an answer, this one for the whole of it and for
    the look-up of a name. Work that is too late is left behind.
    """
    done: list[Answer] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as exc:
            failed.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise socket.timeout
    return done[0]
