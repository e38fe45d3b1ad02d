"""What is going on in a search right now, as the coordinator publishes it for every reader."""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PUBLISH_SECONDS = 2.0
STALE_SECONDS = 60.0
"""A coordinator on another machine that has published nothing for so long is taken for gone."""

RECENT_POINTS = 32
HAPPENINGS = 12

ALIVE = ("running", "paused")


@dataclass(frozen=True)
class RunningTrial:
    """A trial in flight.  epoch: done so far; best_miou: None before the first validation; recent: the
    mIoU of some epochs so far, 32 at most over the whole trial, the oldest first."""

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
    recent: tuple[float, ...] = ()

    def with_curve(self, points: dict[int, float]) -> RunningTrial:
        """With what an earlier attempt has trained: epoch -> mIoU."""
        recent = tuple(round(miou, 4) for e, miou in sorted(points.items()) if self._is_shown(e))
        return replace(self, recent=recent)

    def after_epoch(
        self, epoch: int, miou: float, best_miou: float, best_epoch: int, seconds: float
    ) -> RunningTrial:
        recent = (*self.recent, round(miou, 4)) if self._is_shown(epoch) else self.recent
        return replace(
            self,
            epoch=epoch,
            miou=miou,
            best_miou=best_miou,
            best_epoch=best_epoch,
            epoch_seconds=seconds,
            recent=recent,
        )

    def _is_shown(self, epoch: int) -> bool:
        return epoch % math.ceil(max(self.epochs, 1) / RECENT_POINTS) == 0


@dataclass(frozen=True)
class Happening:
    """A sentence for people.  serial: counts up over the study's life.  time: Unix time."""

    serial: int
    time: float
    text: str


@dataclass(frozen=True)
class Live:
    """The search at one moment.  state: running, paused, or how the coordinator ended (finished,
    stopped).  message: what a person should know, such as a full disk.  elapsed: running time in
    seconds, summed over all starts.  best: number, value and params of the best trial.  happenings: the
    last ones.  born: when the coordinator's process began, as its system counts it."""

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
    best: dict[str, Any] | None = None
    happenings: tuple[Happening, ...] = ()
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
        running = [vars(trial) for trial in self.running]
        happenings = [vars(happening) for happening in self.happenings]
        lists = {"running": running, "happenings": happenings}
        return {**vars(self), **lists, "eta_seconds": self.eta_seconds}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Live:
        known = {name: value for name, value in plain.items() if name != "eta_seconds"}
        running = tuple(
            RunningTrial(**{**trial, "recent": tuple(trial.get("recent", ()))})
            for trial in known.pop("running")
        )
        happenings = tuple(Happening(**happening) for happening in known.pop("happenings", ()))
        return cls(**known, running=running, happenings=happenings)

    def taken_over(self, state: str) -> Live:
        """As this process publishes it from now on: nothing runs yet."""
        return Live(
            state=state,
            wanted=self.wanted,
            complete=self.complete,
            failed=self.failed,
            slots=self.slots,
            elapsed=self.elapsed,
            epochs=self.epochs,
            best=self.best,
            happenings=self.happenings,
        )

    def coordinator_alive(self) -> bool:
        """Whether the coordinator that published this still runs, as far as is known here."""
        if self.state not in ALIVE:
            return False
        if self.host == socket.gethostname():
            return _process_exists(self.pid) and _born(self.pid) == self.born
        return time.time() - self.time < STALE_SECONDS

    def with_happening(self, text: str) -> Live:
        serial = self.happenings[-1].serial + 1 if self.happenings else 1
        happening = Happening(serial, time.time(), text)
        return replace(self, happenings=(*self.happenings, happening)[-HAPPENINGS:])

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
