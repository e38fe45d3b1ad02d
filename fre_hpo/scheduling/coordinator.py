"""The coordinator: owns everything about a search that must last (design 2).

Its loop carries out what the state machine decides and writes what the workers report: curves and
checkpoints to the study's folder, trials to the ledger, what is going on to whoever watches.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from fre_hpo.scheduling.archive import Archive, TrialOutcome
from fre_hpo.scheduling.executor import Arrival, Executor, Lost, Raised
from fre_hpo.scheduling.live import PUBLISH_SECONDS, Live, RunningTrial
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.placement import Placement
from fre_hpo.scheduling.state import Ask, Dispatch, End, Outcome, Search, Wait
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Asked, Ledger
from fre_hpo.study.lock import CoordinatorLock
from fre_hpo.study.records import TrialRecord
from fre_hpo.trial import (
    Checkpoint,
    Epoch,
    Job,
    Report,
    Result,
    Started,
    StopFlag,
    Stopped,
    curve_row,
)

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """What a start asks for: the total of complete trials, the seconds that the study may run in all
    (None: no limit), how often a trial may lose its worker."""

    wanted: int
    seconds: float | None
    retries: int


class Coordinator:
    """One run of a search, from the first decision to the last."""

    def __init__(
        self,
        ledger: Ledger,
        folder: StudyFolder,
        executor: Executor,
        lock: CoordinatorLock,
        placement: Placement,
        plan: Plan,
        stop: StopFlag,
        observer: Observer,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._executor = executor
        self._lock = lock
        self._placement = placement
        self._plan = plan
        self._stop = stop
        self._observer = observer
        self._asked: dict[int, Asked] = {}
        self._archive = Archive(folder, ledger.charter.classes)
        self._search = Search(plan.wanted, placement.parallel, plan.retries)
        self._before = _elapsed_before(ledger)
        self._begun = self._published = time.monotonic()
        self._live = Live(
            state="running",
            wanted=plan.wanted,
            complete=0,
            failed=0,
            slots=placement.parallel,
            elapsed=self._before,
            epochs=ledger.spec.training.epochs,
        )

    # --- the loop -------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Search until the total is reached or a reason to halt; raises StorageUnreachable and LockLost."""
        self._take_stock()
        self._publish()
        while True:
            self._heed_stop_and_time()
            match self._search.decide():
                case End(outcome):
                    self._finish(outcome)
                    return outcome
                case Ask():
                    self._ask()
                case Dispatch(number, attempt):
                    self._dispatch(number, attempt)
                case Wait():
                    for arrival in self._executor.poll(POLL_SECONDS):
                        self._receive(arrival)
            if time.monotonic() - self._published >= PUBLISH_SECONDS:
                self._lock.check()
                self._publish()

    def _take_stock(self) -> None:
        """Count what is complete; every row that is still running was left by an earlier coordinator."""
        records = self._ledger.records()
        complete = sum(r.counts for r in records)
        failed = sum(r.state == "FAIL" for r in records)
        self._search = replace(self._search, complete=complete)
        self._live = replace(self._live, complete=complete, failed=failed)
        self._folder.log(
            "study_started",
            study=self._ledger.name,
            wanted=self._plan.wanted,
            complete=complete,
            placement=str(self._placement),
            host=self._live.host,
            pid=self._live.pid,
        )
        self._archive.tidy(records)
        for record in records:
            if record.state == "RUNNING":
                self._adopt(record)

    def _adopt(self, orphan: TrialRecord) -> None:
        """Tell a trial that was trained to its end, and queue any other with its parameters."""
        outcome = self._archive.outcome(orphan.number)
        if outcome is None:
            self._queue(self._ledger.ask_again(orphan.number))
        else:
            self._tell(orphan.number, orphan.attempts, outcome)

    def _heed_stop_and_time(self) -> None:
        if self._search.halting:
            return
        if self._stop.raised:
            self._observer.say(
                "Stopping when the running epochs end; a second Ctrl-C ends at once."
            )
            self._halt(Outcome.STOPPED)
        elif self._plan.seconds is not None and self._elapsed() >= self._plan.seconds:
            self._halt(Outcome.OUT_OF_TIME)

    def _halt(self, outcome: Outcome) -> None:
        self._search = self._search.halt(outcome)
        for number in self._search.running:
            self._executor.stop(number)

    def _finish(self, outcome: Outcome) -> None:
        state = "finished" if outcome is Outcome.COMPLETE else "stopped"
        self._live = replace(self._live, state=state)
        self._publish()
        self._folder.log("study_finished", outcome=outcome.value, complete=self._search.complete)

    # --- beginning trials -----------------------------------------------------------------------

    def _ask(self) -> None:
        self._queue(self._ledger.ask())

    def _queue(self, asked: Asked) -> None:
        self._asked[asked.number] = asked
        self._search = self._search.queue(asked.number, asked.attempts)

    def _dispatch(self, number: int, attempt: int) -> None:
        asked = self._asked[number]
        self._ledger.begin_attempt(number, attempt)
        job = Job(
            number=number,
            attempt=attempt,
            spec=self._ledger.spec,
            parameters=asked.parameters,
            seed=asked.seed,
            device=self._placement.device,
            threads=self._placement.threads,
            checkpoint=self._archive.checkpoint(number, self._observer.say),
        )
        self._executor.submit(job)
        self._search = self._search.dispatched(number, attempt)
        running = RunningTrial(number, attempt, asked.parameters, epochs=self._live.epochs)
        self._move(self._live.with_trial(running))

    # --- what arrives ---------------------------------------------------------------------------

    def _receive(self, arrival: Arrival) -> None:
        number, attempt, content = arrival.number, arrival.attempt, arrival.content
        if not self._search.is_current(number, attempt):
            self._log("report_dropped", number, attempt, report=type(content).__name__)
            return
        match content:
            case Lost():
                self._lost(number, attempt, content)
            case Raised():
                self._raised(number, attempt, content)
            case _:
                self._reported(number, attempt, content)

    def _reported(self, number: int, attempt: int, report: Report) -> None:
        match report:
            case Started():
                self._started(number, attempt, report)
            case Epoch():
                self._epoch(number, attempt, report)
            case Checkpoint(epoch, data):
                self._folder.trial(number).save_checkpoint(data)
                self._log("checkpoint", number, attempt, epoch=epoch)
            case Stopped():
                self._search = self._search.put_back(number)
                self._move(self._live.without_trial(number))
            case Result():
                self._completed(number, attempt, report)

    def _started(self, number: int, attempt: int, report: Started) -> None:
        self._ledger.set_worker(number, report.worker)
        self._folder.trial(number).cut_curve(self._archive.header, report.epoch)
        trial = self._live.trial(number)
        trial = replace(trial, epoch=report.epoch, worker=report.worker, device=report.device)
        self._move(self._live.with_trial(trial))
        self._log(
            "trial_started",
            number,
            attempt,
            epoch=report.epoch,
            pid=report.pid,
            device=report.device,
            params=self._asked[number].parameters,
        )

    def _epoch(self, number: int, attempt: int, report: Epoch) -> None:
        row = report.row
        self._folder.trial(number).append_curve(curve_row(row))
        self._ledger.report(number, row.epoch, row.miou)
        trial = replace(
            self._live.trial(number),
            epoch=row.epoch,
            miou=row.miou,
            best_miou=report.best_miou,
            best_epoch=report.best_epoch,
            epoch_seconds=row.seconds,
        )
        mean = _smoothed(self._live.epoch_seconds, row.seconds)
        self._move(replace(self._live.with_trial(trial), epoch_seconds=mean))
        self._log("epoch", number, attempt, epoch=row.epoch, miou=row.miou, pid=report.pid)

    def _completed(self, number: int, attempt: int, result: Result) -> None:
        self._tell(number, attempt, self._archive.keep(number, result))

    def _tell(self, number: int, attempt: int, outcome: TrialOutcome) -> None:
        self._ledger.complete(number, **vars(outcome))
        self._log(
            "trial_finished",
            number,
            attempt,
            state="COMPLETE",
            value=outcome.miou,
            epoch=outcome.epochs,
            best_epoch=outcome.best_epoch,
        )
        self._search = self._search.completed(number)
        self._live = replace(self._live, complete=self._search.complete)
        self._trial_ended(number)

    def _lost(self, number: int, attempt: int, loss: Lost) -> None:
        self._log("trial_lost", number, attempt, reason=loss.reason)
        if not self._search.may_retry(number):
            reason = f"its worker was lost {self._plan.retries + 1} times ({loss.reason})"
            self._fail(number, attempt, "WorkerLost", reason)
            return
        self._observer.say(f"Trial {number} lost its worker ({loss.reason}); it goes on elsewhere.")
        self._asked[number] = replace(self._asked[number], attempts=attempt)
        self._search = self._search.lost(number)
        self._move(self._live.without_trial(number))

    def _raised(self, number: int, attempt: int, error: Raised) -> None:
        diverged = error.diverged_in is not None
        kind = f"{error.kind}: {error.message}"
        self._fail(
            number, attempt, kind, error.message, diverged=diverged, traceback=error.traceback
        )

    def _fail(
        self,
        number: int,
        attempt: int,
        kind: str,
        reason: str,
        *,
        diverged: bool = False,
        **facts: Any,
    ) -> None:
        epoch = self._live.trial(number).epoch
        self._ledger.fail(number, epoch, reason)
        self._folder.trial(number).drop_checkpoints()
        self._log(
            "trial_finished", number, attempt, state="FAIL", epoch=epoch, reason=reason, **facts
        )
        self._search = self._search.failed(number, kind, diverged=diverged)
        self._live = replace(self._live, failed=self._live.failed + 1)
        self._trial_ended(number)
        if self._search.halting is Outcome.FAILING:
            self._halt(Outcome.FAILING)

    # --- telling --------------------------------------------------------------------------------

    def _trial_ended(self, number: int) -> None:
        self._asked.pop(number, None)
        self._move(self._live.without_trial(number))
        records = self._ledger.records()
        self._archive.tidy(records)
        self._observer.trial_ended(records[number], self._live)

    def _move(self, live: Live) -> None:
        self._live = replace(live, time=time.time(), elapsed=self._elapsed())
        self._observer.moved(self._live)

    def _publish(self) -> None:
        self._move(self._live)
        self._ledger.set_live(self._live.to_plain())
        self._published = time.monotonic()

    def _log(self, event: str, number: int, attempt: int, **facts: Any) -> None:
        worker = next((t.worker for t in self._live.running if t.number == number), None)
        self._folder.log(event, trial=number, attempt=attempt, worker=worker, **facts)

    def _elapsed(self) -> float:
        return self._before + time.monotonic() - self._begun


def _elapsed_before(ledger: Ledger) -> float:
    return float((ledger.live or {}).get("elapsed", 0.0))


def _smoothed(mean: float | None, seconds: float) -> float:
    return seconds if mean is None else 0.9 * mean + 0.1 * seconds
