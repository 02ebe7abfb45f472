# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the README of every role, or check that they are as they would be written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import readmes

ROLES = Path(__file__).resolve().parents[2] / "roles"


def main() -> int:
    """Returns the exit status: 1 with ``--check`` if a README differs."""
    arguments = argparse.ArgumentParser(prog="python -m tests.readmes", description=__doc__)
    arguments.add_argument("--check", action="store_true", help="change nothing")
    check = arguments.parse_args().check
    differ = [
        readme
        for readme in readmes(ROLES)
        if not readme.file.exists() or readme.file.read_text(encoding="utf-8") != readme.text()
    ]
    for readme in differ:
        if check:
            print(f"{readme.file}: differs from the specification, run make readmes")
        else:
            readme.file.write_text(readme.text(), encoding="utf-8")
    return int(check and bool(differ))


if __name__ == "__main__":
    sys.exit(main())
