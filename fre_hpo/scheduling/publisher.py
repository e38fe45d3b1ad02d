"""Who shows a study to people that look at its page: pictures, notes and figures."""

from __future__ import annotations

import traceback
from typing import Protocol

from fre_hpo.errors import FreHpoError
from fre_hpo.scheduling.journal import Journal
from fre_hpo.study.records import TrialRecord


class Publisher(Protocol):
    """Called by the coordinator, in its own thread.  Every call may be repeated, and raises what the
    ledger and the disk raise."""

    def trial_ends(self, trial: TrialRecord) -> None:
        """A trial is about to be told as this record says; later its files cannot be shown any more."""

    def study_changed(self, state: str) -> None:
        """Trials ended, or the search did; state: the live view's."""


class NoPublisher:
    """Nobody looks."""

    def trial_ends(self, trial: TrialRecord) -> None:
        pass

    def study_changed(self, state: str) -> None:
        pass


class Guarded:
    """A publisher whose own mistakes are logged and said once, and never end a search."""

    def __init__(self, publisher: Publisher, journal: Journal) -> None:
        self._publisher = publisher
        self._journal = journal
        self._said = False

    def trial_ends(self, trial: TrialRecord) -> None:
        try:
            self._publisher.trial_ends(trial)
        except FreHpoError:
            raise
        except Exception as error:
            self._note(error, trial=trial.number)

    def study_changed(self, state: str) -> None:
        try:
            self._publisher.study_changed(state)
        except FreHpoError:
            raise
        except Exception as error:
            self._note(error, trial=None)

    def _note(self, error: Exception, trial: int | None) -> None:
        what = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        self._journal.log("page_failed", trial=trial, error=what, traceback=trace)
        if not self._said:
            self._journal.say(f"The study's page could not be drawn ({what}); the search goes on.")
            self._said = True
