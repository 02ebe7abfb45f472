#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells how a server with JupyterHub is, part by part, and what mends what is not well."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_health
short_description: Tell how a server with JupyterHub is, and how to mend what is not well
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Looks at what the roles of this collection have deployed on a server. These are the containers
    of proxy, hub and users, the hub's answer through the proxy, what the hub asks when somebody
    signs in, the timer that restarts what hangs, and certificates. Disks, memory and the clock
    come with it.
  - It needs no variable of the roles, and works where Docker is down, hangs or was never installed.
    What cannot be known is said to be unknown.
  - Nothing can hold it up. Each part is looked at by itself, for no longer than O(timeout). What the
    hub asks when somebody signs in may take 20 seconds.
  - P(ailab.hub.docker_access#module) says more about the access to Docker. The playbook
    C(ailab.hub.doctor) prints both as a table.
extends_documentation_fragment:
  - ailab.hub._attributes
  - ailab.hub._attributes.info_module
options:
  socket:
    description: The Docker Engine's socket.
    type: path
    default: /var/run/docker.sock
  timeout:
    description: Seconds each part may take.
    type: float
    default: 5.0
  controller_time:
    description:
      - Seconds since 1970 by the controller's clock, to compare the server's clock with. Without it
        nothing is compared.
    type: float
requirements:
  - C(openssl) on the server, for certificates. Without it they are unknown.
  - C(docker) on the server, for what the hub asks when somebody signs in. Without it nothing is said
    of that.
notes:
  - Run it as root. Docker, certificates and the journal are closed to others.
seealso:
  - module: ailab.hub.docker_access
  - module: ailab.hub.host_info
"""

EXAMPLES = r"""
- name: It is known how the server is
  ailab.hub.hub_health:
  become: true
  register: _health

- name: Nothing is broken
  ansible.builtin.assert:
    that: _health.ok

- name: What is not well is shown
  ansible.builtin.debug:
    msg: "{{ item.subject }} is {{ item.state }}: {{ item.message }} {{ item.hint }}"
  loop: "{{ _health.checks | rejectattr('state', 'eq', 'ok') }}"
  loop_control:
    label: "{{ item.subject }}"
"""

RETURN = r"""
ok:
  description: Whether nothing is broken. Warnings and what is unknown do not count.
  type: bool
  returned: always
  sample: true
checks:
  description: Every part that was looked at, in the order to mend them in.
  type: list
  elements: dict
  returned: always
  contains:
    subject:
      description:
        - What was looked at. V(Deployment), V(Containers), the name of a container, V(Labs), V(Hub),
          V(HTTPS), V(Sign-in), V(Healing), V(Certificate), V(Disk), V(Memory) or V(Clock).
        - There may be several with the same subject. V(Deployment) is only there if nothing was
          deployed, and V(Containers) if Docker does not answer.
      type: str
      returned: always
      sample: jupyterhub-proxy
    state:
      description: V(ok), V(warning), V(broken) or V(unknown).
      type: str
      returned: always
      sample: broken
    message:
      description: What was found.
      type: str
      returned: always
      sample: stopped 5 min ago with exit status 137
    hint:
      description: The command or variable that mends it. Empty if there is nothing to mend.
      type: str
      returned: always
      sample: "Run: docker start jupyterhub-proxy"
deployed:
  description: Whether a hub was deployed, running or not.
  type: bool
  returned: always
  sample: true
docker:
  description: The engine.
  type: dict
  returned: always
  contains:
    answers:
      description: Whether it answers.
      type: bool
      returned: always
      sample: true
    error:
      description: Why not, in a few words. V(null) if it answers.
      type: str
      returned: always
      sample: nothing listens on /var/run/docker.sock
    data_root:
      description: Folder it keeps images, containers and volumes in. V(null) if unknown.
      type: str
      returned: always
      sample: /var/lib/docker
containers:
  description: The containers of proxy and hub. Empty if Docker does not answer.
  type: list
  elements: dict
  returned: always
  contains:
    role:
      description: V(proxy) or V(hub).
      type: str
      returned: always
      sample: proxy
    name:
      description: Its name.
      type: str
      returned: always
      sample: jupyterhub-proxy
    image:
      description: The image it was made from.
      type: str
      returned: always
      sample: quay.io/jupyterhub/configurable-http-proxy:5.3.0
    status:
      description: What Docker says, such as V(running), V(exited), V(restarting) or V(paused).
      type: str
      returned: always
      sample: running
    since:
      description: When it began to run, or ended, in seconds since 1970. V(null) if it never ran.
      type: float
      returned: always
      sample: 1795264000.5
    exit_status:
      description: Exit status of one that does not run. V(null) for one that runs.
      type: int
      returned: always
      sample: 137
    out_of_memory:
      description: Whether it was ended for lack of memory.
      type: bool
      returned: always
      sample: false
    restarts:
      description: How often Docker has restarted it because it had ended.
      type: int
      returned: always
      sample: 0
    health:
      description:
        - V(healthy), V(unhealthy) or V(starting) by the container's own health check.
        - V(null) if there is no check, or if Docker has not looked for five minutes. An engine that
          was restarted while the containers went on may never look again.
      type: str
      returned: always
      sample: healthy
    health_output:
      description: What the last health check said. Empty if it said nothing.
      type: str
      returned: always
      sample: ""
    address:
      description: Where its port is published on the server. V(null) if it has none.
      type: str
      returned: always
      sample: 127.0.0.1:8000
labs:
  description: Containers of users. V(null) if Docker does not answer.
  type: dict
  returned: always
  contains:
    running:
      description: How many run.
      type: int
      returned: always
      sample: 12
    ended:
      description: How many have ended and are still there. A user's next start replaces one.
      type: int
      returned: always
      sample: 1
    unhealthy:
      description: Names of those that run and fail their health check.
      type: list
      elements: str
      returned: always
      sample: []
    out_of_memory:
      description: Names of those that were ended for lack of memory.
      type: list
      elements: str
      returned: always
      sample: [jupyter-alice]
    failed:
      description: Names of those that ended by themselves with an error.
      type: list
      elements: str
      returned: always
      sample: []
hub:
  description: The hub's answer at the proxy's address. V(null) if the proxy has none.
  type: dict
  returned: always
  contains:
    url:
      description: The address asked.
      type: str
      returned: always
      sample: http://127.0.0.1:8000/hub/health
    status:
      description: HTTP status. V(null) if there was no answer.
      type: int
      returned: always
      sample: 200
    seconds:
      description: Time the answer took. V(null) if there was none.
      type: float
      returned: always
      sample: 0.012
    version:
      description: JupyterHub's version. V(null) if it was not told.
      type: str
      returned: always
      sample: 5.5.4
    error:
      description: Why there was no answer. V(null) if there was one.
      type: str
      returned: always
      sample: Connection refused
entrance:
  description:
    - The HTTPS entrance, as the site C(ailab-hub) of nginx has it. V(null) if there is none.
  type: dict
  returned: always
  contains:
    address:
      description: Where it listens.
      type: str
      returned: always
      sample: 127.0.0.1:443
    server_name:
      description: Name it was asked for. Empty if it has none.
      type: str
      returned: always
      sample: hub.example.org
    path:
      description: File of its certificate.
      type: str
      returned: always
      sample: /var/lib/ailab-hub/https/certificate.pem
    status:
      description: HTTP status of the hub's answer there. V(null) if there was none.
      type: int
      returned: always
      sample: 200
    error:
      description: Why there was no answer. V(null) if there was one.
      type: str
      returned: always
      sample: Connection refused
    certificate:
      description: The certificate it shows, as in RV(certificates). V(null) if there was none.
      type: dict
      returned: always
      sample: null
sign_in:
  description:
    - What the hub asks when somebody signs in, such as a service of OpenID Connect, and whether it
      can be asked. The hub asks as it does at a sign-in, but signs in nobody.
    - V(null) for a way to sign in by which the hub asks nobody, and if the hub does not run.
  type: dict
  returned: always
  contains:
    kind:
      description: V(oauth), V(ldap), V(lti13) or V(pam).
      type: str
      returned: always
      sample: oauth
    asked:
      description: The address asked.
      type: str
      returned: always
      sample: https://login.example.org/token
    problem:
      description:
        - V(name) if its name does not resolve, V(connection) if there is no connection or no answer,
          V(certificate) if its certificate cannot be trusted, V(credentials) if it does not take the
          hub's own account or secret, V(answer) if it is not the service it should be. V(null) if
          there is none.
      type: str
      returned: always
      sample: certificate
    detail:
      description: The same in the words of the system or the service. May be empty.
      type: str
      returned: always
      sample: certificate has expired
    accepted:
      description: Whether it takes the hub's own account or secret. V(null) if that cannot be told.
      type: bool
      returned: always
      sample: null
healing:
  description: The timer that restarts a hub or proxy that hangs. V(null) if nothing was deployed.
  type: dict
  returned: always
  contains:
    timer:
      description: V(active), V(inactive), V(missing), or V(null) if unknown.
      type: str
      returned: always
      sample: active
    result:
      description: How its last look ended, in systemd's words. V(null) if unknown.
      type: str
      returned: always
      sample: success
    last_look:
      description: Seconds since its last look. V(null) if there was none.
      type: float
      returned: always
      sample: 7.5
    restarts:
      description:
        - What it restarted in the last 24 hours, oldest first. Each has C(container), C(time) in
          seconds since 1970, and C(reason).
      type: list
      elements: dict
      returned: always
      sample: [{"container": "jupyterhub", "time": 1795264000.5, "reason": "('127.0.0.1', 8081): timed out"}]
certificates:
  description: Certificates in the files of registries and of the HTTPS entrance.
  type: list
  elements: dict
  returned: always
  contains:
    path:
      description: The file. Empty for the one an entrance shows.
      type: str
      returned: always
      sample: /etc/docker/certs.d/registry.example.org/ca.crt
    use:
      description: V(authority), V(client) or V(server).
      type: str
      returned: always
      sample: authority
    subject:
      description: Whose it is. V(null) if unknown.
      type: str
      returned: always
      sample: CN=Example authority
    names:
      description: DNS names it is for.
      type: list
      elements: str
      returned: always
      sample: []
    fingerprint:
      description: Its SHA-256 fingerprint. V(null) if unknown.
      type: str
      returned: always
      sample: "2F:67:9C:03:20:F5:D8:E1:C2:51:F2:10:AC:92:34:25:80:7B:D6:9B:64:2D:0E:5A:7C:A2:B6:FF:45:F2:2E:37"
    not_before:
      description: Since when it counts, in seconds since 1970. V(null) if unknown.
      type: int
      returned: always
      sample: 1795264000
    not_after:
      description: Until when it counts, in seconds since 1970. V(null) if unknown.
      type: int
      returned: always
      sample: 1826800000
    error:
      description:
        - Why it could not be read. V(no_openssl) if the program is missing. V(null) if it could.
      type: str
      returned: always
      sample: null
disks:
  description: The file systems of Docker's data, the hub's data and the system.
  type: list
  elements: dict
  returned: always
  contains:
    paths:
      description: Folders of interest on it.
      type: list
      elements: str
      returned: always
      sample: [/, /var/lib/ailab-hub, /var/lib/docker]
    size:
      description: Its size in bytes.
      type: int
      returned: always
      sample: 42949672960
    free:
      description: Bytes that can still be written by users without special rights.
      type: int
      returned: always
      sample: 21474836480
    used_percent:
      description: How full it is, as C(df) counts.
      type: int
      returned: always
      sample: 48
    inodes_used_percent:
      description: Part of its inodes in use. V(null) for one that makes them as needed.
      type: int
      returned: always
      sample: 7
memory:
  description: The server's memory. V(null) if unknown.
  type: dict
  returned: always
  contains:
    total:
      description: Bytes in all.
      type: int
      returned: always
      sample: 16777216000
    available:
      description: Bytes programs can have without swapping.
      type: int
      returned: always
      sample: 9663676416
clock:
  description: The server's clock.
  type: dict
  returned: always
  contains:
    synchronized:
      description: Whether it is kept right over the network. V(null) if that is not known here.
      type: bool
      returned: always
      sample: true
    offset:
      description:
        - Seconds it is ahead of the controller's, connecting included. V(null) if not compared.
      type: float
      returned: always
      sample: 0.8
"""

import calendar
import contextlib
import functools
import glob
import json
import os
import re
import socket
import subprocess
import threading
import time
import typing as t
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils import _nginx_config as nginx_config
from ansible_collections.ailab.hub.plugins.module_utils._docker_socket import (
    DEFAULT_SOCKET,
    DockerSocket,
    DockerSocketError,
)

OK = "ok"
WARNING = "warning"
BROKEN = "broken"
UNKNOWN = "unknown"

LABEL = "ailab.hub"
# The order is the order to mend them in.
CONTAINERS = {"proxy": "jupyterhub-proxy", "hub": "jupyterhub"}
CONFIGURATION = "/etc/ailab-hub/jupyterhub_config.py"
STATE = "/var/lib/ailab-hub"
DAEMON_JSON = "/etc/docker/daemon.json"
DATA_ROOT = "/var/lib/docker"
MEMINFO = "/proc/meminfo"
HEALING = "ailab-hub-heal"

# Where certificates are, and what each is used as. In Docker's folders *.crt are authorities and
# *.cert are shown to the registry.
CERTIFICATES: tuple[tuple[str, str], ...] = (
    ("/etc/docker/certs.d/*/*.crt", "authority"),
    ("/etc/docker/certs.d/*/*.cert", "client"),
)
# The entrance and its certificate are where nginx says.
SITES = "/etc/nginx/sites-enabled/*ailab-hub"
CERTIFICATE = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.+?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)
# A file with more is a whole store of authorities, and no administrator mends one by one.
MAX_CERTIFICATES = 20
MAX_FILE = 1024 * 1024
MAX_ANSWER = 64 * 1024

DAY = 24 * 3600.0
# docs/troubleshooting.md says where these come from.
CERTIFICATE_DAYS = 21
DISK_WARNING_PERCENT = 85
DISK_BROKEN_PERCENT = 95
MEMORY_WARNING_PERCENT = 10
CLOCK_SECONDS = 60
SLOW_SECONDS = 2.0
# Docker looks every 30 s.
HEALTH_SECONDS = 300
YOUNG_SECONDS = 600
HEALING_SECONDS = 24 * 3600
# The timer looks every 15 s, and one look takes up to a minute for each container.
HEALING_LATE_SECONDS = 300
HEALING_OFTEN = 3
# Ended by the user, by Docker or by a shutdown of the server.
ORDINARY_EXITS = (0, 130, 137, 143)
SIGKILLED = 137
# A program or an engine is given up on after its time; what hangs elsewhere is left behind after this.
MARGIN_SECONDS = 0.5
# Each costs a request.
MAX_INSPECTED = 20
MAX_NAMED = 5

# The hub gives up on its own after 15 s.
SIGN_IN_SECONDS = 20.0
# What the hub asks, and the variable that says where it is.
ASKED = {
    "oauth": ("the identity server", "jupyterhub_oauth"),
    "ldap": ("the directory", "jupyterhub_ldap"),
    "lti13": ("the course system", "jupyterhub_lti13"),
    "pam": ("what asks PAM", "jupyterhub_pam"),
}
OWN_ACCOUNT = {
    "oauth": "client_id and client_secret",
    "ldap": "lookup_dn_search_user and lookup_dn_search_password",
}

DEPLOY = "Deploy: ansible-playbook -i inventory site.yml"

HANGS = "Look on the server with: uptime; journalctl --dmesg --lines 20"

Facts = t.Dict[str, t.Any]
Check = t.Dict[str, str]
Checks = t.Iterator[Check]


def check(subject: str, state: str, message: str, hint: str = "") -> Check:
    """One line of the result."""
    return {"subject": subject, "state": state, "message": message, "hint": hint}


# Words for numbers


def duration(seconds: float) -> str:
    """A time span with the unit a person would choose."""
    for unit, name in ((DAY, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def size(number: float) -> str:
    """Bytes with the unit a person would choose."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def named(names: t.Sequence[str]) -> str:
    """A few of some names."""
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def times(number: int) -> str:
    """How often something was."""
    return "once" if number == 1 else f"{number} times"


def one_line(text: str, longest: int = 300) -> str:
    """A text of others, fit for a table."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


# Judging: from facts to checks


def judge(facts: Facts, now: float) -> list[Check]:
    """All checks, in the order to mend them in; now in seconds since 1970."""
    checks = [
        *judge_deployment(facts),
        *judge_containers(facts, now),
        *judge_labs(facts["labs"]),
        *judge_hub(facts),
        *judge_entrance(facts, now),
        *judge_sign_in(facts["sign_in"]),
        *judge_healing(facts["healing"], now),
        *judge_certificates(facts["certificates"], now),
        *judge_disks(facts["disks"]),
        *judge_memory(facts["memory"]),
        *judge_clock(facts["clock"]),
    ]
    return [*checks, *(check(*missing) for missing in facts.get("_missing", ()))]


def judge_deployment(facts: Facts) -> Checks:
    """Whether there is anything to look at."""
    if not facts["deployed"]:
        yield check("Deployment", BROKEN, "no JupyterHub was deployed on this server", DEPLOY)


def judge_containers(facts: Facts, now: float) -> Checks:
    """Proxy and hub."""
    if not facts["deployed"]:
        return
    if not facts["docker"]["answers"]:
        message = f"not known, as Docker does not answer: {facts['docker']['error']}"
        hint = "Mend the access to Docker first; the module ailab.hub.docker_access says how."
        yield check("Containers", UNKNOWN, message, hint)
        return
    for role, name in CONTAINERS.items():
        found = [container for container in facts["containers"] if container["role"] == role]
        if not found:
            yield check(name, BROKEN, "there is no such container", f"{DEPLOY} --tags jupyterhub")
        for container in found:
            yield check(container["name"], *judge_container(container, now))


def judge_container(container: Facts, now: float) -> tuple[str, ...]:
    """State, message and hint for one container."""
    name, status = container["name"], container["status"]
    ago = "at an unknown time" if container["since"] is None else duration(now - container["since"])
    logs = f"docker logs --tail 50 {name}"
    if status == "restarting":
        message = (
            f"ends again and again, with exit status {container['exit_status']}; Docker has "
            f"restarted it {times(container['restarts'])}"
        )
        return BROKEN, message, f"Look with: {logs}"
    if status == "paused":
        return BROKEN, f"paused, started {ago} ago", f"Run: docker unpause {name}"
    if status != "running":
        why = ", for lack of memory" if container["out_of_memory"] else ""
        message = f"{status}, ended {ago} ago with exit status {container['exit_status']}{why}"
        if container["since"] is None:
            message = f"{status}, never started"
        return BROKEN, message, f"Run: docker start {name} (and, if it ends again: {logs})"
    health = container["health"]
    message = f"running for {ago}, {health or 'health not looked at by Docker'}"
    if container["restarts"]:
        message += f", restarted by Docker {times(container['restarts'])}"
    if health == "unhealthy":
        said = one_line(container["health_output"])
        message += f": {said}" if said else ""
        return BROKEN, message, f"Look with: {logs}; then run: docker restart {name}"
    message += f", image {container['image']}"
    if health == "starting":
        return UNKNOWN, message, "Look again in half a minute."
    if container["restarts"] and now - (container["since"] or now) < YOUNG_SECONDS:
        return WARNING, message, f"Look with: {logs}"
    return OK, message, ""


def judge_labs(labs: Facts | None) -> Checks:
    """Containers of users. What is wrong with one of them breaks nothing for the others."""
    if labs is None:
        return
    yield check("Labs", OK, f"{labs['running']} running, {labs['ended']} ended")
    if labs["unhealthy"]:
        names = labs["unhealthy"]
        hint = f"Look with: docker logs --tail 50 {names[0]}; the user may restart the server."
        yield check("Labs", WARNING, f"unhealthy: {named(names)}", hint)
    if labs["out_of_memory"]:
        message = f"ended for lack of memory: {named(labs['out_of_memory'])}"
        hint = "Raise DockerSpawner.mem_limit in jupyterhub_config, or let fewer servers run."
        yield check("Labs", WARNING, message, hint)
    if labs["failed"]:
        names = labs["failed"]
        hint = f"Look with: docker logs --tail 50 {names[0]}"
        yield check("Labs", WARNING, f"ended with an error: {named(names)}", hint)


def judge_hub(facts: Facts) -> Checks:
    """The hub's answer through the proxy."""
    if not facts["deployed"] or not facts["docker"]["answers"]:
        return
    hub = facts["hub"]
    if hub is None:
        hint = f"Mend {CONTAINERS['proxy']} first."
        yield check("Hub", UNKNOWN, "cannot be asked: no proxy runs at any address", hint)
        return
    name = CONTAINERS["hub"]
    mend = f"Look with: docker logs --tail 50 {name}; then run: docker restart {name}"
    if not any(
        each["role"] == "hub" and each["status"] == "running" for each in facts["containers"]
    ):
        mend = f"Mend {name} first."
    if hub["error"]:
        message = f"no answer from {hub['url']}: {hub['error']}"
        yield check("Hub", BROKEN, message, mend)
    elif hub["status"] != 200:
        message = f"{hub['url']} answers with HTTP status {hub['status']}"
        if hub["status"] == 503:
            message += ", as the proxy does not reach the hub"
        yield check("Hub", BROKEN, message, mend)
    else:
        version = f"JupyterHub {hub['version']}" if hub["version"] else "JupyterHub"
        message = f"{version} answers within {hub['seconds'] * 1000:.0f} ms on {hub['url']}"
        slow = hub["seconds"] >= SLOW_SECONDS
        hint = "Look with: docker stats --no-stream" if slow else ""
        yield check("Hub", WARNING if slow else OK, message, hint)


def judge_entrance(facts: Facts, now: float) -> Checks:
    """The HTTPS entrance."""
    entrance = facts["entrance"]
    if entrance is None:
        return
    look = "Look with: nginx -t; systemctl status nginx; journalctl --unit nginx --lines 50"
    shown = entrance["certificate"]
    if shown is None:
        message = f"no answer from {entrance['address']}: {entrance['error']}"
        yield check("HTTPS", BROKEN, message, look)
        return
    state, message = judge_certificate(shown, now)
    hint = certificate_hint(shown) if state in (BROKEN, WARNING) else ""
    inside = {each["fingerprint"] for each in facts["certificates"] if each["use"] == "server"}
    if shown["fingerprint"] not in inside:
        state = max(state, WARNING, key=(OK, WARNING, UNKNOWN, BROKEN).index)
        message += f", which is not the one in {entrance['path']}"
        hint = "Run: systemctl reload nginx"
    if entrance["status"] != 200:
        answer = entrance["error"] or f"HTTP status {entrance['status']}"
        state, message, hint = BROKEN, f"{message}; /hub/health: {answer}", look
    yield check("HTTPS", state, f"{entrance['address']} shows {message}", hint)


def judge_sign_in(sign_in: Facts | None) -> Checks:
    """What the hub asks when somebody signs in. Who is logged in goes on without it."""
    if sign_in is None:
        return
    who, variable = ASKED[sign_in["kind"]]
    asked, problem, detail = sign_in["asked"], sign_in["problem"], one_line(sign_in["detail"])
    own = OWN_ACCOUNT.get(sign_in["kind"], "")
    if problem is None:
        message = f"{who} answers at {asked}"
        if own and sign_in["accepted"]:
            message += f" and takes the hub's {own}"
        yield check("Sign-in", OK, message)
    elif problem == "credentials":
        message = f"{who} at {asked} does not take the hub's {own} ({detail})"
        hint = f"Correct them in {variable}. {DEPLOY} --tags jupyterhub"
        yield check("Sign-in", BROKEN, message, hint)
    elif problem == "certificate":
        message = f"the certificate of {who} at {asked} cannot be trusted: {detail}"
        hint = "Ask those who run it for a valid one, or name its authority in hub_image_ca_file. "
        yield check("Sign-in", BROKEN, message, hint + DEPLOY)
    elif problem == "answer":
        message = f"{asked} does not answer as {who} does: {detail}"
        hint = f"Correct the address in {variable}. {DEPLOY} --tags jupyterhub"
        yield check("Sign-in", BROKEN, message, hint)
    else:
        message = f"the hub does not reach {who} at {asked}: {detail}"
        hint = f"Ask those who run it, or correct the address in {variable}."
        if sign_in["kind"] == "pam":
            hint = "Run: systemctl restart ailab-hub-saslauthd"
        yield check("Sign-in", BROKEN, message, hint)


def judge_healing(healing: Facts | None, now: float) -> Checks:
    """The timer that restarts what hangs."""
    if healing is None:
        return
    timer = f"{HEALING}.timer"
    if healing["timer"] is None:
        hint = f"Look with: systemctl status {timer}"
        yield check("Healing", UNKNOWN, "systemd does not tell of its timer", hint)
        return
    if healing["timer"] == "missing":
        hint = f"{DEPLOY} --tags jupyterhub"
        yield check(
            "Healing", WARNING, f"there is no {timer}: nothing restarts a hub that hangs", hint
        )
        return
    if healing["timer"] != "active":
        hint = f"Run: systemctl enable --now {timer}"
        yield check("Healing", WARNING, f"{timer} is off: nothing restarts a hub that hangs", hint)
        return
    last = healing["last_look"]
    message = "has not looked yet" if last is None else f"looked {duration(last)} ago"
    journal = f"journalctl --unit {HEALING}.service --since -24h"
    if healing["result"] not in (None, "success"):
        message += f", and its last look failed ({healing['result']})"
        yield check("Healing", WARNING, message, f"Look with: {journal}")
    elif last is not None and last > HEALING_LATE_SECONDS:
        yield check("Healing", WARNING, message, f"Run: systemctl restart {timer}")
    elif not healing["restarts"]:
        yield check("Healing", OK, f"{message}, restarted nothing in the last 24 h")
    else:
        latest = healing["restarts"][-1]
        since = now - latest["time"]
        message += f", restarted something {times(len(healing['restarts']))} in the last 24 h"
        message += f", last {latest['container']} {duration(since)} ago"
        message += f": {one_line(latest['reason'])}" if latest["reason"] else ""
        odd = since < 3600 or len(healing["restarts"]) >= HEALING_OFTEN
        hint = f"Look with: docker logs --since 24h {latest['container']}; {journal}"
        yield check("Healing", WARNING if odd else OK, message, hint if odd else "")


def judge_certificates(certificates: list[Facts], now: float) -> Checks:
    """Files with certificates, one check each."""
    paths = dict.fromkeys(each["path"] for each in certificates)
    for path in paths:
        inside = [each for each in certificates if each["path"] == path]
        judged = [judge_certificate(each, now) for each in inside]
        deciding = 0
        if inside[0]["use"] == "authority":
            # One that is good is enough; the others may be those before or after it.
            order = (OK, WARNING, UNKNOWN, BROKEN)
            deciding = min(range(len(judged)), key=lambda number: order.index(judged[number][0]))
        state, message = judged[deciding]
        if state == OK:
            for other, (other_state, other_message) in zip(inside, judged):
                if other_state != OK and other is not inside[deciding]:
                    state, message = WARNING, f"{message}; also in it: {other_message}"
                    break
        hint = ""
        if state == UNKNOWN:
            hint = "Run: apt-get install openssl"
        elif state != OK:
            hint = certificate_hint(inside[0])
        yield check("Certificate", state, f"{path}: {message}", hint)


def judge_certificate(certificate: Facts, now: float) -> tuple[str, str]:
    """State and message for one certificate."""
    if certificate["error"] == "no_openssl":
        return UNKNOWN, "not known, as there is no program openssl"
    if certificate["error"]:
        return BROKEN, certificate["error"]
    subject = certificate["subject"]
    if now < certificate["not_before"]:
        wait = duration(certificate["not_before"] - now)
        return BROKEN, f"{subject}, not valid before {wait} from now"
    left = certificate["not_after"] - now
    if left <= 0:
        return BROKEN, f"{subject}, expired {duration(-left)} ago"
    days = int(left // DAY)
    return (WARNING if days < CERTIFICATE_DAYS else OK), f"{subject}, {days} days left"


def certificate_hint(certificate: Facts) -> str:
    """What renews a certificate."""
    if certificate["use"] == "server":
        return "Renew it: ansible-playbook -i inventory site.yml (hub_https_certificate says how)"
    hint = "Ask the registry's administrator for a new one and put it "
    if certificate["use"] == "authority":
        return hint + "into the ca_file of docker_engine_registries, then deploy it"
    return hint + f"in place of {certificate['path']} on the server"


def judge_disks(disks: list[Facts]) -> Checks:
    """Room on the disks."""
    for disk in disks:
        inodes = disk["inodes_used_percent"]
        worst = max(disk["used_percent"], inodes or 0)
        state = OK
        if worst >= DISK_WARNING_PERCENT:
            state = BROKEN if worst >= DISK_BROKEN_PERCENT else WARNING
        message = f"{', '.join(disk['paths'])}: {disk['used_percent']} % used"
        message += f", {size(disk['free'])} free"
        message += "" if inodes is None else f", {inodes} % of inodes used"
        kind = " --inodes" if worst == inodes and worst > disk["used_percent"] else ""
        hint = (
            f"Look with: docker system df; du{kind} --one-file-system --max-depth=2 "
            f"{disk['paths'][-1]} | sort --numeric-sort. Build caches go with: docker builder prune"
        )
        yield check("Disk", state, message, hint if state != OK else "")


def judge_memory(memory: Facts | None) -> Checks:
    """Room in the memory."""
    if memory is None:
        return
    low = memory["available"] * 100 < memory["total"] * MEMORY_WARNING_PERCENT
    message = f"{size(memory['available'])} of {size(memory['total'])} available"
    hint = (
        "Look with: docker stats --no-stream. Lower DockerSpawner.mem_limit or "
        "JupyterHub.active_server_limit in jupyterhub_config."
    )
    yield check("Memory", WARNING if low else OK, message, hint if low else "")


def judge_clock(clock: Facts) -> Checks:
    """The clock. Where nothing is known of it nothing is said."""
    offset = clock["offset"]
    set_ntp = "Run: timedatectl set-ntp true (needs systemd-timesyncd, chrony or ntpsec)"
    if offset is not None and abs(offset) > CLOCK_SECONDS:
        side = "ahead of" if offset > 0 else "behind"
        message = f"{duration(abs(offset))} {side} the clock of the computer Ansible runs on"
        yield check("Clock", WARNING, message, set_ntp)
    elif clock["synchronized"] is False:
        yield check("Clock", WARNING, "not synchronized over the network", set_ntp)
    elif clock["synchronized"] or offset is not None:
        parts = ["synchronized over the network"] if clock["synchronized"] else []
        parts += ["agrees with that of the computer Ansible runs on"] if offset is not None else []
        yield check("Clock", OK, ", ".join(parts))


# Reading what programs say


def parse_time(text: str | None) -> float | None:
    """Seconds since 1970 of a time as Docker writes it. None for Docker's word for never."""
    found = re.match(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$", text or ""
    )
    if not found or found[1].startswith("0001"):
        return None
    seconds = calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
    if found[3]:
        seconds -= int(found[3] + "1") * (int(found[4]) * 3600 + int(found[5]) * 60)
    return seconds + float(found[2] or 0)


def parse_container(role: str, inspected: Facts, now: float) -> Facts:
    """A container of the result, from what Docker says of it."""
    state, bindings = (
        inspected["State"],
        (inspected.get("NetworkSettings") or {}).get("Ports") or {},
    )
    running = bool(state.get("Running"))
    health, output = parse_health(state.get("Health") or {}, state, now)
    published = sorted(
        (binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"]))
        for each in bindings.values()
        for binding in each or ()
        if str(binding.get("HostPort", "")).isdigit()
    )
    # IPv4 sorts before IPv6.
    return {
        "role": role,
        "name": str(inspected["Name"]).lstrip("/"),
        "image": str(inspected["Config"]["Image"]),
        "status": str(state["Status"]),
        "since": parse_time(state.get("StartedAt" if running else "FinishedAt")),
        "exit_status": None if state["Status"] in ("running", "paused") else state.get("ExitCode"),
        "out_of_memory": bool(state.get("OOMKilled")) and not running,
        "restarts": int(inspected.get("RestartCount") or 0),
        "health": health,
        "health_output": output,
        "address": local_address(*published[0]) if published else None,
    }


def parse_health(health: Facts, state: Facts, now: float) -> tuple[str | None, str]:
    """Health of a container and what its check said last; None where Docker does not look."""
    status = health.get("Status")
    log = health.get("Log") or []
    looked = parse_time(log[-1].get("End") if log else state.get("StartedAt"))
    if not state.get("Running") or status not in ("healthy", "unhealthy", "starting"):
        return None, ""
    if looked is None or now - looked > HEALTH_SECONDS:
        return None, ""
    return status, str(log[-1].get("Output", "")).strip() if log else ""


def local_address(address: str, port: int) -> str:
    """Where a published port is reached from the server itself."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def parse_labs(listed: list[Facts]) -> tuple[Facts, dict[str, str]]:
    """Containers of users, from Docker's list; and the killed ones' ids by their names."""
    labs: Facts = {"running": 0, "ended": 0, "unhealthy": [], "out_of_memory": [], "failed": []}
    killed: dict[str, str] = {}
    for each in listed:
        name = str(each["Names"][0]).lstrip("/")
        status = str(each.get("Status", ""))
        if each["State"] in ("running", "paused", "restarting"):
            labs["running"] += 1
            if "(unhealthy)" in status:
                labs["unhealthy"].append(name)
        elif each["State"] in ("exited", "dead"):
            labs["ended"] += 1
            found = re.match(r"Exited \((\d+)\)", status)
            exit_status = int(found[1]) if found else 0
            if exit_status == SIGKILLED:
                killed[name] = str(each["Id"])
            elif exit_status not in ORDINARY_EXITS:
                labs["failed"].append(name)
    return labs, killed


def parse_units(text: str) -> dict[str, dict[str, str]]:
    """Properties of units by the units' names, from what systemctl show prints."""
    units = {}
    for block in text.split("\n\n"):
        lines = (line.partition("=") for line in block.splitlines())
        properties = {name: value for name, _equals, value in lines}
        if "Id" in properties:
            units[properties["Id"]] = properties
    return units


def parse_healing(text: str, uptime: float) -> Facts:
    """The timer, from what systemctl show prints; uptime in seconds of the monotonic clock."""
    units = parse_units(text)
    timer, service = units.get(f"{HEALING}.timer"), units.get(f"{HEALING}.service", {})
    ended = service.get("InactiveEnterTimestampMonotonic", "")
    is_active = timer is not None and timer.get("ActiveState") == "active"
    state = "active" if is_active else "inactive"
    if timer is not None and timer.get("LoadState") == "not-found":
        state = "missing"
    return {
        "timer": state if timer is not None else None,
        "result": service.get("Result") or None,
        "last_look": uptime - int(ended) / 1e6 if ended.isdigit() and int(ended) else None,
        "restarts": [],
    }


def parse_restarts(text: str) -> list[Facts]:
    """What the timer restarted, from the journal in JSON, a line for each entry."""
    restarts = []
    for line in text.splitlines():
        # A message that is no text comes as a list of numbers.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            found = re.match(
                r"(\S+) fails its health check and is restarted: ?(.*)", entry["MESSAGE"]
            )
            if found:
                seconds = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
                restarts.append({"container": found[1], "time": seconds, "reason": found[2]})
    return restarts


def parse_site(text: str) -> Facts | None:
    """The entrance before it is asked, from a site of nginx; None for one without HTTPS."""
    for server in nginx_config.servers_of(text):
        for listen in server["listens"]:
            place, *options = listen.split()
            address, _colon, port = place.rpartition(":")
            if "ssl" in options and server["certificate"] and port.isdigit():
                plain = [name for name in server["names"] if not name.startswith(("*", "_"))]
                return {
                    "address": local_address(address.strip("[]") or "0.0.0.0", int(port)),
                    "server_name": (plain or [""])[0],
                    "path": server["certificate"],
                    "status": None,
                    "error": None,
                    "certificate": None,
                }
    return None


def parse_sign_in(text: str) -> Facts | None:
    """What the hub asks, from the answer of its package; None where it asks nobody."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(text)
        if found["kind"] in ASKED:
            return {
                "kind": found["kind"],
                "asked": str(found["asked"]),
                "problem": None if found["problem"] is None else str(found["problem"]),
                "detail": str(found["detail"]),
                "accepted": found["accepted"],
            }
    return None


def parse_memory(text: str) -> Facts | None:
    """Memory from the text of /proc/meminfo."""
    values = dict(re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE))
    if "MemTotal" not in values or "MemAvailable" not in values:
        return None
    return {
        "total": int(values["MemTotal"]) * 1024,
        "available": int(values["MemAvailable"]) * 1024,
    }


def parse_certificate(text: str) -> Facts:
    """Subject, names, fingerprint and times from what openssl prints. Raises ValueError."""
    # Not strptime: names of months depend on the language of the session.
    from ssl import cert_time_to_seconds

    fields = dict(re.findall(r"^(subject|notBefore|notAfter|\S+ Fingerprint)= *(.*)$", text, re.M))
    fingerprints = [value for name, value in fields.items() if name.endswith("Fingerprint")]
    if "notBefore" not in fields or "notAfter" not in fields:
        raise ValueError("openssl tells no time")
    return {
        "subject": fields.get("subject") or "(no subject)",
        "names": re.findall(r"DNS:([^\s,]+)", text),
        "fingerprint": fingerprints[0] if fingerprints else None,
        "not_before": int(cert_time_to_seconds(fields["notBefore"])),
        "not_after": int(cert_time_to_seconds(fields["notAfter"])),
    }


# Looking


class Look(threading.Thread):
    """Something looked at in the background, so that what hangs holds up nothing else."""

    def __init__(self, function: t.Callable[..., t.Any], *arguments: object) -> None:
        super().__init__(daemon=True)
        self._function = functools.partial(function, *arguments)
        self._found: t.Any = None
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Look."""
        try:
            self._found = self._function()
        except Exception as exc:
            self._error = exc

    def found(self, deadline: float) -> t.Any:
        """What was seen by a time of the monotonic clock. Raises TimeoutError, or what went wrong."""
        self.join(max(0.0, deadline - time.monotonic()))
        if self.is_alive():
            raise TimeoutError("no answer in time")
        if self._error:
            raise self._error
        return self._found


def output_of(command: t.Sequence[str], timeout: float, text: str = "") -> str | None:
    """What a program prints; None if it fails or hangs. Raises FileNotFoundError without one."""
    try:
        done = subprocess.run(
            list(command),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def read_text(path: str) -> str:
    """The beginning of a file, MAX_FILE at most; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(MAX_FILE)
    except OSError:
        return ""


def look_at_docker(path: str, timeout: float, now: float) -> Facts:
    """The engine and the containers of this collection."""
    engine = DockerSocket(path, timeout)
    filters = quote(json.dumps({"label": [LABEL]}))
    listed = engine.get_json(f"/containers/json?all=1&filters={filters}") or []
    labs, killed = parse_labs([each for each in listed if each["Labels"].get(LABEL) == "lab"])
    for name, number in list(killed.items())[:MAX_INSPECTED]:
        inspected = engine.get_json(f"/containers/{number}/json")
        if inspected and inspected["State"].get("OOMKilled"):
            labs["out_of_memory"].append(name)
    containers = []
    for role in CONTAINERS:
        for each in listed:
            if each["Labels"].get(LABEL) == role:
                # Gone in the meantime: None.
                inspected = engine.get_json(f"/containers/{each['Id']}/json")
                containers += [parse_container(role, inspected, now)] if inspected else []
    info = engine.get_json("/info") or {}
    return {
        "docker": {"answers": True, "error": None, "data_root": info.get("DockerRootDir")},
        "containers": containers,
        "labs": labs,
    }


def without_docker(error: str) -> Facts:
    """The same where no engine answers."""
    return {
        "docker": {"answers": False, "error": error, "data_root": None},
        "containers": [],
        "labs": None,
    }


def look_at_hub(address: str, timeout: float) -> Facts:
    """The hub's answer at the proxy's address."""
    found = unanswered_hub(address)
    begun = time.monotonic()
    try:
        found["status"] = ask(connect(address, timeout), address, "/hub/health")[0]
        found["seconds"] = round(time.monotonic() - begun, 4)
        if found["status"] == 200:
            status, body = ask(connect(address, timeout), address, "/hub/api/")
            with contextlib.suppress(ValueError, AttributeError):
                found["version"] = json.loads(body).get("version") if status == 200 else None
    except (OSError, ValueError) as exc:
        found["error"] = reason(exc)
    return found


def unanswered_hub(address: str) -> Facts:
    """The same before there is an answer."""
    found: Facts = dict.fromkeys(("status", "seconds", "version", "error"))
    return {"url": f"http://{address}/hub/health", **found}


def look_at_entrance(unasked: Facts, timeout: float) -> Facts:
    """What the HTTPS entrance shows and says."""
    import ssl

    found = dict(unasked)
    host = found["server_name"] or found["address"]
    # What is shown is judged, not trusted.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with connect(found["address"], timeout) as plain, context.wrap_socket(
            plain, server_hostname=found["server_name"].strip("[]") or None
        ) as encrypted:
            shown = ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(True) or b"")
            (found["certificate"],) = read_certificates("", "server", shown, timeout)
            found["status"] = ask(encrypted, host, "/hub/health")[0]
    except (OSError, ValueError) as exc:
        found["error"] = reason(exc)
    return found


def connect(address: str, timeout: float) -> socket.socket:
    """A connection to HOST:PORT. Raises OSError."""
    host, _colon, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def ask(connection: socket.socket, host: str, target: str) -> tuple[int, bytes]:
    """Status and body of one answer over a connection, which is closed. Raises OSError."""
    # Costs a third of a module run that may not need it.
    import http.client

    with contextlib.closing(http.client.HTTPConnection(host)) as client:
        client.sock = connection
        try:
            client.request("GET", target, headers={"Connection": "close"})
            answer = client.getresponse()
            return answer.status, answer.read(MAX_ANSWER)
        except http.client.HTTPException as exc:
            raise OSError(f"something that is not HTTP came ({type(exc).__name__})") from exc


def reason(error: Exception) -> str:
    """Why something failed, in the system's words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def look_at_sign_in(path: str, name: str) -> Facts | None:
    """What the hub asks when somebody signs in, as its package in the container says."""
    command = ("docker", "--host", f"unix://{path}", "exec", name)
    try:
        said = output_of((*command, "python3", "-m", "ailab_hub.identity"), SIGN_IN_SECONDS)
    except FileNotFoundError:
        return None
    return parse_sign_in(said or "")


def look_at_certificates(served: list[str], timeout: float) -> list[Facts]:
    """All certificates in the known places, and those of entrances."""
    files = [(path, use) for pattern, use in CERTIFICATES for path in sorted(glob.glob(pattern))]
    found = []
    for path, use in [*files, *((path, "server") for path in served)]:
        found += read_certificates(path, use, read_text(path), timeout)
    return found


def read_certificates(path: str, use: str, text: str, timeout: float) -> list[Facts]:
    """The certificates in a text; one with an error if there is none."""
    blocks = CERTIFICATE.findall(text)[:MAX_CERTIFICATES]
    unread: Facts = {
        "path": path,
        "use": use,
        "subject": None,
        "names": [],
        "fingerprint": None,
        "not_before": None,
        "not_after": None,
        "error": "there is no certificate in it",
    }
    command = ["openssl", "x509", "-noout", "-subject", "-dates", "-fingerprint", "-sha256"]
    command += ["-nameopt", "RFC2253,-esc_msb,utf8", "-ext", "subjectAltName"]
    found = []
    for block in blocks:
        try:
            said = output_of(command, timeout, block + "\n")
            found.append({**unread, "error": None, **parse_certificate(said or "")})
        except FileNotFoundError:
            return [{**unread, "error": "no_openssl"}]
        except ValueError:
            found.append({**unread, "error": "a certificate that openssl cannot read"})
    return found or [unread]


def look_at_healing(timeout: float) -> Facts:
    """The timer that restarts what hangs."""
    properties = "Id,LoadState,ActiveState,Result,InactiveEnterTimestampMonotonic"
    units = (f"{HEALING}.timer", f"{HEALING}.service")
    try:
        shown = output_of(("systemctl", "show", *units, f"--property={properties}"), timeout)
        found = parse_healing(shown or "", time.monotonic())
        journal = ("journalctl", f"_SYSTEMD_UNIT={units[1]}", f"--since=-{HEALING_SECONDS}s")
        entries = output_of((*journal, "--output=json", "--no-pager", "--quiet"), timeout)
        found["restarts"] = parse_restarts(entries or "")
    except FileNotFoundError:
        return parse_healing("", 0)
    return found


def look_at_disk(path: str) -> Facts | None:
    """The file system a folder is on; None without such a folder."""
    if not os.path.isdir(path):
        return None
    status, device = os.statvfs(path), os.stat(path).st_dev
    used = status.f_blocks - status.f_bfree
    # As df does: what is kept back for root is neither used nor free.
    usable = used + status.f_bavail
    inodes = status.f_files - status.f_ffree
    return {
        "paths": [path],
        "size": status.f_blocks * status.f_frsize,
        "free": status.f_bavail * status.f_frsize,
        "used_percent": -(-used * 100 // usable) if usable else 0,
        "inodes_used_percent": inodes * 100 // status.f_files if status.f_files else None,
        "_device": device,
    }


def merge_disks(disks: list[Facts]) -> list[Facts]:
    """Each file system once, with all folders on it."""
    merged: dict[int, Facts] = {}
    for disk in disks:
        known = merged.setdefault(disk["_device"], {**disk, "paths": []})
        known["paths"] += disk["paths"]
    return [
        {key: value for key, value in disk.items() if key != "_device"} for disk in merged.values()
    ]


def data_root() -> str:
    """The engine's folder, where the engine itself cannot be asked."""
    try:
        return str(json.loads(read_text(DAEMON_JSON))["data-root"])
    except (ValueError, KeyError, TypeError):
        return DATA_ROOT


def look_at_clock(timeout: float) -> bool | None:
    """Whether the clock is kept right; None if that is not known or not this system's task."""
    with contextlib.suppress(FileNotFoundError):
        said = output_of(("timedatectl", "show", "--property=NTPSynchronized", "--value"), timeout)
        if said is None:
            return None
        if said.strip() == "yes":
            return True
        # A container has the clock of the machine around it.
        inside = output_of(("systemd-detect-virt", "--container"), timeout)
        return None if inside else False
    return None


def investigate(path: str, timeout: float, controller_time: float | None) -> Facts:
    """Look at everything; the facts that judge takes. path: of the engine's socket."""
    now = time.time()
    late = f"no whole answer within {timeout:g} s"
    missing: list[tuple[str, str, str, str]] = []

    def found(subject: str, look: Look | None, deadline: float, otherwise: t.Any = None) -> t.Any:
        try:
            return look.found(deadline) if look else otherwise
        except Exception as exc:
            message = one_line(f"could not be looked at: {reason(exc)}")
            missing.append((subject, UNKNOWN, message, HANGS))
            return otherwise

    def answer(look: Look | None, deadline: float, unanswered: Facts) -> Facts | None:
        try:
            return look.found(deadline) if look else None
        except TimeoutError:
            return {**unanswered, "error": late}

    deadline = time.monotonic() + timeout + MARGIN_SECONDS
    docker = Look(look_at_docker, path, timeout, now)
    healing = Look(look_at_healing, timeout)
    sites = [parse_site(read_text(site)) for site in sorted(glob.glob(SITES))]
    site = next((each for each in sites if each), None)
    served = [site["path"]] if site else []
    certificates = Look(look_at_certificates, served, timeout)
    entrance = Look(look_at_entrance, site, timeout) if site else None
    clock = Look(look_at_clock, timeout)
    try:
        facts: Facts = docker.found(deadline)
    except DockerSocketError as exc:
        facts = without_docker(str(exc))
    except TimeoutError:
        facts = without_docker(f"{late} from {path}")
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        facts = without_docker(f"an answer that is not Docker's came from {path}")
    facts["deployed"] = bool(facts["containers"]) or os.path.exists(CONFIGURATION)
    facts["certificates"] = found("Certificate", certificates, deadline, [])
    facts["healing"] = found("Healing", healing if facts["deployed"] else None, deadline)
    facts["clock"] = {
        "synchronized": found("Clock", clock, deadline),
        "offset": None if controller_time is None else round(now - controller_time, 3),
    }
    facts["entrance"] = answer(entrance, deadline, site or {})
    facts["memory"] = parse_memory(read_text(MEMINFO))

    # What could not begin before something of the above was known.
    deadline = time.monotonic() + timeout + MARGIN_SECONDS
    addresses = [
        each["address"]
        for each in facts["containers"]
        if each["role"] == "proxy" and each["address"] and each["status"] == "running"
    ]
    hubs = [
        each["name"]
        for each in facts["containers"]
        if each["role"] == "hub" and each["status"] == "running"
    ]
    sign_in = Look(look_at_sign_in, path, hubs[0]) if hubs else None
    folders = ["/", STATE, facts["docker"]["data_root"] or data_root()]
    hub = Look(look_at_hub, addresses[0], timeout) if addresses else None
    disks = [Look(look_at_disk, folder) for folder in dict.fromkeys(folders)]
    facts["hub"] = answer(hub, deadline, unanswered_hub((addresses or [""])[0]))
    looked = [found("Disk", disk, deadline) for disk in disks]
    facts["disks"] = merge_disks([disk for disk in looked if disk])
    facts["sign_in"] = found("Sign-in", sign_in, time.monotonic() + SIGN_IN_SECONDS)
    facts["_missing"] = missing
    return facts


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
            "timeout": {"type": "float", "default": 5.0},
            "controller_time": {"type": "float"},
        },
        supports_check_mode=True,
    )
    params = module.params
    facts = investigate(params["socket"], params["timeout"], params["controller_time"])
    checks = judge(facts, time.time())
    del facts["_missing"]
    ok = all(each["state"] != BROKEN for each in checks)
    module.exit_json(changed=False, ok=ok, checks=checks, **facts)


if __name__ == "__main__":
    main()
