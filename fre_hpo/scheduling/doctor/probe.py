"""What a node of a cluster tells of itself, through Ray."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from time import monotonic, time
from typing import Any

from fre_hpo.scheduling.doctor.disks import Disk, look_at_disk
from fre_hpo.scheduling.doctor.gpus import Graphics, look_at_nvidia, look_at_torch
from fre_hpo.scheduling.doctor.hardware import Hardware, look_at_hardware
from fre_hpo.scheduling.doctor.software import Software, look_at_software

BLOCK = 20_000_000
"""Bytes that are sent to measure a link: 0.2 s of a gigabit."""
PINGS = 10
PROBE_SECONDS = 40
"""For a node to start a process and to look at itself; torch is loaded meanwhile."""
FETCH_SECONDS = 10
VERSION_SECONDS = 10


@dataclass(frozen=True)
class NodeInfo:
    """A node as the head knows it.  name: its host, made unique.  cpus, gpus: what it offers to Ray."""

    id: str
    name: str
    address: str
    cpus: float
    gpus: float
    is_head: bool


@dataclass(frozen=True)
class NodeFacts:
    """What a node sees of itself.  temp: the disk of Ray's logs, and of what its memory does not hold."""

    software: Software
    graphics: Graphics
    hardware: Hardware
    temp: Disk


@dataclass(frozen=True)
class Link:
    """round_trip: seconds of the quickest question and answer, which also measures the clock: ``ahead`` of
    this machine's, to half of it.  tried: whether a block was to be fetched from the head: not on the head
    itself, nor where the head does not answer.  fetched: seconds in which it came, None if it did not."""

    round_trip: float
    ahead: float
    tried: bool = False
    fetched: float | None = None


@dataclass(frozen=True)
class NodeAnswer:
    node: NodeInfo
    facts: NodeFacts
    link: Link


@dataclass(frozen=True)
class Stranger:
    """A node that cannot run our questions.  version: of its fre-hpo, None where it has none."""

    node: NodeInfo
    version: str | None
    reason: str


class Probe:
    """The actor that looks at a node from within."""

    def facts(self) -> NodeFacts:
        import ray

        temp = Path(ray.get_runtime_context().get_temp_dir())
        graphics = Graphics(look_at_nvidia(), look_at_torch(_unhidden(os.environ)))
        return NodeFacts(look_at_software(), graphics, look_at_hardware(), look_at_disk(temp))

    def now(self) -> float:
        return time()

    def block(self) -> list[Any]:
        """A reference to some bytes that lie on this node; in a list, or Ray would send the bytes."""
        import ray

        return [ray.put(os.urandom(BLOCK))]

    def fetch(self, block: list[Any]) -> float:
        """The seconds that the bytes take to come here."""
        import ray

        begin = monotonic()
        ray.get(block[0])
        return monotonic() - begin


def _unhidden(environ: Mapping[str, str]) -> dict[str, str]:
    """Ray hides the GPUs from what asks for none of them."""
    return {name: value for name, value in environ.items() if name != "CUDA_VISIBLE_DEVICES"}


class Prober:
    """Asks the nodes of the connected cluster, several at a time; the link is measured one by one, for all
    share the head's."""

    def __init__(self, nodes: list[NodeInfo]) -> None:
        self._probes = {node.id: _start(node) for node in nodes}
        heads = [self._probes[node.id] for node in nodes if node.is_head]
        self._on_head = heads[0].block.remote() if heads else None
        self._link = threading.Lock()

    def ask(self, node: NodeInfo) -> NodeAnswer | Stranger:
        """Raises what Ray raises where the node dies, TimeoutError where it does not answer."""
        import ray

        probe = self._probes[node.id]
        try:
            facts = _facts(probe)
        except ray.exceptions.ActorDiedError as error:
            return Stranger(node, _version_on(node), reason_of(str(error)))
        round_trip, ahead = self._ping(probe)
        block = None if node.is_head else self._block()
        fetched = self._fetch(block, probe) if block else None
        return NodeAnswer(node, facts, Link(round_trip, ahead, block is not None, fetched))

    def _ping(self, probe: Any) -> tuple[float, float]:
        import ray

        measured = []
        for _ in range(PINGS):
            begin = time()
            theirs = ray.get(probe.now.remote(), timeout=PROBE_SECONDS)
            end = time()
            measured.append((end - begin, theirs - (begin + end) / 2))
        return min(measured)

    def _block(self) -> list[Any] | None:
        """What lies on the head to be fetched; None where the head does not answer."""
        import ray

        try:
            found: list[Any] | None = self._on_head and ray.get(
                self._on_head, timeout=PROBE_SECONDS
            )
        except ray.exceptions.RayError:
            return None
        return found

    def _fetch(self, block: list[Any], probe: Any) -> float | None:
        import ray

        try:
            with self._link:
                seconds: float = ray.get(probe.fetch.remote(block), timeout=FETCH_SECONDS)
        except ray.exceptions.RayError:
            return None
        return seconds


def _start(node: NodeInfo) -> Any:
    return _on(node, Probe, max_restarts=0).remote()


def _on(node: NodeInfo, what: Any, **options: int) -> Any:
    """A function or class as Ray runs it on this node, whatever else runs there."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)
    return ray.remote(num_cpus=0, **options)(what).options(scheduling_strategy=there)


def _facts(probe: Any) -> NodeFacts:
    """Asked again where the connection broke in between, as it may on a machine that is very busy."""
    import ray

    try:
        found: NodeFacts = ray.get(probe.facts.remote(), timeout=PROBE_SECONDS)
    except ray.exceptions.ActorUnavailableError:
        found = ray.get(probe.facts.remote(), timeout=PROBE_SECONDS)
    return found


def _version_on(node: NodeInfo) -> str | None:
    """Asked by a function of Python's own, which every node has.  Raises what Ray raises where the node
    does not answer at all."""
    import ray

    try:
        question = _on(node, metadata.version, max_retries=0).remote("fre-hpo")
        return str(ray.get(question, timeout=VERSION_SECONDS))
    except metadata.PackageNotFoundError:
        return None


def reason_of(text: str) -> str:
    """The line of a remote error that says what went wrong: the last one of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (told or lines or ["no reason was given"])[-1 if told else 0]


def nodes_of_cluster() -> list[NodeInfo]:
    """The nodes that are alive, the head first; without the node of no use through which this process may
    have joined."""
    import ray

    own = ray.get_runtime_context().get_node_id()
    alive = [node for node in ray.nodes() if node["Alive"]]
    return name_nodes([node for node in alive if node["NodeID"] != own or offers(node)])


def offers(node: Mapping[str, Any]) -> bool:
    return bool(node["Resources"].get("CPU", 0) or node["Resources"].get("GPU", 0))


def name_nodes(nodes: list[Mapping[str, Any]]) -> list[NodeInfo]:
    """From what Ray tells of them; hosts that bear one name are told apart by their ids."""
    hosts = [node["NodeManagerHostname"].partition(".")[0] for node in nodes]
    named = [
        NodeInfo(
            id=node["NodeID"],
            name=host if hosts.count(host) == 1 else f"{host}-{node['NodeID'][:4]}",
            address=node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0),
            gpus=node["Resources"].get("GPU", 0),
            is_head="node:__internal_head__" in node["Resources"],
        )
        for node, host in zip(nodes, hosts, strict=True)
    ]
    return sorted(named, key=lambda node: (not node.is_head, node.name))
