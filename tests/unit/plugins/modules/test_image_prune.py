# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images are removed, asked of an engine on a real socket that remembers its images."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from ansible_collections.ailab.hub.plugins.modules import image_prune

from tests.unit.plugins.conftest import Engine, http

Handler = Callable[[socket.socket, str], None]
Run = Callable[..., dict[str, Any]]
NAME = "exasol/ai-lab-hub"


def image(
    number: int, *tags: str, layers: tuple[str, ...] = (), name: str = NAME
) -> dict[str, Any]:
    """An image as the engine lists it, the newer the higher its number."""
    return {
        "Id": f"sha256:{number:064x}",
        "RepoTags": list(tags or [f"{NAME}:{number:016x}"]),
        "Labels": {"ailab.hub": "lab-image", "ailab.hub.name": name},
        "Created": 1000 + number,
        "layers": ["base", *(layers or (f"layer-{number}",))],
    }


class Store:
    """Images and containers of an engine."""

    def __init__(self, *images: dict[str, Any]) -> None:
        self.images = list(images)
        self.used: list[dict[str, Any]] = []
        self.refused: dict[str, str] = {}

    def answer(self, connection: socket.socket, target: str) -> None:
        if target.startswith("DELETE /images/"):
            connection.sendall(self._delete(unquote(target.removeprefix("DELETE /images/"))))
        elif target.startswith("/images/json"):
            connection.sendall(http(self.images))
        elif target.startswith("/containers/json"):
            assert "all=1" in target
            connection.sendall(http([{"ImageID": image["Id"]} for image in self.used]))
        else:
            identity = unquote(target.removeprefix("/images/").removesuffix("/json"))
            layers = next(image["layers"] for image in self.images if image["Id"] == identity)
            connection.sendall(http({"RootFS": {"Layers": layers}}))

    def _delete(self, name: str) -> bytes:
        if name in self.refused:
            return http({"message": "no"}, self.refused[name])
        for image in list(self.images):
            if name in image["RepoTags"]:
                image["RepoTags"].remove(name)
            if name == image["Id"] or not image["RepoTags"]:
                self.images.remove(image)
                return http([{"Deleted": image["Id"]}])
        return http({"message": "no such image"}, "404 Not Found")

    @property
    def numbers(self) -> list[int]:
        return sorted(int(image["Id"].removeprefix("sha256:"), 16) for image in self.images)


@pytest.fixture
def prune(serve: Callable[[Handler | bytes], Engine], run_module: Run) -> Run:
    """Runs the module on a store."""

    def run(store: Store, **options: Any) -> dict[str, Any]:
        engine = serve(store.answer)
        return run_module(image_prune, kind="lab-image", socket=str(engine.path), **options)

    return run


def tag(number: int) -> str:
    return f"{NAME}:{number:016x}"


def test_the_newest_former_images_stay(prune: Run) -> None:
    store = Store(*map(image, range(6)))
    result = prune(store, named=[tag(3)], keep=2)
    assert store.numbers == [3, 4, 5]
    assert result["changed"] is True
    assert result["removed"] == [tag(2), tag(1), tag(0)]
    assert result["kept"] == [tag(5), tag(4), tag(3)]


def test_a_second_run_changes_nothing(prune: Run) -> None:
    store = Store(*map(image, range(4)))
    prune(store, keep=1)
    result = prune(store, keep=1)
    assert (result["changed"], result["removed"]) == (False, [])


def test_a_dry_run_tells_and_removes_nothing(prune: Run) -> None:
    store = Store(image(1), image(2))
    result = prune(store, keep=0, check_mode=True, diff=True)
    assert store.numbers == [1, 2]
    assert result["changed"] is True
    assert result["diff"] == {"before": f"{tag(2)}\n{tag(1)}\n", "after": ""}


def test_one_that_a_container_uses_stays(prune: Run) -> None:
    store = Store(image(1), image(2))
    store.used = store.images[:1]
    prune(store, keep=0)
    assert store.numbers == [1]


def test_one_that_the_configuration_names_stays(prune: Run, tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(f"c.DockerSpawner.allowed_images = {{'old': '{tag(1)}'}}\n")
    store = Store(image(1), image(2))
    prune(store, keep=0, named_in=[str(file), str(tmp_path / "missing")])
    assert store.numbers == [1]


@pytest.mark.parametrize(
    "foreign",
    [
        image(1, "somebody/elses:1"),
        image(1, tag(1), "somebody/elses:1"),
        image(1, f"somebody/elses:{1:016x}"),
        image(1, f"{NAME}:latest"),
        {**image(1), "Labels": None},
        image(1, "<none>:<none>", layers=("layer-2", "more")),
    ],
    ids=["a tag of somebody", "such a tag, too", "in a repository of somebody", "by hand", "no label", "from ours"],
)  # fmt: skip
def test_what_is_not_ours_stays(foreign: dict[str, Any], prune: Run) -> None:
    store = Store(foreign, image(2))
    prune(store, named=[tag(2)], keep=0)
    assert store.numbers == [1, 2]


def test_what_a_failed_build_has_left_is_removed(prune: Run) -> None:
    left, used = image(1, "<none>:<none>"), image(2, "<none>:<none>")
    store = Store(left, used, image(3))
    store.used = [used]
    result = prune(store, named=[tag(3)], keep=0)
    assert store.numbers == [2, 3]
    assert result["removed"] == [left["Id"]]


def test_one_the_engine_keeps_for_somebody_is_no_failure(prune: Run) -> None:
    store = Store(image(1))
    store.refused[tag(1)] = "409 Conflict"
    assert prune(store, keep=0)["changed"] is False


def test_an_engine_that_fails_is_told(prune: Run) -> None:
    store = Store(image(1))
    store.refused[tag(1)] = "500 Internal Server Error"
    result = prune(store, keep=0)
    assert result["failed"] is True
    assert tag(1) in result["msg"]
