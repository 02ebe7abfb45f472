#!/usr/bin/python
# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Former images of the collection, removed once nobody needs them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_prune
short_description: Remove former images that roles of this collection have built
version_added: 0.1.0
author:
  - ailab.hub contributors (!UNKNOWN)
description:
  - Removes images that the roles P(ailab.hub.lab_image#role) and P(ailab.hub.hub_image#role) have
    built and tagged by their content, and what their failed builds have left.
  - An image stays if any container uses it, running or not, if it is named by O(named) or in one of
    O(named_in), or if it is among the newest O(keep) of the others.
  - Nothing else is ever removed. In particular an image stays that has a tag of somebody else, or
    that somebody has built from one of the collection.
extends_documentation_fragment:
  - ailab.hub._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  kind:
    description: Value of the label C(ailab.hub) that the images have.
    type: str
    required: true
    choices: [lab-image, hub-image]
  named:
    description: References of images to keep.
    type: list
    elements: str
    default: []
  named_in:
    description:
      - Text files of the server, such as the configuration of JupyterHub. An image stays whose
        reference is found in one. A file that does not exist names none.
    type: list
    elements: path
    default: []
  keep:
    description: How many others stay, the newest first.
    type: int
    default: 2
  socket:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
  timeout:
    description: Seconds each answer of the engine may take. Removing a large image takes a while.
    type: float
    default: 300.0
seealso:
  - module: community.docker.docker_prune
"""

EXAMPLES = r"""
- name: Former lab images are gone
  ailab.hub.image_prune:
    kind: lab-image
    named: ["{{ lab_image_reference }}"]
    named_in: [/etc/ailab-hub/jupyterhub_config.py]
    keep: 2
"""

RETURN = r"""
removed:
  description: References of the images that were removed, or their ids where they had none.
  type: list
  elements: str
  returned: success
  sample: ["exasol/ai-lab-hub:4f1d3c2b1a098765"]
kept:
  description: References of the images that are there now, newest first.
  type: list
  elements: str
  returned: success
  sample: ["exasol/ai-lab-hub:13af2d65a6aed0d2", "exasol/ai-lab-hub:a0ca3332d31c4321"]
"""

import contextlib
import json
import re
import typing as t
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ailab.hub.plugins.module_utils._docker_socket import (
    DockerSocket,
    DockerSocketError,
)

# As the roles tag: the beginning of a SHA-256.
CONTENT_TAG = re.compile(r"[0-9a-f]{16}")
# As the engine names what has no tag.
NO_TAG = "<none>:<none>"
GONE = (200, 404)
CONFLICT = 409

Image = t.Dict[str, t.Any]


def tags(image: Image) -> list[str]:
    """The tags of an image as the engine lists it."""
    return [tag for tag in image.get("RepoTags") or [] if tag != NO_TAG]


def is_ours(image: Image) -> bool:
    """Whether a tagged image is one a role has made and nobody else uses.

    Images built from ours inherit its labels, so that the label of the kind does not tell.
    """
    name = (image.get("Labels") or {}).get("ailab.hub.name")
    parts = [tag.rpartition(":") for tag in tags(image)]
    return bool(parts) and all(
        repository == name and CONTENT_TAG.fullmatch(tag) for repository, _colon, tag in parts
    )


def former(images: t.Iterable[Image], named: t.Callable[[str], bool]) -> list[Image]:
    """Our images that nothing names, newest first."""
    found = [image for image in images if is_ours(image) and not any(map(named, tags(image)))]
    return sorted(found, key=lambda image: image["Created"], reverse=True)


class Images:
    """The images of one kind in an engine. Raises DockerSocketError."""

    def __init__(self, engine: DockerSocket, kind: str) -> None:
        self._engine = engine
        filters = quote(json.dumps({"label": [f"ailab.hub={kind}"]}))
        self._list = f"/images/json?filters={filters}"

    def all(self) -> list[Image]:
        """All of the kind but the layers below them."""
        return list(self._engine.get_json(self._list) or [])

    def in_use(self) -> set[str]:
        """Ids of the images of all containers, also of those that do not run."""
        containers = self._engine.get_json("/containers/json?all=1") or []
        return {container["ImageID"] for container in containers}

    def layers(self, identity: str) -> list[str]:
        """Digests of the layers of an image, lowest first."""
        found = self._engine.get_json(f"/images/{quote(identity)}/json") or {}
        return list((found.get("RootFS") or {}).get("Layers") or [])

    def leftovers(self) -> list[str]:
        """Ids of what failed builds have left, and nobody can have built from an image of ours."""
        images = self.all()
        untagged = [image["Id"] for image in images if not tags(image)]
        if not untagged:
            return []
        used = self.in_use()
        whole = [self.layers(image["Id"]) for image in images if tags(image)]
        return [
            identity
            for identity in untagged
            if identity not in used
            and not any(self.layers(identity)[: len(layers)] == layers for layers in whole)
        ]

    def remove(self, reference: str) -> bool:
        """Remove an image and the layers nobody else has; false if somebody needs it after all."""
        response = self._engine.delete(f"/images/{quote(reference)}")
        if response.status not in (*GONE, CONFLICT):
            raise DockerSocketError("protocol", f"{reference}: HTTP status {response.status}")
        return response.status in GONE


def read_text(path: str) -> str:
    """The text of a file; empty if it cannot be read."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
    return ""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "required": True, "choices": ["lab-image", "hub-image"]},
            "named": {"type": "list", "elements": "str", "default": []},
            "named_in": {"type": "list", "elements": "path", "default": []},
            "keep": {"type": "int", "default": 2},
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
            "timeout": {"type": "float", "default": 300.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    images = Images(DockerSocket(params["socket"], params["timeout"]), params["kind"])
    text = "\n".join(map(read_text, params["named_in"]))

    def named(reference: str) -> bool:
        return reference in params["named"] or reference in text

    removed = []
    try:
        there = images.all()
        candidates = former(there, named)[max(params["keep"], 0) :]
        used = images.in_use() if candidates else set()
        for image in candidates:
            for tag in tags(image) if image["Id"] not in used else ():
                if module.check_mode or images.remove(tag):
                    removed.append(tag)
        for identity in images.leftovers():
            if module.check_mode or images.remove(identity):
                removed.append(identity)
    except DockerSocketError as exc:
        module.fail_json(msg=f"Former images cannot be removed: {exc}.")
    before = [
        name
        for image in sorted(there, key=lambda image: image["Created"], reverse=True)
        for name in tags(image) or [image["Id"]]
    ]
    kept = [name for name in before if name not in removed]
    module.exit_json(
        changed=bool(removed),
        removed=removed,
        kept=[name for name in kept if ":" in name and not name.startswith("sha256:")],
        diff={
            "before": "".join(f"{name}\n" for name in before),
            "after": "".join(f"{name}\n" for name in kept),
        },
    )


if __name__ == "__main__":
    main()
