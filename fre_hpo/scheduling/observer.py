"""Who wants to see a search while it runs: the terminal, later the dashboard's pictures."""

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
