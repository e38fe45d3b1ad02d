"""Watches a search for what ``--notify`` is to tell: its end, its troubles, and that they are over."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from fre_hpo.errors import DiskFull, StorageUnreachable, StudyNotFound
from fre_hpo.scheduling.live import Live
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service import read
from fre_hpo.service.lifeline import RESTARTS_VARIABLE, is_crash
from fre_hpo.service.notify import Outbox, Standing, compose
from fre_hpo.service.webhook import Receiver
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.records import TrialRecord

STORAGE_SECONDS = 60.0
"""So long a storage may be out of reach before anybody is told: most come back by themselves."""
STORAGE_TROUBLE = "The storage cannot be reached"
"""How the live view's message about it begins."""

EVENTS = {
    Outcome.COMPLETE: "finished",
    Outcome.STOPPED: "stopped",
    Outcome.OUT_OF_TIME: "out_of_time",
    Outcome.FAILING: "failing",
}


class Notifier:
    """An observer of a search.  As a block it stands around the search and sees with which error it ended.

    receiver: None where nobody is to be told.  say: tells what became of messages.  supervised: whether
    somebody starts this search again when it crashes, and tells when that is given up.
    """

    def __init__(
        self,
        study: str,
        settings: Settings,
        receiver: Receiver | None,
        say: Callable[[str], None],
        *,
        supervised: bool = False,
    ) -> None:
        self._study = study
        self._settings = settings
        self._folder = StudyFolder(settings.study_folder(study))
        self._outbox = None if receiver is None else Outbox(receiver)
        self._say = say
        self._supervised = supervised
        self._began = bool(os.environ.get(RESTARTS_VARIABLE))
        self._live: Live | None = None
        self._failure: str | None = None
        self._trouble: str | None = None
        self._is_crying = self._is_told = False
        self._over = False

    def __enter__(self) -> Notifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """An error that stands in the way of a search that never began is told to nobody; neither is
        anybody waited for when a second Ctrl-C says that all is to end at once."""
        unforeseen = isinstance(error, Exception) and not self._over
        if unforeseen and self._live and not self._is_restarted(error):
            self._end("crashed", str(error) or type(error).__name__)
        if self._outbox and (error is None or isinstance(error, Exception)):
            self._outbox.close()
            self._report()

    def _is_restarted(self, error: BaseException | None) -> bool:
        return self._supervised and is_crash(error)

    def ended(self, outcome: Outcome, complete: int, wanted: int) -> None:
        """The search is over, without an error.  One that had nothing to do tells nobody, unless it was
        started again only because it crashed behind its last trial."""
        if self._live or self._began:
            detail = self._failure if outcome is Outcome.FAILING else None
            self._end(EVENTS[outcome], detail, self._standing(complete, wanted))
        self._over = True

    def _end(self, event: str, detail: str | None, standing: Standing | None = None) -> None:
        if self._outbox:
            self._outbox.withdraw("needs_help")
            self._put(event, detail, standing)

    def _standing(self, complete: int, wanted: int) -> Standing:
        """As it was seen last, else as it is stored."""
        if self._live:
            return Standing(complete, wanted, self._live.failed, self._live.best)
        with suppress(StorageUnreachable, StudyNotFound):  # a comparison is no study
            stored = read.status(self._settings, self._study)
            return Standing(complete, wanted, stored["failed"], stored["best"])
        return Standing(complete, wanted)

    # --- the observer ---------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        pass

    def moved(self, live: Live) -> None:
        self._live = live
        if self._outbox and live.message != self._trouble:
            self._trouble = live.message
            self._trouble_changed(live.message)
        self._report()

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        if not trial.complete:
            self._failure = f"Trial {trial.number} failed: {trial.reason}"

    # --- messages -------------------------------------------------------------------------------

    def _trouble_changed(self, trouble: str | None) -> None:
        """A trouble that is over before anybody was told of it needs no message."""
        assert self._outbox is not None
        self._is_told |= self._is_crying and not self._outbox.withdraw("needs_help")
        self._is_crying = trouble is not None
        if trouble is not None:
            may_pass = trouble.startswith(STORAGE_TROUBLE)
            self._put("needs_help", trouble, after=STORAGE_SECONDS if may_pass else 0.0)
        elif self._is_told:
            self._is_told = False
            self._put("recovered", None)

    def _put(
        self,
        event: str,
        detail: str | None,
        standing: Standing | None = None,
        after: float = 0.0,
    ) -> None:
        assert self._outbox is not None
        live = self._live
        if standing is None and live is not None:
            standing = Standing(live.complete, live.wanted, live.failed, live.best)
        message = compose(event, self._study, standing or Standing(), detail)
        self._outbox.put(message, after)

    def _report(self) -> None:
        """Say and log what became of messages; here, in the search's own thread."""
        for delivery in self._outbox.deliveries() if self._outbox else ():
            facts = {"what": delivery.event, "to": delivery.receiver, "problem": delivery.problem}
            with suppress(DiskFull, OSError):
                if self._folder.identity:  # nobody has deleted the study meanwhile
                    self._folder.log("not_notified" if delivery.problem else "notified", **facts)
            if delivery.problem:
                self._say(delivery.sentence)
