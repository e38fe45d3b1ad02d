"""The paper's Fig. 2: how large the features are at the end of the encoder and at the skip connection
that meets it, while a network is trained."""

from __future__ import annotations

from collections.abc import Sequence

from fre_hpo.results.figures.axes import Axis, linear_ticks
from fre_hpo.results.figures.description import MIDDLE, Figure, Panel
from fre_hpo.results.figures.over_epochs import Course, epoch_axis, names_at_ends
from fre_hpo.results.traced import TracedTrial
from fre_hpo.study.records import params_text

TITLE = "mean feature value after ReLU"
HEIGHT = 70.0
SIZES = {1: (108.0, 50.0), 2: (76.0, 50.0)}
"""A panel between its axes, in mm, about; by how many stand beside one another."""
YELLOW, BLUE = "#d98c00", "#0072b2"
"""The end of the encoder is the yellow layer of the paper's Fig. 1."""


def features_figure(trials: Sequence[TracedTrial], *, same_scale: bool = False) -> Figure:
    """One panel for each trial; each has a scale of its own, or all have one."""
    columns = min(len(trials), 2)
    panels = [_panel(trial, trials if same_scale else (trial,), columns) for trial in trials]
    return Figure("features", tuple(panels), columns, MIDDLE, HEIGHT)


def _panel(trial: TracedTrial, peers: Sequence[TracedTrial], columns: int) -> Panel:
    courses = _courses(trial)
    x = epoch_axis(trial.spec.training.epochs, [c.words for c in courses], SIZES[columns][0])
    y = _axis([value for peer in peers for course in _courses(peer) for value in course.values])
    return Panel(
        trial.study,
        trial.study,
        x,
        y,
        tuple(course.line("mean feature value") for course in courses),
        names_at_ends(courses, x, y, SIZES[columns]),
        note=what_trial(trial),
    )


def _courses(trial: TracedTrial) -> list[Course]:
    deepest, skip = trial.columns["deepest_mean"], trial.columns["skip_mean"]
    return [
        Course("skip", "skip\nconnection", trial.epochs, skip, BLUE),
        Course("deepest", "yellow layer\n(deepest)", trial.epochs, deepest, YELLOW),
    ]


def _axis(values: Sequence[float]) -> Axis:
    """From 0, for what is compared are sizes."""
    high = max(*values, 0.0) * 1.06 or 1.0
    return Axis(TITLE, 0.0, high, linear_ticks(0.0, high))


def what_trial(trial: TracedTrial) -> str:
    """trial 12: B=162, X=632."""
    return f"trial {trial.record.number}: {params_text(trial.record.params)}".removesuffix(": -")
