"""Asking the head of a cluster, its GCS, without joining it.

The one module that knows Ray's GcsClient, which is not part of its public interface.  A client ends its
process when the head falls silent for a minute: processes that must stay ask through ``python -m`` this
module, which prints an answer in JSON (see ``joining``).
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

ASK_SECONDS = 5
VERSION_LABEL = "fre-hpo-version"
_PREEMPTED = 2
"""Ray's reason for a drain that it may not refuse (autoscaler.proto: DRAIN_NODE_REASON_PREEMPTION)."""


@dataclass(frozen=True)
class Member:
    """A node that is alive.  folder: Ray's on that machine, by which a driver names the node that it goes
    through (``ray.init(_temp_dir=...)``).  version: of fre-hpo there; None where Ray alone started it.
    here: on this machine, and its sockets are open to this user."""

    id: str
    host: str
    folder: str
    version: str | None
    is_head: bool
    here: bool


@dataclass(frozen=True)
class Census:
    """What a head knows: the versions it was started with, and its nodes."""

    ray: str | None
    python: str | None
    members: tuple[Member, ...]


def take_census(address: str) -> Census:
    """Raises what Ray raises: AuthenticationError, RpcError, RuntimeError."""
    from ray._common.usage import usage_lib
    from ray._private.services import find_node_ids
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    client = _client(address)
    versions = usage_lib.get_cluster_metadata(client) or {}
    nodes = client.get_all_node_info(
        timeout=ASK_SECONDS, state_filter=GcsNodeInfo.GcsNodeState.ALIVE
    )
    local = set(find_node_ids())
    members = tuple(_member(node, local) for node in nodes.values())
    return Census(versions.get("ray_version"), versions.get("python_version"), members)


def _member(node: Any, local: set[str]) -> Member:
    identity = node.node_id.hex()
    return Member(
        id=identity,
        host=node.node_manager_address,
        folder=node.temp_dir,
        version=dict(node.labels).get(VERSION_LABEL),
        is_head=node.is_head_node,
        here=identity in local and os.access(node.raylet_socket_name, os.W_OK),
    )


def drain(address: str, node: str, seconds: float) -> None:
    """Mark a node: nothing new begins there, and it leaves as soon as nothing is left.  Raises what Ray
    raises, RuntimeError where the head refuses."""
    deadline = int((time.time() + seconds) * 1000)
    accepted, refusal = _client(address).drain_node(
        node, _PREEMPTED, "fre-hpo worker was told to leave", deadline, timeout=ASK_SECONDS
    )
    if not accepted:
        raise RuntimeError(refusal)


def draining_nodes() -> set[str]:
    """The ids of the nodes that are being drained, for a process that has joined the cluster.  Raises what
    Ray raises; may take ASK_SECONDS."""
    from ray._private.worker import global_worker

    return set(global_worker.gcs_client.get_draining_nodes(timeout=ASK_SECONDS))


def _client(address: str) -> Any:
    import ray._raylet as raylet

    return raylet.GcsClient(address=address)  # type: ignore[attr-defined]


def main(arguments: list[str]) -> None:
    """``census ADDRESS`` or ``drain ADDRESS NODE SECONDS``; prints one line of JSON."""
    from ray.exceptions import AuthenticationError

    answer: dict[str, Any] = {}
    try:
        match arguments:
            case ["census", address]:
                answer = asdict(take_census(address))
            case ["drain", address, node, seconds]:
                drain(address, node, float(seconds))
    except AuthenticationError:
        answer = {"refused": True}
    except Exception as error:
        answer = {"failed": next(iter(str(error).splitlines()), type(error).__name__)}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # Ray's threads may hang


if __name__ == "__main__":
    main(sys.argv[1:])
