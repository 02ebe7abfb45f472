# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of the run lock: who runs, and whether who ran is still there."""

from __future__ import annotations

import contextlib
import getpass
import multiprocessing
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Nobody waits longer for a run; what is older was left behind by a controller that is gone.
MAX_AGE = 6 * 3600

display = Display()


class ActionModule(ActionBase):
    """The action `ailab.hub.run_lock`."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take the lock or give it back; fails if another run holds it."""
        variables = task_vars or {}
        super().run(tmp, variables)
        _result, options = self.validate_argument_spec(
            {
                "state": {"choices": ["present", "absent"], "default": "present"},
                "path": {"type": "path", "default": "/run/ailab-hub/lock"},
            }
        )
        ours = this_run()
        result = self._call(options, ours, variables)
        if result.get("failed") or options["state"] == "absent" or result["held"]:
            return _public(result)
        holder, age = result["holder"], result["age"]
        if holder is None:
            # Only in check mode: the lock is free, and stays so.
            return _public(result)
        ended = has_ended(holder, ours, age)
        if not ended and self._task.check_mode:
            display.warning(refusal(holder, ours, age, options["path"]))
        if self._task.check_mode:
            return _public(result)
        if ended:
            if ended == "old":
                display.warning(f"{describe(holder)} left a lock {hours(age)} ago; taken over.")
            result = self._call(options, ours, variables, replace=str(holder.get("id", "")))
            if result.get("failed") or result["held"]:
                return _public(result)
            # A third run was quicker.
            holder, age = result["holder"], result["age"]
        message = refusal(holder, ours, age, options["path"])
        return {**_public(result), "failed": True, "msg": message}

    def _call(
        self,
        options: Mapping[str, Any],
        ours: Mapping[str, Any],
        variables: dict[str, Any],
        **more: Any,
    ) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="ailab.hub.run_lock",
            module_args={**options, "run": dict(ours), **more},
            task_vars=variables,
        )
        result["path"] = options["path"]
        return result


def _public(result: dict[str, Any]) -> dict[str, Any]:
    """The documented part of the module's result."""
    holder = result.get("holder")
    if holder is not None:
        holder = {key: holder.get(key) for key in ("user", "controller", "pid", "since")}
    kept = {key: value for key, value in result.items() if key != "invocation"}
    return {**kept, "holder": holder}


def this_run() -> dict[str, Any]:
    """What tells this run from every other: in words, and for comparison."""
    # The action runs in a worker; the run is the process that started it.
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent and parent.pid else os.getpid()
    where = {
        "boot_id": read_text("/proc/sys/kernel/random/boot_id"),
        "pid_namespace": pid_namespace(),
        "machine_id": read_text("/etc/machine-id"),
    }
    start = process_start(pid)
    return {
        "id": f"{where['boot_id']}/{where['pid_namespace']}/{pid}/{start}",
        "user": os.environ.get("SUDO_USER") or getpass.getuser(),
        "controller": socket.gethostname(),
        "pid": pid,
        "process_start": start,
        **where,
    }


def has_ended(holder: Mapping[str, Any], ours: Mapping[str, Any], age: int) -> str:
    """Why a lock may be taken over: V(ended), V(rebooted) or V(old); empty if it must not be.

    :arg holder: who holds the lock, as this_run described it there.
    :arg ours: what this_run says here.
    :arg age: of the lock in seconds.
    """
    places = ("boot_id", "pid_namespace")
    if holder.get("boot_id") and all(holder.get(key) == ours[key] for key in places):
        # Here we see for ourselves, so that age means nothing.
        start = process_start(int(holder["pid"]))
        return "" if start and start == holder.get("process_start") else "ended"
    machine = ("machine_id", "controller")
    same_machine = ours["machine_id"] and all(holder.get(key) == ours[key] for key in machine)
    if same_machine and holder.get("boot_id") not in (None, "", ours["boot_id"]):
        return "rebooted"
    return "old" if age > MAX_AGE else ""


def refusal(holder: Mapping[str, Any], ours: Mapping[str, Any], age: int, path: str) -> str:
    """Why this run must not go on, and what to do."""
    if holder.get("controller") == ours["controller"]:
        advice = f"Wait until it has ended, or end it (process {holder.get('pid')})."
    else:
        advice = (
            "Wait until it has ended. Only there can be seen whether it still runs; "
            f"if it does not, remove the file {path} on the server."
        )
    since = holder.get("since", "an unknown time")
    return (
        f"{describe(holder)} holds the lock of this server since {since} ({hours(age)}). {advice}"
    )


def describe(holder: Mapping[str, Any]) -> str:
    """The holder of a lock in words."""
    if not holder.get("user"):
        return "Somebody who wrote the lock by hand"
    return f"A run of {holder['user']} on {holder.get('controller')} (process {holder.get('pid')})"


def hours(seconds: int) -> str:
    """A time span for a person to read."""
    minutes = seconds // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def process_start(pid: int) -> str:
    """When a process started, as its system tells it; empty if there is no such process."""
    status = read_text(f"/proc/{pid}/stat")
    if status:
        # The name, in parentheses, may hold anything.
        fields = status.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    if os.path.isdir("/proc/self"):
        return ""
    # Controllers without /proc, such as macOS.
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stdout.strip()


def pid_namespace() -> str:
    """What tells the process ids of a container from those of its host; empty where unknown."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def read_text(path: str) -> str:
    """The text of a file; empty if it cannot be read."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return ""
