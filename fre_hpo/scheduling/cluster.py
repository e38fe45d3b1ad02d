"""Connecting to Ray: a local one by default, a running cluster by its address."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fre_hpo.errors import ClusterUnreachable
from fre_hpo.scheduling import cluster_token, joining, ray_settings
from fre_hpo.scheduling.address import numeric
from fre_hpo.scheduling.gcs import Member
from fre_hpo.scheduling.machine import cpus
from fre_hpo.scheduling.node import joined_node
from fre_hpo.scheduling.placement import Machine
from fre_hpo.scheduling.start_hook import keep_loopback

RETRY_SECONDS = 2.0
JOIN_SECONDS = 30
"""Joining takes about a second; Ray gives up, and this process with it, after 60."""
SHUTDOWN_SECONDS = 15
"""Leaving takes about a second, 7 where the head is dead."""
_QUIET: dict[str, Any] = {
    "log_to_driver": False,
    "configure_logging": False,
    "logging_level": logging.ERROR,
}
_FAILURES = (ConnectionError, RuntimeError, ValueError, OSError)


@contextmanager
def connected(
    address: str | None,
    *,
    token: Path | None = None,
    patience: float = 0.0,
    say: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Machine]:
    """Within this block Ray is connected; yields what the cluster has.

    address: None for a Ray of our own on this machine, which ends with the block.  Where this machine is no
    node of the cluster it becomes one, without CPUs, for as long: a driver has to be on a node.  token: the
    cluster's file, None where the environment tells Ray.  patience: seconds that its head has to appear.  A
    Ray that this process is connected to already is used and left as it is.  Raises ClusterUnreachable,
    TokenRefused, OtherVersions, NodeFailed, NoToken, UnsafeToken.
    """
    _prepare_environment(address, token)
    import ray

    if ray.is_initialized():
        yield _machine()
        return
    _silence(ray)
    with ExitStack() as stack:
        if address is None:
            stack.callback(shutil.rmtree, _start(), ignore_errors=True)
        else:
            _join(address, stack.enter_context(_on_a_node(address, token, patience, say)))
        stack.callback(within, SHUTDOWN_SECONDS, ray.shutdown)
        yield _machine()


@contextmanager
def _on_a_node(
    address: str, token: Path | None, patience: float, say: Callable[[str], None]
) -> Iterator[str | None]:
    """Within this block this machine is a node of the cluster; yields the folder of its Ray.

    A worker's node may leave, and its drivers with it: only the head's is used, or one of our own.
    """
    if address == "auto":
        yield None
        return
    cluster_token.check(token, address)
    members = _members(address, patience, say)
    heads = [member for member in members if member.is_head and member.here]
    if heads:
        yield heads[0].folder
        return
    with joined_node(address, token_file=token) as node:
        yield str(node.folder)


def _members(address: str, patience: float, say: Callable[[str], None]) -> tuple[Member, ...]:
    """The nodes of a cluster, the head's among them; waits for it."""
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            members = joining.check(address).members
            if any(member.is_head for member in members):
                return members
            missing = ClusterUnreachable(address=address, reason="its head is only starting")
        except ClusterUnreachable as error:
            missing = error
        if time.monotonic() >= deadline:
            raise missing
        if not told:
            reason = missing.facts["reason"]
            say(f"The cluster at {address} is waited for, up to {patience:g} s ({reason}).")
            told = True
        time.sleep(RETRY_SECONDS)


def _start() -> Path:
    """Start a Ray of our own; returns the folder of its sockets and logs, which it leaves behind.

    Ray's servers end with the thread that started them: here, the main one.
    """
    import ray

    try:
        context = ray.init(address="local", num_cpus=cpus(), include_dashboard=False, **_QUIET)
    except _FAILURES as error:
        raise _unreachable(None, error) from error
    return Path(context.address_info["session_dir"])


def _join(address: str, folder: str | None) -> None:
    """Join a cluster through the node whose Ray has its files in this folder.  A head without a raylet
    answers the probe, and then Ray would wait for a minute and end this process without a word: therefore
    on a thread of its own, with a deadline."""
    import ray

    keep_loopback()
    where: dict[str, Any] = {"address": address}
    if folder is not None:
        where = {"address": numeric(address), "_temp_dir": folder}
    try:
        if not within(JOIN_SECONDS, ray.init, **where, **_QUIET):
            reason = f"it took no driver within {JOIN_SECONDS} s"
            raise ClusterUnreachable(address=address, reason=reason)
    except _FAILURES as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str | None, error: Exception) -> ClusterUnreachable:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ClusterUnreachable(address=address or "this machine", reason=reason)


def within(seconds: float, function: Callable[..., object], **arguments: Any) -> bool:
    """Call a function that may hang; False if it has not returned by then.  What it raises is raised."""
    raised: list[Exception] = []

    def call() -> None:
        try:
            function(**arguments)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    return not thread.is_alive()


def _silence(ray: Any) -> None:
    """Ray tells of a lost node by printing its log, on stdout, and has no public switch for it."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray._private.worker._worker_logs_enabled = False


def _prepare_environment(address: str | None, token: Path | None) -> None:
    """Ray reads its settings when it is imported, so nothing here imports it before.

    A Ray of our own gets a token that lives as long as this process; left to itself Ray would write one
    into the user's home folder, which every later ``ray start`` there then demands (design 3.16).
    """
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    ray_settings.prepare(token if address else None)


def _machine() -> Machine:
    import ray

    resources = ray.cluster_resources()
    return Machine(cpus=int(resources.get("CPU", 0)), gpus=int(resources.get("GPU", 0)))
