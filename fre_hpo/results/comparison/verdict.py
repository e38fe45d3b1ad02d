"""Better, no difference shown, or worse: each method against the baseline, in pairs of one seed.

The primary question is fre against the baseline on test mIoU, at the two-sided 5 % level.  The other methods
are adjusted for being many (Holm 1979); they take nothing from the primary question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fre_hpo.results.comparison import scores
from fre_hpo.results.comparison.intervals import (
    CONSTANT,
    LEVEL,
    Interval,
    deviation,
    p_value,
    pseudo_values,
    smallest_effect,
    student,
    two_way,
)
from fre_hpo.results.comparison.measured import (
    BASELINE,
    PRIMARY,
    Comparison,
    Measured,
    Split,
    of_seeds,
    shared_seeds,
)

Outcome = Literal["better", "no difference shown", "worse"]
UNDECIDED: Final[Outcome] = "no difference shown"


@dataclass(frozen=True)
class Paired:
    """One method less the baseline in mIoU (0..1), seed by seed.

    interval: for other seeds on the same images.  over_images: for other seeds and other images like
    these.  smallest_effect: what four of five comparisons of so many seeds would have found.  All None
    where one seed cannot tell; interval and p also where all differences are equal but not 0.
    """

    method: str
    split: Split
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    sd: float | None
    interval: Interval | None
    over_images: Interval | None
    p: float | None
    smallest_effect: float | None


@dataclass(frozen=True)
class Verdict:
    """p_adjusted: p itself for the primary question, Holm's for the others."""

    paired: Paired
    p_adjusted: float | None
    outcome: Outcome
    sentence: str


def judge(comparison: Comparison) -> dict[str, Verdict]:
    """A verdict for each method but the baseline, in the comparison's order.

    On the test split, or on validation as long as test was not read.  A method that has no seed in common
    with the baseline gets none.
    """
    baseline, split = comparison.baseline, comparison.judged_on
    if baseline is None:
        return {}
    others = [m for m in comparison.methods if m.method != BASELINE and shared_seeds(m, baseline)]
    pairs = [pair(measured, baseline, split) for measured in others]
    secondary = [paired for paired in pairs if paired.method != PRIMARY]
    adjusted = dict(zip((s.method for s in secondary), holm([s.p for s in secondary]), strict=True))
    number = sum(paired.p is not None for paired in secondary)
    return {
        paired.method: _verdict(paired, adjusted.get(paired.method, paired.p), number)
        for paired in pairs
    }


def pair(measured: Measured, baseline: Measured, split: Split) -> Paired:
    """Compare two methods on the seeds that both were trained with; there must be one."""
    seeds = shared_seeds(measured, baseline)
    ours, theirs = (of_seeds(m, split, seeds) for m in (measured, baseline))
    if ours is None or theirs is None:
        raise ValueError(f"{split} was not read")
    differences = scores.mean_iou(ours) - scores.mean_iou(theirs)
    of_images = pseudo_values(
        differences, scores.without_each_source(ours) - scores.without_each_source(theirs)
    )
    mean, sd = float(np.mean(differences)), deviation(differences)
    return Paired(
        method=measured.method,
        split=split,
        seeds=seeds,
        differences=tuple(map(float, differences)),
        mean=mean,
        sd=sd,
        interval=student(differences),
        over_images=two_way(mean, of_images),
        p=p_value(differences),
        smallest_effect=smallest_effect(sd, len(seeds)),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values; None stays None and is not counted among the tests."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min((len(known) - rank) * p, 1.0))
        adjusted[index] = largest
    return adjusted


def _verdict(paired: Paired, p_adjusted: float | None, secondary: int) -> Verdict:
    outcome = UNDECIDED
    if p_adjusted is not None and p_adjusted <= LEVEL:
        outcome = "better" if paired.mean > 0 else "worse"
    return Verdict(paired, p_adjusted, outcome, _sentence(paired, p_adjusted, outcome, secondary))


# --- in words -------------------------------------------------------------------------------------


def points(value: float) -> str:
    """A difference of IoU in percentage points, with its sign."""
    return f"{100 * value + 0.0:+.2f}"


def between(interval: Interval) -> str:
    return f"{points(interval.low)} to {points(interval.high)}"


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _sentence(paired: Paired, p: float | None, outcome: Outcome, secondary: int) -> str:
    if p is None or paired.interval is None:
        return _unknown(paired)
    numbers = (
        f"{points(paired.mean)} points (95 % interval {between(paired.interval)}, "
        f"{_seeds(paired)}, {p_text(p)}{_adjustment(paired, secondary)})"
    )
    if outcome == UNDECIDED:
        begin = f"No difference shown between {paired.method} and the baseline in {_what(paired)}"
        return f"{begin}: {numbers}{_could_have(paired)}."
    begin = f"{paired.method} is {outcome} than the baseline in {_what(paired)}"
    return f"{begin}: {numbers}{_elsewhere(paired)}."


def _unknown(paired: Paired) -> str:
    """There is no interval: one seed, or differences without any noise."""
    found = f"{paired.method} differs from the baseline by {points(paired.mean)} points of "
    found += _what(paired)
    if len(paired.seeds) == 1:
        return f"{found} with one seed, which cannot show more than luck: no interval."
    return (
        f"{found} in every one of {_seeds(paired)} alike, as no training does: no interval; look whether "
        "the seeds are really different."
    )


def _what(paired: Paired) -> str:
    return f"{paired.split} mIoU"


def _seeds(paired: Paired) -> str:
    number = len(paired.seeds)
    return f"{number} seed{'' if number == 1 else 's'}"


def _adjustment(paired: Paired, secondary: int) -> str:
    if paired.method == PRIMARY or secondary < 2:
        return ""
    return f" adjusted for {secondary} comparisons"


def _could_have(paired: Paired) -> str:
    if not paired.smallest_effect:
        return "; the results are the same" if abs(paired.mean) <= CONSTANT else ""
    if paired.smallest_effect >= 1:
        return f"; {_seeds(paired)} could have shown no effect at all"
    effect = f"{100 * paired.smallest_effect:.2f}"
    return f"; {_seeds(paired)} could have shown only an effect of {effect} points or more (80 % power)"


def _elsewhere(paired: Paired) -> str:
    """Whether the claim holds beyond these very images."""
    if paired.over_images is None:
        return ""
    holds = 0.0 not in paired.over_images
    words = "over other images too it is" if holds else "over other images it may be none,"
    return f"; {words} {between(paired.over_images)}"
