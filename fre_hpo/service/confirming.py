"""``fre-hpo confirm``: a search's leading points, trained again with seeds that did not choose them.

Each point, and the baseline, is a study of seeds beside the search, ``<study>-confirm-<point>``; they are
started as ``fre-hpo start`` does, so the same command goes on.  The test split is not read: points are
chosen, and judged, on validation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fre_hpo.errors import (
    BadValue,
    FreHpoError,
    NothingComplete,
    NothingToConfirm,
    SearchRunning,
    UsageError,
    together,
)
from fre_hpo.results.comparison.measured import BASELINE
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import STUDY_NAME, Preparation, bad_name, live_of
from fre_hpo.service.confirmed import RECOMMENDED, Confirmed, confirmed_of
from fre_hpo.service.members import qualified, seeds_of
from fre_hpo.service.read import open_ledger
from fre_hpo.service.request import Request
from fre_hpo.service.sequence import Sequence, holding
from fre_hpo.service.start import Ended
from fre_hpo.settings import Settings
from fre_hpo.study import recipe
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.part import Part
from fre_hpo.study.records import TrialRecord, params_text
from fre_hpo.study.space import Number

TOP, SEEDS = 3, 5
APART = 1000
"""Seeds of a confirmation begin so far behind the search's: a comparison's are the next ones, and a point
that was confirmed may be compared afterwards."""


@dataclass(frozen=True)
class ConfirmRequest:
    """base: how and where to train.  top: so many leading trials.  seeds: of each point; None: as many as
    before, or 5."""

    base: Request
    study: str
    top: int = TOP
    seeds: int | None = None

    def __post_init__(self) -> None:
        reason = "it must be 1 at least"
        wrong = [
            BadValue(key=f"--{name}", value=value, reason=reason)
            for name, value in (("top", self.top), ("seeds", self.seeds))
            if value is not None and value < 1
        ]
        if wrong:
            raise together(wrong)


@dataclass(frozen=True)
class Point:
    """What is trained again.  role: also the end of its study's name.  value: in the search."""

    role: str
    method: str
    parameters: dict[str, Number]
    value: float | None = None


