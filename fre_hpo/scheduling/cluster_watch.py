"""Watching a Ray cluster: which nodes are there, who else searches on it, and whether it still answers.

Ray itself says neither in time: asked for its nodes, it waits for a dead head for a minute and then ends
this process without a word; a node whose raylet was killed stays on its list for 15 seconds, and a trial
placed there in the meantime is lost once more (measured, Ray 2.60).  So a thread of its own asks, which
may get stuck, and tries each raylet's port: where nobody listens any more, the node is gone.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import ray

from fre_hpo.scheduling.cluster import within
from fre_hpo.scheduling.fairness import Claim
from fre_hpo.scheduling.gcs import VERSION_LABEL, draining_nodes
from fre_hpo.scheduling.neighbours import Neighbours
from fre_hpo.scheduling.placement import Node

OUR_VERSION = version("fre-hpo")
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
LEAVE_SECONDS = 2.0
REFRESH_SECONDS = 3.0


@dataclass(frozen=True)
class View:
    """What was seen last.

    nodes: where trials may begin.  gone: the ids of nodes that were there once.  leaving: of nodes that are
    being drained.  strangers: host -> version of fre-hpo, of nodes that run another one than this process.
    others: what other searches on this cluster claim.
    """

    nodes: tuple[Node, ...]
    gone: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    strangers: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Claim, ...] = ()


class ClusterWatch:
    """Looks at the Ray that this process is connected to, every second until it is closed.

    neighbours: where other searches may be; None on a Ray of our own.  claim: what this search wants, which
    they are told; None as long as it wants nothing.
    """

    def __init__(self, neighbours: Neighbours | None = None) -> None:
        self.claim: Claim | None = None
        self._neighbours = neighbours
        self._own: str = ray.get_runtime_context().get_node_id()
        self._refusals: dict[str, int] = {}
        self._begun = self._looks = self._seen = 0  # the last look that began, ended, was noticed
        self._silence, self._asked = 0.0, time.monotonic()
        self._closed = self._urgent = False
        self._wake = threading.Condition()
        self.view = self._look()
        self._thread = threading.Thread(
            target=self._keep_looking, name="cluster watch", daemon=True
        )
        self._thread.start()

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

    def refresh(self) -> None:
        """Look at once, and wait for what is seen: after a worker died its node may be gone as well."""
        with self._wake:
            ours = self._begun + 1
            self._urgent = True
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._looks >= ours, REFRESH_SECONDS)

    def close(self) -> None:
        """Look no more; the other searches are told, unless the cluster is lost."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self.lost():
            return
        self._thread.join(LEAVE_SECONDS)
        if self._neighbours:
            with suppress(ray.exceptions.RayError):
                within(LEAVE_SECONDS, self._neighbours.leave)

    def _keep_looking(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._urgent, LOOK_SECONDS)
                if self._closed:
                    return
                self._urgent = False
                self._begun += 1
            try:
                view = self._look()
            except ray.exceptions.RayError:  # disconnected meanwhile, or a reply that never came
                continue
            with self._wake:
                self.view, self._looks = view, self._begun
                self._wake.notify_all()

    def _look(self) -> View:
        entries: list[dict[str, Any]] = ray.nodes()
        here = {e["NodeID"]: e for e in entries if e["Alive"] and not self._refuses(e)}
        leaving = frozenset(draining_nodes() & here.keys())
        strange = {i: e for i, e in here.items() if _version(e) not in (None, OUR_VERSION)}
        fit = [e for i, e in here.items() if i not in leaving and i not in strange]
        return View(
            nodes=tuple(map(_node, fit)),
            gone=frozenset(e["NodeID"] for e in entries) - here.keys(),
            leaving=leaving,
            strangers={e["NodeManagerHostname"]: str(_version(e)) for e in strange.values()},
            others=self._others(),
        )

    def _others(self) -> tuple[Claim, ...]:
        if self._neighbours is None or self.claim is None:
            return ()
        return self._neighbours.exchange(self.claim)

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


def _version(entry: dict[str, Any]) -> str | None:
    """Of fre-hpo on a node; None where nobody says, as on one that Ray alone started."""
    label: str | None = entry.get("Labels", {}).get(VERSION_LABEL)
    return label


def _node(entry: dict[str, Any]) -> Node:
    resources = entry["Resources"]
    return Node(entry["NodeID"], resources.get("CPU", 0.0), resources.get("GPU", 0.0))
