"""``head`` and ``worker``: this machine as a part of a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.errors import BadValue, ClusterUnreachable, HeadPortTaken, UsageError
from fre_hpo.scheduling import address as addresses
from fre_hpo.scheduling import cluster_token, machine
from fre_hpo.scheduling.address import check_host
from fre_hpo.scheduling.head import Head
from fre_hpo.scheduling.node import Asked, RayNode
from fre_hpo.scheduling.ports import is_free, read_range
from fre_hpo.scheduling.standing import Worker
from fre_hpo.settings import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Share:
    """What this machine gives to a cluster, as it was asked for; None means all that it has."""

    cpus: int | None
    gpus: int | None
    host: str | None
    port_range: str

    def on_this_machine(self, token: Path | None, say: Say) -> Asked:
        """Raises BadValue, and UsageError where clusters cannot be."""
        _need_linux()
        read_range(self.port_range)
        store = machine.store()
        if store.warning:
            say(store.warning)
        return Asked(
            cpus=machine.cpus() if self.cpus is None else self.cpus,
            gpus=_gpus(self.gpus, os.environ),
            token=token,
            host=check_host(self.host) if self.host else None,
            port_range=self.port_range,
            store=store.size,
        )


def stand_as_head(
    port: int, share: Share, token_file: Path | None, settings: Settings, say: Say
) -> int:
    """Be a cluster's head until told to end; returns the exit code.  Raises UsageError, NodeFailed."""
    token = cluster_token.find(token_file, settings.home)
    asked = share.on_this_machine(token, say)
    host = asked.host or addresses.of_this_machine()
    if not is_free(host, port):
        raise HeadPortTaken(port=port, host=host, address=addresses.join(host, port))
    if cluster_token.create(token):
        say(f"Wrote a new token for this cluster: {token}")
    cluster_token.check(token)
    return Head(port, asked, say).run(lambda node: _announce(node, port, say))


def _announce(node: RayNode, port: int, say: Say) -> None:
    address = addresses.join(node.plan.host, port)
    say(f"The head of a cluster stands at {address} with {node.plan}.")
    if node.plan.host.startswith("127."):
        say("It is on the loopback, so that only this machine reaches it.")
    copy = f", with a copy of {node.plan.token}" if node.plan.token else ""
    say(f"Others join it by `fre-hpo worker --address {address}`{copy}.")
    say(f"Searches run on it by `fre-hpo start --ray-address {address} ...`.")


def stand_as_worker(
    address: str,
    share: Share,
    token_file: Path | None,
    settings: Settings,
    say: Say,
    *,
    grace: float,
    wait: float,
) -> int:
    """Be a node of the cluster until told to leave; returns the exit code.

    Raises UsageError, ClusterUnreachable, TokenRefused, NodeFailed where it cannot join in the first place.
    """
    _check_address(address)
    token = cluster_token.check(cluster_token.find(token_file, settings.home), address)
    asked = share.on_this_machine(token, say)
    return Worker(address, asked, say, grace=grace, wait=wait).run()


def _check_address(address: str) -> None:
    try:
        addresses.split(address)
    except ClusterUnreachable:
        reason = "it is HOST:PORT of the head, 10.0.0.1:6379 for example"
        raise BadValue(key="--address", value=address, reason=reason) from None


def _need_linux() -> None:
    if sys.platform != "linux":
        raise UsageError(problem="Clusters need Linux: on this system Ray trains on one machine.")


def _gpus(asked: int | None, environ: Mapping[str, str]) -> int:
    """Ray refuses to give away more than CUDA_VISIBLE_DEVICES names."""
    if asked is None:
        return machine.gpus(environ)
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    named = None if visible is None else len([name for name in visible.split(",") if name.strip()])
    if named is not None and asked > named:
        reason = f"CUDA_VISIBLE_DEVICES names {named}"
        raise BadValue(key="--gpus", value=asked, reason=reason)
    return asked
