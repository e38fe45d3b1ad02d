"""What ``ray start`` has no switch for: it calls this before it starts anything (RAY_START_HOOK).

A node of ours listens on no port that a search does not need, whichever extras Ray was installed with: no
Ray client, no job server, no metrics.  Ray leaves the last two away itself where it was installed without
its dashboard, so it is told that it was.
"""

from __future__ import annotations

import os
from typing import Any

HOST_VARIABLE = "FRE_HPO_NODE_HOST"
"""The address that the node is to have, as ``--node-ip-address`` would take it: Ray replaces a loopback
address there by one that the network reaches."""


def narrow(parameters: Any, head: bool) -> None:
    """Called with ``ray.start``'s RayParams."""
    from ray._private import services, utils

    parameters.ray_client_server_port = None
    host = os.environ.pop(HOST_VARIABLE, parameters.node_ip_address)
    parameters.node_ip_address = parameters.node_name = host
    utils.get_dashboard_dependency_error = _left_away
    services.resolve_ip_for_localhost = _as_it_is


def keep_loopback() -> None:
    """Have a driver reach a head on 127.0.0.1 where it is, and not where the network would."""
    from ray._private import services

    services.resolve_ip_for_localhost = _as_it_is


def _left_away() -> ImportError:
    return ImportError("fre-hpo starts its nodes without Ray's dashboard")


def _as_it_is(host: str) -> str:
    return host
