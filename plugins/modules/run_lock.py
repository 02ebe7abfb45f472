#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on each server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let one run at a time change a server
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Takes a lock on the server in the name of the running C(ansible-playbook), or gives it back.
  - If another run holds the lock, the task fails and says who runs it, where, since when, and what
    to do.
  - A lock whose run has ended without giving it back is taken over if it was made on the same
    controller, where that can be seen. A lock of another controller is taken over, with a warning,
    once it is six hours old.
  - The lock is a file below C(/run), which a reboot of the server empties.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.action
attributes:
  check_mode:
    support: full
    details:
      - Takes no lock, and warns if another run holds it.
  diff_mode:
    support: N/A
    details:
      - A lock is no change to a server.
options:
  state:
    description:
      - V(present) takes the lock. A run that holds it already keeps it.
      - V(absent) gives it back. A lock of another run is left alone.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: File of the lock. Its folder is made if it is missing.
    type: path
    default: /run/ailab-hub/lock
  run:
    description: Who asks. The action plugin fills it in.
    type: dict
    default: {}
  replace:
    description: Identity of the lock to take over. The action plugin fills it in.
    type: str
seealso:
  - module: ailab.hub.preflight
"""

EXAMPLES = r"""
- name: One run at a time
  hosts: hub
  become: true
  tasks:
    - name: The server changes under the lock alone
      block:
        - name: No other run is under way
          ailab.hub.run_lock:
            state: present
          any_errors_fatal: true

        - name: JupyterHub runs
          ansible.builtin.import_role:
            name: ailab.hub.jupyterhub
      always:
        - name: Other runs may follow
          ailab.hub.run_lock:
            state: absent
"""

RETURN = r"""
held:
  description: Whether this run holds the lock now.
  type: bool
  returned: always
  sample: true
taken_over:
  description: Whether the lock was taken from a run that had ended without giving it back.
  type: bool
  returned: always
  sample: false
holder:
  description: Who holds the lock now. V(null) if nobody does.
  type: dict
  returned: always
  contains:
    user:
      description: Login name on the controller.
      type: str
      returned: always
      sample: alice
    controller:
      description: Host name of the controller.
      type: str
      returned: always
      sample: admin-laptop
    pid:
      description: Process id of C(ansible-playbook) there.
      type: int
      returned: always
      sample: 4711
    since:
      description: When the lock was taken, by the server's clock in UTC.
      type: str
      returned: always
      sample: "2026-11-20T13:33:00Z"
age:
  description: Seconds since the lock was taken. V(null) if nobody holds it.
  type: int
  returned: always
  sample: 12
path:
  description: File of the lock.
  type: str
  returned: always
  sample: /run/ailab-hub/lock
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

DIRECTORY_MODE = 0o700
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

Holder = t.Dict[str, t.Any]


@contextlib.contextmanager
def guard(directory: str) -> t.Iterator[None]:
    """Keep other calls of this module out for the moment. Raises OSError.

    The kernel lets go of it even if the module is killed, unlike of the file of the lock.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read(path: str) -> tuple[Holder | None, int | None]:
    """Who holds the lock and since how many seconds. Raises OSError.

    A file nobody can read as a lock (made by hand, for instance) is a lock of nobody in particular.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            age = max(0, int(time.time() - os.fstat(stream.fileno()).st_mtime))
            text = stream.read()
    except FileNotFoundError:
        return None, None
    try:
        holder = json.loads(text)
    except ValueError:
        holder = None
    return (holder if isinstance(holder, dict) else {}), age


def write(path: str, run: Holder) -> Holder:
    """Make the lock, or replace it, at once. Returns what it holds. Raises OSError."""
    holder = dict(run)
    holder["since"] = time.strftime(TIME_FORMAT, time.gmtime())
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".lock.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(holder, stream)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return holder


def take(path: str, run: Holder, replace: str | None, check_mode: bool) -> dict[str, t.Any]:
    """Take the lock if it is free, our own, or the one to replace. Raises OSError."""
    if not check_mode:
        os.makedirs(os.path.dirname(path), DIRECTORY_MODE, exist_ok=True)
    if not os.path.isdir(os.path.dirname(path)):
        return state_of(None, None, run, False)
    with guard(os.path.dirname(path)):
        holder, age = read(path)
        own = holder is not None and holder.get("id") == run.get("id")
        over = holder is not None and not own and replace == holder.get("id", "")
        if check_mode or (holder is not None and not own and not over):
            return state_of(holder, age, run, False)
        if not own:
            holder, age = write(path, run), 0
        return state_of(holder, age, run, over)


def give_back(path: str, run: Holder, check_mode: bool) -> dict[str, t.Any]:
    """Remove the lock if it is our own. Raises OSError."""
    if not os.path.isdir(os.path.dirname(path)):
        return state_of(None, None, run, False)
    with guard(os.path.dirname(path)):
        holder, age = read(path)
        if holder is not None and holder.get("id") == run.get("id") and not check_mode:
            os.unlink(path)
            holder, age = None, None
        return state_of(holder, age, run, False)


def state_of(
    holder: Holder | None, age: int | None, run: Holder, taken_over: bool
) -> dict[str, t.Any]:
    """The module's result."""
    held = holder is not None and holder.get("id") == run.get("id")
    return {"held": held, "taken_over": taken_over, "holder": holder, "age": age}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path", "default": "/run/ailab-hub/lock"},
            "run": {"type": "dict", "default": {}},
            "replace": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if params["state"] == "present":
            result = take(params["path"], params["run"], params["replace"], module.check_mode)
        else:
            result = give_back(params["path"], params["run"], module.check_mode)
    except OSError as exc:
        hint = "; this needs root (become: true)" if isinstance(exc, PermissionError) else ""
        module.fail_json(msg="{}: {}{}".format(params["path"], exc.strerror, hint))
    # A lock is bookkeeping: a run that only took one has changed nothing.
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
