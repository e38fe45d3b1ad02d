"""Several trainings on one device: as processes side by side, and as one array of networks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from fre_hpo.bench.array import array_form
from fre_hpo.bench.machine import cores
from fre_hpo.bench.measures import Figure, Part, Ratio, Timing, as_arms, compare
from fre_hpo.bench.setup import Setup

AT_ONCE = (1, 2, 3, 4)
ROUNDS = 5
ALONE = "one at a time"
BEST = "most epochs a second with"


def measure(setup: Setup) -> Part:
    """Epochs a second of 1 to 4 processes, and the array form of every convolution."""
    counts = AT_ONCE[:2] if setup.tiny else AT_ONCE
    timings = _timed(setup, counts)
    ratios = [compare(timings[0], timing) for timing in timings[1:]]
    array = array_form(setup, counts[-1])
    return Part(
        name="pack",
        about=f"trainings of the shape {setup.shape.name} at once on one device: the time of an "
        "epoch divided by how many are trained meanwhile, memory of all; and each convolution of "
        f"{counts[-1]} networks as one grouped convolution against one after the other",
        unit="ms",
        arms=as_arms(timings, 1000),
        ratios=(*ratios, *array.ratios),
        figures=(Figure(BEST, best_count(ratios), "trials at once"), *array.figures),
        notes=(advice(ratios, setup.device.type), *array.notes),
    )


class Worker:
    """A process that trains when it is told to."""

    def __init__(self, setup: Setup) -> None:
        command = [sys.executable, "-m", "fre_hpo.bench.pack_worker"]
        command += [str(setup.pictures(setup.shape)), "--shape", setup.shape.name]
        command += ["--device", setup.device.type]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_until_warm(self) -> None:
        assert self._read() == "ready"

    def train(self, seconds: float, threads: int) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"seconds": seconds, "threads": threads}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._read())
        return answer

    def _read(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if not line:
            raise ChildProcessError(f"a training process ended with code {self.process.wait()}")
        return line

    def close(self) -> None:
        """It ends when its input does."""
        self.process.communicate()


def _timed(setup: Setup, counts: Sequence[int]) -> list[Timing]:
    """Seconds an epoch of so many at once, divided by their number, in rounds."""
    workers = [Worker(setup) for _ in range(counts[-1])]
    rounds = 3 if setup.tiny else ROUNDS
    window = 2 * setup.seconds / rounds / len(counts)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    memory: dict[int, float] = dict.fromkeys(counts, 0.0)
    try:
        for worker in workers:
            worker.wait_until_warm()
        for number in range(rounds):
            for turn in range(len(counts)):
                count = counts[(turn + number) % len(counts)]
                answers = _together(workers[:count], window)
                rates[count].append(sum(a["epochs"] / a["seconds"] for a in answers))
                memory[count] = sum(a["memory_mb"] for a in answers)
    finally:
        for worker in workers:
            worker.close()
    return [
        Timing(_name(count), tuple(1 / r for r in rates[count]), None, memory[count])
        for count in counts
    ]


def _together(workers: Sequence[Worker], seconds: float) -> list[dict[str, Any]]:
    """All train at the same time, the cores divided among them."""
    threads = max(cores() // len(workers), 1)
    for worker in workers:
        worker.train(seconds, threads)
    return [worker.answer() for worker in workers]


def _name(count: int) -> str:
    return ALONE if count == 1 else f"{count} at once"


def best_count(ratios: Sequence[Ratio]) -> int:
    """How many at once: more than one only where that is shown to pay, and then the fewest that are not
    shown to be slower than the fastest."""
    best = _best(ratios)
    return int(best.to.split()[0]) if best else 1


def _best(ratios: Sequence[Ratio]) -> Ratio | None:
    paying = [ratio for ratio in ratios if ratio.low > 1]
    fastest = max((ratio.median for ratio in paying), default=1.0)
    return next((ratio for ratio in paying if ratio.high >= fastest), None)


def advice(ratios: Sequence[Ratio], kind: str) -> str:
    """What to put on the command line."""
    best = _best(ratios)
    if best is None:
        return f"best: {ALONE}, --parallel 1; nothing else is shown to be faster"
    count = best_count(ratios)
    flags = f"--parallel {count}"
    if kind == "cuda":
        flags = f"--gpus-per-trial {1 / count:.3g}"
    return f"best: {best.to}, {best.median:.2f} times the epochs a second: {flags}"
