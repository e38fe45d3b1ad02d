"""When a node counts as gone, and when the whole cluster does: on an imagined Ray and real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fre_hpo import __version__
from fre_hpo.scheduling import cluster_watch
from fre_hpo.scheduling.cluster_watch import SILENCE_SECONDS, ClusterWatch
from fre_hpo.scheduling.gcs import VERSION_LABEL
from fre_hpo.scheduling.placement import Node
from postgres import free_port


class ImaginedRay:
    """Has nodes, each with a port where its raylet listens; falls silent when told to."""

    exceptions = SimpleNamespace(RayError=RuntimeError)

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.draining: set[str] = set()
        self.answers = threading.Event()
        self.answers.set()

    def add(self, name: str, port: int, **resources: float) -> None:
        self.entries[name] = {
            "NodeID": name,
            "Alive": True,
            "NodeManagerAddress": "127.0.0.1",
            "NodeManagerHostname": f"host-of-{name}",
            "NodeManagerPort": port,
            "Resources": resources,
        }

    def nodes(self) -> list[dict[str, Any]]:
        self.answers.wait(20)
        return list(self.entries.values())

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "own")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def raylet() -> Iterator[socket.socket]:
    """Listens, and accepts nothing, as one that is busy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, raylet: socket.socket) -> ImaginedRay:
    imagined = ImaginedRay()
    imagined.add("own", raylet.getsockname()[1], CPU=2.0)
    monkeypatch.setattr(cluster_watch, "ray", imagined)
    monkeypatch.setattr(cluster_watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(cluster_watch, "draining_nodes", lambda: imagined.draining)
    return imagined


@pytest.fixture
def watch(ray: ImaginedRay) -> Iterator[ClusterWatch]:
    watching = ClusterWatch()
    yield watching
    ray.answers.set()
    watching.close()
    watching._thread.join()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that the watch sees; its thread runs as ever."""
    imagined = Clock()
    monkeypatch.setattr(cluster_watch, "time", imagined)
    return imagined


def soon(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nodes_come_with_what_they_have(ray: ImaginedRay, watch: ClusterWatch) -> None:
    assert watch.view.nodes == (Node("own", 2.0, 0.0),)
    ray.add("new", free_port(), CPU=8.0, GPU=1.0)
    soon(lambda: Node("new", 8.0, 1.0) in watch.view.nodes)
    assert watch.lost() is None


def test_a_node_that_ray_calls_dead_is_gone(ray: ImaginedRay, watch: ClusterWatch) -> None:
    ray.add("new", free_port(), CPU=8.0)
    soon(lambda: len(watch.view.nodes) == 2)
    ray.entries["new"]["Alive"] = False
    soon(lambda: watch.view.gone == {"new"})
    assert watch.lost() is None


def test_a_node_whose_raylet_listens_no_more_is_gone(ray: ImaginedRay, watch: ClusterWatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray.add("new", server.getsockname()[1], CPU=8.0)
        soon(lambda: len(watch.view.nodes) == 2)
    soon(lambda: watch.view.gone == {"new"})
    assert [node.id for node in watch.view.nodes] == ["own"]


def test_a_node_behind_a_firewall_is_left_to_ray(ray: ImaginedRay, watch: ClusterWatch) -> None:
    ray.add("new", free_port(), CPU=8.0)
    looks = watch._looks
    soon(lambda: watch._looks > looks + 5)
    assert watch.view.gone == frozenset()


def test_a_node_that_is_drained_gets_nothing_more(ray: ImaginedRay, watch: ClusterWatch) -> None:
    ray.draining = {"own", "of an earlier time"}
    soon(lambda: watch.view.leaving == {"own"})
    assert watch.view.nodes == ()
    assert watch.lost() is None


def test_a_node_with_another_version_gets_nothing(ray: ImaginedRay, watch: ClusterWatch) -> None:
    ray.entries["own"]["Labels"] = {VERSION_LABEL: __version__}
    ray.add("new", free_port(), CPU=8.0)
    ray.entries["new"]["Labels"] = {VERSION_LABEL: "0.0.1"}
    soon(lambda: watch.view.strangers == {"host-of-new": "0.0.1"})
    assert [node.id for node in watch.view.nodes] == ["own"]


def test_a_fresh_look_is_there_at_once(ray: ImaginedRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_watch, "LOOK_SECONDS", 60)
    watch = ClusterWatch()
    ray.entries["own"]["Alive"] = False
    watch.refresh()
    assert watch.view.gone == {"own"}
    watch.close()
    watch._thread.join()


def test_without_its_own_raylet_the_cluster_is_lost(
    watch: ClusterWatch, raylet: socket.socket
) -> None:
    assert watch.lost() is None
    raylet.close()
    soon(watch.lost)
    assert "raylet of this machine" in (watch.lost() or "")


def test_a_long_silence_is_a_lost_cluster(
    ray: ImaginedRay, clock: Clock, watch: ClusterWatch
) -> None:
    ray.answers.clear()
    time.sleep(0.1)
    for _ in range(int(SILENCE_SECONDS)):
        assert watch.lost() is None
        clock.now += 1
    clock.now += 1
    assert "has not answered for 20 s" in (watch.lost() or "")


def test_an_answer_ends_the_silence(ray: ImaginedRay, clock: Clock, watch: ClusterWatch) -> None:
    ray.answers.clear()
    time.sleep(0.1)
    for _ in range(15):
        clock.now += 1
        watch.lost()
    ray.answers.set()
    looks = watch._looks
    soon(lambda: watch._looks > looks)
    ray.answers.clear()
    time.sleep(0.1)
    for _ in range(15):
        clock.now += 1
        assert watch.lost() is None


def test_time_in_which_this_process_slept_is_no_silence(
    ray: ImaginedRay, clock: Clock, watch: ClusterWatch
) -> None:
    ray.answers.clear()
    time.sleep(0.1)
    clock.now += 3600
    assert watch.lost() is None
