#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Course material from git repositories and archives, without what it was fetched with."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_material
short_description: Fetch course material from git repositories and tar archives
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Finds out which versions git repositories and tar archives have, and puts their files into one
    folder of the server.
  - A password is handed to git through a file in memory, a private key to C(ssh-agent) through a
    pipe. Both are gone when git has ended. Nothing of them, and nothing of the repository's history
    and settings, gets into the folder.
  - Symbolic links that lead out of the folder, or nowhere, are left out with a warning.
requirements:
  - git, and for SSH the programs ssh, ssh-agent and ssh-add
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  sources:
    description: What to fetch. Files of a later entry replace those of an earlier one.
    type: list
    elements: dict
    required: true
    suboptions:
      git:
        description: Address of a git repository.
        type: str
      version:
        description:
          - Branch, tag or full commit. A branch goes before a tag of the same name. Empty means the
            repository's default branch.
        type: str
        default: ""
      archive:
        description: Tar archive on the controller, instead of a repository.
        type: str
      directory:
        description: Folder of it whose content is taken. Empty means all of it.
        type: str
        default: ""
      dest:
        description: Folder below O(dest) that gets the files.
        type: str
        default: ""
      username:
        description: User name at the repository.
        type: str
      password:
        description: Password for it.
        type: str
      ssh_key_file:
        description: File on the controller with a private key for the repository.
        type: str
      ssh_key:
        description: Content of O(sources[].ssh_key_file). The action plugin fills it in.
        type: str
      digest:
        description: SHA-256 of O(sources[].archive). The action plugin fills it in.
        type: str
      uploaded:
        description: Where O(sources[].archive) is on the server. The action plugin fills it in.
        type: str
  dest:
    description:
      - Folder of the server that holds the files afterwards, and nothing else. Without it only the
        versions are found out, and nothing changes.
    type: path
  commits:
    description:
      - Versions as an earlier call without O(dest) has returned them, so that the files are those
        of that moment. Branches and tags are asked for again where there are none.
    type: list
    elements: str
    default: []
  ca:
    description: Certificates (PEM) to trust besides the server's own.
    type: str
    default: ""
  known_hosts:
    description: File with the keys of SSH servers. The key of a new one is added to it.
    type: path
    default: /var/lib/ailab-hub/known_hosts
notes:
  - Proxies are taken from the environment, as git does.
seealso:
  - module: ansible.builtin.git
"""

EXAMPLES = r"""
- name: Versions of the course material are known
  ailab.hub.lab_material:
    sources:
      - git: https://git.example.org/course.git
        version: autumn
        directory: notebooks
        username: hub
        password: "{{ vault_git_token }}"
      - archive: slides.tar.gz
        dest: slides
  register: _material

- name: The course material is in place
  ailab.hub.lab_material:
    sources:
      - git: git@git.example.org:course.git
        ssh_key_file: keys/course
    commits: "{{ _material.sources | map(attribute='version') }}"
    dest: /srv/course
"""

RETURN = r"""
sources:
  description: What decides the content, for each of O(sources) in their order.
  type: list
  elements: dict
  returned: success
  contains:
    version:
      description: Full commit of a repository, or SHA-256 of an archive.
      type: str
      returned: always
      sample: 8d20c95bc72a5d2f3b1e6a7c9f0e4d5b6a7c8e9f
    directory:
      description: Folder that is taken.
      type: str
      returned: always
      sample: notebooks
    dest:
      description: Folder it is put into.
      type: str
      returned: always
      sample: ""
files:
  description: Number of files in O(dest).
  type: int
  returned: with O(dest), unless in check mode
  sample: 42
