# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Course material from real repositories and archives on this machine."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ailab.hub.plugins.modules import lab_material

Run = Callable[..., dict[str, Any]]
PASSWORD = "p4ssw0rd-of-the-course"


class Repository:
    """A repository of this machine, and the work tree it is filled from."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.bare = folder / "course.git"
        for path, *bare in ((self.work,), (self.bare, "--bare")):
            command = ["git", "init", "--quiet", "--initial-branch=main", *bare, str(path)]
            subprocess.run(command, check=True)

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Author", "-c", "user.email=author@example.org"]
        command = ["git", "-C", str(self.work), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        """Change files, publish them on a branch, and return the commit."""
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "material")
        self.git("push", "--quiet", "--force", "--tags", self.url, f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    # What the collection refuses elsewhere: a repository of the same machine.
    monkeypatch.setattr(lab_material, "PROTOCOLS", "file")
    made = Repository(tmp_path)
    made.commit({"README": "read me", "notebooks/one.ipynb": "1", "notebooks/data/a b.csv": "2"})
    return made


@pytest.fixture
def run(run_module: Run, tmp_path: Path) -> Run:
    """Runs the module with sources."""

    def call(*sources: dict[str, Any], **options: Any) -> dict[str, Any]:
        known_hosts = str(tmp_path / "known_hosts")
        return run_module(lab_material, sources=list(sources), known_hosts=known_hosts, **options)

    return call


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def pack(path: Path, members: Mapping[str, str | tarfile.TarInfo]) -> dict[str, Any]:
    """Make an archive of texts and ready members; the source the action would make of it."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content.encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return {"archive": path.name, "uploaded": str(path), "digest": "0" * 64}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_without_a_folder_it_only_tells_versions(run: Run, repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    result = run({"git": repository.url}, {"archive": "x.tar", "digest": "1" * 64, "dest": "x"})
    assert result["changed"] is False
    assert result["sources"] == [
        {"version": commit, "directory": "", "dest": ""},
        {"version": "1" * 64, "directory": "", "dest": "x"},
    ]


def test_branches_tags_and_commits_are_found(run: Run, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "--message", "a note", "v1-note")
    second = repository.commit({"two": "2"}, branch="autumn")

    def version(name: str) -> str:
        return str(run({"git": repository.url, "version": name})["sources"][0]["version"])

    assert [version(name) for name in ("", "main", "v1", "v1-note", first)] == [first] * 5
    assert version("autumn") == second


@pytest.mark.parametrize("version", ["", "main", "v1"])
def test_the_files_of_a_folder_are_fetched_alone(
    version: str, run: Run, repository: Repository, tmp_path: Path
) -> None:
    repository.git("tag", "v1")
    repository.commit({})
    dest = tmp_path / "dest"
    source = {"git": repository.url, "version": version, "directory": "notebooks/", "dest": "a/b"}
    assert run(source, dest=str(dest))["files"] == 2
    assert files(dest) == ["a/b/data/a b.csv", "a/b/one.ipynb"]


def test_an_older_commit_is_fetched_also_where_a_server_gives_but_tips(
    run: Run, repository: Repository, tmp_path: Path
) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"two": "2"})
    run({"git": repository.url, "version": first}, dest=str(tmp_path / "dest"))
    assert "two" not in files(tmp_path / "dest")


def test_a_branch_that_moves_meanwhile_changes_nothing(
    run: Run, repository: Repository, tmp_path: Path
) -> None:
    source = {"git": repository.url, "version": "main"}
    commits = [run(source)["sources"][0]["version"]]
    repository.commit({"two": "2"})
    run(source, dest=str(tmp_path / "dest"), commits=commits)
    assert "two" not in files(tmp_path / "dest")


def test_what_was_there_before_is_gone(run: Run, repository: Repository, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "old").write_text("old")
    run({"git": repository.url}, dest=str(dest))
    assert "old" not in files(dest)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".material")] == []


def test_a_dry_run_fetches_nothing(run: Run, repository: Repository, tmp_path: Path) -> None:
    result = run({"git": repository.url}, dest=str(tmp_path / "dest"), check_mode=True)
    assert result["changed"] is True
    assert not (tmp_path / "dest").exists()


def test_neither_history_nor_settings_of_a_repository_are_taken(
    run: Run, repository: Repository, tmp_path: Path
) -> None:
    archive = pack(tmp_path / "x.tar", {"c/.git/config": "url = https://me:secret@x", "c/a": "a"})
    dest = tmp_path / "dest"
    run({"git": repository.url}, archive, dest=str(dest))
    assert [name for name in files(dest) if ".git" in name] == []


def test_a_later_source_replaces_files_and_folders(run: Run, tmp_path: Path) -> None:
    first = pack(tmp_path / "1.tar", {"a": "1", "b/c": "1", "d": "1", "l": link("l", "d")})
    second = pack(tmp_path / "2.tar", {"a/x": "2", "b": "2", "l": "2"})
    dest = tmp_path / "dest"
    run(first, second, dest=str(dest))
    assert files(dest) == ["a/x", "b", "d", "l"]
    assert ((dest / "l").read_text(), (dest / "d").read_text()) == ("2", "1")


