"""Where trials come from and how they begin: left by an earlier run, enqueued, or proposed by the sampler."""

from __future__ import annotations

import contextlib

from fre_hpo.errors import EndedElsewhere
from fre_hpo.scheduling.archive import Archive
from fre_hpo.scheduling.executor import Executor
from fre_hpo.scheduling.journal import Journal
from fre_hpo.scheduling.live import RunningTrial
from fre_hpo.scheduling.recorder import Recorder
from fre_hpo.scheduling.state import Dispatch, Search
from fre_hpo.study.ledger import Asked, Ledger
from fre_hpo.study.records import TrialRecord, best_of
from fre_hpo.trial import Job


class Launcher:
    """Queues trials and hands them to the executor; tells how the state of the search changes."""

    def __init__(
        self,
        ledger: Ledger,
        archive: Archive,
        journal: Journal,
        recorder: Recorder,
        executor: Executor,
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._journal = journal
        self._recorder = recorder
        self._executor = executor
        self._asked: dict[int, Asked] = {}

    # --- taking stock ---------------------------------------------------------------------------

    def count(self, search: Search, records: list[TrialRecord]) -> Search:
        """Count what has ended, but for trials whose end is still to be noted."""
        ended = [r for r in records if not search.knows(r.number)]
        complete = sum(r.counts for r in ended)
        failed = sum(r.state == "FAIL" for r in ended)
        best = best_of(ended)
        self._journal.change(complete=complete, failed=failed, best=best and best.point)
        return search.with_complete(complete)

    def adopt(self, search: Search, records: list[TrialRecord]) -> Search:
        """Take up what runs or waits with parameters and is not known: an earlier run left it, or its
        row was made and the answer lost.

        One that is only enqueued the ledger hands out when it is asked.
        """
        search = self.count(search, records)
        orphans = [r for r in records if r.state == "RUNNING" or (r.state == "WAITING" and r.begun)]
        for orphan in orphans:
            if search.knows(orphan.number):
                continue
            try:
                search = self._go_on_with(search, orphan)
            except EndedElsewhere:
                return self.adopt(search, self._ledger.records())
        return search

    def _go_on_with(self, search: Search, orphan: TrialRecord) -> Search:
        """Tell a trial that was trained to its end; queue any other with its parameters."""
        number = orphan.number
        asked = self._ledger.ask_again(number)
        self._ledger.report_missing(number, self._archive.points(number))
        outcome = self._archive.outcome(number)
        if outcome is None:
            return self._queue(search, asked)
        return self._recorder.tell(search, number, orphan.attempts, outcome)

    def put_back(self, search: Search) -> None:
        """Whatever is queued waits for the next start."""
        for number in search.queued:
            with contextlib.suppress(EndedElsewhere):
                self._ledger.put_back(number)

    # --- beginning ------------------------------------------------------------------------------

    def ask(self, search: Search) -> Search:
        return self._queue(search, self._ledger.ask())

    def _queue(self, search: Search, asked: Asked) -> Search:
        self._asked[asked.number] = asked
        return search.queue(asked.number, asked.attempts)

    def dispatch(self, search: Search, dispatch: Dispatch) -> Search:
        number, attempt = dispatch.number, dispatch.attempt
        asked = self._asked[number]
        placement = self._executor.placement
        checkpoint = self._archive.checkpoint(number, self._journal.say, first=attempt == 1)
        self._ledger.begin_attempt(number, attempt)
        job = Job(
            number=number,
            attempt=attempt,
            spec=self._ledger.spec,
            parameters=asked.parameters,
            seed=asked.seed,
            device=placement.device,
            threads=placement.threads,
            checkpoint=checkpoint,
            store=self._archive.store,
        )
        self._executor.submit(job, alone=dispatch.alone)
        epochs = self._journal.live.epochs
        self._journal.set_trial(RunningTrial(number, attempt, asked.parameters, epochs=epochs))
        return search.dispatched(number, attempt)
