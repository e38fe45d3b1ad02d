"""Who wants to see a search while it runs: the terminal, later the dashboard's pictures."""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from fre_hpo.scheduling.live import Live
from fre_hpo.study.records import TrialRecord


class Observer(Protocol):
    """Told by the coordinator, in its own thread; must return at once."""

    def say(self, sentence: str) -> None:
        """Something a person should know."""

    def moved(self, live: Live) -> None:
        """Something changed: an epoch, a trial begun or ended."""

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        """A trial completed or failed."""


class Silent:
    """Nobody looks."""

    def say(self, sentence: str) -> None:
        pass

    def moved(self, live: Live) -> None:
        pass

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        pass


class Together:
    """Several look.  What one of them cannot write any more, because its terminal was closed or its
    reader is gone, stops neither the search nor the others."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def say(self, sentence: str) -> None:
        self._each(lambda observer: observer.say(sentence))

    def moved(self, live: Live) -> None:
        self._each(lambda observer: observer.moved(live))

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        self._each(lambda observer: observer.trial_ended(trial, live))

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            with suppress(OSError):
                tell(observer)
