"""When every epoch of a search began and ended, written down by those who train it.

Who coordinates them is not asked, so that searches of different makers are measured alike.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True)
class Stamp:
    """An epoch of a trial, in seconds since 1970.  pid: the process that trained it."""

    trial: str
    epoch: int
    pid: int
    begun: float
    ended: float


class Stamps:
    """A file to which any number of processes on one machine write."""

    def __init__(self, path: Path, trial: str) -> None:
        self.path = path
        self.trial = trial

    def write(self, epoch: int, begun: float, ended: float) -> None:
        """One line in one write, which the kernel keeps whole."""
        line = json.dumps(asdict(Stamp(self.trial, epoch, os.getpid(), begun, ended))) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, line.encode())
        os.close(file)


def read(path: Path) -> list[Stamp]:
    """All that were written so far."""
    if not path.exists():
        return []
    return [Stamp(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Slots:
    """What became of the time of so many slots, in seconds: trained, and lost between a slot's falling
    free and its next first epoch, in all and each time."""

    trained: float
    lost: tuple[float, ...]

    @property
    def overhead(self) -> float:
        """What was lost for each second of training."""
        return sum(self.lost) / self.trained


def account(stamps: Sequence[Stamp], slots: int) -> Slots:
    """Whoever begins took the slot that had been free for longest; their sum does not depend on it."""
    begun, ended, trained = [], [], 0.0
    in_order = sorted(stamps, key=lambda s: (s.trial, s.pid, s.begun))
    for _, group in groupby(in_order, key=lambda s: (s.trial, s.pid)):
        epochs = list(group)
        begun.append(epochs[0].begun)
        ended.append(epochs[-1].ended)
        trained += epochs[-1].ended - epochs[0].begun
    later = sorted(begun)[slots:]
    return Slots(trained, tuple(b - e for b, e in zip(later, sorted(ended), strict=False)))


def trained_again(stamps: Sequence[Stamp]) -> int:
    """Epochs that were trained more than once."""
    return len(stamps) - len({(stamp.trial, stamp.epoch) for stamp in stamps})
