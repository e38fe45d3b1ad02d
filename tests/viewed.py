"""Studies as figures see them, drawn without a storage: any method, any number of trials."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from fre_hpo.results.study_view import StudyView
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.space import Fixed, Range
from fre_hpo.study.spec import Spec, TrainingSpec
from ledgers import CLASSES, make_spec

EPOCHS = 2000


def make_view(
    method: str = "fre",
    complete: int = 50,
    failed: int = 0,
    running: int = 0,
    waiting: int = 0,
    *,
    name: str = "",
    epochs: int = EPOCHS,
    classes: tuple[str, ...] = CLASSES,
    seed: int = 0,
    **changes: Any,
) -> StudyView:
    """A study whose trials ended as told, in this order; changes: of the spec."""
    chance = random.Random(seed)
    spec = make_spec(method, training=TrainingSpec(epochs=epochs), **changes)
    states = ["COMPLETE"] * complete + ["FAIL"] * failed + ["RUNNING"] * running
    records = [_record(n, state, spec, classes, chance) for n, state in enumerate(states)]
    records += [_enqueued(len(records) + n) for n in range(waiting)]
    curves = {r.number: _curve(r, epochs, chance) for r in records if r.begun}
    return StudyView(name or f"mouse-{method}", spec, classes, tuple(records), curves, len(states))


def _record(
    number: int, state: str, spec: Spec, classes: tuple[str, ...], chance: random.Random
) -> TrialRecord:
    params = {name: _drawn(space, chance) for name, space in spec.searched.items()}
    ious = {name: chance.gauss(0.9 - 0.1 * i, 0.01) for i, name in enumerate(classes)}
    value = sum(ious.values()) / len(ious) - sum(math.log10(1 + p) for p in params.values()) / 200
    complete = state == "COMPLETE"
    return TrialRecord(
        number=number,
        state=state,
        value=value if complete else None,
        params=params,
        best_epoch=chance.randint(spec.training.epochs // 2 + 1, spec.training.epochs)
        if complete
        else None,
        epochs=spec.training.epochs if complete else None,
        class_iou=dict(ious) if complete else {},
        attempts=1,
        seed=number if not spec.searched else 0,
        started_at="2026-01-01T00:00:00.000+00:00",
        finished_at=None,
        worker=None,
        reason="the loss was nan" if state == "FAIL" else None,
    )


def _drawn(space: Fixed | Range, chance: random.Random) -> int | float:
    assert isinstance(space, Range)
    if space.log:
        value = math.exp(chance.uniform(math.log(space.low), math.log(space.high)))
    else:
        value = chance.uniform(space.low, space.high)
    return round(value) if space.integer else value


def _enqueued(number: int) -> TrialRecord:
    """A trial of which nothing is known yet."""
    nothing = dict.fromkeys(
        ("value", "best_epoch", "epochs", "seed", "started_at", "finished_at", "worker", "reason")
    )
    return TrialRecord(
        number=number, state="WAITING", params={}, class_iou={}, attempts=0, **nothing
    )


def _curve(record: TrialRecord, epochs: int, chance: random.Random) -> dict[int, float]:
    """The points that a storage keeps: a noisy rise, at most 200."""
    top = record.value or 0.7
    step = math.ceil(epochs / 199)
    kept = sorted({1, *range(step, epochs + 1, step), epochs})
    return {e: top * (1 - math.exp(-6 * e / epochs)) - abs(chance.gauss(0, 0.006)) for e in kept}


def with_record(view: StudyView, number: int, **changes: Any) -> StudyView:
    """The study with one trial changed."""
    records = [replace(r, **changes) if r.number == number else r for r in view.records]
    return replace(view, records=tuple(records))
