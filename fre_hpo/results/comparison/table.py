"""The table of a comparison as plain cells, from which every rendering is made.

IoU and differences are in percent and percentage points here, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fre_hpo.results.comparison import paper, scores
from fre_hpo.results.comparison.footnotes import footnotes
from fre_hpo.results.comparison.intervals import Interval, deviation
from fre_hpo.results.comparison.measured import (
    BASELINE,
    PRIMARY,
    SPLITS,
    Comparison,
    Confusions,
    Measured,
    Split,
)
from fre_hpo.results.comparison.scores import Floats
from fre_hpo.results.comparison.verdict import Verdict, judge

Row = Mapping[str, Any]
"""What JSON tells of one method; ``row`` says which keys there are."""


@dataclass(frozen=True)
class ComparisonTable:
    """answer: the sentence on the primary question, None where there is none.  sentences: one for each
    compared method.  compared_on: the split of the differences."""

    dataset: str
    classes: tuple[str, ...]
    compared_on: Split
    rows: tuple[Row, ...]
    answer: str | None
    sentences: tuple[str, ...]
    footnotes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "dataset": self.dataset,
            "classes": list(self.classes),
            "unit": "percent",
            "compared_on": self.compared_on,
            "answer": self.answer,
            "sentences": list(self.sentences),
            "methods": [dict(row) for row in self.rows],
            "footnotes": list(self.footnotes),
        }


def build(comparison: Comparison) -> ComparisonTable:
    """Compute every number of a comparison's table."""
    verdicts = judge(comparison)
    primary = verdicts.get(PRIMARY)
    return ComparisonTable(
        dataset=comparison.dataset,
        classes=comparison.classes,
        compared_on=comparison.judged_on,
        rows=tuple(row(comparison, m, verdicts.get(m.method)) for m in comparison.methods),
        answer=primary.sentence if primary else None,
        sentences=tuple(verdict.sentence for verdict in verdicts.values()),
        footnotes=footnotes(comparison, verdicts),
    )


def row(comparison: Comparison, measured: Measured, verdict: Verdict | None) -> Row:
    """method, parameters, search_trials, seeds, validation, test, difference, verdict, paper.

    validation and test: {classes: {name: {mean, sd}}, mIoU: {mean, sd}}, None where not read; a class
    that the truth lacks has a mean of None.  difference: see ``_difference``.  paper: {table,
    parameters, classes: {name: IoU}, mIoU}.
    """
    splits = {str(split): _scores(measured.on(split), comparison.classes) for split in SPLITS}
    return {
        "method": measured.method,
        "parameters": dict(measured.parameters),
        "search_trials": comparison.budgets.get(measured.method, 0),
        "seeds": len(measured.seeds),
        **splits,
        "difference": None if verdict is None else _difference(verdict),
        "verdict": BASELINE if measured.method == BASELINE else verdict and verdict.outcome,
        "paper": _quotation(comparison, measured.method),
    }


def _scores(confusions: Confusions | None, classes: tuple[str, ...]) -> dict[str, Any] | None:
    if confusions is None:
        return None
    of_classes = scores.class_iou(confusions.counts)
    return {
        "classes": {name: _spread(of_classes[:, i]) for i, name in enumerate(classes)},
        "mIoU": _spread(scores.mean_iou(confusions.counts)),
    }


def _spread(values: Floats) -> dict[str, float | None]:
    """Mean and standard deviation over the seeds, in percent; whether the truth holds a class is the same
    for all seeds."""
    mean = scores.optional([float(values.mean())])[0]
    sd = None if mean is None else deviation(values)
    return {"mean": _percent(mean), "sd": _percent(sd)}


def _difference(verdict: Verdict) -> dict[str, Any]:
    """To the baseline, in points: mean, sd, low, high (other seeds), images_low, images_high (other seeds
    and images), p, p_adjusted, smallest_effect, seeds (how many pairs)."""
    paired = verdict.paired
    low, high = _ends(paired.interval)
    images_low, images_high = _ends(paired.over_images)
    return {
        "mean": _percent(paired.mean),
        "sd": _percent(paired.sd),
        "low": low,
        "high": high,
        "images_low": images_low,
        "images_high": images_high,
        "p": paired.p,
        "p_adjusted": verdict.p_adjusted,
        "smallest_effect": _percent(paired.smallest_effect),
        "seeds": len(paired.seeds),
    }


def _quotation(comparison: Comparison, method: str) -> dict[str, Any] | None:
    found = paper.quoted(comparison.paper, method)
    if found is None:
        return None
    table, printed = found
    return {
        "table": table.number,
        "parameters": dict(printed.parameters),
        "classes": paper.by_class(table, printed, comparison.classes),
        "mIoU": printed.miou,
    }


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (100 * interval.low, 100 * interval.high)


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
