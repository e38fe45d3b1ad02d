"""Watching a Ray cluster: which nodes are there, and whether the cluster still answers.

Ray itself says neither in time: asked for its nodes, it waits for a dead head for a minute and then ends
this process without a word; a node whose raylet was killed stays on its list for 15 seconds, and a trial
placed there in the meantime is lost once more (measured, Ray 2.60).  So a thread of its own asks, which
may get stuck, and tries each raylet's port: where nobody listens any more, the node is gone.
"""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import ray

from fre_hpo.scheduling.placement import Node

LOOK_SECONDS = 1.0
SILENCE_SECONDS = 20.0
"""A cluster that does not answer for so long is lost.  An answer takes a millisecond, under load less than
a second; Ray ends the process after 60 seconds."""
LONGEST_STEP = 2.0
"""What one call of ``lost`` adds to the silence at most: time in which this process was suspended is none."""
REFUSALS = 2
"""So many refused connections in a row, and a raylet that once took them is gone.  A busy one refuses
none: the kernel accepts them for it."""
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class View:
    """What was seen last.  gone: the ids of nodes that were there once."""

    nodes: tuple[Node, ...]
    gone: frozenset[str]


class ClusterWatch:
    """Looks at the Ray that this process is connected to, every second until it is closed."""

    def __init__(self) -> None:
        self._own: str = ray.get_runtime_context().get_node_id()
        self._refusals: dict[str, int] = {}
        self._looks = self._seen = 0
        self._silence, self._asked = 0.0, time.monotonic()
        self._closed = threading.Event()
        self.view = self._look()
        threading.Thread(target=self._keep_looking, name="cluster watch", daemon=True).start()

    def lost(self) -> str | None:
        """Why the cluster is lost; None while it is there.  To be called every second or so."""
        now = time.monotonic()
        self._silence += min(now - self._asked, LONGEST_STEP)
        self._asked = now
        if self._looks != self._seen:
            self._seen, self._silence = self._looks, 0.0
        if self._own in self.view.gone:
            return "the raylet of this machine has ended"
        if self._silence > SILENCE_SECONDS:
            return f"its head has not answered for {SILENCE_SECONDS:g} s"
        return None

    def close(self) -> None:
        self._closed.set()

    def _keep_looking(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            try:
                self.view = self._look()
            except ray.exceptions.RayError:  # disconnected meanwhile, or a reply that never came
                continue
            self._looks += 1

    def _look(self) -> View:
        entries: list[dict[str, Any]] = ray.nodes()
        here = {e["NodeID"]: e for e in entries if e["Alive"] and not self._refuses(e)}
        gone = frozenset(e["NodeID"] for e in entries) - here.keys()
        return View(tuple(_node(entry) for entry in here.values()), gone)

    def _refuses(self, entry: dict[str, Any]) -> bool:
        """Whether nobody listens any more at a raylet's port; one never reached is left to Ray."""
        identity = entry["NodeID"]
        try:
            address = entry["NodeManagerAddress"], entry["NodeManagerPort"]
            socket.create_connection(address, CONNECT_SECONDS).close()
        except ConnectionRefusedError:
            if identity in self._refusals:
                self._refusals[identity] += 1
        except OSError:
            pass  # cut off or overloaded: Ray's own health checks find out
        else:
            self._refusals[identity] = 0
        return self._refusals.get(identity, 0) >= REFUSALS


def _node(entry: dict[str, Any]) -> Node:
    resources = entry["Resources"]
    return Node(entry["NodeID"], resources.get("CPU", 0.0), resources.get("GPU", 0.0))
