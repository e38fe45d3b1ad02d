"""Small trials on drawn cells: their spec, their data, a job, and what comes of running it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from fre_hpo import data
from fre_hpo.study.recipe import Recipe, resolve
from fre_hpo.study.spec import Spec
from fre_hpo.training.loop import Training
from fre_hpo.trial import (
    Epoch,
    Job,
    Report,
    Result,
    Snapshot,
    StopFlag,
    TrainingData,
    prepare,
    run,
    train,
)

DRAWN = Recipe("drawn", None, {"dataset": "phantom"})
SMALL = {
    "data.size": 32,
    "data.cells": 2,
    "data.train": 5,
    "data.validation": 3,
    "data.test": 1,
    "model.widths": [8, 8, 16],
    "model.se_reduction": 4,
    "training.epochs": 3,
    "training.batch_size": 2,
    "training.learning_rate": 0.01,
    "engine.precision": "float32",
}
"""Trained in a tenth of a second, and its validation mIoU changes from epoch to epoch."""
PARAMETERS: dict[str, dict[str, float]] = {
    "baseline": {},
    "without-deep-layers": {},
    "supervision": {"lambda": 0.4},
    "dropout": {"B": 5},
    "fre": {"B": 5, "X": 100.0},
    "fre-fixed": {"B": 3, "X": 10_000.0},
}


def small_spec(method: str = "baseline", settings: Mapping[str, Any] | None = None) -> Spec:
    """A spec that searches nothing: every parameter has a value, the method's own or PARAMETERS'."""
    return resolve(DRAWN, method, {**SMALL, **PARAMETERS[method], **(settings or {})}).spec


def drawn_data(spec: Spec) -> TrainingData:
    """The same arrays at every call: nobody may write into them."""
    return _drawn(spec.options)


@cache
def _drawn(options: data.DataOptions) -> TrainingData:
    drawn = data.load("phantom", None, options)
    return TrainingData(drawn.classes, drawn.train, drawn.validation)


def small_job(spec: Spec, checkpoint: bytes | None = None, number: int = 0) -> Job:
    attempt = 1 if checkpoint is None else 2
    return Job(number, attempt, spec, dict(spec.fixed), spec.seed, "cpu", 1, checkpoint)


def prepared(spec: Spec) -> Training:
    """The training of a spec before its first epoch."""
    job = small_job(spec)
    torch.set_num_threads(job.threads)
    return prepare(job, drawn_data(spec))


def reports(spec: Spec, checkpoint: bytes | None = None) -> list[Report]:
    """Run a job to its end."""
    return list(run(small_job(spec, checkpoint), drawn_data(spec), StopFlag()))


def result(spec: Spec) -> Result:
    """What comes of a trial that nothing interrupts; trained once in a session."""
    return _result(spec.to_json())


@cache
def _result(spec: str) -> Result:
    return ended(reports(Spec.from_json(spec)))


def ended(found: list[Report]) -> Result:
    assert isinstance(found[-1], Result)
    return found[-1]


def stopped_after(spec: Spec, epoch: int) -> bytes:
    """The checkpoint of a trial that was asked to stop in this epoch; trained once in a session."""
    return _stopped_after(spec.to_json(), epoch)


@cache
def _stopped_after(text: str, epoch: int) -> bytes:
    spec, stop, kept = Spec.from_json(text), StopFlag(), None
    for report in train(small_job(spec), drawn_data(spec), stop):
        if isinstance(report, Epoch) and report.row.epoch == epoch:
            stop.raise_()
        if isinstance(report, Snapshot):
            kept = report.checkpoint()
    assert kept is not None
    assert kept.epoch == epoch
    return kept.data


def curve(outcome: Result) -> list[tuple[Any, ...]]:
    """All that a curve says but for the wall time, which is never twice the same."""
    return [
        tuple(value for name, value in vars(row).items() if name != "seconds")
        for row in outcome.curve
    ]