"""

import contextlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import typing as t
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# No helper of git but these may run: others take a command as address.
PROTOCOLS = "http:https:ssh"
SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
ASK_SECONDS = 120
# Bytes a second, and for how long, below which a transfer counts as dead.
SLOWEST = "1000"
SLOW_SECONDS = "60"
SSH_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=accept-new",
    "ConnectTimeout=30",
    "ServerAliveInterval=15",
)
# The agent ends with the program. It would see by itself, but seconds later.
WITH_AGENT = 'ssh-add -q - && "$@" < /dev/null; status=$?; kill "$SSH_AGENT_PID"; exit "$status"'
# What git or ssh say (in lower case), and what mends it.
HINTS = (
    (
        "host key verification failed",
        "The server's key is another than at the first contact. If that is right, remove its line "
        "from {known_hosts} on the server.",
    ),
    ("error in libcrypto", "Its ssh_key_file holds no private key without a passphrase."),
    ("error loading key", "Its ssh_key_file holds no private key without a passphrase."),
    ("permission denied", "Give it the ssh_key_file of a key that may read it."),
    ("authentication failed", "Give it a username and password that may read it."),
    ("could not read username", "It wants a username and password, or there is none of its name."),
    ("could not resolve", "Mend its address, or the server's name resolution."),
    ("certificate", "Name the certificate authority in lab_image_ca_file."),
    ("not found", "Mend its address, or give it credentials: private ones hide from others."),
    ("timed out", "Look whether the server reaches it, or needs lab_image_https_proxy."),
)

Source = t.Dict[str, t.Any]


class MaterialError(Exception):
    """Something could not be fetched. The text names it and says what mends it."""


class Git:
    """git with the credentials of one source, for as long as a command runs."""

    def __init__(self, source: Source, ca: str, known_hosts: str) -> None:
        self.source = source
        self.known_hosts = known_hosts
        self._ca = ca

    def __call__(self, *arguments: str, timeout: float | None = None) -> str:
        """What a git command prints. Raises MaterialError where it fails."""
        with contextlib.ExitStack() as stack:
            options, descriptors = self._credential(stack)
            command = ["git", *options, *arguments]
            key = self.source.get("ssh_key")
            if key:
                command = ["ssh-agent", "/bin/sh", "-c", WITH_AGENT, "sh", *command]
            try:
                done = subprocess.run(
                    command,
                    env=self._environment(stack),
                    # An editor, or whoever copied the key, may have lost its last line break.
                    input=(key.rstrip() + "\n").encode() if key else b"",
                    capture_output=True,
                    pass_fds=descriptors,
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self.error(f"timed out after {timeout:g} s") from None
            except OSError as exc:
                raise self.error(f"{command[0]}: {exc.strerror}") from exc
        if done.returncode != 0:
            raise self.error(done.stderr.decode("utf-8", "replace"))
        return str(done.stdout, "utf-8", "replace")

    def error(self, said: str) -> MaterialError:
        """A failure in words: what it is about, what mends it, what git said."""
        for secret in (self.source.get("password"), self.source.get("ssh_key")):
            said = said.replace(secret, "***") if secret else said
        words = " ".join(said.split())
        hint = next((mend for sign, mend in HINTS if sign in words.lower()), "")
        hint = hint.format(known_hosts=self.known_hosts)
        return MaterialError(f"{self.source['git']}: {words}. {hint}".replace("..", ".").strip())

    def _credential(self, stack: contextlib.ExitStack) -> tuple[list[str], list[int]]:
        """Options that name a helper for the password, and the file in memory it reads."""
        # What root has set up might keep the password for later.
        options = ["-c", "credential.helper="]
        if not self.source.get("password"):
            return options, []
        descriptor = os.memfd_create("credential")
        stack.callback(os.close, descriptor)
        text = f"username={self.source['username']}\npassword={self.source['password']}\n"
        os.write(descriptor, text.encode())
        # Only for the server named: a redirection elsewhere gets nothing.
        address = urlsplit(self.source["git"])
        place = f"{address.scheme}://{address.netloc}"
        helper = f'!f() {{ test "$1" != get || cat /proc/self/fd/{descriptor}; }}; f'
        return [*options, "-c", f"credential.{place}.helper={helper}"], [descriptor]

    def _environment(self, stack: contextlib.ExitStack) -> dict[str, str]:
        ssh = ["ssh", *(f"-o {option}" for option in SSH_OPTIONS)]
        ssh.append(f"-o UserKnownHostsFile={self.known_hosts}")
        environment = {
            **os.environ,
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": PROTOCOLS,
            "GIT_HTTP_LOW_SPEED_LIMIT": SLOWEST,
            "GIT_HTTP_LOW_SPEED_TIME": SLOW_SECONDS,
            "GIT_SSH_COMMAND": " ".join(ssh),
        }
        if self._ca:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            environment["GIT_SSL_CAINFO"] = os.path.join(folder, "ca.pem")
            with open(environment["GIT_SSL_CAINFO"], "w") as bundle:
                with contextlib.suppress(OSError), open(SYSTEM_CERTIFICATES) as system:
                    shutil.copyfileobj(system, bundle)
                bundle.write("\n" + self._ca + "\n")
        return environment


def resolve(git: Git) -> str:
    """The commit a repository has for the version of its source."""
    version = git.source["version"]
    if COMMIT.fullmatch(version):
        return str(version)
    names = [f"refs/heads/{version}", f"refs/tags/{version}^{{}}", f"refs/tags/{version}"]
    names = names if version else ["HEAD"]
    answer = git("ls-remote", "--quiet", "--", git.source["git"], *names, timeout=ASK_SECONDS)
    found = {name: commit for commit, name in (line.split("\t") for line in answer.splitlines())}
    for name in names:
        if name in found:
            return found[name]
    what = f"no branch or tag {version}" if version else "no commit"
    mend = "Mend its version; a commit is written with all of its 40 digits."
    raise MaterialError(f"{git.source['git']}: there is {what}. {mend}")


def export(git: Git, commit: str, folder: str) -> str:
    """A tar archive, in a folder, with the files a repository has at a commit."""
    repository, archive = os.path.join(folder, "repository"), os.path.join(folder, "archive.tar")
    address, version = git.source["git"], git.source["version"]
    local = ("--git-dir", repository)
    git("init", "--quiet", "--bare", repository)
    wanted = commit if COMMIT.fullmatch(version) else version or "HEAD"
    try:
        git(*local, "fetch", "--quiet", "--no-tags", "--depth=1", "--", address, wanted)
        git(*local, "cat-file", "-e", commit + "^{commit}")
    except MaterialError:
        # A server that gives no single commits, or a branch that has moved a moment ago.
        everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        git(*local, "fetch", "--quiet", "--no-tags", "--", address, *everything)
    tree = f"{commit}:{git.source['directory'].strip('/')}"
    try:
        git(*local, "cat-file", "-e", commit + "^{commit}")
    except MaterialError:
        raise MaterialError(f"{address}: there is no commit {commit}. Mend its version.") from None
    try:
        git(*local, "archive", "--format=tar", f"--output={archive}", tree)
    except MaterialError:
        raise _no_folder(git.source, address) from None
    return archive


def unpack(archive: str, source: Source, directory: str, folder: str) -> dict[str, str]:
    """Put the files of an archive into a folder; the symbolic links are returned, not made.

    :arg archive: a tar archive.
    :arg directory: the folder of the archive whose content is taken.
    :returns: targets of the links by their paths.
    """
    name = source.get("archive") or source["git"]
    wanted = [part for part in directory.split("/") if part not in ("", ".")]
    links: dict[str, str] = {}
    count = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if ".." in parts or member.name.startswith("/"):
                    raise MaterialError(
                        f"{name}: {member.name} lies outside of the archive. Pack it anew, from "
                        "inside the folder."
                    )
                inside = parts[len(wanted) :]
                # The settings of a repository may hold credentials.
                if parts[: len(wanted)] != wanted or not inside or ".git" in inside:
                    continue
                path = os.path.join(folder, *inside)
                if member.isdir():
                    _make_folder(folder, inside)
                elif member.issym():
                    _make_folder(folder, inside[:-1])
                    links[path] = member.linkname
                    count += 1
                elif member.isfile() or member.islnk():
                    _make_folder(folder, inside[:-1])
                    links.pop(path, None)
                    _write(tar, member, path)
                    count += 1
    except (tarfile.TarError, EOFError, OSError, KeyError, ImportError) as exc:
        raise MaterialError(f"{name}: it cannot be unpacked: {exc}. Pack it anew.") from exc
    if not count:
        raise _no_folder(source, name)
    return links


def _no_folder(source: Source, name: str) -> MaterialError:
    if source["directory"]:
        return MaterialError(
            f"{name}: there is no folder {source['directory']} with files. Mend its directory."
        )
    return MaterialError(f"{name}: there are no files in it. Remove the entry, or add some.")


def _make_folder(folder: str, parts: list[str]) -> None:
    """Have a folder below another one, also where a file of an earlier source is in its way."""
    for part in parts:
        folder = os.path.join(folder, part)
        if not os.path.isdir(folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder)
            os.mkdir(folder, 0o755)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    """Write one file, with the modes git has: who owns the archive counts for nothing here."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with content, open(path, "wb") as stream:
        shutil.copyfileobj(content, stream)
    os.chmod(path, 0o755 if member.mode & 0o100 else 0o644)
    os.utime(path, (member.mtime, member.mtime))