class Confirming:
    """One run of a confirmation.

    Raises StudyNotFound, NothingToConfirm, SearchRunning and NothingComplete.
    """

    def __init__(self, request: ConfirmRequest, settings: Settings) -> None:
        self._request = request
        self._settings = settings
        self.name = request.study
        self._search = open_ledger(settings, request.study)
        if not self._search.spec.searched:
            raise NothingToConfirm(study=self.name)
        self._complete = [r for r in self._search.records() if r.complete]
        if not self._complete:
            raise NothingComplete(study=self.name)
        live = live_of(self._search)
        if live is not None and live.coordinator_alive():
            raise SearchRunning(study=self.name)
        self._connection = Connection(settings.storage, create=False)
        begun = self._begun
        self.seeds = request.seeds or max(
            [ledger.wanted for ledger, _ in begun.values()] or [SEEDS]
        )
        self.sequence = Sequence(settings, request.base.hours)

    @property
    def _begun(self) -> dict[str, tuple[Ledger, Part]]:
        return seeds_of(self._connection, "confirmation", self.name)

    @cached_property
    def points(self) -> list[Point]:
        """The leading trials, the recommended point unless it is one of them, the baseline."""
        method = self._search.spec.method
        fixed = self._search.spec.fixed
        leading = [
            Point(f"trial-{r.number}", method, {**fixed, **r.params}, r.value)
            for r in self._leading()
        ]
        return [*leading, *self._recommended(method, leading), Point(BASELINE, BASELINE, {})]

    def _leading(self) -> list[TrialRecord]:
        """Of trials with the same parameters the first."""
        ranked = sorted(self._complete, key=lambda r: (-(r.value or 0.0), r.number))
        distinct = {params_text(record.params): record for record in reversed(ranked)}
        chosen = [record for record in ranked if distinct[params_text(record.params)] is record]
        return chosen[: self._request.top]

    def _recommended(self, method: str, leading: list[Point]) -> list[Point]:
        """Under the number of trials that it was recommended from: more may recommend another."""
        from fre_hpo.results.recommendation import recommend  # SciPy, only where it is used

        found = recommend(self._complete, self._search.spec.parameters)
        if found is None or any(dict(point.parameters) == found.params for point in leading):
            return []
        role = f"{RECOMMENDED}-{len(self._complete)}"
        return [Point(role, method, found.params)]

    # --- its studies ----------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        return [self._asked(point) for point in self.points]

    def study_of(self, point: Point) -> str:
        return f"{self.name}-confirm-{point.role}"

    def _asked(self, point: Point) -> Request:
        charter = self._search.charter
        base = self._request.base
        common = qualified(charter.overrides, charter.spec.method)
        own = {f"methods.{point.method}.{name}": v for name, v in point.parameters.items()}
        stored = Path(charter.data_folder) if charter.data_folder else None
        return replace(
            base,
            dataset=charter.recipe,
            method=point.method,
            study=self.study_of(point),
            trials=self.seeds,
            data_dir=base.data_dir or stored,
            overrides={**common, **own, "seed": self._first_seed},
            part=self._part(point),
        )

    @property
    def _first_seed(self) -> int:
        spec = self._search.spec
        trials = 0 if spec.training.seeds == "common" else len(self._search.records())
        return spec.seed + max(APART, -(-trials // APART) * APART) + 1

    def _part(self, point: Point) -> Part:
        charter = self._search.charter
        return Part(
            kind="confirmation",
            of=self.name,
            role=point.role,
            roles=tuple(p.role for p in self.points),
            overrides=charter.overrides,
            seed=charter.spec.seed,
            search=self.name,
            trials=len(self._complete),
            point=point.role,
            value=point.value,
        )

    # --- running --------------------------------------------------------------------------------

    def check(self) -> list[Preparation]:
        """Check everything before anything is created; raises all that is wrong."""
        names = [self.study_of(point) for point in self.points]
        wrong: list[FreHpoError] = [bad_name(n) for n in names if not STUDY_NAME.fullmatch(n)]
        begun = self._begun
        for point in self.points:
            if point.role not in begun and self._exists(self.study_of(point)):
                problem = (
                    f"Study {self.study_of(point)!r} is there already and does not belong to this "
                    "confirmation: delete it first."
                )
                wrong.append(UsageError(problem=problem))
        if wrong:
            raise together(wrong)
        return self.sequence.check(self.requests)

    def _exists(self, study: str) -> bool:
        return Ledger.exists(self._connection, study)

    def finished(self) -> bool:
        """Whether all seeds are in the storage; raises what is wrong with the request."""
        begun = self._begun
        for request in self.requests:
            found = begun.get(request.part.role if request.part else "")
            if found is None or sum(r.counts for r in found[0].records()) < self.seeds:
                return False
            asked = recipe.resolve(
                recipe.find(request.dataset), found[0].spec.method, request.overrides
            )
            found[0].charter.refuse_other_spec(found[0].name, asked.spec)
        return self.result() is not None

    def run(self, observer: Observer) -> Ended:
        """Train what is missing, one point after the other; it was checked."""
        with holding(self._settings, f"{self.name}.confirmation", self.name):
            for index, (point, request) in enumerate(
                zip(self.points, self.requests, strict=True), 1
            ):
                self._announce(index, point, observer)
                ended = self.sequence.run(request, observer)
                if ended.outcome is not Outcome.COMPLETE:
                    return self._ended(ended.outcome)
        return self._ended(Outcome.COMPLETE)

    def _announce(self, index: int, point: Point, observer: Observer) -> None:
        progress = self.sequence.progress(self.study_of(point))
        if progress.complete < progress.wanted:
            what = f" ({params_text(point.parameters)})" if point.parameters else ""
            observer.say(
                f"{index} of {len(self.points)}: {point.role}{what}, {self.seeds} fresh seeds."
            )

    def _ended(self, outcome: Outcome) -> Ended:
        return Ended(self.name, outcome, self.sequence.complete, self.sequence.wanted)

    def result(self) -> Confirmed | None:
        """What is stored of these points; None before all are complete."""
        roles = tuple(point.role for point in self.points if point.role != BASELINE)
        return confirmed_of(self._search, self._connection, roles)
