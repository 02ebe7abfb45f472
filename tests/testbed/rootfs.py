# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian from its own packages, where no image can be pulled: one base image per suite."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import ssl
import tempfile
from pathlib import Path

from .engine import LABEL, Engine
from .system import TestbedError, cache, find, lock, require, run, step

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
DISTRIBUTED = Path("/usr/share/ca-certificates")
END = "-----END CERTIFICATE-----\n"
ARCHIVES = {"Debian": "", "Debian-Security": "-security"}
TARGETS = ("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages")
SOURCES = """\
deb {Debian} {suite} main
deb {Debian} {suite}-updates main
deb {Debian-Security} {suite}-security main
"""
DPKG = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""


def base(engine: Engine, suite: str) -> str:
    """The image of a minimal Debian, made if the engine does not have it. Returns its name.

    Its apt sources are this machine's mirrors, and it trusts the certificate authorities this
    machine's owner added.
    """
    sources = SOURCES.format(suite=suite, **mirrors())
    authorities = added_authorities()
    content = hashlib.sha256("\0".join([sources, DPKG, *authorities]).encode()).hexdigest()[:12]
    name = f"ailab-hub-testbed/debian:{suite}-{content}"
    with lock(f"debian-{suite}"):
        if not engine.inspect("image", name):
            archive = cache("rootfs", f"{suite}-{content}.tar.gz")
            if not archive.exists():
                _bootstrap(suite, sources, authorities, archive)
            with step(f"importing Debian {suite}"):
                engine("import", f"--change=LABEL {LABEL}=image", str(archive), name)
    return name


@functools.cache
def mirrors() -> dict[str, str]:
    """Where this machine gets Debian's packages from, by the label of the archive."""
    system = Path("/etc/os-release")
    if not system.exists() or "\nID=debian\n" not in system.read_text():
        return _default_mirrors()
    listed = run(*TARGETS)
    if "Debian " not in listed and os.geteuid() == 0:
        # Labels come with the package lists, which images of Debian are shipped without.
        run("apt-get", "update", "-qq", check=False)
        listed = run(*TARGETS)
    found = dict(line.rsplit(" ", 1) for line in listed.splitlines() if " http" in line)
    if not found.keys() >= ARCHIVES.keys():
        found = _default_mirrors() | found
    return {label: found[label].rstrip("/") for label in ARCHIVES}


def _default_mirrors() -> dict[str, str]:
    """Where debootstrap gets Debian from where nobody says otherwise."""
    require("debootstrap")
    files = (Path("/usr/share/debootstrap/scripts/sid"), Path("/usr/sbin/debootstrap"))
    text = "".join(file.read_text() for file in files)
    named = re.search(r'(?:default_mirror |DEF_MIRROR=")(http[^"\s]+)', text)
    if not named:
        raise TestbedError("debootstrap names no mirror of Debian")
    default = named[1]
    return {label: default + suffix for label, suffix in ARCHIVES.items()}


def added_authorities() -> list[str]:
    """Certificates (PEM) this machine trusts beyond those its distribution ships."""
    if not BUNDLE.exists() or not DISTRIBUTED.exists():
        return []
    shipped = {
        ssl.PEM_cert_to_DER_cert(text)
        for file in DISTRIBUTED.rglob("*.crt")
        for text in _certificates(file)
    }
    return [text for text in _certificates(BUNDLE) if ssl.PEM_cert_to_DER_cert(text) not in shipped]


def _certificates(file: Path) -> list[str]:
    parts = file.read_text(encoding="ascii", errors="ignore").split(END)[:-1]
    return [part[part.index("-----BEGIN CERTIFICATE-----") :] + END for part in parts]


def _bootstrap(suite: str, sources: str, authorities: list[str], archive: Path) -> None:
    if os.geteuid() != 0:
        raise TestbedError(f"making Debian {suite} for the hosts takes root: run this as root")
    require("debootstrap")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"debootstrap of Debian {suite}"),
        tempfile.TemporaryDirectory(dir=archive.parent, prefix=suite) as folder,
    ):
        root = Path(folder) / "root"
        run(
            find("debootstrap") or "debootstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            suite,
            root,
            mirrors()["Debian"],
        )
        (root / "etc/apt/sources.list").write_text(sources)
        (root / "etc/dpkg/dpkg.cfg.d/testbed").write_text(DPKG)
        for number, text in enumerate(authorities):
            added = root / f"usr/local/share/ca-certificates/machine-{number}.crt"
            added.write_text(text)
        run("chroot", root, "update-ca-certificates")
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/locale", "usr/share/man"):
            shutil.rmtree(root / waste)
            (root / waste).mkdir()
        unfinished = Path(folder) / "tar"
        run("tar", "-C", root, "--numeric-owner", "-czf", unfinished, ".")
        unfinished.rename(archive)
