"""Several studies, one after the other, as one search to whoever watches, limits or stops it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from fre_hpo import data
from fre_hpo.data import DataOptions, Dataset
from fre_hpo.errors import FreHpoError, ProblemList, StudyHeld, UsageError, UsageProblems
from fre_hpo.scheduling.live import Live
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import Preparation, Progress, check, held, live_of
from fre_hpo.service.fetching import bring
from fre_hpo.service.request import Request
from fre_hpo.service.start import Ended, run, settle
from fre_hpo.service.webhook import Receiver
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord


class Sequence:
    """The studies of a larger whole.  hours: the running time of all of them, summed over all starts;
    done: studies that are over and whose time counts, too."""

    def __init__(self, settings: Settings, hours: float | None, done: Iterable[str] = ()) -> None:
        self._settings = settings
        self._hours = hours
        self._done = tuple(done)
        self._data = OneDataset()
        self._progress: dict[str, Progress] = {}
        self.receiver: Receiver | None = None

    # --- before anything is created -------------------------------------------------------------

    def check(self, requests: Iterable[Request]) -> list[Preparation]:
        """Check every study; raises all that is wrong with any of them together.

        The data set is read once.  What is no mistake in the request, such as bad data or a study that is
        being run, is raised alone, after the mistakes.
        """
        mistakes: dict[str, FreHpoError] = {}
        others: list[FreHpoError] = []
        found = []
        for request in requests:
            try:
                found.append(self._checked(request))
            except (UsageError, UsageProblems) as error:
                mistakes |= dict.fromkeys(_sentences(error), error)
            except FreHpoError as error:
                others.append(error)
        if mistakes:
            raise joined(mistakes)
        if others:
            raise others[0]
        return found

    def _checked(self, request: Request) -> Preparation:
        preparation = check(request, self._settings, self._data)
        self._progress[preparation.name] = preparation.progress
        self.receiver = preparation.receiver
        return preparation

    @property
    def dataset(self) -> Dataset:
        """The data set of the studies, once they were checked."""
        return self._data.answer

    # --- how far it is --------------------------------------------------------------------------

    def progress(self, study: str) -> Progress:
        """Of a study that was checked."""
        return self._progress[study]

    @property
    def complete(self) -> int:
        """Trials of all studies."""
        return sum(progress.complete for progress in self._progress.values())

    @property
    def wanted(self) -> int:
        """Trials of all studies; one that has more than was asked for wants these."""
        return sum(max(p.wanted, p.complete) for p in self._progress.values())

    # --- running --------------------------------------------------------------------------------

    @property
    def first(self) -> str | None:
        """The first study that has something to do; None where all are complete."""
        return next((n for n, p in self._progress.items() if p.complete < p.wanted), None)

    def run(self, request: Request, observer: Observer) -> Ended:
        """Run one of the studies until its trials are complete, or there is a reason to end them all."""
        preparation = self._checked(request)
        name, progress = preparation.name, preparation.progress
        hours = self._hours_left(name)
        if progress.complete >= progress.wanted:
            settle(self._settings, name, progress.complete)
            bring(preparation.store, self._settings, name)
            return Ended(name, Outcome.COMPLETE, progress.complete, progress.wanted)
        if hours is not None and hours <= 0:
            return Ended(name, Outcome.OUT_OF_TIME, progress.complete, progress.wanted)
        repeats = not preparation.spec.searched
        whole = _Whole(observer, self.complete - progress.complete, self.wanted, repeats=repeats)
        ended = run(preparation, replace(request, hours=hours), self._settings, whole)
        self._progress[name] = Progress(ended.complete, ended.wanted)
        return ended

    def _hours_left(self, name: str) -> float | None:
        """For one study, its own earlier starts included: those that were given, less what the others
        took."""
        if self._hours is None:
            return None
        connection = Connection(self._settings.storage, create=False)
        others = (other for other in {*self._done, *self._progress} if other != name)
        there = [n for n in others if Ledger.exists(connection, n)]
        lives = [live_of(Ledger.open(connection, n)) for n in there]
        return self._hours - sum(live.elapsed for live in lives if live) / 3600


@contextmanager
def holding(settings: Settings, lock: str, name: str) -> Iterator[None]:
    """A lock for a whole of several studies, which two processes would both go on with; raises StudyHeld,
    which names the whole."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(settings, lock))
        except StudyHeld as error:
            raise StudyHeld(**{**error.facts, "study": name}) from None
        yield


class OneDataset:
    """Reads a data set once, and gives the same answer, good or bad, to everybody who asks for it."""

    def __init__(self) -> None:
        self._asked: tuple[str, Path | None, DataOptions] | None = None
        self._answer: Dataset | FreHpoError | None = None

    def __call__(self, name: str, folder: Path | None, options: DataOptions) -> Dataset:
        if self._asked != (name, folder, options):
            self._asked = (name, folder, options)
            try:
                self._answer = data.load(name, folder, options)
            except FreHpoError as error:
                self._answer = error
        return self.answer

    @property
    def answer(self) -> Dataset:
        """The last one."""
        if isinstance(self._answer, FreHpoError):
            raise self._answer
        assert self._answer is not None
        return self._answer


class _Whole:
    """An observer of one study, which sees the counts of all.  before: complete trials of the others.
    repeats: its trials differ in their seeds alone, and are told by them."""

    def __init__(self, observer: Observer, before: int, wanted: int, *, repeats: bool) -> None:
        self._observer = observer
        self._repeats = repeats
        self._before = before
        self._wanted = wanted

    def say(self, sentence: str) -> None:
        self._observer.say(sentence)

    def moved(self, live: Live) -> None:
        self._observer.moved(self._of_all(live))

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        told = replace(trial, params={}) if self._repeats else trial
        self._observer.trial_ended(told, self._of_all(live))

    def _of_all(self, live: Live) -> Live:
        """The best trial is left out: those of different studies are not compared by one seed."""
        return replace(live, complete=self._before + live.complete, wanted=self._wanted, best=None)


def _sentences(error: FreHpoError) -> list[str]:
    return error.problems if isinstance(error, ProblemList) else [str(error)]


def joined(mistakes: dict[str, FreHpoError]) -> FreHpoError:
    """Sentences with the errors they came from as one error; a single one speaks for itself."""
    if len(mistakes) == 1:
        return next(iter(mistakes.values()))
    return UsageProblems(list(mistakes))
