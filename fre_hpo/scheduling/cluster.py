"""Connecting to Ray: a local one by default, a running cluster by its address."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fre_hpo.errors import ClusterUnreachable
from fre_hpo.scheduling.placement import Machine, usable_cpus

PROBE_SECONDS = 10
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
    if address not in (None, "auto"):
        _probe(address)
    try:
        ray.init(
            address=address or "local",
            num_cpus=None if address else usable_cpus(),
            include_dashboard=None if address else False,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ClusterUnreachable(address=address or "this machine", reason=reason) from error
    try:
        yield _machine()
    finally:
        ray.shutdown()


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
    return Machine(cpus=int(resources.get("CPU", 1)), gpus=int(resources.get("GPU", 0)))
