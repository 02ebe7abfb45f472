# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's and an administrator's visit to a deployed hub, in a real browser.

It also takes the pictures of the documentation: ``PICTURES=docs/images pytest ...``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from .browser import Crowd, Person, people
from .conftest import Server
from .jupyterhub_client import JupyterHubClient, JupyterHubError

USER = "ada"
ADDED = ("barbara", "grace", "margaret")
# A formula, too: what draws it comes with JupyterLab, as everything has to on a server without a way out.
CODE = """\
import os

from IPython.display import Markdown

name = os.environ["JUPYTERHUB_USER"]
Markdown(rf"This is the server of **{name}**, and $\\sum_{{k=1}}^n k = \\frac{{n(n+1)}}{{2}}$.")"""
OUTPUT = f"This is the server of {USER}"
SECRETS = "/var/lib/ailab-hub/secrets"
STOP_SECONDS = 60


def log_in(page: Page, name: str, password: str) -> None:
    """Fill in the login form a page shows."""
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def remove_users(server: Server, url: str, ca_file: str | None) -> None:
    """Have nobody of these tests known to the hub, and none of their files on the server."""
    with JupyterHubClient(url, ca_file=ca_file) as client:
        client.login("admin", server.run(f"cat {SECRETS}/shared_admin_password").strip())
        known = {user["name"] for user in client.api("GET", "users")}
        for name in known & {USER, *ADDED}:
            deadline = time.monotonic() + STOP_SECONDS
            while client.api("GET", f"users/{name}")["servers"]:
                assert time.monotonic() < deadline, f"the server of {name} does not stop"
                try:
                    client.api("DELETE", f"users/{name}/server")
                except JupyterHubError as error:
                    # It is on its way up or down.
                    assert error.status == 400, error
                time.sleep(0.5)
            client.api("DELETE", f"users/{name}")
    server.run(f"docker volume rm --force ailab-{USER}")


@pytest.fixture(scope="module")
def crowd(
    server: Server,
    url: str,
    ca_file: str | None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Crowd]:
    """People's browsers; the hub knows nobody of them before and afterwards."""
    remove_users(server, url, ca_file)
    with people(url, tmp_path_factory.mktemp("browsers"), ca_file) as made:
        request.config.pluginmanager.register(made)
        yield made
        request.config.pluginmanager.unregister(made)
    remove_users(server, url, ca_file)


@pytest.fixture(scope="module")
def ada(crowd: Crowd, server: Server, url: str) -> Person:
    """A user who logged in, watched the server start, and is in JupyterLab."""
    password = server.run(f"cat {SECRETS}/shared_user_password").strip()
    person = crowd.new(USER)
    page = person.page
    # JupyterLab asks whoever comes for the first time.
    page.add_locator_handler(
        page.get_by_text("Would you like to get notified about official Jupyter news?"),
        lambda: page.get_by_role("button", name="No", exact=True).click(),
    )
    page.goto(url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    person.picture("login", height=400)
    log_in(page, USER, password)
    expect(page.get_by_text("Your server is starting up.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    person.picture("spawn", height=290)
    expect(page.get_by_role("tab", name="start.ipynb")).to_be_visible()
    return person


@pytest.fixture(scope="module")
def administrator(crowd: Crowd, server: Server, url: str) -> Person:
    """An administrator, at the page that lists all users."""
    password = server.run(f"cat {SECRETS}/shared_admin_password").strip()
    person = crowd.new("admin")
    person.page.goto(f"{url}hub/admin")
    log_in(person.page, "admin", password)
    expect(person.page.get_by_role("row", name="Add Users")).to_be_visible()
    return person


def files(page: Page) -> Locator:
    """The entries of JupyterLab's file browser."""
    return page.get_by_role("region", name="File Browser Section").get_by_role("listitem")


def row(page: Page, name: str) -> Locator:
    """A user's row in the list of the administrator."""
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))


def test_a_wrong_password_is_told(crowd: Crowd, url: str) -> None:
    page = crowd.new("stranger").page
    page.goto(url)
    log_in(page, USER, "a guess")
    expect(page.get_by_text("Invalid username or password")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_login_ends_at_the_start_notebook(ada: Person, url: str) -> None:
    expect(ada.page).to_have_url(f"{url}user/{USER}/lab/tree/start.ipynb")
    expect(ada.page.get_by_role("tab", name="start.ipynb")).to_have_attribute(
        "aria-selected", "true"
    )


def test_the_file_browser_shows_what_ai_lab_brought(ada: Person, server: Server) -> None:
    brought = server.run(f"docker exec jupyter-{USER} ls /home/jupyter/notebook-defaults").split()
    assert "start.ipynb" in brought
    for name in brought:
        expect(files(ada.page).filter(has_text=name)).to_be_visible()


def test_a_cell_runs_and_shows_its_output(ada: Person) -> None:
    page = ada.page
    # Until the kernel is there, JupyterLab runs nothing and does not say so.
    expect(page.get_by_role("button", name="| Idle")).to_be_visible()
    page.get_by_role("button", name="Click to add a cell.").click()
    page.get_by_role("feed", name="Cells").get_by_role("textbox").last.click()
    expect(page.get_by_text("Mode: Edit")).to_be_visible()
    page.keyboard.insert_text(CODE)
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text(OUTPUT)).to_be_visible()
    expect(page.locator("mjx-container")).to_be_visible()
    ada.picture("lab")


def test_a_saved_notebook_is_on_the_server(ada: Person, server: Server) -> None:
    ada.page.get_by_role("button", name="Save").click()
    notebook = f"docker exec jupyter-{USER} cat /home/jupyter/notebooks/start.ipynb"
    deadline = time.monotonic() + STOP_SECONDS
    while f"server of **{USER}**" not in server.run(notebook):
        assert time.monotonic() < deadline, "the notebook was not saved"
        time.sleep(0.2)


def test_a_folder_opens(ada: Person) -> None:
    files(ada.page).filter(has_text="data").dblclick()
    expect(files(ada.page).filter(has_text="data_load.ipynb")).to_be_visible()


def test_an_administrator_sees_whose_server_runs(ada: Person, administrator: Person) -> None:
    expect(row(administrator.page, USER).get_by_role("button", name="Stop Server")).to_be_visible()


def test_an_administrator_adds_users(ada: Person, administrator: Person) -> None:
    page = administrator.page
    page.get_by_role("button", name="Add Users").click()
    page.get_by_placeholder("usernames separated by line").fill("\n".join(ADDED))
    page.get_by_role("button", name="Add Users").click()
    for name in ADDED:
        expect(row(page, name).get_by_role("button", name="Start Server")).to_be_visible()
    administrator.picture("admin", height=676)


def test_a_user_is_no_administrator(ada: Person, url: str) -> None:
    page = ada.page.context.new_page()
    answer = page.goto(f"{url}hub/admin")
    assert answer and answer.status == 403
    page.close()


def test_pages_load_nothing_from_elsewhere(ada: Person, administrator: Person, url: str) -> None:
    hub = urlsplit(url).netloc
    assert (ada.hosts, administrator.hosts) == ({hub}, {hub})


def test_pages_have_no_errors(ada: Person, administrator: Person) -> None:
    assert (ada.complaints, administrator.complaints) == ([], [])


def test_after_a_logout_the_lab_asks_for_a_login(ada: Person, url: str) -> None:
    page = ada.page
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name="Log Out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{url}user/{USER}/lab")
    expect(page).to_have_url(re.compile(re.escape(f"{url}hub/login?")))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
