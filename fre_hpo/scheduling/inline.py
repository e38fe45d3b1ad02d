"""The inline executor: trials one after the other in the coordinator's own process.

It is a real executor, without Ray: for a machine that has no Ray, for tests, for a debugger.
"""

from collections.abc import Iterator

from fre_hpo import trial
from fre_hpo.scheduling import failures
from fre_hpo.scheduling.executor import Arrival, OutOfMemory, Raised
from fre_hpo.scheduling.placement import Placement
from fre_hpo.trial import Job, Report, StopFlag, TrainingData


class InlineExecutor:
    """Advances its one trial by one report at each poll."""

    def __init__(self, data: TrainingData, placement: Placement) -> None:
        self.placement = placement
        self._data = data
        self._job: Job | None = None
        self._reports: Iterator[Report] = iter(())
        self._stop = StopFlag()

    def capacity(self, demand: int) -> int:
        return 1

    def displaced(self) -> frozenset[int]:
        return frozenset()

    def news(self) -> list[str]:
        return []

    def submit(self, job: Job, *, alone: bool = False) -> None:
        assert self._job is None, "the inline executor has one slot"
        self._stop = StopFlag()
        self._job = job
        self._reports = trial.run(job, self._data, self._stop)

    def poll(self, timeout: float) -> list[Arrival]:
        if self._job is None:
            return []
        arrival = Arrival(self._job.number, self._job.attempt, self._next())
        if arrival.last:
            self.close()
        return [arrival]

    def _next(self) -> Report | OutOfMemory | Raised:
        try:
            return next(self._reports)
        except Exception as error:
            return failures.sort(error)

    def stop(self, number: int) -> None:
        if self._job is not None and self._job.number == number:
            self._stop.raise_()

    def cancel(self, number: int) -> None:
        if self._job is not None and self._job.number == number:
            self.close()

    def close(self) -> None:
        self._job = None
        self._reports = iter(())
