# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of apt's sources, found and taken out of both formats."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ailab.hub.plugins.module_utils import _apt_sources as apt_sources

DOCKER = ["https://download.docker.com/linux/debian"]
LIST = """\
# Debian
deb http://deb.example.org/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] https://download.docker.com/linux/debian/ bookworm stable # Docker
# deb https://download.docker.com/linux/debian bookworm test
"""
SOURCES = """\
Types: deb deb-src
URIs: http://deb.example.org/debian
Suites: bookworm
Components: main

# Docker's own
Types: deb
URIs: https://download.docker.com/linux/debian
Suites: bookworm
Components: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: https://download.docker.com/linux/debian
Suites: bookworm
Components: test
"""


def test_a_line_becomes_fields() -> None:
    (entry,) = apt_sources.naming("a.list", LIST, DOCKER)
    assert entry.first == 2
    assert entry.fields == {
        "types": "deb",
        "uris": "https://download.docker.com/linux/debian/",
        "suites": "bookworm",
        "components": "stable",
        "arch": "amd64",
        "signed-by": "/usr/share/keyrings/d.gpg",
    }


def test_a_paragraph_becomes_fields() -> None:
    (entry,) = apt_sources.naming("a.sources", SOURCES, DOCKER)
    assert entry.fields["uris"] == DOCKER[0]
    assert entry.fields["components"] == "stable"
    assert entry.fields["signed-by"].splitlines()[2] == "abc"


def test_other_entries_and_comments_stay() -> None:
    entries = apt_sources.naming("a.list", LIST, DOCKER)
    lines = LIST.splitlines(True)
    assert apt_sources.without(LIST, entries) == "".join([*lines[:2], lines[3]])
    entries = apt_sources.naming("a.sources", SOURCES, DOCKER)
    left = apt_sources.without(SOURCES, entries)
    assert left == SOURCES[: SOURCES.index("# Docker")] + SOURCES[SOURCES.rindex("Types") :]
    assert apt_sources.naming("a.sources", left, DOCKER) == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_nothing_is_left_of_a_file_that_was_for_it_alone(end: str) -> None:
    text = f"# a comment\n\ndeb {DOCKER[0]} bookworm stable{end}"
    assert apt_sources.without(text, apt_sources.naming("a.list", text, DOCKER)) == ""
    text = f"Types: deb\nURIs: {DOCKER[0]}\nSuites: bookworm\nComponents: stable{end}"
    assert apt_sources.without(text, apt_sources.naming("a.sources", text, DOCKER)) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "http://download.docker.com/linux/debian",
        "https://download.docker.com/linux/debian//",
        "https://Download.Docker.com/linux/debian",
        "https://user:word@download.docker.com/linux/debian",
    ],
)
def test_spellings_of_one_address(uri: str) -> None:
    assert apt_sources.address(uri) == apt_sources.address(DOCKER[0])


@pytest.mark.parametrize(
    "uri", ["https://download.docker.com/linux/ubuntu", "https://mirror.example.org/linux/debian"]
)
def test_another_address(uri: str) -> None:
    assert apt_sources.naming("a.list", f"deb {uri} bookworm stable\n", DOCKER) == []


def test_one_entry_may_name_several_repositories() -> None:
    text = f"Types: deb\nURIs: http://a.example.org/\n {DOCKER[0]}\nSuites: x\nComponents: y\n"
    assert len(apt_sources.naming("a.sources", text, DOCKER)) == 1


def test_a_text_shows_no_password() -> None:
    assert apt_sources.mask("deb http://me:secret@a/b x y") == "deb http://***@a/b x y"


def test_only_what_apt_reads(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name in ("docker.list", "docker.sources", "docker.list.save", "docker.list.ucf-new"):
        (tmp_path / "sources.list.d" / name).touch()
    names = [Path(path).name for path in apt_sources.files(str(tmp_path))]
    assert names == ["docker.list", "docker.sources"]
