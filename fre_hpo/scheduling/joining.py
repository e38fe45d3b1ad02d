"""What is asked before a machine joins a cluster, so that a typo or a wrong version is a sentence at once.

Ray itself would wait for minutes, or let a node with another fre-hpo in whose trials then fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fre_hpo.errors import ClusterUnreachable, OtherVersions, TokenRefused
from fre_hpo.scheduling.address import numeric, probe
from fre_hpo.scheduling.gcs import VERSION_LABEL, Census, Member, draining_nodes
from fre_hpo.scheduling.ray_settings import with_package

__all__ = [
    "VERSION_LABEL",
    "ask_to_drain",
    "check",
    "draining_nodes",
    "node_here",
    "nodes_here",
    "take_census",
]

ANSWER_SECONDS = 30
"""Loading Ray takes a second, and several on a machine that trains; the head answers in milliseconds."""
DRAIN_ANSWER_SECONDS = 15
"""Shorter, as whoever ends a service waits for it."""


def check(address: str, environ: Mapping[str, str] = os.environ) -> Census:
    """Make sure that the head answers, takes this machine's token, and runs the same versions.

    environ: with Ray's settings (``ray_settings.prepare``).  Raises ClusterUnreachable, TokenRefused,
    OtherVersions.
    """
    census = take_census(address, environ)
    if not any(member.is_head for member in census.members):
        raise ClusterUnreachable(address=address, reason="its head is only starting")
    theirs, ours = _versions_of(census), _own_versions()
    differing = [name for name in theirs if theirs[name] not in (None, ours[name])]
    if environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor":
        differing = [n for n in differing if n != "Python" or not _same_minor(theirs[n], ours[n])]
    if differing:
        raise OtherVersions(
            address=address, theirs=_words(theirs, differing), ours=_words(ours, differing)
        )
    return census


def node_here(address: str, environ: Mapping[str, str] = os.environ) -> Member | None:
    """The node of that cluster that this machine is already, the head's before others; None where it is
    none.  Raises as ``check`` does."""
    here = [member for member in check(address, environ).members if member.here]
    return max(here, key=lambda member: member.is_head, default=None)


def nodes_here(address: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this machine is a node of that cluster already.  Raises as ``check`` does."""
    return node_here(address, environ) is not None


def take_census(address: str, environ: Mapping[str, str] = os.environ) -> Census:
    """Which versions and nodes the head knows.  Raises ClusterUnreachable, TokenRefused."""
    probe(address, environ)
    found = _ask(address, environ, "census", numeric(address))
    members = tuple(Member(**member) for member in found["members"])
    return Census(found["ray"], found["python"], members)


def ask_to_drain(address: str, node: str, seconds: float, environ: Mapping[str, str]) -> None:
    """Have the head mark a node as draining.  Raises ClusterUnreachable, TokenRefused."""
    words = ("drain", numeric(address), node, str(seconds))
    _ask(address, environ, *words, within=DRAIN_ANSWER_SECONDS)


def _ask(
    address: str, environ: Mapping[str, str], *words: str, within: float = ANSWER_SECONDS
) -> dict[str, Any]:
    """In a process of its own, which the head's silence may end."""
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "fre_hpo.scheduling.gcs", *words],
            env=with_package(environ),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=within,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise ClusterUnreachable(address=address, reason="it does not answer") from None
    lines = ended.stdout.splitlines()
    if not lines:
        raise ClusterUnreachable(address=address, reason="it does not answer as Ray does")
    answer: dict[str, Any] = json.loads(lines[-1])
    if "refused" in answer:
        raise TokenRefused(address=address, hint=_token_hint(environ))
    if "failed" in answer:
        raise ClusterUnreachable(address=address, reason=answer["failed"])
    return answer


def _versions_of(census: Census) -> dict[str, str | None]:
    """What the head runs; None where it does not say."""
    head = next((member for member in census.members if member.is_head), None)
    return {
        "Python": census.python,
        "Ray": census.ray,
        "fre-hpo": head.version if head else None,
    }


def _own_versions() -> dict[str, str]:
    python = ".".join(map(str, sys.version_info[:3]))
    return {"Python": python, "Ray": version("ray"), "fre-hpo": version("fre-hpo")}


def _same_minor(one: str | None, other: str) -> bool:
    return one is not None and one.split(".")[:2] == other.split(".")[:2]


def _words(versions: Mapping[str, str | None], names: list[str]) -> str:
    return " and ".join(f"{name} {versions[name]}" for name in names)


def _token_hint(environ: Mapping[str, str]) -> str:
    path = None if environ.get("RAY_AUTH_TOKEN") else environ.get("RAY_AUTH_TOKEN_PATH")
    if path is None:
        return "give RAY_AUTH_TOKEN the value that it has on the head"
    return f"copy the head's cluster-token to {path} anew"