def make_links(folder: str, links: t.Mapping[str, str]) -> list[str]:
    """Make the symbolic links that lead to something inside a folder; the others are returned."""
    made = []
    for path, target in sorted(links.items()):
        if not os.path.lexists(path) and not os.path.isabs(target):
            os.symlink(target, path)
            made.append(path)
    root = os.path.realpath(folder) + os.sep
    # One that leads nowhere may be what another one leads to.
    while True:
        bad = [
            path
            for path in made
            if not os.path.exists(path) or not os.path.realpath(path).startswith(root)
        ]
        for path in bad:
            os.unlink(path)
            made.remove(path)
        if not bad:
            break
    return sorted(os.path.relpath(path, folder) for path in set(links) - set(made))


class Fetched(t.NamedTuple):
    """How many files there are, and which links were left out."""

    files: int
    left_out: list[str]


def fetch(gits: t.Sequence[Git], versions: t.Sequence[str], dest: str) -> Fetched:
    """Put all sources into a folder, in the place of what it held."""
    parent = os.path.dirname(dest.rstrip("/"))
    links: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix=".material-", dir=parent) as scratch:
        folder = os.path.join(scratch, "files")
        os.mkdir(folder, 0o755)
        for index, (git, version) in enumerate(zip(gits, versions)):
            source = git.source
            parts = [part for part in source["dest"].split("/") if part not in ("", ".")]
            _make_folder(folder, parts)
            place = os.path.join(folder, *parts)
            if source.get("git"):
                work = os.path.join(scratch, str(index))
                os.mkdir(work, 0o700)
                links.update(unpack(export(git, version, work), source, "", place))
                shutil.rmtree(work)
            else:
                links.update(unpack(source["uploaded"], source, source["directory"], place))
        left_out = make_links(folder, links)
        files = sum(len(names) for _folder, _folders, names in os.walk(folder))
        if os.path.isdir(dest):
            shutil.rmtree(dest)
        os.rename(folder, dest)
    return Fetched(files, left_out)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "sources": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "git": {"type": "str"},
                    "version": {"type": "str", "default": ""},
                    "archive": {"type": "str"},
                    "directory": {"type": "str", "default": ""},
                    "dest": {"type": "str", "default": ""},
                    "username": {"type": "str"},
                    "password": {"type": "str", "no_log": True},
                    "ssh_key_file": {"type": "str", "no_log": False},
                    "ssh_key": {"type": "str", "no_log": True},
                    "digest": {"type": "str"},
                    "uploaded": {"type": "str"},
                },
                "required_one_of": [("git", "archive")],
                "mutually_exclusive": [("git", "archive")],
                "required_together": [("username", "password")],
            },
            "dest": {"type": "path"},
            "commits": {"type": "list", "elements": "str", "default": []},
            "ca": {"type": "str", "default": ""},
            "known_hosts": {"type": "path", "default": "/var/lib/ailab-hub/known_hosts"},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not module.check_mode:
        # ssh makes the file, but no folder for it.
        os.makedirs(os.path.dirname(params["known_hosts"]), mode=0o700, exist_ok=True)
    gits = [Git(source, params["ca"], params["known_hosts"]) for source in params["sources"]]
    versions, problems = [], []
    for index, git in enumerate(gits):
        try:
            known = params["commits"][index : index + 1]
            version = known[0] if known else git.source.get("digest") or ""
            versions.append(version if version or not git.source.get("git") else resolve(git))
        except MaterialError as exc:
            problems.append(str(exc))
    if problems:
        module.fail_json(msg="\n".join(problems))
    result: dict[str, t.Any] = {
        "sources": [
            {"version": version, "directory": git.source["directory"], "dest": git.source["dest"]}
            for git, version in zip(gits, versions)
        ]
    }
    if params["dest"] and not module.check_mode:
        try:
            fetched = fetch(gits, versions, params["dest"])
        except MaterialError as exc:
            module.fail_json(msg=str(exc))
        for link in fetched.left_out:
            module.warn(f"The course material's link {link} leads out of it, or nowhere: left out.")
        result["files"] = fetched.files
    module.exit_json(changed=bool(params["dest"]), **result)


if __name__ == "__main__":
    main()
