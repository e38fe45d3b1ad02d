"""Writing down what workers report: to the ledger, to the study's folder, to the journal.

Every report may come twice to ``receive``, when the storage or the disk failed in its middle.  So each
method does first what may be repeated (ledger, files), then writes its line into the event log, and
only then changes what is known in memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fre_hpo.scheduling.archive import Archive, TrialOutcome
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory, Raised
from fre_hpo.scheduling.journal import Journal
from fre_hpo.scheduling.publisher import Publisher
from fre_hpo.scheduling.state import Search
from fre_hpo.study import fault
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, best_of, now
from fre_hpo.study.stamp import Stamp
from fre_hpo.trial import Checkpoint, Epoch, Report, Result, Saved, Started, Stopped, curve_row


class Recorder:
    """Turns what arrives into what lasts, and tells how the state of the search changes."""

    def __init__(
        self, ledger: Ledger, archive: Archive, journal: Journal, publisher: Publisher
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._journal = journal
        self._publisher = publisher
        self._ended: list[int] = []
        self._without_store: set[int] = set()

    def receive(self, search: Search, arrival: Arrival) -> Search:
        """The search after an arrival; raises what the ledger and the disk raise."""
        number, attempt, content = arrival.number, arrival.attempt, arrival.content
        if not search.is_current(number, attempt):
            kind = type(content).__name__
            self._journal.log_trial("report_dropped", number, attempt, report=kind)
            return search
        match content:
            case Lost(reason):
                return self._lost(search, number, attempt, reason)
            case OutOfMemory(reason, sharing=1):
                return self._out_of_memory(search, number, attempt, reason)
            case OutOfMemory():
                return self._crowded(search, number, attempt, content)
            case Raised():
                return self._raised(search, number, attempt, content)
            case _:
                return self._reported(search, number, attempt, content)

    def _reported(self, search: Search, number: int, attempt: int, report: Report) -> Search:
        match report:
            case Started():
                self._started(number, attempt, report)
            case Epoch():
                self._epoch(number, attempt, report)
            case Checkpoint():
                self._checkpoint(number, attempt, report)
            case Saved():
                self._saved(number, attempt, report)
            case Stopped(epoch) if search.halting:
                return self.put_back(search, number, attempt, epoch)
            case Stopped(epoch):
                return self._moved(search, number, attempt, epoch)
            case Result():
                outcome = self._archive.keep(number, report)
                return self.tell(search, number, attempt, outcome)
        return search

    # --- a trial in flight ----------------------------------------------------------------------

    def _started(self, number: int, attempt: int, report: Started) -> None:
        self._ledger.set_worker(number, report.worker)
        self._archive.cut_curve(number, report.epoch)
        trial = self._journal.live.trial(number)
        trial = replace(trial, epoch=report.epoch, worker=report.worker, device=report.device)
        if report.epoch:
            trial = trial.with_curve(self._archive.points(number))
        self._journal.set_trial(trial)
        self._journal.log_trial(
            "trial_started",
            number,
            attempt,
            epoch=report.epoch,
            pid=report.pid,
            device=report.device,
            engine=report.engine,
            params=trial.params,
        )
        self._journal.trial_began(trial)

    def _epoch(self, number: int, attempt: int, report: Epoch) -> None:
        row, live = report.row, self._journal.live
        self._ledger.report(number, row.epoch, row.miou)
        self._archive.append_curve(number, curve_row(row))
        facts = {"epoch": row.epoch, "miou": row.miou, "pid": report.pid}
        self._journal.log_trial("epoch", number, attempt, **facts)
        trial = live.trial(number).after_epoch(
            row.epoch, row.miou, report.best_miou, report.best_epoch, row.seconds
        )
        mean = _smoothed(live.epoch_seconds, row.seconds)
        self._journal.change(running=live.with_trial(trial).running, epoch_seconds=mean)
        fault.point("epoch")

    def _checkpoint(self, number: int, attempt: int, report: Checkpoint) -> None:
        """A state came here, because there is no store or its worker cannot reach it."""
        stamp = Stamp(attempt, report.epoch)
        self._archive.save_checkpoint(number, report.data, stamp)
        why = {"via": "coordinator", "reason": report.reason} if report.reason else {}
        self._journal.log_trial("checkpoint", number, attempt, epoch=report.epoch, **why)
        if report.reason and number not in self._without_store:
            self._without_store.add(number)
            self._journal.say(
                f"The worker of trial {number} cannot write to the checkpoint store ({report.reason}): "
                "its checkpoints come through the coordinator."
            )

    def _saved(self, number: int, attempt: int, report: Saved) -> None:
        stamp = Stamp(attempt, report.epoch)
        if report.key != stamp.key(number):
            self._journal.log_trial("report_dropped", number, attempt, report="Saved")
            return
        self._archive.accept_checkpoint(number, stamp)
        self._journal.log_trial("checkpoint", number, attempt, epoch=report.epoch, via="store")
        self._without_store.discard(number)

    def put_back(
        self, search: Search, number: int, attempt: int, epoch: int | None = None
    ) -> Search:
        """A trial is not trained any more and waits for the next start."""
        self._ledger.put_back(number)
        self._journal.log_trial("trial_stopped", number, attempt, epoch=epoch)
        self._journal.drop_trial(number)
        return search.put_back(number)

    def _moved(self, search: Search, number: int, attempt: int, epoch: int | None) -> Search:
        """A trial made room without the search's end."""
        self._journal.log_trial("trial_moved", number, attempt, epoch=epoch)
        when = "before it began" if epoch is None else f"after epoch {epoch}"
        self._journal.say(f"Trial {number} made room {when}; it goes on as soon as it can.")
        self._journal.drop_trial(number)
        return search.moved(number)

    # --- a trial's end --------------------------------------------------------------------------

    def tell(self, search: Search, number: int, attempt: int, outcome: TrialOutcome) -> Search:
        """A trial is trained to its end, now or in an earlier run that could not tell it."""
        self._ledger.report_missing(number, self._archive.points(number))
        self._publisher.trial_ends(self._record(number, state="COMPLETE", **outcome.facts))
        self._ledger.complete(number, **vars(outcome))
        self._log_complete(number, attempt, outcome)
        search = search.completed(number)
        self._journal.change(complete=search.complete)
        self._note_end(number)
        return search

    def _record(self, number: int, **facts: Any) -> TrialRecord:
        """A trial as it is about to be told."""
        return replace(self._ledger.record(number), finished_at=now(), **facts)

    def log_untold(self, records: list[TrialRecord]) -> None:
        """The ends that an earlier run told the storage and could not log any more."""
        logged = self._journal.trials_logged("trial_finished")
        untold = [r for r in records if r.complete and r.number not in logged]
        for record in untold:
            if outcome := self._archive.outcome(record.number):
                self._log_complete(record.number, record.attempts, outcome)

    def _log_complete(self, number: int, attempt: int, outcome: TrialOutcome) -> None:
        self._journal.log_trial(
            "trial_finished",
            number,
            attempt,
            state="COMPLETE",
            value=outcome.miou,
            epoch=outcome.epochs,
            best_epoch=outcome.best_epoch,
        )

    def _lost(self, search: Search, number: int, attempt: int, reason: str) -> Search:
        if not search.may_retry(number):
            kind = f"its worker was lost {search.retries + 1} times ({reason})"
            return self._fail(search, number, attempt, "WorkerLost", kind)
        self._journal.log_trial("trial_lost", number, attempt, reason=reason)
        self._journal.say(f"Trial {number} lost its worker ({reason}); it goes on elsewhere.")
        self._journal.drop_trial(number)
        return search.lost(number)

    def _crowded(self, search: Search, number: int, attempt: int, found: OutOfMemory) -> Search:
        """A trial that shared its GPU goes on, with fewer beside it."""
        facts = {"reason": found.reason, "sharing": found.sharing, "now": found.now}
        self._journal.log_trial("out_of_memory", number, attempt, **facts)
        share = "each trial has a GPU to itself" if found.now == 1 else f"{found.now} share one"
        self._journal.say(
            f"Trial {number} ran out of memory where {found.sharing} trials share a GPU "
            f"({found.reason}): from now on {share}."
        )
        self._journal.drop_trial(number)
        return search.moved(number)

    def _out_of_memory(self, search: Search, number: int, attempt: int, reason: str) -> Search:
        if not search.may_retry_alone(number):
            sentence = f"it ran out of memory, alone on its device as well ({reason})"
            return self._fail(search, number, attempt, "OutOfMemory", sentence)
        self._journal.log_trial("out_of_memory", number, attempt, reason=reason)
        self._journal.say(
            f"Trial {number} ran out of memory ({reason}); it is trained once more, alone."
        )
        self._journal.drop_trial(number)
        return search.out_of_memory(number)

    def _raised(self, search: Search, number: int, attempt: int, error: Raised) -> Search:
        return self._fail(
            search,
            number,
            attempt,
            f"{error.kind}: {error.message}",
            error.message,
            diverged=error.diverged_in is not None,
            traceback=error.traceback,
        )

    def _fail(
        self,
        search: Search,
        number: int,
        attempt: int,
        kind: str,
        reason: str,
        *,
        diverged: bool = False,
        **facts: Any,
    ) -> Search:
        epoch = self._journal.live.trial(number).epoch
        self._publisher.trial_ends(self._record(number, state="FAIL", epochs=epoch, reason=reason))
        self._ledger.fail(number, epoch, reason)
        self._archive.drop_checkpoints(number)
        facts = {"state": "FAIL", "epoch": epoch, "reason": reason, **facts}
        self._journal.log_trial("trial_finished", number, attempt, **facts)
        self._journal.change(failed=self._journal.live.failed + 1)
        self._note_end(number)
        return search.failed(number, kind, diverged=diverged)

    def ended_elsewhere(self, search: Search, number: int, state: str) -> Search:
        """Somebody told a trial that was running or waiting, in the dashboard for example."""
        attempt = search.attempts.get(number, 0)
        reason = "ended by somebody else"
        self._archive.drop_checkpoints(number)
        self._journal.log_trial("trial_finished", number, attempt, state=state, reason=reason)
        self._journal.say(f"Trial {number} was ended by somebody else ({state}); it is stopped.")
        counts = state in ("COMPLETE", "PRUNED")
        search = search.completed(number) if counts else search.discarded(number)
        failed = self._journal.live.failed + (state == "FAIL")
        self._journal.change(complete=search.complete, failed=failed)
        self._note_end(number)
        return search

    def _note_end(self, number: int) -> None:
        self._ended.append(number)
        self._journal.drop_trial(number)

    def wrap_up(self) -> None:
        """What is left to do after trials ended: keep the best few networks, show the results."""
        for sentence in self._archive.news():
            self._journal.say(sentence)
        if not self._ended:
            return
        records = self._ledger.records()
        self._archive.tidy(records)
        best = best_of(records)
        self._journal.change(best=best and best.point)
        self._publisher.study_changed(self._journal.live.state)
        for number in self._ended:
            self._journal.trial_ended(records[number])
        self._ended.clear()


def _smoothed(mean: float | None, seconds: float) -> float:
    return seconds if mean is None else 0.9 * mean + 0.1 * seconds
