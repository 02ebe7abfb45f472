# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `ailab.hub.text_files`, on real files. Needs root, as the module does by default."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.modules import text_files

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]]) -> Run:
    return functools.partial(run_module, text_files)


def snapshot(folder: Path) -> dict[str, object]:
    """All that is below a folder: modes, owners, times, contents and targets of links."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        link = os.readlink(path) if path.is_symlink() else ""
        found[str(path)] = (status.st_mode, status.st_uid, status.st_mtime_ns, content, link)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def wanted(folder: Path) -> dict[str, Any]:
    return {
        "folders": [{"path": str(folder / "a"), "mode": "0700"}],
        "files": [
            {"path": str(folder / "a/one"), "content": "ä\n", "mode": "0600"},
            {"path": str(folder / "b/c/two"), "content": "", "owner": "1234", "group": "1235"},
        ],
    }


def test_files_and_folders_are_as_they_were_asked_for(run: Run, tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        result = run(**wanted(tmp_path))
    finally:
        os.umask(umask)
    assert result["changed"]
    names = ["a", "a/one", "b", "b/c", "b/c/two"]
    assert result["paths"] == [str(tmp_path / name) for name in names]
    assert [mode(tmp_path / name) for name in names] == [0o700, 0o600, 0o755, 0o755, 0o644]
    assert (tmp_path / "a/one").read_bytes() == "ä\n".encode()
    two = (tmp_path / "b/c/two").stat()
    assert (two.st_uid, two.st_gid, two.st_size) == (1234, 1235, 0)


def test_what_is_missing_above_a_folder_is_as_private_as_the_folder(
    run: Run, tmp_path: Path
) -> None:
    entry = {"path": str(tmp_path / "a/b/c"), "mode": "0700", "owner": "1234"}
    file = {"path": str(tmp_path / "a/b/c/d/file"), "content": ""}
    assert len(run(folders=[entry], files=[file])["paths"]) == 5
    made = [(tmp_path / name).stat() for name in ("a", "a/b", "a/b/c", "a/b/c/d")]
    assert [stat.S_IMODE(status.st_mode) for status in made] == [0o700, 0o700, 0o700, 0o755]
    assert [status.st_uid for status in made] == [1234, 1234, 1234, 0]


def test_a_second_time_nothing_is_touched(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path))
    before = snapshot(tmp_path)
    result = run(diff=True, **wanted(tmp_path))
    assert (result["changed"], result["paths"], result["diff"]) == (False, [], [])
    assert snapshot(tmp_path) == before


def test_a_dry_run_tells_the_same_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    (tmp_path / "a/one").write_text("former\n")
    before = snapshot(tmp_path)
    dry = run(check_mode=True, diff=True, **wanted(tmp_path))
    assert snapshot(tmp_path) == before
    real = run(diff=True, **wanted(tmp_path))
    assert (dry["changed"], dry["paths"], dry["diff"]) == (True, real["paths"], real["diff"])
    assert {entry["before_header"]: (entry["before"], entry["after"]) for entry in dry["diff"]} == {
        str(tmp_path / "a"): ("0755 root:root\n", "0700 root:root\n"),
        str(tmp_path / "a/one"): ("former\n", "ä\n"),
        str(tmp_path / "b/c/two"): ("", ""),
    }


def test_a_dry_run_knows_no_owner_who_is_made_before(run: Run, tmp_path: Path) -> None:
    entry = {"path": str(tmp_path / "a"), "owner": "not-there-yet", "group": "not-there-yet"}
    assert run(check_mode=True, folders=[entry])["changed"]
    assert "no user 'not-there-yet'" in run(folders=[entry])["msg"]
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("check_mode", [False, True])
def test_only_what_is_named_stays_in_an_exclusive_folder(
    run: Run, tmp_path: Path, check_mode: bool
) -> None:
    build, outside = tmp_path / "build", tmp_path / "outside"
    for name in ("build/kept/deep/file", "build/kept/other", "build/gone/file", "outside/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (build / "link").symlink_to(outside)
    (build / "kept/link").symlink_to("/nowhere")
    os.mkfifo(build / "pipe")
    result = run(
        check_mode=check_mode,
        folders=[
            {"path": str(build), "exclusive": True},
            {"path": str(build / "empty")},
        ],
        files=[{"path": str(build / "kept/deep/file"), "content": "text"}],
    )
    gone = ["gone", "kept/link", "kept/other", "link", "pipe"]
    assert result["paths"] == sorted(str(build / name) for name in [*gone, "empty"])
    there = {str(path.relative_to(build)) for path in build.rglob("*")}
    if check_mode:
        assert {*gone, "gone/file"} <= there and "empty" not in there
    else:
        assert there == {"empty", "kept", "kept/deep", "kept/deep/file"}
    assert (outside / "file").read_text() == "text"


def test_a_link_or_pipe_is_replaced_and_not_followed(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    names = ["link", "pipe"]
    run(files=[{"path": str(tmp_path / name), "content": "kept"} for name in names])
    assert [stat.S_ISREG((tmp_path / name).lstat().st_mode) for name in names] == [True, True]
    assert target.read_text() == "kept"


def test_content_that_is_no_text_is_replaced(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\x00")
    result = run(diff=True, files=[{"path": str(path), "content": "text"}])
    assert result["diff"][0]["before"] == "\\xff\0"
    assert path.read_text() == "text"


def test_a_write_that_fails_leaves_the_former_file_and_nothing_else(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("former")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    result = run(files=[{"path": str(path), "content": "new"}])
    assert "No space left on device" in result["msg"]
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"file": "former"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"files": [{"path": "relative", "content": ""}]}, "relative: expected an absolute path"),
        ({"files": [{"path": "/a/../b", "content": ""}]}, "/a/../b: expected an absolute path"),
        ({"folders": [{"path": "//a"}]}, "//a: expected an absolute path"),
        ({"folders": [{"path": "/a", "mode": 420}]}, "/a: mode: expected four octal digits"),
        ({"folders": [{"path": "/a"}, {"path": "/a/"}]}, "named twice: /a"),
        ({"files": [{"path": "/usr", "content": ""}]}, "/usr: expected a file, found a folder"),
        ({"folders": [{"path": "/etc/passwd"}]}, "/etc/passwd: expected a folder"),
        ({"files": [{"path": "/etc/passwd/a", "content": ""}]}, "/etc/passwd: expected a folder"),
        ({"folders": [{"path": "/etc/passwd/a/b"}]}, "/etc/passwd: expected a folder"),
        ({"files": [{"path": "/a", "content": "", "owner": "nobody-at-all"}]}, "nobody-at-all"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, options: dict[str, Any], said: str) -> None:
    result = run(**options)
    assert result["failed"] and said in result["msg"]


def test_the_systems_log_has_no_content(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, **_: logged.append(str(text)))
    result = run(diff=True, files=[{"path": str(tmp_path / "hunter2"), "content": "hunter2"}])
    assert logged and "hunter2" not in "".join(logged).replace(str(tmp_path / "hunter2"), "")
    # Nothing that is told is masked either.
    assert result["paths"] == [str(tmp_path / "hunter2")]
    assert "hunter2" not in str(result["invocation"]["module_args"]["files"][0]["content"])
