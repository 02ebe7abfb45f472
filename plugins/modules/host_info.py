#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment has to know of a server before it changes anything there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: What a deployment has to know of a server before its first change
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Reads the operating system, memory, free disk space, networks, whether a TCP port is free,
    installed packages, sources of apt and what the Docker Engine says of itself, in one call and
    with nothing but the standard library.
  - The action P(ailab.hub.preflight#module) calls it and judges what it returns.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.info_module
options:
  listen_address:
    description: IP address to try O(listen_port) on.
    type: str
  listen_port:
    description: TCP port to try. Without it, or without O(listen_address), none is tried.
    type: int
  listen:
    description: Further addresses and ports to try.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IP address.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
  names:
    description: Names of hosts to look up.
    type: list
    elements: str
    default: []
  accounts:
    description: Names of accounts to look up.
    type: list
    elements: str
    default: []
  paths:
    description: Files and folders whose presence is of interest.
    type: list
    elements: path
    default: []
  services:
    description:
      - Services the hub will ask when somebody signs in. One that stands in the hub's configuration
        already is not asked.
    type: list
    elements: dict
    default: []
    suboptions:
      text:
        description: How the hub's configuration names it.
        type: str
        required: true
      name:
        description: Its host, by name or IP address.
        type: str
        required: true
      port:
        description: Its TCP port.
        type: int
        required: true
      tls:
        description:
          - Whether its certificate is of interest. V(tls) begins with TLS, V(ldap) with StartTLS of
            LDAP.
        type: str
        choices: [none, tls, ldap]
        default: none
  authorities:
    description: Certificates (PEM) to trust for O(services) besides those the system trusts.
    type: str
    default: ""
  nginx:
    description: Whether the sites of an nginx on the server are of interest.
    type: bool
    default: false
  images:
    description: Image references whose presence in the engine is of interest.
    type: list
    elements: str
    default: []
  packages:
    description: Names of Debian packages to look for, as patterns (C(docker*)).
    type: list
    elements: str
    default: []
  apt_repositories:
    description:
      - Addresses of package repositories whose entries in apt's sources are of interest.
      - Schemes, user names and slashes at the end do not count.
    type: list
    elements: str
    default: []
  apt_keys:
    description: Files of keys for apt whose content is of interest.
    type: list
    elements: path
    default: []
  data_root:
    description:
      - Folder the engine will keep images in. Only used where no engine answers that knows better.
    type: path
    default: /var/lib/docker
  socket:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
  timeout:
    description: Seconds each answer of the engine may take.
    type: float
    default: 10.0
seealso:
  - module: ailab.hub.preflight
  - module: ailab.hub.docker_access
"""

EXAMPLES = r"""
- name: The server is known
  ailab.hub.host_info:
    listen_address: 127.0.0.1
    listen_port: 8000
    images: ["exasol/ai-lab:6.0.0"]
  register: _server

- name: The server has room for the lab image
  ansible.builtin.assert:
    that: _server.host.docker.images['exasol/ai-lab:6.0.0'] or _server.host.disk.free_mib > 15360
"""

RETURN = r"""
host:
  description: What was found.
  type: dict
  returned: always
  contains:
    distribution:
      description: Name of the distribution, as Ansible's facts have it.
      type: str
      returned: always
      sample: Debian
    version:
      description: Its version. Empty for one without (such as Debian testing).
      type: str
      returned: always
      sample: "12"
    codename:
      description: Code name of the version. Empty where there is none.
      type: str
      returned: always
      sample: bookworm
    architecture:
      description: Machine the kernel runs on.
      type: str
      returned: always
      sample: x86_64
    systemd:
      description: Whether systemd manages the system.
      type: bool
      returned: always
      sample: true
    uid:
      description: Effective user id the module ran with.
      type: int
      returned: always
      sample: 0
    python_apt:
      description:
        - Whether the Python package apt can be imported by the module's Python or the system's.
      type: bool
      returned: always
      sample: true
    python_requests:
      description:
        - Whether the Python package requests, which the modules of C(community.docker) need, can be
          imported by the module's Python.
      type: bool
      returned: always
      sample: true
    commands:
      description: Whether each of a few programs is installed.
      type: dict
      returned: always
      contains:
        git:
          description: The version control system.
          type: bool
          returned: always
          sample: true
        ssh:
          description: The client of OpenSSH.
          type: bool
          returned: always
          sample: true
    refreshed:
      description:
        - When each image of this collection was last refreshed, as its role has remembered it. The
          word is that of the inventory, the time that of the playbook C(ailab.hub.update_images).
      type: dict
      returned: always
      sample: {"lab_image": {"word": "2026-12", "time": ""}}
    memory_mib:
      description: Memory the kernel manages, in MiB. V(null) if unknown.
      type: int
      returned: always
      sample: 7945
    disk:
      description: Where images will be kept.
      type: dict
      returned: always
      contains:
        path:
          description: The engine's data folder, or the nearest existing folder above it.
          type: str
          returned: always
          sample: /var/lib/docker
        free_mib:
          description: Room for images, in MiB.
          type: int
          returned: always
          sample: 40321
    networks:
      description: IPv4 networks and addresses the system has routes or interfaces for.
      type: list
      elements: dict
      returned: always
      contains:
        network:
          description: Network, or one address with C(/32).
          type: str
          returned: always
          sample: 172.17.0.0/16
        interface:
          description: Name of the interface. Empty for the system's own addresses.
          type: str
          returned: always
          sample: docker0
    port:
      description: Result of listening on O(listen_port). V(null) if none was asked for.
      type: dict
      returned: always
      contains:
        error:
          description:
            - V(taken), V(no_such_address), V(denied) or another word of the system. V(null) if the
              port is free.
          type: str
          returned: always
          sample: taken
        holder:
          description: What listens there, as far as it can be told. Empty if it cannot.
          type: str
          returned: always
          sample: nginx (process 812)
        own:
          description: Whether this is the hub's own proxy container.
          type: bool
          returned: always
          sample: false
    ports:
      description: The same for each of O(listen), with its C(address) and C(port), in that order.
      type: list
      elements: dict
      returned: always
      contains:
        address:
          description: The address.
          type: str
          returned: always
          sample: 0.0.0.0
        port:
          description: The port.
          type: int
          returned: always
          sample: 443
        error:
          description: As of RV(host.port.error).
          type: str
          returned: always
          sample: taken
        holder:
          description: As of RV(host.port.holder).
          type: str
          returned: always
          sample: nginx (process 812)
        own:
          description: As of RV(host.port.own).
          type: bool
          returned: always
          sample: false
    names:
      description: Addresses of each of O(names). A name nobody knows has none.
      type: dict
      returned: always
      sample: {"hub1.example.org": ["192.0.2.10"]}
    accounts:
      description:
        - For each of O(accounts), whether the system knows it, be it from a directory service.
      type: dict
      returned: always
      sample: {"alice": true}
    paths:
      description: For each of O(paths), whether it is there. A symbolic link counts by itself.
      type: dict
      returned: always
      sample: {"/etc/nginx": true}
    services:
      description: What is wrong with each of O(services), in that order.
      type: list
      elements: dict
      returned: always
      contains:
        problem:
          description:
            - V(name) if it does not resolve, V(connection) if it does not answer, V(certificate) if
              its certificate cannot be trusted. V(null) if nothing is wrong, or if it was not asked.
          type: str
          returned: always
          sample: certificate
        detail:
          description: The same in the system's words. May be empty.
          type: str
          returned: always
          sample: certificate has expired
    pam_files:
      description:
        - What the role P(ailab.hub.jupyterhub#role) has made for the accounts of the server to sign
          in, and is there.
      type: list
      elements: str
      returned: always
      sample: [/etc/pam.d/ailab-hub]
    nginx:
      description:
        - Servers that nginx's configuration defines, with O(nginx). Empty where there is no nginx, or
          where it does not accept its configuration.
      type: list
      elements: dict
      returned: always
      contains:
        path:
          description: The file it stands in.
          type: str
          returned: always
          sample: /etc/nginx/sites-enabled/default
        names:
          description: The names it answers to.
          type: list
          elements: str
          returned: always
          sample: [hub1.example.org]
        listens:
          description: What it listens on, in nginx's words.
          type: list
          elements: str
          returned: always
          sample: ["443 ssl default_server"]
        certificate:
          description: The file of its certificate, in nginx's words. Empty if it has none.
          type: str
          returned: always
          sample: /etc/ssl/certs/hub1.pem
    ipv6:
      description: Whether the system has IPv6.
      type: bool
      returned: always
      sample: true
    time:
      description: The system's time, in seconds since 1970.
      type: float
      returned: always
      sample: 1795262400.5
    packages:
      description:
        - Those of O(packages) that are installed, by name, with C(version), as dpkg has it, and
          C(held), whether upgrades leave it alone (C(apt-mark hold)).
      type: dict
      returned: always
      sample: {"docker-ce": {"version": "5:28.5.1-1~debian.12~bookworm", "held": false}}
    dpkg_interrupted:
      description:
        - Whether an installation of packages was interrupted, so that apt installs no other before
          C(dpkg --configure -a) has finished it.
      type: bool
      returned: always
      sample: false
    apt_sources:
      description: Entries of apt's sources for O(apt_repositories).
      type: list
      elements: dict
      returned: always
      contains:
        path:
          description: The file it stands in.
          type: str
          returned: always
          sample: /etc/apt/sources.list.d/docker.list
        fields:
          description:
            - Its fields by their names in lower case, as deb822 has them, also where the file has
              the other format. User names and passwords in addresses are masked.
          type: dict
          returned: always
          sample: {"types": "deb", "uris": "https://download.docker.com/linux/debian"}
    apt_keys:
      description:
        - SHA-256 of each of O(apt_keys). V(null) if there is no such file, or if apt, which reads
          keys as a user without rights, cannot read it.
      type: dict
      returned: always
      sample: {"/etc/apt/keyrings/docker.asc": null}
    docker:
      description: The engine.
      type: dict
      returned: always
      contains:
        answers:
          description: Whether the engine answers on its socket.
          type: bool
          returned: always
          sample: true
        reason:
          description:
            - Why not. One of V(missing), V(not_a_socket), V(denied), V(refused), V(timeout),
              V(protocol). V(null) if it answers.
          type: str
          returned: always
          sample: refused
        error:
          description: The same as a sentence. V(null) if it answers.
          type: str
          returned: always
          sample: nothing listens on /var/run/docker.sock
        version:
          description: Version of the engine. V(null) if unknown.
          type: str
          returned: always
          sample: 20.10.24+dfsg1
        api_version:
          description: Newest version of the API the engine knows. V(null) if unknown.
          type: str
          returned: always
          sample: "1.41"
        data_root:
          description: Folder the engine keeps images in. V(null) if unknown.
          type: str
          returned: always
          sample: /var/lib/docker
        images:
          description: For each of O(images), whether the engine has it.
          type: dict
          returned: always
          sample: {"exasol/ai-lab:6.0.0": true}
        configuration_newer_than_engine:
          description:
            - Whether C(/etc/docker/daemon.json) or a file of the engine's proxies was written after
              the engine was started, so that the engine does not know all of it.
          type: bool
          returned: always
          sample: false
        live_restore:
          description: Whether containers outlive the engine. V(false) if unknown.
          type: bool
          returned: always
          sample: true
        daemon_json:
          description: The file C(/etc/docker/daemon.json).
          type: dict
          returned: always
          contains:
            own:
              description:
                - Whether it is, to the letter, what the role P(ailab.hub.docker_engine#role) wrote and
                  the engine started with.
              type: bool
              returned: always
              sample: false
            values:
              description:
                - Its entries, without passwords. Empty if there is no such file, V(null) if it is no
                  object in JSON.
              type: dict
              returned: always
              sample: {"data-root": "/srv/docker"}
        configuration_folder:
          description: Whether there is C(/etc/docker).
          type: bool
          returned: always
          sample: true
        proxy_files:
          description: Files of the engine's proxies that a role of this collection has made.
          type: list
          elements: str
          returned: always
          sample: [/etc/docker/ailab-hub-proxy.env]
        nuke_script:
          description:
            - Whether the packages of C(docker.io) left the script behind with which C(apt purge
              docker.io) removes all images and volumes, those of another engine included.
          type: bool
          returned: always
          sample: false
"""

import contextlib
import errno
import glob
import hashlib
import importlib.util
import json
import os
import pwd
import re
import shutil
import socket
import stat
import struct
import subprocess
import time
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils import _apt_sources as apt_sources
from ansible_collections.ailab.hub.plugins.module_utils import _nginx_config as nginx_config
from ansible_collections.ailab.hub.plugins.module_utils._docker_socket import (
    DockerSocket,
    DockerSocketError,
)

MIB = 1024 * 1024
OS_RELEASE = "/etc/os-release"
DAEMON_JSON = "/etc/docker/daemon.json"
# The checksum of the file as the role has written it.
DAEMON_JSON_CHECKSUM = "/etc/docker/ailab-hub-daemon.sha256"
# Names within an entry, such as of proxies and log-opts, whose values may hold a password.
SECRET_NAME = re.compile("proxy|pass|token|secret|key|credential", re.IGNORECASE)
PROXY_FILES = (
    "/etc/docker/ailab-hub-proxy.env",
    "/etc/systemd/system/docker.service.d/ailab-hub-proxy.conf",
)
# The unit comes first: as long as it is there the service may run.
PAM_FILES = (
    "/etc/systemd/system/ailab-hub-saslauthd.service",
    "/etc/pam.d/ailab-hub",
    "/run/ailab-hub-saslauthd",
)
NUKE_SCRIPT = "/var/lib/docker/nuke-graph-directory.sh"
ENGINE_PID = "/run/docker.pid"
IF_INET6 = "/proc/net/if_inet6"
DPKG_UPDATES = "/var/lib/dpkg/updates"
DPKG_QUERY = ("dpkg-query", "--show", "--showformat")
DPKG_FORMAT = "${binary:Package} ${Version} ${db:Status-Want} ${db:Status-Status}\\n"
# Ansible's names where they differ from NAME of os-release.
DISTRIBUTIONS = {"debian": "Debian", "ubuntu": "Ubuntu"}
REFRESHED = "/var/lib/ailab-hub/*_image.json"
TCP_LISTEN = "0A"
HUB_CONFIGURATION = "/etc/ailab-hub/jupyterhub_config.py"
SERVICE_SECONDS = 5.0
# Without the package ca-certificates nobody is trusted.
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
# RFC 4511, 4.14.1: message 1, an extended request for 1.3.6.1.4.1.1466.20037; and success in the answer.
START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
LDAP_SUCCESS = b"\x0a\x01\x00"
PROXY_LABEL = ("ailab.hub", "proxy")


def parse_os_release(text: str) -> dict[str, str]:
    """Distribution, version and code name from the text of os-release(5)."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name] = value.strip("\"'")
    identity = values.get("ID", "")
    return {
        "distribution": DISTRIBUTIONS.get(identity, values.get("NAME", identity)),
        "version": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
    }


def parse_memory(text: str) -> int | None:
    """MiB of memory from the text of /proc/meminfo."""
    for line in text.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return None


def parse_routes(text: str) -> list[dict[str, str]]:
    """Networks from the text of /proc/net/route, default routes left out."""
    networks = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or int(fields[7], 16) == 0:
            continue
        # The kernel prints addresses as the machine's integers.
        address = socket.inet_ntoa(struct.pack("=I", int(fields[1], 16)))
        prefix = bin(int(fields[7], 16)).count("1")
        networks.append({"network": f"{address}/{prefix}", "interface": fields[0]})
    return networks


def parse_local_addresses(text: str) -> list[dict[str, str]]:
    """The system's own addresses from the text of /proc/net/fib_trie, without those of loopback."""
    found = set()
    address = ""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == "|--":
            address = fields[1]
        elif fields[:3] == ["/32", "host", "LOCAL"] and not address.startswith("127."):
            found.add(address)
    return [{"network": item + "/32", "interface": ""} for item in sorted(found)]


def listening_inodes(text: str, port: int) -> set[str]:
    """Inodes of the sockets that listen on a port, from the text of /proc/net/tcp or tcp6."""
    inodes = set()
    for line in text.splitlines()[1:]:
        fields = line.split()
        listens = len(fields) > 9 and fields[3] == TCP_LISTEN
        if listens and int(fields[1].rpartition(":")[2], 16) == port:
            inodes.add(fields[9])
    return inodes


def read_text(path: str) -> str:
    """The text of a file; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def has_python_apt() -> bool:
    """Whether Ansible's apt module will find python-apt, in this Python or in the system's."""
    if importlib.util.find_spec("apt_pkg"):
        return True
    # The apt module starts itself anew with this Python when its own has no python-apt.
    return bool(glob.glob("/usr/lib/python3/dist-packages/apt_pkg*.so"))


def parse_packages(text: str) -> dict[str, dict[str, object]]:
    """Installed packages by name, from what dpkg-query prints in DPKG_FORMAT."""
    packages: dict[str, dict[str, object]] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[3] in ("installed", "triggers-pending", "triggers-awaited"):
            # Packages that exist for several machines at once carry the machine in their name.
            name = fields[0].partition(":")[0]
            packages[name] = {"version": fields[1], "held": fields[2] == "hold"}
    return packages


def installed_packages(names: list[str]) -> dict[str, dict[str, object]]:
    """Those of some packages that are installed; none where there is no dpkg."""
    if not names:
        return {}
    try:
        done = subprocess.run(
            [*DPKG_QUERY, DPKG_FORMAT, *names],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    except OSError:
        return {}
    return parse_packages(done.stdout)


def dpkg_interrupted() -> bool:
    """Whether dpkg left changes behind that it did not get to write into its status."""
    try:
        return any(name.isdigit() for name in os.listdir(DPKG_UPDATES))
    except OSError:
        return False


def apt_entries(repositories: list[str]) -> list[dict[str, object]]:
    """Entries of apt's sources for some repositories."""
    found: list[dict[str, object]] = []
    for path in apt_sources.files(apt_sources.SOURCES) if repositories else ():
        with contextlib.suppress(OSError):
            for entry in apt_sources.naming(path, apt_sources.read(path), repositories):
                fields = {name: apt_sources.mask(value) for name, value in entry.fields.items()}
                found.append({"path": path, "fields": fields})
    return found


def key_checksum(path: str) -> str | None:
    """SHA-256 of a file everybody can read; None for any other."""
    try:
        with open(path, "rb") as stream:
            if not os.fstat(stream.fileno()).st_mode & stat.S_IROTH:
                return None
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None


def refreshed_images() -> dict[str, dict[str, str]]:
    """What the roles of images have remembered of their last refresh, by the name of the role."""
    refreshed = {}
    for path in glob.glob(REFRESHED):
        # Half a file, of a run that was killed, says as little as none.
        with contextlib.suppress(ValueError, AttributeError):
            found = json.loads(read_text(path))
            role = os.path.splitext(os.path.basename(path))[0]
            refreshed[role] = {name: str(found.get(name, "")) for name in ("word", "time")}
    return refreshed


def free_disk(path: str) -> dict[str, object]:
    """Room for a folder that may have to be made first."""
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    status = os.statvfs(path)
    return {"path": path, "free_mib": status.f_bavail * status.f_frsize // MIB}


def try_port(address: str, port: int) -> str | None:
    """Listen for a moment. None if that works, else why not, in the words of RETURN."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as listener:
        # Connections that ended a moment ago must not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(1)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return "taken"
            if exc.errno == errno.EADDRNOTAVAIL:
                return "no_such_address"
            if exc.errno in (errno.EACCES, errno.EPERM):
                return "denied"
            return exc.strerror or str(exc)
    return None


def listening_process(port: int) -> str:
    """Name and number of the process that listens on a port; empty if it cannot be told."""
    inodes = listening_inodes(read_text("/proc/net/tcp"), port)
    inodes |= listening_inodes(read_text("/proc/net/tcp6"), port)
    links = {f"socket:[{inode}]" for inode in inodes}
    for descriptor in glob.iglob("/proc/[0-9]*/fd/*") if links else ():
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in links:
                pid = descriptor.split("/")[2]
                name = read_text(f"/proc/{pid}/comm").strip()
                return f"{name} (process {pid})"
    return ""


def port_info(engine: DockerSocket | None, address: str, port: int) -> dict[str, object]:
    """Whether a port is free, and who has it if not."""
    error = try_port(address, port)
    holder, own = "", False
    if error == "taken":
        holder = listening_process(port)
        filters = quote(json.dumps({"publish": [f"{port}/tcp"]}))
        with contextlib.suppress(DockerSocketError):
            containers = engine.get_json("/containers/json?filters=" + filters) if engine else []
            for container in containers or []:
                holder = "container " + ", ".join(container["Names"]).replace("/", "")
                own = own or (container["Labels"] or {}).get(PROXY_LABEL[0]) == PROXY_LABEL[1]
    return {"error": error, "holder": holder, "own": own}


def addresses_of(name: str) -> list[str]:
    """IP addresses of a host by its name; none if nobody knows it."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


def has_account(name: str) -> bool:
    """Whether the system knows an account, as /etc/nsswitch.conf has it."""
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def try_service(name: str, port: int, tls: str, authorities: str) -> tuple[str | None, str]:
    """Connect to a service. What is wrong, in the words of RETURN, and the detail of it."""
    # Costs a tenth of a run that may not need it.
    import ssl

    try:
        with contextlib.closing(socket.create_connection((name, port), SERVICE_SECONDS)) as plain:
            if tls == "ldap":
                plain.sendall(START_TLS)
                if LDAP_SUCCESS not in plain.recv(4096):
                    return "connection", "it refuses StartTLS"
            if tls != "none":
                context = ssl.create_default_context()
                # Newer Pythons ask more of a certificate than the hub's may.
                context.verify_flags &= ~ssl.VERIFY_X509_STRICT
                with contextlib.suppress(ssl.SSLError, ValueError):
                    context.load_verify_locations(cadata=authorities)
                context.wrap_socket(plain, server_hostname=name).close()
    except ssl.SSLCertVerificationError as exc:
        known = os.path.exists(TRUSTED)
        return ("certificate", exc.verify_message) if known else (None, "")
    except (socket.gaierror, UnicodeError):
        return "name", "its name does not resolve"
    except socket.timeout:
        return "connection", f"no answer within {SERVICE_SECONDS:g} s"
    except OSError as exc:
        return "connection", exc.strerror or str(exc)
    return None, ""


def services_info(services: list[dict[str, object]], authorities: str) -> list[dict[str, object]]:
    """What is wrong with services that are new to the hub."""
    configuration = read_text(HUB_CONFIGURATION) if services else ""
    found: list[dict[str, object]] = []
    for entry in services:
        problem, detail = None, ""
        if str(entry["text"]) not in configuration:
            name, tls = str(entry["name"]), str(entry["tls"])
            problem, detail = try_service(name, int(str(entry["port"])), tls, authorities)
        found.append({"problem": problem, "detail": detail})
    return found


def nginx_servers() -> list[dict[str, object]]:
    """Servers of the configuration nginx would start with; none where it has none it accepts."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    try:
        done = subprocess.run(
            [program, "-T", "-q"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    found: list[dict[str, object]] = nginx_config.servers(done.stdout)
    return found


def configuration_newer_than_engine() -> bool:
    """Whether the running engine was started before its configuration was written.

    The engine writes its pid file when it starts, with the same clock as the configuration; the
    start time in /proc is rounded to seconds and would make a quick restart look too early.
    """
    pid = read_text(ENGINE_PID).strip()
    if not pid.isdigit() or not os.path.isdir("/proc/" + pid):
        return False
    try:
        started = os.stat(ENGINE_PID).st_mtime
    except OSError:
        return False
    files = [path for path in (DAEMON_JSON, *PROXY_FILES) if os.path.exists(path)]
    return any(os.stat(path).st_mtime > started for path in files)


def without_secrets(value: object, name: str = "") -> object:
    """A value of daemon.json as everybody may see it."""
    if isinstance(value, dict):
        return {key: without_secrets(item, key) for key, item in value.items()}
    if name and SECRET_NAME.search(name):
        return "***"
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return apt_sources.mask(value) if isinstance(value, str) else value


def daemon_json() -> dict[str, object]:
    """The engine's configuration, and whether it is the role's."""
    text = read_text(DAEMON_JSON)
    checksum = hashlib.sha256(text.encode("utf-8")).hexdigest()
    try:
        values = json.loads(text) if text.strip() else {}
    except ValueError:
        values = None
    if isinstance(values, dict):
        values = {key: without_secrets(value) for key, value in values.items()}
    else:
        values = None
    return {"own": read_text(DAEMON_JSON_CHECKSUM).strip() == checksum, "values": values}


def docker_info(engine: DockerSocket, images: list[str]) -> dict[str, object]:
    """What the engine says of itself."""
    info: dict[str, object] = {
        "answers": False,
        "reason": None,
        "error": None,
        "version": None,
        "api_version": None,
        "data_root": None,
        "live_restore": False,
        "images": dict.fromkeys(images, False),
        "daemon_json": daemon_json(),
        "configuration_newer_than_engine": configuration_newer_than_engine(),
        "configuration_folder": os.path.isdir(os.path.dirname(DAEMON_JSON)),
        "proxy_files": [path for path in PROXY_FILES if os.path.exists(path)],
        "nuke_script": os.path.exists(NUKE_SCRIPT),
    }
    try:
        version = engine.get_json("/version")
        info["version"] = version["Version"]
        info["api_version"] = version["ApiVersion"]
        system = engine.get_json("/info") or {}
        info["data_root"] = system.get("DockerRootDir")
        info["live_restore"] = system.get("LiveRestoreEnabled") is True
        info["images"] = {
            image: engine.get_json(f"/images/{quote(image)}/json") is not None for image in images
        }
        info["answers"] = True
    except DockerSocketError as exc:
        info["reason"], info["error"] = exc.reason, str(exc)
    except (KeyError, TypeError, AttributeError):
        info["reason"], info["error"] = "protocol", f"{engine.path} is not Docker's socket"
    return info


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "listen_address": {"type": "str"},
            "listen_port": {"type": "int"},
            "listen": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                },
            },
            "names": {"type": "list", "elements": "str", "default": []},
            "accounts": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "path", "default": []},
            "services": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "text": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "tls": {"type": "str", "choices": ["none", "tls", "ldap"], "default": "none"},
                },
            },
            "authorities": {"type": "str", "default": ""},
            "nginx": {"type": "bool", "default": False},
            "images": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "apt_repositories": {"type": "list", "elements": "str", "default": []},
            "apt_keys": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "data_root": {"type": "path", "default": "/var/lib/docker"},
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
            "timeout": {"type": "float", "default": 10.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    engine = DockerSocket(params["socket"], params["timeout"])
    docker = docker_info(engine, params["images"])
    port = None
    answering = engine if docker["answers"] else None
    if params["listen_address"] and params["listen_port"]:
        port = port_info(answering, params["listen_address"], params["listen_port"])
    networks = parse_routes(read_text("/proc/net/route"))
    networks += parse_local_addresses(read_text("/proc/net/fib_trie"))
    host = {
        **parse_os_release(read_text(OS_RELEASE)),
        "architecture": os.uname().machine,
        "systemd": os.path.isdir("/run/systemd/system"),
        "uid": os.geteuid(),
        "python_apt": has_python_apt(),
        "python_requests": importlib.util.find_spec("requests") is not None,
        "commands": {name: shutil.which(name) is not None for name in ("git", "ssh")},
        "refreshed": refreshed_images(),
        "memory_mib": parse_memory(read_text("/proc/meminfo")),
        "disk": free_disk(str(docker["data_root"] or params["data_root"])),
        "networks": networks,
        "port": port,
        "ports": [
            {**entry, **port_info(answering, entry["address"], entry["port"])}
            for entry in params["listen"]
        ],
        "names": {name: addresses_of(name) for name in params["names"]},
        "accounts": {name: has_account(name) for name in params["accounts"]},
        "paths": {path: os.path.lexists(path) for path in params["paths"]},
        "services": services_info(params["services"], params["authorities"]),
        "pam_files": [path for path in PAM_FILES if os.path.lexists(path)],
        "nginx": nginx_servers() if params["nginx"] else [],
        "ipv6": os.path.exists(IF_INET6),
        "time": time.time(),
        "packages": installed_packages(params["packages"]),
        "dpkg_interrupted": dpkg_interrupted(),
        "apt_sources": apt_entries(params["apt_repositories"]),
        "apt_keys": {path: key_checksum(path) for path in params["apt_keys"]},
        "docker": docker,
    }
    module.exit_json(changed=False, host=host)


if __name__ == "__main__":
    main()
