"""What fresh seeds make of a search's winner: which point it is, how good, and how much of it was luck.

Choosing among points and telling how good the chosen one is must not use the same seeds.  Here each seed
in turn is left out: the others choose, by validation, and the seed left out tells the figure of their
choice.  The mean of these figures is that of a choice by one seed fewer, without bias, and uses every seed
for both.  Halving the seeds would be without bias too, but of 5 seeds 3 would tell and 2 choose: in
simulation it shows a winner of 5 points in 49 % of studies, this in 70 %.

The figures are not independent, for their choices share seeds: a plain t interval covers 82-94 % of the
truth.  Nadeau & Bengio (2003) add 1/(K - 1) to the 1/K of the variance; that covers 94-98 % with 2 to 20
seeds and 2 to 8 points, and of studies in which all points are equal to the baseline some 2 % or fewer show a
winner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri  # type: ignore[import-untyped]

from fre_hpo.results.comparison.intervals import Interval, deviation, student, t_quantile
from fre_hpo.results.comparison.scores import Floats
from fre_hpo.results.comparison.verdict import between, points
from fre_hpo.study.records import params_text


@dataclass(frozen=True)
class Candidate:
    """A point of the search, trained again with fresh seeds, the same ones for every candidate.

    observed: its value in the search, None for one that was not tried there.  validation: mIoU by seed,
    which chooses.  test: mIoU by seed where the test split was read; then the figures are of test.
    """

    name: str
    parameters: Mapping[str, int | float]
    observed: float | None
    validation: tuple[float, ...]
    test: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Figure:
    """A mean over seeds, 0..1.  interval: of 95 %, None with a single seed."""

    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class Luck:
    """How the best observed trial did in the search and how it does on fresh seeds, on validation.

    of: how many trials it was the best of.  luck: observed less fresh.  expected: what the best of so many
    equal points would exceed its worth by, with the noise that the fresh seeds show; None where they show
    none.  Where the trials of the search shared a seed, its luck, good or bad, is part of ``luck`` and not
    of ``expected``.
    """

    candidate: Candidate
    of: int
    observed: float
    fresh: float
    luck: Figure
    expected: float | None


@dataclass(frozen=True)
class Confirmation:
    """winner: the candidate that all fresh seeds together choose.  figure: its mIoU, by seeds that did not
    choose; gain: the same less the baseline.  Both None with one seed, which cannot do both.  shown: whether
    the gain is more than luck.  sentences: all of it in words."""

    winner: Candidate
    figure: Figure | None
    gain: Figure | None
    luck: Luck | None
    shown: bool
    sentences: tuple[str, ...]


def confirm(
    observed: Sequence[float], candidates: Sequence[Candidate], baseline: Candidate
) -> Confirmation:
    """Judge the leading points of a search by fresh seeds.

    observed: the values of all complete trials of the search.  candidates: at least one, without the
    baseline; of equal ones the earlier wins.
    """
    chosen_by = np.array([candidate.validation for candidate in candidates])
    told_by = np.array([_told(candidate, baseline) for candidate in candidates])
    theirs = np.array(_told(baseline, baseline))
    winner = candidates[int(np.argmax(chosen_by.mean(axis=1)))]
    figure = gain = None
    if len(theirs) > 1:
        figures = _by_others(chosen_by, told_by)
        figure = _figure(figures, len(candidates))
        gain = _figure(figures - theirs, len(candidates))
    shown = gain is not None and gain.interval is not None and gain.interval.low > 0
    luck = _luck(observed, candidates, baseline)
    split = "validation" if baseline.test is None else "test"
    sentences = _sentences(winner, figure, gain, shown, luck, split)
    return Confirmation(winner, figure, gain, luck, shown, sentences)


def _told(candidate: Candidate, baseline: Candidate) -> tuple[float, ...]:
    told = candidate.validation if baseline.test is None else candidate.test
    if told is None or not len(told) == len(candidate.validation) == len(baseline.validation):
        raise ValueError(f"{candidate.name} lacks seeds or the test split")
    return told


def _by_others(chosen_by: Floats, told_by: Floats) -> Floats:
    """(candidates, seeds) twice -> (seeds,): what each seed tells of the choice of the others."""
    of_others = chosen_by.sum(axis=1, keepdims=True) - chosen_by
    choice = np.argmax(of_others, axis=0)
    told: Floats = told_by[choice, np.arange(told_by.shape[1])]
    return told


def _figure(values: Floats, candidates: int) -> Figure:
    """With Nadeau & Bengio's variance where there was a choice to make."""
    mean, sd, seeds = float(values.mean()), deviation(values), len(values)
    if candidates == 1 or not sd:
        return Figure(mean, student(values))
    half = t_quantile(seeds - 1) * sd * math.sqrt(1 / seeds + 1 / (seeds - 1))
    return Figure(mean, Interval(mean - half, mean + half))


