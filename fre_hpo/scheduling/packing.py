"""How many trials share a GPU best: what ``fre-hpo bench pack`` measured on this machine, remembered.

Only a measurement tells: a network that leaves a GPU half idle gains by company, one that fills it loses.
Where nothing was measured for a search's sizes, each trial has a GPU to itself.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "packing.json"
"""In the home folder."""


@dataclass(frozen=True)
class Workload:
    """What decides how well a training fills a GPU: feature maps of the blocks, pictures, their size."""

    widths: tuple[int, ...]
    height: int
    width: int
    batch_size: int


@dataclass(frozen=True)
class Finding:
    """So many trials at once on one GPU trained most epochs a second.  gpu: its name; measured: a date."""

    trials: int
    gpu: str
    measured: str

    def __str__(self) -> str:
        return f"as `fre-hpo bench pack` found on {self.measured} ({self.gpu})"


def remember(home: Path, workload: Workload, finding: Finding) -> None:
    """Write a finding into the home folder; it takes the place of an older one for the same workload."""
    path = home / FILE
    found = _read(path)
    found[_key(workload)] = asdict(finding)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{FILE}.{os.getpid()}.part")
    part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def remembered(home: Path, workload: Workload) -> Finding | None:
    """What was found for a workload on this machine, if anything was."""
    found = _read(home / FILE).get(_key(workload))
    return Finding(**found) if found and found.keys() == Finding.__annotations__.keys() else None


def _key(workload: Workload) -> str:
    widths = "-".join(map(str, workload.widths))
    size = f"{workload.height}x{workload.width}"
    return f"{socket.gethostname()}: {widths}, {size}, {workload.batch_size} at once"


def _read(path: Path) -> dict[str, Any]:
    """A file that cannot be read is none: the finding is a help, no condition."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
