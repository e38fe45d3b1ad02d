"""A search whose epochs sleep: everything of the product takes part but the computing."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fre_hpo
from fre_hpo import trial
from fre_hpo.bench.measures import Figure, Part
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.stamps import Stamps
from fre_hpo.training.loop import EpochRow, Training
from fre_hpo.trial import Job, TrainingData

EPOCH_SECONDS = 0.05
FULL_EPOCHS = 2000
CHECKPOINT_SECONDS = 60.0
"""As the recipes have it."""
WIDTHS = (64, 128, 256, 512)
"""The paper's network: a checkpoint of 93 MB."""


class SleepingTraining(Training):
    """A training whose epochs learn nothing and take ``epoch_seconds``; its state is a real one.

    stamps: where it writes down when each epoch began and ended, None for nowhere.
    """

    epoch_seconds = EPOCH_SECONDS
    stamps: Stamps | None = None

    @classmethod
    def of(cls, training: Training) -> SleepingTraining:
        """The same training from where it is, asleep."""
        asleep = cls.__new__(cls)
        vars(asleep).update(vars(training))
        return asleep

    def run(self) -> Iterator[EpochRow]:
        confusion = self.measure(self.validation)
        self._keep_if_best(1, confusion)
        while self.epoch < self.schedule.epochs:
            begun = time.time()
            time.sleep(self.epoch_seconds)
            iou = (0.5,) * self.classes
            row = EpochRow(self.epoch + 1, 1.0, 0.5, 0.5, None, iou, 1e-3, self.epoch_seconds)
            self.curve.append(row)
            if self.stamps:
                self.stamps.write(self.epoch, begun, time.time())
            yield row


@dataclass(frozen=True)
class Spent:
    """Seconds of a trial: training, from its first epoch to its last; ending, until it was told."""

    training: float
    ending: float
    checkpoints: int


def measure(setup: Setup, name: str, about: str) -> Part:
    """One trial in a search of its own; its study is deleted again."""
    epochs = max(int(setup.seconds / EPOCH_SECONDS), 40)
    before = asleep()
    spent = _spent(setup, epochs)
    slept = (epochs - 1) * (before + asleep()) / 2
    rate = spent.training / slept - 1
    whole = FULL_EPOCHS * EPOCH_SECONDS
    kind = "SQLite" if setup.storage is None else setup.storage.partition(":")[0]
    return Part(
        name=name,
        about=f"{about}: {epochs} epochs of {1000 * EPOCH_SECONDS:.0f} ms, {kind}, "
        f"{spent.checkpoints} checkpoint(s)",
        unit="%",
        figures=(
            Figure("cost of reports and checkpoints while training", 100 * rate, "%"),
            Figure("from the last epoch until the trial is told", 1000 * spent.ending, "ms"),
            Figure(
                f"both in a trial of {FULL_EPOCHS} epochs",
                100 * (rate + spent.ending / whole),
                "%",
                "under 1 on PostgreSQL",
            ),
        ),
    )


def asleep(times: int = 20) -> float:
    """How long a sleep of an epoch's length really takes here."""
    started = time.perf_counter()
    for _ in range(times):
        time.sleep(EPOCH_SECONDS)
    return (time.perf_counter() - started) / times


def _spent(setup: Setup, epochs: int) -> Spent:
    study = f"bench-{uuid.uuid4().hex[:12]}"
    home = setup.folder / "sleeping"
    storage = setup.storage or f"sqlite:///{home / 'fre-hpo.db'}"
    home.mkdir()
    with sleeping_trainings():
        fre_hpo.start(
            "phantom",
            study=study,
            home=home,
            storage=storage,
            trials=1,
            executor="inline",
            device="cpu",
            settings=_settings(setup, epochs),
        )
    spent = _read(home / "studies" / study / "events.jsonl")
    fre_hpo.open_study(study, home=home, storage=storage).delete()
    return spent


def _settings(setup: Setup, epochs: int) -> dict[str, Any]:
    """At least one checkpoint, however short the trial is."""
    every = min(CHECKPOINT_SECONDS, 0.6 * epochs * EPOCH_SECONDS)
    widths = setup.shape.widths if setup.tiny else WIDTHS
    return {
        "model.widths": list(widths),
        "training.epochs": epochs,
        "training.checkpoint_seconds": every,
    }


@contextmanager
def sleeping_trainings(
    epoch_seconds: float = EPOCH_SECONDS, stamps: Path | None = None
) -> Iterator[None]:
    """Within this block trials sleep instead of training."""
    prepare = trial.prepare

    def prepare_sleeping(job: Job, data: TrainingData) -> Training:
        asleep = SleepingTraining.of(prepare(job, data))
        asleep.epoch_seconds = epoch_seconds
        asleep.stamps = Stamps(stamps, str(job.number)) if stamps else None
        return asleep

    trial.prepare = prepare_sleeping  # type: ignore[assignment]
    try:
        yield
    finally:
        trial.prepare = prepare


def _read(events: Path) -> Spent:
    """From the times in a study's event log."""
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    times = {
        kind: [datetime.fromisoformat(line["time"]) for line in lines if line["event"] == kind]
        for kind in ("epoch", "checkpoint", "trial_finished")
    }
    first, last = times["epoch"][0], times["epoch"][-1]
    return Spent(
        (last - first).total_seconds(),
        (times["trial_finished"][0] - last).total_seconds(),
        len(times["checkpoint"]),
    )
