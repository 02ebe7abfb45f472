# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of course material: its archives and the keys; see modules/lab_material.py."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """The action `ailab.hub.lab_material`."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Have the server fetch the sources, with what only the controller can read."""
        variables = task_vars or {}
        super().run(tmp, variables)
        options = dict(self._task.args)
        uploads = bool(options.get("dest")) and not self._task.check_mode
        sources = [
            {name: value for name, value in source.items() if value is not None}
            for source in options.get("sources") or []
        ]
        try:
            for index, source in enumerate(sources):
                if source.get("ssh_key_file"):
                    path = self._loader.path_dwim(source["ssh_key_file"])
                    source["ssh_key"] = self._read_text(path)
                if source.get("archive"):
                    # Decrypted, where Ansible Vault has encrypted it.
                    path = self._loader.get_real_file(self._loader.path_dwim(source["archive"]))
                    source["digest"] = sha256(path)
                    if uploads:
                        source["uploaded"] = self._upload(path, f"archive-{index}")
            result: dict[str, Any] = self._execute_module(
                module_name="ailab.hub.lab_material",
                module_args={**options, "sources": sources},
                task_vars=variables,
            )
            return result
        except OSError as exc:
            raise AnsibleError(f"{exc.filename}: {exc.strerror}") from exc
        finally:
            self._loader.cleanup_all_tmp_files()
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _read_text(self, path: str) -> str:
        return Path(self._loader.get_real_file(path)).read_text(encoding="utf-8")

    def _upload(self, path: str, name: str) -> str:
        """Copy a file to the server, for as long as the task runs. Returns where it is."""
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        remote: str = self._transfer_file(path, shell.join_path(shell.tmpdir, name))
        self._fixup_perms2((shell.tmpdir, remote))
        return remote


def sha256(path: str) -> str:
    """The digest of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
