# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People at browsers of their own, on the network of the testbed's hosts.

with people(url, folder) as crowd:
    ada = crowd.new("ada")
    ada.page.goto(url)
    ada.picture("login")
    assert ada.hosts == {"hub1.example.org"} and not ada.complaints
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.testbed import browser, engine

WIDTH, HEIGHT = 1280, 800
# Half as many pixels again: sharp on every screen, and still small files.
SCALE = 1.5
# JupyterLab comes within seconds, but not on two processors that twenty others want as well.
PATIENCE_SECONDS = 180


class Person:
    """Somebody at a browser with one open page, who shares cookies and settings with nobody.

    Attributes:
        name: tells what is kept of this person from what is kept of others.
        page: the page.
        hosts: the hosts (with a port, if it is not the usual one) the page asked for anything.
        complaints: errors in the page's console, and exceptions nobody caught.
    """

    def __init__(self, name: str, started: Browser, pictures: Path | None) -> None:
        self.name = name
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self._pictures = pictures
        context = started.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        context.on("request", lambda request: self._asked(request.url))
        self.page: Page = context.new_page()
        self.page.on("websocket", lambda connection: self._asked(connection.url))
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))

    def picture(self, name: str, height: int = HEIGHT) -> None:
        """Take the documentation's picture ``name``.png of the page's upper part, if asked to."""
        if self._pictures:
            # No row or button is lit up because the pointer happens to be there.
            self.page.mouse.move(0, 0)
            self.page.screenshot(
                path=self._pictures / f"{name}.png",
                clip={"x": 0, "y": 0, "width": WIDTH, "height": height},
                animations="disabled",
                caret="hide",
            )

    def keep(self, stem: Path) -> str:
        """Write down what is on the screen and in the console; return where."""
        console = stem.with_suffix(".txt")
        console.write_text("\n".join(["Errors in the console:", *self.complaints]) + "\n")
        screen = stem.with_suffix(".png")
        try:
            self.page.screenshot(path=screen, timeout=10_000)
        except Error as error:
            return f"{self.name} at {self.page.url}: {console}, no screenshot: {error.message}"
        return f"{self.name} at {self.page.url}: {screen}, {console}"

    def _asked(self, address: str) -> None:
        # What a page made itself (blob:, data:) has no host.
        if host := urlsplit(address).netloc:
            self.hosts.add(host)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location['url']})")


class Crowd:
    """All people of a test module. As a plugin of pytest it keeps their screens when a test fails."""

    def __init__(self, started: Browser, folder: Path, pictures: Path | None) -> None:
        self._started = started
        self._folder = folder
        self._pictures = pictures
        self._people: list[Person] = []
        self._kept_for: BaseException | None = None

    def new(self, name: str) -> Person:
        """Somebody sits down at a browser."""
        person = Person(name, self._started, self._pictures)
        self._people.append(person)
        return person

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        # What fails in a fixture is told again by every test that asks for it.
        if report.failed and call.excinfo and call.excinfo.value is not self._kept_for:
            self._kept_for = call.excinfo.value
            stem = f"{item.name}-{report.when}"
            kept = [person.keep(self._folder / f"{stem}-{person.name}") for person in self._people]
            report.sections.append(("browsers", "\n".join(kept)))
        return report


@contextmanager
def people(
    url: str,
    folder: Path,
    ca_file: str | None = None,
    addresses: Mapping[str, str] | None = None,
) -> Iterator[Crowd]:
    """Have a Chromium that reaches the hub at ``url``; people's last screens go to ``folder``.

    It trusts the authorities in the file ``ca_file``, if one is named, as if its owner had said so, and
    knows the ``addresses`` of hosts by their names.

    With the environment variable ``PICTURES`` the documentation's pictures are written into the
    folder it names. They show what users see through HTTPS or SSH; otherwise pages are treated as
    what they are, which for plain HTTP means that browsers deny them some features.
    """
    pictures = Path(os.environ["PICTURES"]) if os.environ.get("PICTURES") else None
    rules = ",".join(f"MAP {name} {address}" for name, address in (addresses or {}).items())
    options = [f"--host-resolver-rules={rules}"] if rules else []
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    if pictures and not ca_file:
        options.append(f"--unsafely-treat-insecure-origin-as-secure={url.rstrip('/')}")
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    authority = Path(ca_file).read_text() if ca_file else ""
    with browser.chromium(engine.up(), authority) as program, sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program.path, env={**program.environment}, args=options
        )
        try:
            yield Crowd(started, folder, pictures)
        finally:
            started.close()
