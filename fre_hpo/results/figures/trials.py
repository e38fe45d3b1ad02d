"""Trials as figures sort them, and what is known of each under the names that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fre_hpo import methods
from fre_hpo.results.figures.description import Fact
from fre_hpo.results.figures.palette import Scale, scale_of
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.space import Range

MIOU: Final = "validation mIoU"
UNFINISHED: Final = frozenset({"RUNNING", "WAITING"})

_TITLES = {"B": "B (enhanced feature maps)", "X": "X (factor)"}
"""As in the paper's figures 7 and 8; other methods mean something else by the same letter."""
_ENHANCING = frozenset({"fre", "fre-fixed"})


def complete(view: StudyView) -> list[TrialRecord]:
    """Trials with a value, the best last, so that it is drawn above the others."""
    found = [r for r in view.records if r.complete and r.value is not None]
    return sorted(found, key=lambda r: (value(r), -r.number))


def value(record: TrialRecord) -> float:
    """A complete trial's."""
    assert record.value is not None
    return record.value


def failed(view: StudyView) -> list[TrialRecord]:
    """Trials that ended without a value."""
    return [r for r in view.records if r.state not in UNFINISHED and r.value is None]


def unfinished(view: StudyView) -> list[TrialRecord]:
    return [r for r in view.records if r.state in UNFINISHED]


def title(view: StudyView, parameter: str) -> str:
    """A parameter's axis."""
    if view.spec.method in _ENHANCING and parameter in _TITLES:
        return _TITLES[parameter]
    meanings = {p.name: p.meaning for p in methods.get(view.spec.method).parameters}
    return f"{parameter} ({meanings[parameter]})" if parameter in meanings else parameter


def facts(view: StudyView, records: Sequence[TrialRecord]) -> tuple[Fact, ...]:
    """Number and parameters of each trial."""
    numbers = Fact("trial", tuple(r.number for r in records))
    return (numbers, *(parameter_fact(name, view, records) for name in shown(view)))


def parameter_fact(name: str, view: StudyView, records: Sequence[TrialRecord]) -> Fact:
    return Fact(name, tuple(r.params.get(name) for r in records), form(view, name))


def form(view: StudyView, name: str) -> str:
    """How a parameter is shown: whole, or with four significant digits."""
    space = view.spec.parameters.get(name)
    return ".4~r" if isinstance(space, Range) and not space.integer else ""


def shown(view: StudyView) -> list[str]:
    """The parameters in which trials differ."""
    return list(view.spec.searched)


def best_epochs(records: Sequence[TrialRecord]) -> Fact:
    return Fact("best epoch", tuple(r.best_epoch for r in records))


def values_of(views: Sequence[StudyView]) -> list[float]:
    return [value(r) for view in views for r in complete(view)]


def miou_scale(peers: Sequence[StudyView], palette: str) -> Scale | None:
    """One scale for the trials of all these studies."""
    return scale_of(MIOU, values_of(peers), palette)


def heading(view: StudyView) -> str:
    """mouse-fre (50 trials)."""
    count = len(complete(view))
    return f"{view.name} ({count} {'trial' if count == 1 else 'trials'})"
