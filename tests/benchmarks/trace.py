"""What it costs to record the traces behind Figures 2 and 9; no test.

    python tests/benchmarks/trace.py --size 256 --widths 16,32,64,128

Two trainings of one spec run epoch by epoch in turns, one of them traced in every epoch; beside them the
tracing alone is timed.  A schedule of 2000 epochs traces every eleventh, so that it pays a share of that.
The claim is less than 2 %.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from fre_hpo import data
from fre_hpo.bench.measures import Timing, compare
from fre_hpo.study import recipe
from fre_hpo.training.loop import Training
from fre_hpo.training.trace import POINTS, is_traced
from fre_hpo.trial import Job, TrainingData, prepare

FULL = 2000
"""Epochs of the paper's schedule."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""cpu: seconds of all threads of this process, which others on the machine lengthen less."""


def main() -> None:
    """Time all arms and print what tracing takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--widths", default="8,16,32,64")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--method", default="fre")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plain, traced = (_training(options, traced=on) for on in (False, True))
    works = {
        "epoch": partial(next, plain.run()),
        "traced epoch": partial(next, traced.run()),
        "trace": partial(_trace, traced),
    }
    most = min(options.rounds, POINTS - 10)
    timings = _interleaved(works, CLOCKS[options.clock], options.seconds, most)
    print(json.dumps(_report(*timings), indent=2), flush=True)


def _interleaved(
    works: Mapping[str, Callable[[], object]],
    clock: Callable[[], float],
    seconds: float,
    most: int,
) -> list[Timing]:
    """Every round runs every arm once, in an order that rotates, after two rounds of warming up."""
    names, taken = list(works), {name: [] for name in works}
    ends = time.perf_counter() + seconds
    for done in range(most + 2):
        for turn in range(len(names)):
            name = names[(turn + done) % len(names)]
            began = clock()
            works[name]()
            taken[name].append(clock() - began)
        if done >= 7 and time.perf_counter() > ends:
            break
    return [Timing(name, tuple(rounds[2:]), None) for name, rounds in taken.items()]


def _training(options: argparse.Namespace, *, traced: bool) -> Training:
    """Of a schedule that is so short that every epoch is traced, and long enough for all rounds."""
    changes = {
        "data.size": options.size,
        "data.train": options.images,
        "data.validation": max(options.images // 3, 1),
        "model.widths": [int(width) for width in options.widths.split(",")],
        "training.epochs": POINTS - 1,
        "training.trace": traced,
        "B": 4,
        "X": 30.0,
    }
    spec = recipe.resolve(recipe.find("phantom"), options.method, changes).spec
    drawn = data.load("phantom", None, spec.options)
    visible = TrainingData(drawn.classes, drawn.train, drawn.validation)
    return prepare(Job(0, 1, spec, dict(spec.fixed), 0, "cpu", options.threads), visible)


def _trace(training: Training) -> None:
    """As at the end of an epoch, where the network evaluates."""
    training.network.eval()
    with training.statistics.installed():
        training._trace(training.epoch)


def _report(plain: Timing, traced: Timing, alone: Timing) -> dict[str, Any]:
    """Shares in percent; of ratios the median and its 95 % interval."""
    ratio = compare(traced, plain)
    share = sum(is_traced(epoch, FULL) for epoch in range(1, FULL + 1)) / FULL
    of_epoch = alone.median / plain.median
    return {
        "milliseconds": {t.name: round(t.median * 1e3, 2) for t in (plain, traced, alone)},
        "rounds": len(plain.rounds),
        "traced epoch / epoch": [round(v, 4) for v in (ratio.median, ratio.low, ratio.high)],
        "trace alone, percent of an epoch": round(100 * of_epoch, 3),
        f"percent of {FULL} epochs, by the trace alone": round(100 * share * of_epoch, 3),
        f"percent of {FULL} epochs, by the ratio": [
            round(100 * share * (v - 1), 3) for v in (ratio.median, ratio.low, ratio.high)
        ],
    }


if __name__ == "__main__":
    main()