def _luck(
    observed: Sequence[float], candidates: Sequence[Candidate], baseline: Candidate
) -> Luck | None:
    """The best observed trial was chosen by the search, so all fresh seeds tell of it without bias."""
    tried = [(c.observed, c) for c in candidates if c.observed is not None]
    if not tried:
        return None
    value, best = max(tried, key=lambda pair: pair[0])
    fresh = np.array(best.validation)
    interval = student(value - fresh)
    luck = Figure(float(value - fresh.mean()), interval)
    noise = _noise(np.array([c.validation for c in (*candidates, baseline)]))
    number = len(observed)
    expected = noise * expected_maximum(number) if noise and number else None
    return Luck(best, number, value, float(fresh.mean()), luck, expected)


def expected_maximum(number: int) -> float:
    """Of so many standard normal values (Blom 1958): 2.24 of 50."""
    return float(ndtri((number - 0.375) / (number + 0.25)))


def _noise(values: Floats) -> float | None:
    """(points, seeds): standard deviation of one training, when seeds are common to all points."""
    rows, seeds = values.shape
    if seeds < 2:
        return None
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float(np.sqrt((rest**2).sum() / ((rows - 1) * (seeds - 1))))


# --- in words -------------------------------------------------------------------------------------


def _sentences(
    winner: Candidate,
    figure: Figure | None,
    gain: Figure | None,
    shown: bool,
    luck: Luck | None,
    split: str,
) -> tuple[str, ...]:
    found = [_winner(winner, figure, gain, shown, split)]
    if luck is not None:
        found.append(_of_luck(luck))
    return tuple(found)


def _winner(
    winner: Candidate, figure: Figure | None, gain: Figure | None, shown: bool, split: str
) -> str:
    point = f"{winner.name} ({params_text(winner.parameters)})"
    if figure is None or gain is None:
        return (
            f"No winner is shown: one fresh seed cannot both choose and tell; {point} is only the highest "
            "on it."
        )
    told = f"{_points(gain)} of {split} mIoU against the baseline"
    value = f"by seeds that did not choose, the choice has {100 * figure.mean:.2f} and is {told}"
    if shown:
        return f"A winner is shown: {point}; {value}."
    return f"No winner is shown; {point} has the highest validation mIoU, but {value}."


def _of_luck(luck: Luck) -> str:
    text = (
        f"The best of {luck.of} trials, {luck.candidate.name}, had {100 * luck.observed:.2f} in the search "
        f"and has {100 * luck.fresh:.2f} with fresh seeds: "
    )
    text += f"luck made {_points(luck.luck)} of it" if luck.luck.mean > 0 else "that was no luck"
    if luck.expected is None:
        return f"{text}."
    return f"{text}; the best of {luck.of} equal points would show about {100 * luck.expected:.2f} by chance."


def _points(figure: Figure) -> str:
    """+2.12 points (95 % interval +0.31 to +3.93)."""
    text = f"{points(figure.mean)} points"
    return f"{text} (95 % interval {between(figure.interval)})" if figure.interval else text
