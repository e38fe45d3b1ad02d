"""Connecting to Ray: a local one by default, a running cluster by its address."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fre_hpo.errors import ClusterUnreachable
from fre_hpo.scheduling.placement import Machine, usable_cpus

PROBE_SECONDS = 10
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
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How an HTTP/2 client begins: the preface and an empty SETTINGS frame (RFC 9113, section 3.4)."""
_SETTINGS = 4
"""The type of the frame that an HTTP/2 server, and so Ray's gRPC, answers with first."""


@contextmanager
def connected(address: str | None) -> Iterator[Machine]:
    """Within this block Ray is connected; yields what the cluster has.

    address: None for a Ray of our own on this machine, which ends with the block.  A Ray that this
    process is connected to already is used and left as it is.  Raises ClusterUnreachable.
    """
    _prepare_environment(address)
    import ray

    if ray.is_initialized():
        yield _machine()
        return
    _silence(ray)
    if address is not None:
        _join(address)
    folder = _start() if address is None else None
    try:
        yield _machine()
    finally:
        within(SHUTDOWN_SECONDS, ray.shutdown)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _start() -> Path:
    """Start a Ray of our own; returns the folder of its sockets and logs, which it leaves behind.

    Ray's servers end with the thread that started them: here, the main one.
    """
    import ray

    try:
        context = ray.init(
            address="local", num_cpus=usable_cpus(), include_dashboard=False, **_QUIET
        )
    except _FAILURES as error:
        raise _unreachable(None, error) from error
    return Path(context.address_info["session_dir"])


def _join(address: str) -> None:
    """Join a cluster.  A head without a raylet answers the probe, and then Ray would wait for a minute
    and end this process without a word: therefore on a thread of its own, with a deadline."""
    import ray

    if address != "auto":
        _probe(address)
    try:
        if not within(JOIN_SECONDS, ray.init, address=address, **_QUIET):
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


def _probe(address: str) -> None:
    """Make sure that something at HOST:PORT speaks Ray's protocol, for Ray itself would wait there for
    more than ten minutes.  With Ray's TLS only the connection is tried."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ClusterUnreachable(address=address, reason="an address is HOST:PORT")
    try:
        with socket.create_connection((host, int(port)), PROBE_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") in ("0", ""):
                connection.sendall(_GREETING)
                answer = connection.recv(9)
                if len(answer) < 4 or answer[3] != _SETTINGS:
                    raise ClusterUnreachable(address=address, reason="no Ray answers there")
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClusterUnreachable(address=address, reason=reason) from error


def _prepare_environment(address: str | None) -> None:
    """Ray reads its settings when it is imported, so nothing here imports it before.

    A Ray of our own gets a token that lives as long as this process; left to itself Ray would write one
    into the user's home folder, which every later ``ray start`` there then demands (design 3.16).  Its
    workers get the priority of any other program instead of the lowest.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    if address is None:
        os.environ.setdefault("RAY_worker_niceness", "0")


def _machine() -> Machine:
    import ray

    resources = ray.cluster_resources()
    return Machine(cpus=int(resources.get("CPU", 0)), gpus=int(resources.get("GPU", 0)))
