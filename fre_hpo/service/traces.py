"""The traced trials of studies, for the figures that show the deepest feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fre_hpo.errors import FreHpoError, NotTraced, UnlikeMeasurements, UsageError
from fre_hpo.results.figures.description import Figure
from fre_hpo.results.figures.enhancement import ENHANCING, WITHOUT, enhancement_figure
from fre_hpo.results.figures.features import features_figure
from fre_hpo.results.traced import TracedTrial
from fre_hpo.service.kept import KeptStudy
from fre_hpo.study.folder import TrialFolder


def traced(kept: KeptStudy, number: int | None = None) -> TracedTrial:
    """The best traced trial of a study, or the one of that number; raises NotTraced and UnknownTrial."""
    record = kept.best_with(is_traced, number)
    if record is None:
        what = kept.spoken(number)
        raise NotTraced(what=what[:1].upper() + what[1:])
    rows = kept.files(record).read_trace()
    return TracedTrial.of_rows(kept.name, kept.ledger.spec, record, rows)


def is_traced(files: TrialFolder) -> bool:
    return bool(files.read_trace())


def trace_figure(kind: str, trials: Sequence[TracedTrial], *, same_scale: bool = False) -> Figure:
    """features or enhancement; for the latter ``refusals`` must have found nothing."""
    if kind == "features":
        return features_figure(trials, same_scale=same_scale)
    baseline = next((t for t in trials if t.spec.method == WITHOUT), None)
    enhanced = [t for t in trials if t.spec.method in ENHANCING]
    return enhancement_figure(baseline, enhanced, same_scale=same_scale)


def refusals(studies: Sequence[KeptStudy]) -> list[FreHpoError]:
    """Why these studies cannot stand in one figure of kind enhancement."""
    methods = [study.ledger.spec.method for study in studies]
    problems: list[FreHpoError] = []
    for study, method in zip(studies, methods, strict=True):
        if method not in ENHANCING | {WITHOUT}:
            problems.append(UsageError(problem=_enhances_nothing(study.name, method)))
    if studies and not ENHANCING & set(methods):
        problem = "A figure of kind enhancement needs a study of method fre or fre-fixed: name one."
        problems.append(UsageError(problem=problem))
    if methods.count(WITHOUT) > 1:
        problem = (
            "A figure of kind enhancement has one baseline: name only one study of method baseline."
        )
        problems.append(UsageError(problem=problem))
    return [*problems, *_unlike(studies)]


def _enhances_nothing(study: str, method: str) -> str:
    return (
        f"Study {study!r} is of method {method}, which enhances no feature maps: name studies of method "
        "fre or fre-fixed, and a baseline beside them."
    )


def _unlike(studies: Sequence[KeptStudy]) -> list[FreHpoError]:
    """Sums of other images, or of other networks, say nothing about one another."""
    return [
        UnlikeMeasurements(one=one.spoken(None), other=other.spoken(None), what="data or networks")
        for one, other in pairwise(studies)
        if _decisive(one) != _decisive(other)
    ]


def _decisive(study: KeptStudy) -> tuple[object, ...]:
    charter = study.ledger.charter
    return charter.fingerprint, charter.spec.model
