"""A process that trains when it is told to; several of them share a device.

It writes "ready" once it is warm.  Each line that it reads, {"seconds": s, "threads": n}, makes it train
for that long; it answers {"epochs": e, "seconds": s, "memory_mb": m}.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from fre_hpo.bench import ours
from fre_hpo.bench.shapes import SHAPES
from fre_hpo.bench.timing import synchronise
from fre_hpo.training.engine import choose
from fre_hpo.training.loop import EpochRow

WARM = 2
"""Epochs."""


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description="Train when told to.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    device = torch.device(given.device)
    rows = ours.training(SHAPES[given.shape], given.folder, choose("auto", device), device).run()
    for _ in range(WARM):
        next(rows)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if device.type == "cpu":
            torch.set_num_threads(order["threads"])
        print(json.dumps(_train(rows, order["seconds"], device)), flush=True)


def _train(rows: Iterator[EpochRow], seconds: float, device: torch.device) -> dict[str, Any]:
    """At least one epoch, and as many as begin within the time."""
    started = time.perf_counter()
    epochs = 0
    while epochs == 0 or time.perf_counter() - started < seconds:
        next(rows)
        epochs += 1
    synchronise(device)
    taken = time.perf_counter() - started
    return {"epochs": epochs, "seconds": taken, "memory_mb": _memory(device)}


def _memory(device: torch.device) -> float:
    """MB that this process had at most: on a GPU what torch reserved there, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
