"""How many trials share a GPU best: decided by what was measured, and remembered.

Only a measurement tells: a network that leaves a GPU half idle gains by company, one that fills it loses.
``fre-hpo bench pack`` measures at length, a probe at the start of a search briefly; where neither did for
a search's sizes, each trial has a GPU to itself.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from statistics import median
from typing import Any

FILE = "packing.json"
"""In the home folder."""

MOST = 4
"""Trials on one GPU at most; what runs at once cannot learn from one another."""
WINDOWS = 3
"""Measurements of each number of trials.  Were two numbers equally fast, all three of the one would lie
above all three of the other once in twenty times: that is what counts as more than noise."""
GAIN = 1.05
"""Less is not worth the company: each trial takes longer, and knows less of the others."""
WORTH = 20
"""A search must take so many times as long as its probe."""
MARGIN = 0.1
"""Of a GPU's memory, to be left free: what a trial takes goes up and down."""
CONTEXT = 1 << 30
"""Bytes that a process takes on a GPU besides torch's own, at most: CUDA's context and its kernels."""


@dataclass(frozen=True)
class Workload:
    """What decides how well a training fills a GPU: feature maps of the blocks, pictures, their size.
    engine: number format and compiler, where they are not left to the product."""

    widths: tuple[int, ...]
    height: int
    width: int
    batch_size: int
    engine: str = ""


@dataclass(frozen=True)
class Finding:
    """So many trials at once on one GPU trained most epochs a second.  gpu: its name; measured: a date;
    by: who found it."""

    trials: int
    gpu: str
    measured: str
    by: str = "`fre-hpo bench pack`"

    def __str__(self) -> str:
        return f"as {self.by} found on {self.measured} ({self.gpu})"


# --- deciding ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Extent:
    """How much a search trains: trials that are missing, epochs of each, seconds that it may take (None:
    no limit), trials at once (None: as many as there is room for), GPUs."""

    trials: int
    epochs: int
    seconds: float | None
    parallel: int | None
    gpus: int

    @property
    def most(self) -> int:
        """Trials that may come to share a GPU."""
        at_once = self.trials if self.parallel is None else min(self.trials, self.parallel)
        return min(-(-at_once // self.gpus), MOST)

    def lasts(self, rate: float) -> float:
        """Seconds of the search with a trial to a GPU, each at so many epochs a second."""
        needed = self.trials * self.epochs / rate / self.gpus
        return needed if self.seconds is None else min(needed, self.seconds)

    @property
    def is_too_short(self) -> bool:
        """Whether no probe can pay, however long an epoch takes: it trains at least one to warm up and one
        in each window for every number of trials."""
        fewest = self.most * (1 + WINDOWS)
        return self.trials * self.epochs < WORTH * fewest * self.gpus


def gains(fewer: Sequence[float], more: Sequence[float]) -> bool:
    """Whether more trials at once train more epochs a second, by more than noise and by enough; the
    windows of each."""
    return min(more) > max(fewer) and median(more) >= GAIN * median(fewer)


def has_room(taken: int, free: int, total: int, before: int | None) -> bool:
    """Whether one more trial fits, by what the last one took.  Bytes: torch's own, free and in all on the
    GPU now; free before the last one came, None where it was the first and nobody had looked."""
    used = total - free if before is None else before - free
    needed = max(min(used, taken + CONTEXT), taken)
    return free - needed >= MARGIN * total


def probe_seconds(spent: float, prepared: float, window: float, rate: float, most: int) -> float:
    """How long a whole probe takes, from its part with a trial alone.  spent: on that; prepared: until it
    was warm; rate: its epochs a second, which company does not make worse than divide."""
    more = (prepared + WINDOWS * max(window, count / rate) for count in range(2, most + 1))
    return spent + sum(more)


# --- remembering ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Notes:
    """What is remembered of a workload in a home folder.

    place: what it holds for: the GPUs of one machine, or on a cluster those of one name, which is empty as
    long as nobody has asked one of them.
    """

    home: Path
    workload: Workload
    place: str = field(default_factory=lambda: socket.gethostname())

    def of(self, gpu: str) -> Notes:
        """What is remembered of GPUs of a name."""
        return replace(self, place=gpu)

    def read(self) -> Finding | None:
        """What was found, if anything was."""
        found = _read(self.home / FILE).get(self._key)
        names = {field.name for field in fields(Finding)}
        if not isinstance(found, dict) or names - {"by"} != found.keys() - {"by"}:
            return None
        return Finding(**found)

    def write(self, finding: Finding) -> None:
        """Remember a finding; it takes the place of an older one."""
        path = self.home / FILE
        found = {**_read(path), self._key: asdict(finding)}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{FILE}.{os.getpid()}.part")
        part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        part.replace(path)

    @property
    def _key(self) -> str:
        work = self.workload
        widths = "-".join(map(str, work.widths))
        engine = f", {work.engine}" if work.engine else ""
        size = f"{work.height}x{work.width}, {work.batch_size} at once{engine}"
        return f"{self.place}: {widths}, {size}"


def remember(home: Path, workload: Workload, finding: Finding) -> None:
    """Of the GPUs of this machine."""
    Notes(home, workload).write(finding)


def remembered(home: Path, workload: Workload) -> Finding | None:
    """Of the GPUs of this machine."""
    return Notes(home, workload).read()


def _read(path: Path) -> dict[str, Any]:
    """A file that cannot be read is none: the finding is a help, no condition."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
