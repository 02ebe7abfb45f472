# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures in the pages are those the browser test takes (``make pictures``), and no others."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from tests.pages import DOCS, PROJECT, pages

FOLDER = DOCS / "images"
PICTURES = sorted(FOLDER.iterdir())
LARGEST = 200_000
"""Bytes; a page with pictures has to open over a slow connection, too."""


def shown() -> set[Path]:
    """The pictures pages show, each with words for those who do not see it."""
    return {
        (page.parent / name).resolve()
        for page in pages()
        for name in re.findall(r"!\[[^\]\s][^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    }


def test_every_picture_is_shown_and_every_picture_shown_is_there() -> None:
    assert shown() == set(PICTURES)


def test_every_picture_is_taken_by_the_browser_test() -> None:
    code = (PROJECT / "tests/live/test_browser.py").read_text(encoding="utf-8")
    taken = re.findall(r"\.picture\(\"([\w-]+)\"", code)
    assert sorted(f"{name}.png" for name in taken) == [picture.name for picture in PICTURES]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_sharp_and_small(picture: Path) -> None:
    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, _ = struct.unpack(">II", content[16:24])
    assert width == 1920
    assert len(content) < LARGEST
