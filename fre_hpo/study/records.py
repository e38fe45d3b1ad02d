"""A trial as it stands in the storage, in our words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

SEED = "seed"
ATTEMPTS = "attempts"
WORKER = "worker"
STARTED_AT = "started_at"
FINISHED_AT = "finished_at"
BEST_EPOCH = "best_epoch"
EPOCHS = "epochs"
CLASS_IOU = "class_iou"
REASON = "reason"


@dataclass(frozen=True)
class TrialRecord:
    """One row: what ``fre-hpo trials`` shows.

    state: Optuna's upper-case name.  value: the best validation mIoU, None until the trial is
    complete.  class_iou: of the best epoch, None for a class that the split lacks.  Times are ISO
    8601, UTC.
    """

    number: int
    state: str
    value: float | None
    params: dict[str, int | float]
    best_epoch: int | None
    epochs: int | None
    class_iou: dict[str, float | None]
    attempts: int
    seed: int | None
    started_at: str | None
    finished_at: str | None
    worker: str | None
    reason: str | None

    @property
    def begun(self) -> bool:
        """Whether the trial has all its parameters, unlike one that is only enqueued."""
        return self.seed is not None

    @property
    def complete(self) -> bool:
        return self.state == TrialState.COMPLETE.name

    @property
    def point(self) -> dict[str, Any]:
        """number, value and params, as JSON tells of a best trial."""
        return {"number": self.number, "value": self.value, "params": self.params}

    @property
    def counts(self) -> bool:
        """Whether the trial counts towards the study's total."""
        return self.state in (TrialState.COMPLETE.name, TrialState.PRUNED.name)


def record(trial: FrozenTrial) -> TrialRecord:
    attrs: dict[str, Any] = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        state=trial.state.name,
        value=trial.value if trial.state is TrialState.COMPLETE else None,
        params=dict(trial.params),
        best_epoch=attrs.get(BEST_EPOCH),
        epochs=attrs.get(EPOCHS),
        class_iou=attrs.get(CLASS_IOU, {}),
        attempts=attrs.get(ATTEMPTS, 0),
        seed=attrs.get(SEED),
        started_at=attrs.get(STARTED_AT),
        finished_at=attrs.get(FINISHED_AT),
        worker=attrs.get(WORKER),
        reason=attrs.get(REASON),
    )


def now() -> str:
    """The time as it is stored and logged; Optuna's own times are local to whoever wrote them."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def short(value: float) -> str:
    """A parameter's value: whole numbers whole, others with four significant digits."""
    is_whole = isinstance(value, int) or (value.is_integer() and abs(value) < 1e6)
    return str(int(value)) if is_whole else f"{value:.4g}"


def params_text(params: Mapping[str, float]) -> str:
    """B=162, X=632."""
    return ", ".join(f"{name}={short(value)}" for name, value in params.items()) or "-"


def best_of(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The complete trial with the highest value; the earliest of equals."""
    complete = [r for r in records if r.complete and r.value is not None]
    return max(complete, key=lambda r: (r.value or 0.0, -r.number), default=None)
