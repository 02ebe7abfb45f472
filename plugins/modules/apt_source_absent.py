#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of apt's sources for a repository, wherever they stand, removed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_source_absent
short_description: Remove all entries of apt's sources for a repository
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Removes the entries that name a repository by its address from C(/etc/apt/sources.list) and the
    files C(*.list) and C(*.sources) in C(/etc/apt/sources.list.d), in whatever file and format they
    stand. Apt reads no source at all once two entries for one repository name different keys.
  - Entries of other repositories in the same file stay as they are. A file with nothing but
    comments left is removed.
  - Entries that are switched off stay, too; apt does not read them.
extends_documentation_fragment:
  - ailab.hub._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - User names and passwords in addresses are masked.
options:
  repositories:
    description:
      - Addresses of the repositories, as the fields C(URIs) have them.
      - Schemes, user names and slashes at the end do not count.
    type: list
    elements: str
    required: true
  keep:
    description: Files that are left alone.
    type: list
    elements: path
    default: []
  folder:
    description: Folder of apt's configuration.
    type: path
    default: /etc/apt
seealso:
  - module: ansible.builtin.deb822_repository
  - module: ailab.hub.host_info
"""

EXAMPLES = r"""
- name: What other tools wrote of Docker's repository is gone
  ailab.hub.apt_source_absent:
    repositories: ["https://download.docker.com/linux/debian"]
    keep: [/etc/apt/sources.list.d/docker.sources]
"""

RETURN = r"""
files:
  description: Files that had such entries.
  type: list
  elements: str
  returned: always
  sample: [/etc/apt/sources.list.d/docker.list]
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils import _apt_sources as apt_sources


def replace(path: str, text: str) -> None:
    """Have a file hold a text, with its owner and mode, or be gone. Raises OSError."""
    if not text:
        os.unlink(path)
        return
    status = os.stat(path)
    # Apt ignores files with this ending without a word.
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), suffix=".ucf-new")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, status.st_mode & 0o7777)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "repositories": {"type": "list", "elements": "str", "required": True},
            "keep": {"type": "list", "elements": "path", "default": []},
            "folder": {"type": "path", "default": apt_sources.SOURCES},
        },
        supports_check_mode=True,
    )
    found, diff = [], []
    try:
        for path in apt_sources.files(module.params["folder"]):
            if path in module.params["keep"]:
                continue
            before = apt_sources.read(path)
            entries = apt_sources.naming(path, before, module.params["repositories"])
            if not entries:
                continue
            after = apt_sources.without(before, entries)
            found.append(path)
            diff.append(
                {
                    "before_header": path,
                    "after_header": path if after else "(removed)",
                    "before": apt_sources.mask(before),
                    "after": apt_sources.mask(after),
                }
            )
            if not module.check_mode:
                replace(path, after)
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or module.params['folder']}: {exc.strerror}")
    module.exit_json(changed=bool(found), files=found, diff=diff)


if __name__ == "__main__":
    main()
