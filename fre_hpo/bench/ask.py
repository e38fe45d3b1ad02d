"""How long the sampler takes for a trial, in a study that has many."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

from optuna.trial import TrialState

from fre_hpo.bench.measures import Figure, Part
from fre_hpo.bench.rows import add_curves, fill, kind_of, new_study
from fre_hpo.bench.setup import Setup
from fre_hpo.study.ledger import CURVE_POINTS, Ledger

FINISHED, RUNNING, ASKS = 1000, 8, 25
EPOCHS = 2000
TINY_FINISHED, TINY_ASKS = 40, 4
GOAL = "under 100"


def measure(setup: Setup) -> Part:
    """Asks of a study whose trials run all the while, told and asked by turns, as a coordinator does."""
    finished, asks = (TINY_FINISHED, TINY_ASKS) if setup.tiny else (FINISHED, ASKS)
    with new_study(setup, **{"training.epochs": EPOCHS}) as (ledger, _):
        fill(ledger, finished, TrialState.COMPLETE)
        fill(ledger, RUNNING, TrialState.RUNNING)
        begun = time.perf_counter()
        ledger.records()
        opened = time.perf_counter() - begun
        seconds, cpu = _asked(ledger, asks)
    return Part(
        name="ask",
        about=f"a trial from the sampler, all its parameters in the storage ({kind_of(setup)}): "
        f"{RUNNING} trials run, {finished} are finished, {CURVE_POINTS} points each",
        unit="ms",
        figures=(
            Figure("median ask", 1000 * median(seconds), "ms", GOAL),
            Figure("slowest ask", 1000 * max(seconds), "ms"),
            Figure("of the median, this process's CPU", 1000 * median(cpu), "ms"),
            Figure("to read the study when it is opened", opened, "s"),
        ),
    )


def _asked(ledger: Ledger, asks: int) -> tuple[list[float], list[float]]:
    """Seconds of each ask, and of those, of CPU."""
    running = deque(r.number for r in ledger.records() if r.state == "RUNNING")
    class_iou: dict[str, float | None] = dict.fromkeys(ledger.charter.classes, 0.5)
    seconds, cpu = [], []
    for _ in range(asks):
        ledger.complete(running.popleft(), 0.5, 7, ledger.spec.training.epochs, class_iou)
        begun, cpu_begun = time.perf_counter(), time.process_time()
        running.append(ledger.ask().number)
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - cpu_begun)
        add_curves(ledger, [running[-1]])
    return seconds, cpu
