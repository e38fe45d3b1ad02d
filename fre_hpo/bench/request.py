"""What can be measured, and what was asked for; light, for the command line's help reads it."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = {
    "step": "step",
    "epoch": "epoch",
    "trial": "trials",
    "search-overhead": "overhead",
    "pack": "pack",
    "determinism": "determinism",
}
"""The module of each part; one is imported when it is asked for."""
CLUSTER = {"slots": "slots", "ask": "ask", "scaling": "scaling"}
"""Parts that tell how a coordinator keeps many workers busy; together ``cluster``."""
OTHERS = {**CLUSTER, "tune": "tune"}
"""Parts that take long, or need other packages: only measured when they are asked for."""
ALL = "all"
GROUPS = {ALL: tuple(PARTS), "cluster": tuple(CLUSTER)}
NAMES = (*PARTS, *OTHERS, *GROUPS)
"""All that can be asked for."""


@dataclass(frozen=True)
class Request:
    """None is what suits the device.  part: one of NAMES.  compiled: whether torch.compile takes
    part.  seconds: how long each comparison is timed.  storage: the database of search-overhead,
    ask and scaling."""

    part: str = ALL
    tiny: bool = False
    device: str = "auto"
    shape: str | None = None
    compiled: bool | None = None
    seconds: float | None = None
    storage: str | None = None
