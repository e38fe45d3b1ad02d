"""How fast a training runs and how much memory it takes, measured on itself while it trains."""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass

import torch

from fre_hpo.training.loop import Training

WARM_SECONDS = 1.0
"""At least, and at least one epoch: in it kernels are chosen and, where asked for, compiled."""


@dataclass(frozen=True)
class Pace:
    """Epochs that were trained in so many seconds."""

    epochs: int
    seconds: float

    @property
    def rate(self) -> float:
        """Epochs a second."""
        return self.epochs / self.seconds


@dataclass(frozen=True)
class Memory:
    """Bytes.  taken: by this process, at most.  free and total: of the device, whoever uses it."""

    taken: int
    free: int
    total: int


class Pacer:
    """A training that goes on for some seconds whenever it is told to."""

    def __init__(self, training: Training, threads: int) -> None:
        torch.set_num_threads(threads)
        self._device = training.train.images.device
        self._rows = training.run()

    def warm_up(self) -> Memory:
        """What a warm training takes."""
        self.train(WARM_SECONDS)
        return memory(self._device)

    def train(self, seconds: float) -> Pace:
        """At least one epoch, and as many as begin within the time."""
        started = time.perf_counter()
        epochs = 0
        while epochs == 0 or time.perf_counter() - started < seconds:
            next(
                self._rows
            )  # its loss and its confusion are on the CPU: nothing is left to compute
            epochs += 1
        return Pace(epochs, time.perf_counter() - started)


def memory(device: torch.device) -> Memory:
    """On a GPU what torch reserved there, elsewhere the resident memory of this process."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Memory(torch.cuda.max_memory_reserved(device), free, total)
    unit = 1 if sys.platform == "darwin" else 1024
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    page = os.sysconf("SC_PAGE_SIZE")
    free, total = os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
    return Memory(taken, free, total)