def test_links_that_lead_out_or_nowhere_are_left_out(run: Run, tmp_path: Path) -> None:
    members: dict[str, str | tarfile.TarInfo] = {
        "a": "text",
        "good": link("good", "a"),
        "f/up": link("f/up", "../a"),
        "hard": link("hard", "a", tarfile.LNKTYPE),
        "absolute": link("absolute", "/etc/passwd"),
        "out": link("out", "../../../../etc/passwd"),
        "nowhere": link("nowhere", "b"),
        "chain": link("chain", "nowhere"),
        "self": link("self", "self"),
    }
    dest = tmp_path / "dest"
    result = run(pack(tmp_path / "x.tar", members), dest=str(dest))
    assert files(dest) == ["a", "f/up", "good", "hard"]
    assert (dest / "hard").read_text() == "text"
    assert [
        name
        for name in ("absolute", "out", "nowhere", "chain", "self")
        if not any(f"link {name} " in warning for warning in result["warnings"])
    ] == []


def test_nothing_is_written_through_a_link(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members: dict[str, str | tarfile.TarInfo] = {
        "a": link("a", str(outside)),
        "a/file": "x",
        "b": link("b", "../outside"),
        "c": "c",
    }
    second = pack(tmp_path / "2.tar", {"b/file": "x"})
    run(pack(tmp_path / "1.tar", members), second, dest=str(tmp_path / "dest"))
    assert list(outside.iterdir()) == []


def test_modes_are_those_of_git(run: Run, tmp_path: Path) -> None:
    program, odd = tarfile.TarInfo("program"), tarfile.TarInfo("odd")
    program.mode, odd.mode = 0o4711, 0o666
    run(pack(tmp_path / "x.tar", {"p": program, "o": odd}), dest=str(tmp_path / "dest"))
    modes = [oct((tmp_path / "dest" / name).stat().st_mode & 0o7777) for name in ("program", "odd")]
    assert modes == ["0o755", "0o644"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x"])
def test_an_archive_that_leads_out_is_refused(name: str, run: Run, tmp_path: Path) -> None:
    result = run(pack(tmp_path / "x.tar", {name: "x"}), dest=str(tmp_path / "dest"))
    assert result["failed"] is True
    assert f"x.tar: {name} lies outside" in result["msg"]


def test_what_is_no_archive_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("no archive")
    source = {"archive": "x.tar", "uploaded": str(tmp_path / "x.tar"), "digest": "0"}
    assert "x.tar: it cannot be unpacked" in run(source, dest=str(tmp_path / "dest"))["msg"]


def test_a_folder_that_is_missing_is_named(
    run: Run, repository: Repository, tmp_path: Path
) -> None:
    archive = {**pack(tmp_path / "x.tar", {"a/b": "x"}), "directory": "c"}
    for source in ({"git": repository.url, "directory": "c"}, archive):
        result = run(source, dest=str(tmp_path / "dest"))
        assert "there is no folder c with files. Mend its directory." in result["msg"]


def test_all_repositories_that_fail_are_named(run: Run, repository: Repository) -> None:
    missing = f"file://{repository.bare}-missing"
    result = run({"git": repository.url, "version": "winter"}, {"git": missing})
    first, second = result["msg"].splitlines()
    assert first.startswith(f"{repository.url}: there is no branch or tag winter.")
    assert second.startswith(missing)


@pytest.mark.parametrize("address", ["ext::sh -c true", "file:///etc"])
def test_no_other_protocol_is_spoken(address: str, run: Run) -> None:
    result = run({"git": address})
    assert "not allowed" in result["msg"]


@pytest.fixture
def spied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a git sees that is no git: its arguments, its environment, and what its helper says."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/bash\n"
        f"exec >> {tmp_path}/seen\n"
        'printf "%s\\n" "$@"; env\n'
        'for option in "$@"; do case "$option" in credential.*://*helper=*)\n'
        f'  sh -c "${{option#*helper=!}} get" > {tmp_path}/said;; esac; done\n'
        f"ssh-add -L > {tmp_path}/keys 2>&1\n"
        'echo "fatal: Authentication failed for https://x: $(cat ' + f"{tmp_path}/said" + ')" >&2\n'
        "exit 128\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def test_a_password_reaches_git_by_a_file_in_memory_alone(run: Run, spied: Path) -> None:
    source = {"git": "https://git.example.org/x", "username": "me", "password": PASSWORD}
    result = run(source)
    assert (spied / "said").read_text() == f"username=me\npassword={PASSWORD}\n"
    assert PASSWORD not in (spied / "seen").read_text()
    # Nobody quotes it, whatever git says.
    assert PASSWORD not in str(result)
    assert "Give it a username and password that may read it." in result["msg"]


def test_a_key_reaches_git_by_an_agent_that_ends_with_it(run: Run, spied: Path) -> None:
    key = spied / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(command, check=True)
    private = key.read_text()
    run({"git": "git@git.example.org:x", "ssh_key": private.rstrip()})
    assert (spied / "keys").read_text().split()[:2] == key.with_suffix(".pub").read_text().split()
    seen = (spied / "seen").read_text()
    assert private.splitlines()[1] not in seen
    agent = next(line for line in seen.splitlines() if line.startswith("SSH_AGENT_PID="))
    deadline = time.monotonic() + 5
    while is_alive(agent.partition("=")[2]):
        assert time.monotonic() < deadline, "the agent is still there"
        time.sleep(0.05)


def is_alive(pid: str) -> bool:
    """Whether a process runs; one that only waits for somebody to notice its end does not."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_key_with_a_passphrase_is_told(run: Run, spied: Path) -> None:
    key = spied / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", str(key)]
    subprocess.run(command, check=True)
    result = run({"git": "git@git.example.org:x", "ssh_key": key.read_text()})
    assert result["failed"] is True
    assert not (spied / "seen").exists()
