# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real directory on this machine: Debian's slapd, with TLS, on ports of loopback.

Its package is unpacked, not installed, since an installed one starts a directory of its own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.testbed import system

from .authority import Authority
from .local_hub import end, free_port, wait_for

BASE = "dc=example,dc=org"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
# May look for users, as a technical account of a house may.
SEARCHER = f"cn=searcher,{BASE}"
SEARCHER_PASSWORD = "password-of-the-searcher"
# Its certificate has this name and no other.
NAME = "localhost"

CONFIGURATION = """
include {root}/etc/ldap/schema/core.schema
include {root}/etc/ldap/schema/cosine.schema
include {root}/etc/ldap/schema/inetorgperson.schema
include {root}/etc/ldap/schema/nis.schema
modulepath {root}/usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
# No password in the clear.
security simple_bind=112
database mdb
suffix "{base}"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


def unpacked() -> Path:
    """The folder with the files of the package slapd and of what it needs."""
    folder = system.cache("slapd")
    with system.lock("slapd"):
        if not (folder / ".ready").exists():
            if os.geteuid() != 0 or not system.find("apt-get"):
                raise system.TestbedError("slapd is missing: run as root on Debian or Ubuntu")
            archives = folder / "archives"
            (archives / "partial").mkdir(parents=True, exist_ok=True)
            options = ("--download-only", "--no-install-recommends", "--reinstall")
            where = f"Dir::Cache::archives={archives}"
            with system.step("getting slapd"):
                system.run("apt-get", "update", "-qq")
                system.run("apt-get", "install", "-y", "-qq", *options, "-o", where, "slapd")
                for archive in archives.glob("*.deb"):
                    system.run("dpkg-deb", "-x", archive, folder)
            (folder / ".ready").touch()
    return folder


class Directory:
    """A directory that has to be entered; it lives as long as it is.

    Args:
        folder: for its files.
        people: passwords by uid.
        groups: uids of the members by name of the group.

    Attributes:
        authority: who signed its certificate.
        port: for StartTLS. `secure_port` has TLS from the beginning.
    """

    def __init__(
        self, folder: Path, people: Mapping[str, str], groups: Mapping[str, Sequence[str]]
    ) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.port, self.secure_port = free_port(), free_port()
        self._people, self._groups = people, groups
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Directory:
        root = unpacked()
        key, certificate = self.authority.sign(NAME)
        (self.folder / "data").mkdir()
        configuration = self.folder / "slapd.conf"
        configuration.write_text(
            CONFIGURATION.format(
                root=root,
                folder=self.folder,
                authority=self.authority.certificate,
                certificate=certificate,
                key=key,
                base=BASE,
            )
        )
        entries = self.folder / "entries.ldif"
        entries.write_text("\n\n".join(self._entries()) + "\n")
        libraries = ":".join(map(str, root.glob("usr/lib/*-linux-gnu")))
        environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
        slapd, slapadd = (str(root / "usr/sbin" / name) for name in ("slapd", "slapadd"))
        system.run(slapadd, "-f", configuration, "-l", entries, env=environment)
        urls = f"ldap://{NAME}:{self.port}/ ldaps://{NAME}:{self.secure_port}/"
        with (self.folder / "slapd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [slapd, "-4", "-d", "0", "-f", str(configuration), "-h", urls],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for((self.folder / "slapd.pid").exists, 10, "the directory runs")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, as a failure does."""
        end(self._process)

    def _entries(self) -> list[str]:
        person = "dn: uid={0},{2}\nobjectClass: inetOrgPerson\nuid: {0}\ncn: {0}\nsn: {0}\nuserPassword: {1}"
        group = "dn: cn={},{}\nobjectClass: groupOfNames\ncn: {}\n{}"
        return [
            f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example",
            f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people",
            f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups",
            f"dn: {SEARCHER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
            f"cn: searcher\nuserPassword: {SEARCHER_PASSWORD}",
            *(person.format(uid, password, PEOPLE) for uid, password in self._people.items()),
            *(
                group.format(
                    name,
                    GROUPS,
                    name,
                    "\n".join(f"member: uid={uid},{PEOPLE}" for uid in members),
                )
                for name, members in self._groups.items()
            ),
        ]
