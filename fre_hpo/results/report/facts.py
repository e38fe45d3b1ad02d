"""What a report is made of: a study with all that is known of it, read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fre_hpo.results.numbers import between
from fre_hpo.results.report.blocks import Picture
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.charter import Charter
from fre_hpo.study.records import TrialRecord, best_of

if TYPE_CHECKING:
    from fre_hpo.results.recommendation import Recommendation


@dataclass(frozen=True)
class SplitFacts:
    """images: that a network is shown, which may be tiles of fewer sources.  shares: of the labelled pixels,
    0..1, by class."""

    images: int
    sources: int
    height: int
    width: int
    channels: int
    shares: Mapping[str, float]


@dataclass(frozen=True)
class DataFacts:
    """splits: empty where the images are not at hand; missing says why.  licence: empty where not known."""

    splits: Mapping[str, SplitFacts]
    remarks: tuple[str, ...] = ()
    licence: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Machine:
    """Where trials were trained.  engine: how the network was computed there."""

    host: str
    device: str
    engine: str
    trials: int


@dataclass(frozen=True)
class StudyFacts:
    """view, charter: the study.  state: running, finished, ... .  events: how often what happened that is
    worth telling, in words.  remarks: why something is not in the report.  enqueued: points of the search
    that were given by hand.  confirmed: what fresh seeds say of its leading points.  tested: what is known
    of its best trial on the test split.  The last two are empty before that was asked for."""

    view: StudyView
    charter: Charter
    state: str
    recommended: Recommendation | None
    machines: tuple[Machine, ...]
    events: Mapping[str, int]
    pictures: tuple[Picture, ...]
    data: DataFacts
    remarks: tuple[str, ...] = ()
    enqueued: tuple[Mapping[str, int | float], ...] = ()
    confirmed: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.view.name

    @property
    def complete(self) -> list[TrialRecord]:
        """The best first; the earlier of equals."""
        found = [r for r in self.view.records if r.complete and r.value is not None]
        return sorted(found, key=lambda r: (-(r.value or 0.0), r.number))

    @property
    def best(self) -> TrialRecord:
        best = best_of(self.view.records)
        assert best is not None
        return best

    @property
    def failed(self) -> list[TrialRecord]:
        return [r for r in self.view.records if r.state == "FAIL"]

    @property
    def begun(self) -> str | None:
        """When the first trial was begun, ISO 8601."""
        return min((r.started_at for r in self.view.records if r.started_at), default=None)

    @property
    def ended(self) -> str | None:
        return max((r.finished_at for r in self.view.records if r.finished_at), default=None)

    @property
    def trial_seconds(self) -> list[float]:
        """Of each complete trial from its first start to its end, interruptions included."""
        return sorted(_seconds(self.complete))

    @property
    def seeds(self) -> list[int]:
        return sorted({r.seed for r in self.complete if r.seed is not None})


def _seconds(records: Sequence[TrialRecord]) -> Iterator[float]:
    for record in records:
        seconds = between(record.started_at, record.finished_at)
        if seconds is not None:
            yield seconds


def moment(time: str | None) -> str:
    """2026-11-23 12:06 UTC."""
    if time is None:
        return "not known"
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC"
