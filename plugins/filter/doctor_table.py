# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows about a server as a table of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

DOCUMENTATION = r"""
name: doctor_table
short_description: Rows about a server as lines of a table a person reads
version_added: 0.1.0
description:
  - Aligns subject, state and message of each row. A hint follows its row in a line of its own, which can be copied as it is. No line is cut.
author:
  - ailab.hub contributors
options:
  _input:
    description: Rows as M(ailab.hub.hub_health) returns them in C(checks).
    type: list
    elements: dict
    required: true
seealso:
  - plugin: ailab.hub.doctor_rows
    plugin_type: filter
  - module: ailab.hub.hub_health
"""

EXAMPLES = r"""
- name: A table
  # Hub     broken  no answer
  #                 Run: docker restart jupyterhub
  # Memory  ok      5.1 GiB of 15.6 GiB available
  ansible.builtin.debug:
    msg: "{{ rows | ailab.hub.doctor_table }}"
  vars:
    rows:
      - {subject: Hub, state: broken, message: no answer, hint: "Run: docker restart jupyterhub"}
      - {subject: Memory, state: ok, message: 5.1 GiB of 15.6 GiB available, hint: ""}
"""

RETURN = r"""
_value:
  description: The lines of the table, without white space at their ends.
  type: list
  elements: str
  sample: ["Hub     broken  no answer", "                Run: docker restart jupyterhub"]
"""


def doctor_table(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the lines of a table."""
    lines = list(rows)
    subject = max((len(row["subject"]) for row in lines), default=0)
    state = max((len(row["state"]) for row in lines), default=0)
    table = []
    for row in lines:
        table.append(
            f"{row['subject']:{subject}}  {row['state']:{state}}  {row['message']}".rstrip()
        )
        if row["hint"]:
            table.append(f"{'':{subject + state + 4}}{row['hint']}")
    return table


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"doctor_table": doctor_table}
