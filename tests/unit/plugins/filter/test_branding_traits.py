# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look of the hub's pages as JupyterHub is told it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.filter.branding_traits import FilterModule


def branding(**values: Any) -> Any:
    return FilterModule().filters()["branding_traits"](values)


def test_nothing_asked_for_is_nothing_set() -> None:
    assert branding(title="", announcement="", login_message="", logo_file="") == {}


def test_announcements_are_text_and_no_html() -> None:
    text = "<script>alert('x')</script> & \"so on\" {{ 1 }}"
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;so on&quot; {{ 1 }}"
    found = branding(announcement=text, login_message=text)
    assert found["JupyterHub"]["template_vars"] == {
        "announcement": escaped,
        "announcement_login": f"{escaped}<br>{escaped}",
    }


def test_a_title_is_left_to_the_template() -> None:
    assert branding(title="R&D")["JupyterHub"]["template_vars"] == {"hub_title": "R&D"}


def test_a_login_message_stands_alone_on_its_page() -> None:
    found = branding(login_message="Mind the step")
    assert found["JupyterHub"]["template_vars"] == {"announcement_login": "Mind the step"}


def test_with_sign_up_the_pages_have_its_links() -> None:
    found = branding(authenticator="native")
    assert found["JupyterHub"]["template_vars"] == {"hub_signs_up": "yes"}


@pytest.mark.parametrize(("path", "name"), [("/a/Our Logo.PNG", "logo.png"), ("x.svg", "logo.svg")])
def test_a_logo_keeps_its_kind(path: str, name: str) -> None:
    assert branding(logo_file=path) == {
        "JupyterHub": {"logo_file": f"/etc/jupyterhub/branding/{name}"}
    }
