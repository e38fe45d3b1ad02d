"""What Ray is told through its environment: on the head, on every worker, and in the coordinator.

Ray reads these settings when it is imported or started, so they are set before.  What is in the environment
already stays: whoever sets a RAY_ variable knows why.
"""

from __future__ import annotations

import os
import site
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from fre_hpo.settings import NOTIFY_VARIABLE, STORAGE_VARIABLES

PLAIN = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a trial without GPU leaves CUDA_VISIBLE_DEVICES alone
    "RAY_worker_niceness": "0",  # trials get the priority of any other program instead of the lowest
}
"""What every process of a Ray is told."""

LOSS_DETECTION = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "3",
}
"""A node behind a cut link is declared dead after 6 seconds instead of 65; the coordinator looks at the list
of nodes itself (``cluster_watch``) and needs no more.

gRPC's keepalive stays as it is: Ray's servers take one ping a minute on a connection without data and hang
up on more, so that with pings every 5 seconds each trial lost its worker after 20 to 26 (measured, Ray 2.60).
"""

NODE = {
    "RAY_raylet_liveness_self_check_interval_ms": "5000",  # a node learns of its head's restart within
    # 5 s, where it would go on alone for 60, and rejoins
    "RAY_prestart_worker_first_driver": "0",  # no idle processes: a trial's process starts with it
    "RAY_enable_metrics_collection": "0",  # no port for Prometheus on any node ...
    "DASHBOARD_METRIC_PORT": "-1",  # ... nor on the head
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # draining is fre-hpo's
    "RAY_START_HOOK": "fre_hpo.scheduling.start_hook.narrow",
}
"""What ``ray start`` is told besides.  A hook of somebody else's would open what ours closes: ours is set
whatever is there."""

_KEPT_BACK = frozenset(
    ("RAY_ADDRESS", *STORAGE_VARIABLES, NOTIFY_VARIABLE, "FRE_HPO_DASHBOARD_TOKEN", "PGPASSWORD")
)
"""What a node must not have: the address of a cluster would lead Ray elsewhere; the others are secrets that
no trial needs."""
_HOOK = "RAY_START_HOOK"
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_MODE = "RAY_AUTH_MODE"


def prepare(token: Path | None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Set what a process needs that joins a cluster as a driver, or asks its head.

    token: the file of the cluster's token; None where Ray's own variables tell it.
    """
    for name, value in (PLAIN | LOSS_DETECTION).items():
        environ.setdefault(name, value)
    authenticate(token, environ)


def of_node(token: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which ``ray start`` runs, and every trial of that node after it."""
    found = {name: value for name, value in environ.items() if name not in _KEPT_BACK}
    prepare(token, found)
    return with_package(NODE | found | {_HOOK: NODE[_HOOK]})


def with_package(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a Python that finds this package wherever it is called; where it is not installed
    but lies in a checkout, that is named."""
    folder = str(Path(__file__).resolve().parents[2])
    if folder in site.getsitepackages():
        return dict(environ)
    others = [p for p in environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != folder]
    return {**environ, "PYTHONPATH": os.pathsep.join([folder, *others])}


def authenticate(token: Path | None, environ: MutableMapping[str, str]) -> None:
    """Have Ray ask for the token, and find it in this file: it is never on a command line."""
    if token is not None:
        for name in _TOKENS:
            environ.pop(name, None)
        environ[_MODE] = "token"
        environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    environ.setdefault(_MODE, "token")


def is_told(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment tells Ray its token already, or that it is to do without."""
    return any(environ.get(name) for name in _TOKENS) or environ.get(_MODE, "token") != "token"
