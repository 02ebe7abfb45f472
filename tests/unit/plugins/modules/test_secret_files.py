# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `ailab.hub.secret_files`, on real files. Needs root, as the module does by default."""

from __future__ import annotations

import functools
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.modules import secret_files

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the secrets of a test go; not made yet."""
    return tmp_path / "secrets"


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]], directory: Path) -> Run:
    """Runs the module for the directory as the user of the test."""
    owner = {"owner": str(os.geteuid()), "group": str(os.getegid())}
    return functools.partial(run_module, secret_files, directory=str(directory), **owner)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def snapshot(folder: Path) -> dict[str, tuple[int, float, bytes]]:
    return {
        path.name: (mode(path), path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.iterdir()
    }


def test_makes_a_random_secret_of_the_size_asked_for(run: Run, directory: Path) -> None:
    result = run(files=[{"name": "cookie_secret", "bytes": 32}])
    assert result["changed"]
    assert len(bytes.fromhex((directory / "cookie_secret").read_text())) == 32


def test_two_secrets_are_never_the_same(run: Run, directory: Path) -> None:
    run(files=[{"name": "a", "bytes": 16}, {"name": "b", "bytes": 16}])
    assert (directory / "a").read_text() != (directory / "b").read_text()


def test_keeps_what_it_made(run: Run, directory: Path) -> None:
    run(files=[{"name": "cookie_secret", "bytes": 32}])
    before = snapshot(directory)
    result = run(files=[{"name": "cookie_secret", "bytes": 64}])
    assert not result["changed"]
    assert snapshot(directory) == before


def test_writes_the_content_given(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "bytes": 32, "content": "from the inventory ü\n"}])
    assert (directory / "token").read_text(encoding="utf-8") == "from the inventory ü\n"


def test_a_new_content_replaces_the_old_one(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "content": "old"}])
    result = run(files=[{"name": "token", "content": "new"}])
    assert result["files"][0]["changed"]
    assert (directory / "token").read_text() == "new"


def test_an_empty_content_keeps_the_secret_that_is_there(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "bytes": 32, "content": "given once"}])
    assert not run(files=[{"name": "token", "bytes": 32, "content": ""}])["changed"]
    assert (directory / "token").read_text() == "given once"


def test_an_empty_file_is_no_secret_and_is_filled(run: Run, directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "token").touch(mode=0o400)
    assert run(files=[{"name": "token", "bytes": 8}])["changed"]
    assert len((directory / "token").read_text()) == 16


def test_a_rotated_secret_is_another_one_each_time(run: Run, directory: Path) -> None:
    entry = {"name": "cookie_secret", "bytes": 32, "rotate": True}
    secrets = set()
    for _run in range(3):
        result = run(files=[entry])
        assert result["files"][0]["changed"]
        secrets.add((directory / "cookie_secret").read_text())
    assert len(secrets) == 3
    assert {len(bytes.fromhex(secret)) for secret in secrets} == {32}


def test_former_secrets_stay_below_the_new_one_as_long_as_asked_for(
    run: Run, directory: Path
) -> None:
    entry = {"name": "crypt_keys", "bytes": 32, "keep": 1}
    run(files=[entry])
    first = (directory / "crypt_keys").read_text()
    run(files=[entry])
    assert (directory / "crypt_keys").read_text() == first
    run(files=[{**entry, "rotate": True}])
    second, *former = (directory / "crypt_keys").read_text().split()
    assert former == [first]
    run(files=[{**entry, "rotate": True}])
    third, *former = (directory / "crypt_keys").read_text().split()
    assert former == [second]
    assert len({first, second, third}) == 3


def test_a_content_that_is_given_is_not_rotated(run: Run, directory: Path) -> None:
    entry = {"name": "token", "bytes": 32, "content": "given", "rotate": True}
    run(files=[entry])
    assert not run(files=[entry])["changed"]
    assert (directory / "token").read_text() == "given"


def test_check_mode_tells_of_a_rotation_and_does_nothing(run: Run, directory: Path) -> None:
    run(files=[{"name": "cookie_secret", "bytes": 32}])
    before = snapshot(directory)
    entry = {"name": "cookie_secret", "bytes": 32, "rotate": True}
    result = run(files=[entry], check_mode=True, diff=True)
    assert result["files"][0] == {
        "name": "cookie_secret",
        "path": str(directory / "cookie_secret"),
        "changed": True,
        "fingerprint": "check-mode",
    }
    assert "cookie_secret" in result["diff"]["after"]
    assert "(new content)" in result["diff"]["after"]
    assert snapshot(directory) == before


@pytest.fixture
def source(run: Run, tmp_path: Path) -> Path:
    """A secret that is there already, in another folder."""
    run(directory=str(tmp_path / "other"), files=[{"name": "secret", "bytes": 16}])
    return tmp_path / "other" / "secret"


def entrance(source: Path) -> list[dict[str, Any]]:
    content = "proxy_set_header X-Secret {secret};\n"
    return [{"name": "entrance.conf", "content": content, "secret_file": str(source)}]


def test_another_secret_gets_into_a_content(run: Run, directory: Path, source: Path) -> None:
    result = run(files=entrance(source), mode="0600", diff=True)
    made = directory / "entrance.conf"
    assert made.read_text() == f"proxy_set_header X-Secret {source.read_text()};\n"
    assert mode(made) == 0o600
    assert source.read_text() not in json.dumps(result)
    assert not run(files=entrance(source), mode="0600")["changed"]


def test_when_the_other_secret_changes_so_does_the_content(
    run: Run, directory: Path, source: Path
) -> None:
    run(files=entrance(source))
    source.chmod(0o600)
    source.write_text("another-one\n")
    before = snapshot(directory)
    assert run(files=entrance(source), check_mode=True)["changed"]
    assert snapshot(directory) == before
    result = run(files=entrance(source), diff=True)
    assert result["changed"]
    assert "(new content) entrance.conf" in result["diff"]["after"]
    assert "another-one" not in json.dumps(result)
    assert (directory / "entrance.conf").read_text() == "proxy_set_header X-Secret another-one;\n"


def test_in_check_mode_the_other_secret_may_still_be_missing(
    run: Run, directory: Path, tmp_path: Path
) -> None:
    files = entrance(tmp_path / "nowhere" / "secret")
    result = run(files=files, check_mode=True, diff=True)
    assert result["files"][0]["changed"]
    assert "entrance.conf" in result["diff"]["after"]
    assert list(tmp_path.iterdir()) == []
    said = run(files=files)["msg"]
    assert f"{tmp_path}/nowhere/secret: missing or empty" in said
    assert not (directory / "entrance.conf").exists()


@pytest.mark.parametrize(
    "text", ["a b", "a;\ninclude /etc/passwd", '"', "$host", "{x", "\u00fc", " "]
)
def test_another_secret_that_could_mean_more_is_refused(
    text: str, run: Run, directory: Path, source: Path
) -> None:
    source.chmod(0o600)
    source.write_text(text)
    said = run(files=entrance(source))["msg"]
    assert str(source) in said
    assert text.strip() in ("", "$host", "{x", '"') or text not in said
    assert not (directory / "entrance.conf").exists()


def test_a_link_in_the_place_of_the_other_secret_is_refused(
    run: Run, source: Path, tmp_path: Path
) -> None:
    link = source.parent / "link"
    link.symlink_to(source)
    assert "expected a plain file" in run(files=entrance(link))["msg"]


def test_nobody_but_the_owner_gets_at_the_files(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "bytes": 32}])
    assert mode(directory) == 0o700
    assert {mode(path) for path in directory.iterdir()} == {0o400}


def test_a_umask_takes_no_part_in_the_mode(run: Run, directory: Path) -> None:
    old = os.umask(0)
    try:
        run(files=[{"name": "token", "bytes": 32}], mode="0440")
    finally:
        os.umask(old)
    assert (mode(directory), mode(directory / "token")) == (0o700, 0o440)


def test_rights_of_others_on_the_folder_are_taken_away(run: Run, directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o755)
    assert run(files=[])["changed"]
    assert mode(directory) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_group_and_mode_of_an_existing_file_are_mended(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "bytes": 32}])
    (directory / "token").chmod(0o600)
    result = run(files=[{"name": "token", "bytes": 32}], owner="nobody", group="12345")
    assert result["files"][0]["changed"]
    status = (directory / "token").stat()
    assert (status.st_uid, status.st_gid, mode(directory / "token")) == (65534, 12345, 0o400)


def test_warns_of_a_secret_everybody_could_read(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "bytes": 32}])
    (directory / "token").chmod(0o444)
    warnings = run(files=[{"name": "token", "bytes": 32}])["warnings"]
    assert "token could be read by everybody on the host until now (mode 0444)" in warnings[0]


def test_a_fingerprint_changes_with_the_content_only(run: Run) -> None:
    def fingerprint(content: str) -> str:
        value: str = run(files=[{"name": "token", "content": content}])["files"][0]["fingerprint"]
        return value

    first = fingerprint("one")
    assert fingerprint("one") == first
    assert fingerprint("two") != first
    assert len(first) == 16


def test_a_fingerprint_cannot_be_computed_without_the_key_of_the_host(
    run: Run, tmp_path: Path
) -> None:
    files = [{"name": "token", "content": "guessable"}]
    here = run(files=files)["files"][0]["fingerprint"]
    there = run(files=files, directory=str(tmp_path / "other"))["files"][0]["fingerprint"]
    assert here != there


def test_each_content_has_a_file_of_its_own_where_the_name_says_so(
    run: Run, directory: Path
) -> None:
    name = "config-{fingerprint}.json"
    old = run(files=[{"name": name, "content": "old"}])["files"][0]
    new = run(files=[{"name": name, "content": "new"}])["files"][0]
    assert old["name"] == new["name"] == name
    assert Path(old["path"]).read_text() == "old"
    assert new["path"] == str(directory / f"config-{new['fingerprint']}.json")
    assert Path(new["path"]).read_text() == "new"


def test_removes_the_files_of_a_pattern_that_are_not_named(run: Run, directory: Path) -> None:
    name = "config-{fingerprint}.json"
    old = run(files=[{"name": name, "content": "old"}, {"name": "token", "bytes": 4}])["files"][0]
    new = run(files=[{"name": name, "content": "new"}])["files"][0]
    named = [{"name": Path(new["path"]).name}]
    result = run(files=named, absent_except="config-*.json")
    assert (result["changed"], result["removed"]) == (True, [old["path"]])
    assert {path.name for path in directory.iterdir()} == {
        ".fingerprint_key", "token", Path(new["path"]).name,
    }  # fmt: skip
    assert not run(files=named, absent_except="config-*.json")["changed"]


def test_the_key_outlives_any_pattern(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "bytes": 4}])
    run(files=[], absent_except="*")
    assert [path.name for path in directory.iterdir()] == [".fingerprint_key"]


def test_check_mode_on_a_new_host_makes_nothing(run: Run, tmp_path: Path, directory: Path) -> None:
    result = run(
        check_mode=True,
        owner="not-made-yet",
        group="not-made-yet",
        files=[
            {"name": "cookie_secret", "bytes": 32},
            {"name": "config-{fingerprint}.json", "content": "{}"},
        ],
        absent_except="config-*.json",
    )
    assert result["changed"]
    assert [entry["fingerprint"] for entry in result["files"]] == ["check-mode"] * 2
    assert result["files"][1]["path"] == str(directory / "config-check-mode.json")
    assert list(tmp_path.iterdir()) == []


def test_check_mode_tells_the_same_as_the_run_that_follows(run: Run, directory: Path) -> None:
    run(files=[{"name": "kept", "bytes": 8}, {"name": "given", "content": "old"}])
    files = [
        {"name": "kept", "bytes": 8},
        {"name": "given", "content": "new"},
        {"name": "made", "bytes": 8},
    ]
    before = snapshot(directory)
    told = run(check_mode=True, files=files, absent_except="g*")
    assert snapshot(directory) == before
    done = run(files=files, absent_except="g*")
    for key in ("changed", "removed"):
        assert told[key] == done[key]
    assert [entry["changed"] for entry in told["files"]] == [False, True, True]
    assert [entry["changed"] for entry in done["files"]] == [False, True, True]
    assert [entry["fingerprint"] for entry in told["files"]] == [
        done["files"][0]["fingerprint"], done["files"][1]["fingerprint"], "check-mode",
    ]  # fmt: skip


def test_check_mode_after_a_run_reports_no_change(run: Run) -> None:
    files = [{"name": "a", "bytes": 8}, {"name": "b-{fingerprint}", "content": "x"}]
    run(files=files)
    assert not run(check_mode=True, files=files)["changed"]


def test_a_diff_shows_names_and_attributes_and_no_content(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "content": "old-content"}])
    files = [{"name": "token", "content": "new-content"}, {"name": "made", "bytes": 4}]
    diff = run(files=files, diff=True)["diff"]
    user = "root:root" if os.geteuid() == 0 else ""
    assert f"0400 {user}" in diff["before"]
    assert diff["before"].endswith(" token\n")
    assert "(new content) token\n" in diff["after"]
    assert " made\n" in diff["after"]
    made = (directory / "made").read_text()
    assert all(secret not in json.dumps(diff) for secret in ("old-content", "new-content", made))


def test_a_diff_of_nothing_changed_is_empty(run: Run) -> None:
    run(files=[{"name": "token", "content": "old-content"}])
    diff = run(files=[{"name": "token", "content": "old-content"}], diff=True)["diff"]
    assert diff["before"] == diff["after"]


def test_no_content_is_returned(run: Run, directory: Path) -> None:
    files = [{"name": "token", "content": "hunter2-content"}, {"name": "made", "bytes": 32}]
    output = json.dumps(run(files=files))
    assert "hunter2-content" not in output
    assert (directory / "made").read_text() not in output


def test_no_content_is_logged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda *args, **kwargs: logged.append(repr(args)))
    run(files=[{"name": "token", "content": "hunter2-content"}])
    assert logged
    assert "hunter2-content" not in "".join(logged)


def test_a_content_that_is_part_of_a_path_does_not_mask_the_path(run: Run, directory: Path) -> None:
    result = run(files=[{"name": "user_password", "content": "secrets"}])
    assert result["files"][0]["path"] == str(directory / "user_password")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([{"name": "../token", "bytes": 8}], "'../token' is no name for a file here"),
        ([{"name": "a/b", "bytes": 8}], "'a/b' is no name"),
        ([{"name": ".fingerprint_key", "bytes": 8}], "'.fingerprint_key' is no name"),
        ([{"name": "", "bytes": 8}], "'' is no name"),
        ([{"name": "line\nbreak", "bytes": 8}], "is no name"),
        ([{"name": "{{ x }}", "bytes": 8}], "is no name"),
        ([{"name": "x-{fingerprint}", "bytes": 8}], "needs a content to take the fingerprint of"),
        ([{"name": "x", "bytes": 0}], "bytes must be 1 or more"),
        ([{"name": "x", "bytes": -5}], "bytes must be 1 or more"),
        ([{"name": "x", "bytes": 8, "keep": -1}], "keep must be 0 or more"),
        ([{"name": "x", "content": "0815", "rotate": True}], "rotate needs bytes"),
        ([{"name": "x", "bytes": 8}, {"name": "x", "content": "y"}], "x is named twice"),
        ([{"name": "x", "bytes": 8, "secret_file": "/s"}], "needs a content with {secret} in it"),
        ([{"name": "x", "content": "y", "secret_file": "/s"}], "needs a content with {secret}"),
        (
            [{"name": "x{fingerprint}", "content": "{secret}", "secret_file": "/s"}],
            "no fingerprint is taken of a secret of another file",
        ),
        ([{"name": "x"}], "x: missing, and neither content nor bytes"),
    ],
)
def test_refuses_what_makes_no_sense(
    run: Run, directory: Path, files: list[dict[str, Any]], message: str
) -> None:
    result = run(files=files)
    assert result["failed"]
    assert message in result["msg"]


@pytest.mark.parametrize("value", [256, "400", "u=r", "0844", "04000"])
def test_refuses_a_mode_yaml_or_a_person_mistook(run: Run, directory: Path, value: object) -> None:
    assert 'such as "0400"' in run(mode=value, files=[])["msg"]
    assert not directory.exists()


def test_refuses_a_mode_that_lets_everybody_read(run: Run) -> None:
    assert "0444 lets everybody on the host at the secrets" in run(mode="0444", files=[])["msg"]


def test_refuses_an_owner_the_host_does_not_know(run: Run, directory: Path) -> None:
    result = run(owner="no-such-user", files=[{"name": "x", "bytes": 8}])
    assert result["msg"] == "owner: no user 'no-such-user' on this host"
    assert not directory.exists()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_refuses_anything_but_a_plain_file(run: Run, directory: Path, kind: str) -> None:
    run(files=[])
    path = directory / "token"
    target = directory.parent / "elsewhere"
    target.write_text("untouched")
    make: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(target),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
    }
    make[kind]()
    result = run(files=[{"name": "token", "content": "secret-content"}])
    assert f"{path}: expected a plain file, found something else" in result["msg"]
    assert target.read_text() == "untouched"


def test_refuses_a_file_in_place_of_the_folder(run: Run, directory: Path) -> None:
    directory.write_text("")
    assert "expected a folder, found something else" in run(files=[])["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_refuses_a_folder_whose_owner_could_replace_the_secrets(run: Run, directory: Path) -> None:
    directory.mkdir()
    os.chown(directory, 65534, -1)
    result = run(files=[{"name": "token", "bytes": 8}])
    assert "belongs to nobody, who could replace the secrets in it; expected root" in result["msg"]
    assert list(directory.iterdir()) == []


def test_leaves_nothing_behind_when_it_fails(run: Run, directory: Path) -> None:
    run(files=[{"name": "token", "content": "old"}])
    result = run(files=[{"name": "x" * 250, "content": "too long with a temporary name"}])
    assert result["failed"]
    assert sorted(path.name for path in directory.iterdir()) == [".fingerprint_key", "token"]


def test_what_is_made_at_the_same_time_is_made_once(tmp_path: Path) -> None:
    directory = secret_files.Directory(str(tmp_path / "secrets"), write=True)
    own = secret_files.Attributes(os.geteuid(), os.getegid(), 0o400)
    barrier = threading.Barrier(8)
    results: list[bytes] = []

    def make(content: bytes) -> None:
        barrier.wait()
        results.append(directory.make("token", content, own))

    threads = [threading.Thread(target=make, args=(b"%d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {(tmp_path / "secrets" / "token").read_bytes()}
