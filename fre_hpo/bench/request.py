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
ALL = "all"


@dataclass(frozen=True)
class Request:
    """None is what suits the device.  part: one of PARTS, or ALL.  compiled: whether torch.compile takes
    part.  seconds: how long each comparison is timed.  storage: the database of search-overhead."""

    part: str = ALL
    tiny: bool = False
    device: str = "auto"
    shape: str | None = None
    compiled: bool | None = None
    seconds: float | None = None
    storage: str | None = None
