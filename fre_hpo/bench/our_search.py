"""A search of ours whose trials sleep."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import fre_hpo
from fre_hpo.bench.driving import STUDY, Order
from fre_hpo.bench.sleeping import sleeping_trainings
from fre_hpo.scheduling import ray_executor
from fre_hpo.scheduling.ray_executor import TrialActor


def search(order: Order, cpus: int) -> None:
    """As a user starts it, and starts it once more where it was killed."""
    ray_executor.TrialActor = _asleep(order)  # type: ignore[misc]
    home = Path(order.folder)
    storage = f"sqlite:///{home / 'fre-hpo.db'}"
    fre_hpo.start(
        "phantom",
        study=STUDY,
        home=home,
        storage=storage,
        trials=order.trials,
        parallel=order.parallel,
        device="cpu",
        settings=order.settings,
    )
    trials = fre_hpo.open_study(STUDY, home=home, storage=storage).trials()
    order.tell(states=Counter(t["state"] for t in trials), cpu_seconds=time.process_time())


def _asleep(order: Order) -> type[TrialActor]:
    """A worker in whose process trials sleep."""

    class SleepingActor(TrialActor):
        def __init__(self) -> None:
            super().__init__()
            self._asleep = sleeping_trainings(order.epoch_seconds, order.stamps)
            self._asleep.__enter__()

    return SleepingActor
