"""What the coordinator asks of whatever trains: the contract of the executors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fre_hpo.scheduling.placement import Placement
from fre_hpo.trial import Job, Report, Result, Stopped


@dataclass(frozen=True)
class Lost:
    """The worker is gone; the trial can go on elsewhere from its last checkpoint."""

    reason: str


@dataclass(frozen=True)
class OutOfMemory:
    """There was not enough memory; alone on its device the trial may have enough.

    sharing: so many trials shared its GPU, and now so many do: while it is above 1, the trial goes on in
    smaller company.
    """

    reason: str
    sharing: int = 1
    now: int = 1


@dataclass(frozen=True)
class Raised:
    """The training raised an error; trying again would raise it again.

    kind: the error's class.  epoch: where the loss was not finite, None for any other error.
    """

    kind: str
    message: str
    traceback: str
    diverged_in: int | None = None


@dataclass(frozen=True)
class Arrival:
    """Something came from the attempt at a trial."""

    number: int
    attempt: int
    content: Report | Lost | OutOfMemory | Raised

    @property
    def last(self) -> bool:
        """Whether the attempt is over: nothing more will come from it, its slot is free."""
        return isinstance(self.content, Result | Stopped | Lost | OutOfMemory | Raised)


class Executor(Protocol):
    """Runs jobs.  It retries nothing: what becomes of a lost trial the coordinator alone decides."""

    @property
    def placement(self) -> Placement:
        """Where and how trials are trained now."""

    def capacity(self, demand: int) -> int:
        """How many trials can be trained at once now, those included that are.

        demand: how many the search has a use for; what it leaves, other searches may have.
        """

    def displaced(self) -> frozenset[int]:
        """Running trials that should go on elsewhere: their node is leaving, or another search's turn has
        come.  The coordinator stops them and begins them again."""

    def news(self) -> list[str]:
        """What changed where trials are trained since the last call, in sentences."""

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Begin a job; the coordinator has no more in flight than there is capacity for, but while trials
        make room.

        alone: it gets its device, or all CPUs of a machine, to itself.
        """

    def poll(self, timeout: float) -> list[Arrival]:
        """What arrived, in order; waits up to ``timeout`` seconds for the first."""

    def stop(self, number: int) -> None:
        """Have a trial stop after its epoch: its checkpoint and ``Stopped`` will arrive."""

    def cancel(self, number: int) -> None:
        """End a trial at once; nothing more arrives from it."""

    def close(self) -> None:
        """End whatever still runs."""
