"""Connecting to Ray: a local one by default, a running cluster by its address."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from fre_hpo.errors import ClusterUnreachable
from fre_hpo.scheduling.placement import Machine, usable_cpus


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
