"""A study as somebody sees it who watches it, from any machine that reaches its storage.

Cheap for the database: a look reads one row of attributes, and the trials only when one of them has ended.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from fre_hpo.errors import DiskFull, FreHpoError, StorageUnreachable, StudyGone
from fre_hpo.scheduling.live import Live
from fre_hpo.service.check import live_of
from fre_hpo.service.pulse import Pulse
from fre_hpo.service.read import open_ledger
from fre_hpo.service.resuming import resume_command
from fre_hpo.settings import Settings
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.order import Wish
from fre_hpo.study.records import TrialRecord, best_of

ENDED = ("COMPLETE", "PRUNED", "FAIL")
ALIKE = 3


@dataclass(frozen=True)
class Sight:
    """A study as it was seen last.

    state: as ``status`` tells it, or starting, or deleted.  live: what its coordinator published.  age:
    seconds since that.  silence: seconds without a sign of life.  skew: to be added to the coordinator's
    times.  trouble: why nothing can be read now, since so many seconds (``blind``).  over: whether there is
    nothing more to wait for.
    """

    study: str
    state: str = "starting"
    live: Live | None = None
    records: tuple[TrialRecord, ...] = ()
    wanted: int = 0
    age: float = 0.0
    silence: float = 0.0
    skew: float = 0.0
    trouble: str | None = None
    blind: float = 0.0
    over: bool = False

    @property
    def complete(self) -> int:
        return sum(record.counts for record in self.records)

    @property
    def failed(self) -> int:
        return sum(record.state == "FAIL" for record in self.records)

    @property
    def best(self) -> TrialRecord | None:
        return best_of(self.records)

    @property
    def ended(self) -> tuple[TrialRecord, ...]:
        """The trials that ended, in that order."""
        ended = [r for r in self.records if r.state in ENDED]
        return tuple(sorted(ended, key=lambda r: (r.finished_at or "", r.number)))

    def after(self, seconds: float) -> Sight:
        """The same, seen that much later."""
        return replace(
            self, age=self.age + seconds, silence=self.silence + seconds, blind=self.blind + seconds
        )


@dataclass(frozen=True)
class Ending:
    """Why a study does not run, and how to go on with it.  home: its home folder, with its host."""

    why: str
    command: str | None
    home: str | None


class Watcher:
    """Looks at a study again and again.  Raises StudyNotFound, StorageUnreachable and the like when it
    is made, and never after."""

    def __init__(self, settings: Settings, study: str, pulse: Pulse | None = None) -> None:
        self._ledger = open_ledger(settings, study)
        self._pulse = pulse or Pulse()
        self._counted: tuple[int, int] | None = None
        self._lost: float | None = None
        self._sight = Sight(study)

    def look(self) -> Sight:
        """Read what is new; where that cannot be done, what was seen last, and the reason."""
        try:
            live = live_of(self._ledger)
            if self._lost is not None:
                self._lost = None
                self._pulse.was_out_of_sight()
            self._pulse.see(live)
            self._sight = self._seen(live)
        except StudyGone:
            self._sight = replace(self._sight, state="deleted", over=True, trouble=None)
        except (StorageUnreachable, DiskFull) as error:
            self._sight = self._unseen(error)
        return self._sight

    def _seen(self, live: Live | None) -> Sight:
        over = self._pulse.is_over
        records = self._records(live, anew=over)
        wanted = self._ledger.wanted if over or live is None else live.wanted
        sight = replace(
            self._sight,
            live=live,
            records=records,
            wanted=wanted,
            age=self._pulse.age,
            silence=self._pulse.silence,
            skew=self._pulse.skew,
            trouble=None,
            blind=0.0,
            over=over,
        )
        return replace(sight, state=self._state(sight))

    def _records(self, live: Live | None, *, anew: bool) -> tuple[TrialRecord, ...]:
        counted = (live.complete, live.failed) if live else None
        if anew or counted is None or counted != self._counted:
            records = tuple(self._ledger.records())
            self._counted = counted
            return records
        return self._sight.records

    def _state(self, sight: Sight) -> str:
        if self._pulse.beats and sight.live is not None:
            return sight.live.state
        if sight.complete >= sight.wanted > 0:
            return "finished"
        if sight.live is None:
            return "interrupted" if sight.over else "starting"
        return "stopped" if sight.live.state == "stopped" else "interrupted"

    def _unseen(self, error: FreHpoError) -> Sight:
        now = time.monotonic()
        self._lost = self._lost or now
        reason = str(error.facts.get("reason", "")) or str(error)
        return replace(
            self._sight,
            trouble=reason,
            blind=now - self._lost,
            age=self._pulse.age,
            silence=0.0,
        )

    def ending(self, sight: Sight) -> Ending:
        """What is to be said of a study that does not run."""
        if sight.state == "deleted":
            return Ending("It was deleted, with all its trials.", None, None)
        try:
            command = resume_command(self._ledger, sight.complete)
            return Ending(_why(sight, self._ledger), command, self._ledger.home)
        except (StorageUnreachable, DiskFull, StudyGone):
            return Ending("Its storage cannot be reached any more.", None, None)


def _why(sight: Sight, ledger: Ledger) -> str:
    if sight.state == "finished":
        return f"All {sight.wanted} trials that were asked for are complete."
    if sight.state == "interrupted":
        who = (
            f"Its coordinator, process {sight.live.pid} on {sight.live.host},"
            if sight.live
            else "It"
        )
        return f"{who} ended without a word, and nobody started it again."
    order = ledger.order
    if order.wish in (Wish.STOP, Wish.STOP_NOW):
        return f"It was stopped by {order.given_by}."
    failure = _failure(sight)
    if failure is not None:
        return f"Its trials keep failing: {failure}"
    return "It was stopped by Ctrl-C or a signal, or its hours are used up."


def _failure(sight: Sight) -> str | None:
    """The reason of the trial that ended last, when several failed by it."""
    last = sight.ended[-1] if sight.ended else None
    if last is None or last.state != "FAIL":
        return None
    alike = sum(r.state == "FAIL" and r.reason == last.reason for r in sight.records)
    return last.reason if alike >= ALIKE else None


class Following:
    """A watcher in a thread of its own, so that a storage that does not answer holds nothing up."""

    def __init__(self, watcher: Watcher, first: Sight, interval: float) -> None:
        self._watcher = watcher
        self._interval = interval
        self._latest = (first, time.monotonic())
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)
        self._thread.start()

    @property
    def sight(self) -> Sight:
        """The last one, with ages as they are now; raises what nobody expected of the watcher."""
        if self._error is not None:
            raise self._error
        sight, at = self._latest
        return sight.after(time.monotonic() - at)

    def _follow(self) -> None:
        try:
            while not self._latest[0].over:
                time.sleep(self._interval)
                self._latest = (self._watcher.look(), time.monotonic())
        except Exception as error:
            self._error = error
