# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts Jupyter in AI Lab's container, as far as a deployment can tell the way AI Lab does.

Where that way is odd (links are followed as root, a group collision is no error, a missing
option means to sleep), so is this: what is built on the image has to cope with it.
"""

from __future__ import annotations

import argparse
import grp
import logging
import os
import pwd
import re
import resource
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

SOCKET = Path("/var/run/docker.sock")
READY = re.compile(r"Jupyter Server .* is running at:")
OPTIONS: dict[str, type] = {
    "notebook-defaults": Path,
    "notebooks": Path,
    "venv": Path,
    "jupyter-server": str,
    "jupyter-core": Path,
    "port": int,
    "user": str,
    "group": str,
    "docker-group": str,
    "home": str,
    "password": str,
    "jupyter-logfile": Path,
}
NEEDED = ("jupyter_server", "notebooks", "jupyter_logfile", "user", "home", "password")

log = logging.getLogger("entrypoint")


def main() -> None:
    """Prepare notebooks, identity and access to Docker, then run Jupyter or sleep for ever."""
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)-7s %(message)s")
    parser = argparse.ArgumentParser(description="entry point of the container")
    for name, kind in OPTIONS.items():
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--warning-as-error", action="store_true")
    options = parser.parse_args()

    if options.user and options.group and options.docker_group:
        uid = pwd.getpwnam(options.user).pw_uid
        gid = grp.getgrnam(options.group).gr_gid
        if options.notebooks:
            give_away(options.notebooks, uid, gid)
        allow_docker(options.user, options.docker_group)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        log.info("running as %s:%s, other groups: %s", options.user, options.group, os.getgroups())
    if options.notebook_defaults and options.notebooks:
        add_missing(options.notebook_defaults, options.notebooks, options.warning_as_error)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.home and options.jupyter_core and "JUPYTER_PASSWORD" in os.environ:
        set_password(options.jupyter_core, options.home)
    if all(getattr(options, name) for name in NEEDED):
        run_jupyter(options)
    else:
        while True:
            time.sleep(1)


def give_away(folder: Path, uid: int, gid: int) -> None:
    """chown -R, through links; one that points nowhere raises FileNotFoundError."""
    os.chown(folder, uid, gid)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            os.chown(os.path.join(parent, name), uid, gid)


def allow_docker(user: str, docker_group: str) -> None:
    """Give this process, and the user, the group of Docker's socket if there is one.

    Raises PermissionError if the group may not read and write it.
    """
    if not SOCKET.exists():
        return
    status = SOCKET.stat()
    if status.st_mode & 0o060 != 0o060:
        mode = stat.filemode(status.st_mode)
        raise PermissionError(f"No rw permissions for group in {mode} {SOCKET}.")
    try:
        present = grp.getgrgid(status.st_gid).gr_name
        command = ["usermod", "--append", "--groups", present, user]
    except KeyError:
        command = ["groupmod", "-g", str(status.st_gid), docker_group]
    subprocess.run(command)
    os.setgroups([status.st_gid])
    log.info("access to %s by group %d", SOCKET, status.st_gid)


def add_missing(source: Path, target: Path, strict: bool) -> None:
    """Copy files and folders the target lacks; anybody may write them."""
    if not source.exists():
        if strict:
            raise RuntimeError(f"no such folder: {source}")
        log.warning("no such folder: %s", source)
        return
    for parent, _, files in os.walk(source):
        folder = target / Path(parent).relative_to(source)
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o777)
        for name in files:
            if not (folder / name).exists():
                shutil.copyfile(Path(parent, name), folder / name)
                (folder / name).chmod(0o666)


def set_password(jupyter: Path, home: str) -> None:
    """Replace the password Jupyter asks for by that in JUPYTER_PASSWORD."""
    code = "import os; from jupyter_server.auth.security import set_password as put; "
    code += "put(os.environ['JUPYTER_PASSWORD'])"
    subprocess.run([jupyter.with_name("python"), "-c", code], env=os.environ | {"HOME": home})


def run_jupyter(options: argparse.Namespace) -> None:
    """Run Jupyter until it ends. An error ends this process too, with its log and exit status."""
    environment = os.environ | {"HOME": options.home}
    if options.venv:
        environment["PATH"] = f"{options.venv}/bin:{environment['PATH']}"
    command = [options.jupyter_server, f"--notebook-dir={options.notebooks}"]
    with options.jupyter_logfile.open("w") as output:
        server = subprocess.Popen(
            [*command, "--no-browser", "--allow-root"],
            stdout=output,
            stderr=output,
            env=environment,
        )

    def exit_on_error(status: int | None) -> None:
        if status:
            log.error("Jupyter ended with %d:\n%s", status, options.jupyter_logfile.read_text())
            sys.exit(status)

    with options.jupyter_logfile.open() as lines:
        while not READY.search(lines.readline()):
            exit_on_error(server.poll())
            time.sleep(1)
    log.info("Jupyter is ready at port %s, its password is %s", options.port, options.password)
    exit_on_error(server.wait())


if __name__ == "__main__":
    main()
