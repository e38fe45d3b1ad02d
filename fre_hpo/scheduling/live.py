"""What is going on in a search right now, as the coordinator publishes it for every reader."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PUBLISH_SECONDS = 2.0
STALE_SECONDS = 60.0
"""A coordinator on another machine that has published nothing for so long is taken for gone."""

ALIVE = ("running", "paused")


@dataclass(frozen=True)
class RunningTrial:
    """A trial in flight.  epoch: done so far; best_miou: None before the first validation."""

    number: int
    attempt: int
    params: dict[str, int | float]
    epoch: int = 0
    epochs: int = 0
    miou: float | None = None
    best_miou: float | None = None
    best_epoch: int | None = None
    worker: str | None = None
    device: str | None = None
    epoch_seconds: float | None = None


@dataclass(frozen=True)
class Live:
    """The search at one moment.  state: running, paused, or how the coordinator ended (finished,
    stopped).  message: what a person should know, such as a full disk.  elapsed: running time in
    seconds, summed over all starts.  born: when the coordinator's process began, as its system counts
    it."""

    state: str
    wanted: int
    complete: int
    failed: int
    slots: int
    elapsed: float
    epochs: int
    running: tuple[RunningTrial, ...] = ()
    epoch_seconds: float | None = None
    message: str | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    born: str | None = field(default_factory=lambda: _born(os.getpid()))
    time: float = field(default_factory=time.time)

    @property
    def eta_seconds(self) -> float | None:
        """Until the last trial ends: the epochs left at the mean time of an epoch, shared by the
        slots, but never less than the longest trial needs, which shares nothing."""
        if self.epoch_seconds is None or self.state != "running":
            return None
        waiting = max(self.wanted - self.complete - len(self.running), 0)
        left = [trial.epochs - trial.epoch for trial in self.running] + [self.epochs] * waiting
        return max(sum(left) / max(self.slots, 1), max(left, default=0)) * self.epoch_seconds

    def to_plain(self) -> dict[str, Any]:
        plain = {**vars(self), "running": [vars(trial) for trial in self.running]}
        return {**plain, "eta_seconds": self.eta_seconds}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Live:
        known = {name: value for name, value in plain.items() if name != "eta_seconds"}
        running = tuple(RunningTrial(**trial) for trial in known.pop("running"))
        return cls(**known, running=running)

    def coordinator_alive(self) -> bool:
        """Whether the coordinator that published this still runs, as far as is known here."""
        if self.state not in ALIVE:
            return False
        if self.host == socket.gethostname():
            return _process_exists(self.pid) and _born(self.pid) == self.born
        return time.time() - self.time < STALE_SECONDS

    def with_trial(self, trial: RunningTrial) -> Live:
        others = [t for t in self.running if t.number != trial.number]
        return replace(self, running=tuple(sorted([*others, trial], key=lambda t: t.number)))

    def without_trial(self, number: int) -> Live:
        return replace(self, running=tuple(t for t in self.running if t.number != number))

    def trial(self, number: int) -> RunningTrial:
        return next(t for t in self.running if t.number == number)


def _born(pid: int) -> str | None:
    """When a process began, in the kernel's ticks (proc(5), starttime), so that a number that was
    given away again is told from it; None for one that has ended, and where there is no /proc."""
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else facts[18]


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
