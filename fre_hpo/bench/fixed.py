"""What an epoch costs beside its computing.

On a CPU the loop is timed section by section: the rest is what is not forward, backward, optimiser or
evaluation.  A GPU computes while Python goes on, so there it is the wall time less the time in which the
GPU was busy, as torch's profiler saw it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from fre_hpo.bench import ours
from fre_hpo.bench.measures import Figure
from fre_hpo.bench.reference import R0, Reference
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.timing import Work, seconds_of, synchronise
from fre_hpo.model.unet import SEUNet
from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.engine import Engine
from fre_hpo.training.loop import Training
from fre_hpo.training.metrics import Confusion
from fre_hpo.training.optimiser import Adam

WARM = 2
"""Epochs before the first that counts."""
GOALS = {"cpu": "at most 5 for the mouse cells", "cuda": "at most 2 for the mouse cells"}
LEARNING, EVALUATION, STATISTICS = "learning", "evaluation", "re-estimation"


class Watch:
    """Seconds by section; a section within another one counts as the other.  Waits for the device at
    both ends of a section."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    def begin(self, name: str, device: torch.device) -> None:
        self._open.append(name)
        if len(self._open) == 1:
            synchronise(device)
            self._since = time.perf_counter()

    def end(self, device: torch.device) -> None:
        name = self._open.pop()
        if not self._open:
            synchronise(device)
            self.seconds[name] += time.perf_counter() - self._since

    @contextmanager
    def section(self, name: str, device: torch.device) -> Iterator[None]:
        self.begin(name, device)
        yield
        self.end(device)


class TimedAdam(Adam):
    """Its step ends the section that the forward pass began."""

    watch: Watch

    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        self.watch.end(self.param_groups[0]["params"][0].device)
        return result


@dataclass(frozen=True)
class TimedEngine(Engine):
    """An engine that times what the loop asks of it; computes as the one it is made of."""

    watch: Watch = field(default_factory=Watch, compare=False, kw_only=True)

    @classmethod
    def of(cls, engine: Engine) -> TimedEngine:
        return cls(**{f.name: getattr(engine, f.name) for f in fields(engine)})

    def adam(self, network: SEUNet, learning_rate: float) -> Adam:
        adam = TimedAdam(network.parameters(), lr=learning_rate, fused=self.fused)
        adam.watch = self.watch
        return adam

    def forward_both(self, network: SEUNet, images: Tensor) -> tuple[Tensor, Tensor | None]:
        self.watch.begin(LEARNING, images.device)
        return super().forward_both(network, images)

    def forward(self, network: SEUNet, images: Tensor) -> Tensor:
        with self.watch.section(STATISTICS, images.device):
            return super().forward(network, images)


class TimedTraining(Training):
    """A training whose evaluation is timed too; forward passes outside of it re-estimate statistics."""

    @torch.no_grad()
    def measure(self, split: DeviceSplit) -> Confusion:
        assert isinstance(self.engine, TimedEngine)
        with self.engine.watch.section(EVALUATION, split.images.device):
            return super().measure(split)


class TimedReference(Reference):
    """A user's script, timed as ours is."""

    watch: Watch

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        with self.watch.section(LEARNING, images.device):
            return super().step(images, labels)

    def predict(self, images: Tensor) -> Tensor:
        with self.watch.section(EVALUATION, images.device):
            return super().predict(images)


@dataclass(frozen=True)
class Loop:
    """Epochs that can be run one by one, beside the watch that sees their sections."""

    work: Work
    watch: Watch


def costs(setup: Setup) -> list[Figure]:
    """The fixed cost of an epoch, ours and R0's, and the share of the re-estimated statistics."""
    loops = [_ours(setup), _reference(setup)]
    walls, timed, shares = _sections(loops, setup.device, 3 if setup.tiny else 12)
    rests: list[float | None] = list(timed)
    if setup.device.type == "cuda":
        rests = [_beside_the_gpu(work, setup.device) for work in _untimed(setup)]
    goal, name = GOALS.get(setup.device.type, ""), setup.searched.name
    beside = [
        Figure(f"an epoch beside its computing, {who} ({name})", 1000 * rest, "ms", aim)
        for who, aim, rest in zip(("ours", R0.name), (goal, ""), rests, strict=True)
        if rest is not None
    ]
    return [
        *beside,
        Figure("an epoch of ours there, timed in sections", 1000 * walls[0], "ms"),
        Figure("share of the re-estimated statistics in it", 100 * shares[0], "%", "at most 5"),
    ]


def _ours(setup: Setup) -> Loop:
    engine = TimedEngine.of(setup.engine)
    shape = setup.searched
    rows = ours.training(
        shape, setup.pictures(shape), engine, setup.device, kind=TimedTraining
    ).run()
    return Loop(Work("ours", lambda: next(rows), engine.set_up), engine.watch)


def _reference(setup: Setup) -> Loop:
    out = setup.folder / "fixed-R0"
    out.mkdir()
    shape = setup.searched
    reference = TimedReference(shape, R0, setup.device, setup.pictures(shape), out)
    reference.watch = Watch()
    return Loop(Work("R0", reference.epoch, reference.enter), reference.watch)


def _untimed(setup: Setup) -> list[Work]:
    """Both loops without a watch, which would wait for the GPU at every section."""
    shape, out = setup.searched, setup.folder / "untimed-R0"
    out.mkdir()
    pictures = setup.pictures(shape)
    rows = ours.training(shape, pictures, setup.engine, setup.device).run()
    reference = Reference(shape, R0, setup.device, pictures, out)
    return [
        Work("ours", lambda: next(rows), setup.engine.set_up),
        Work("R0", reference.epoch, reference.enter),
    ]


def _sections(
    loops: list[Loop], device: torch.device, epochs: int
) -> tuple[list[float], list[float], list[float]]:
    """For each loop the medians over epochs of the wall time, of what is in no section, and of the
    share of the re-estimated statistics."""
    found: list[list[tuple[float, float, float]]] = [[] for _ in loops]
    for epoch in range(WARM + epochs):
        for loop, rows in zip(loops, found, strict=True):
            loop.watch.seconds.clear()
            wall = seconds_of(loop.work, device)
            sections = dict(loop.watch.seconds)
            if epoch >= WARM:
                share = sections.get(STATISTICS, 0.0) / wall
                rows.append((wall, wall - sum(sections.values()), share))
    medians = np.median(np.asarray(found), axis=1)
    walls, rests, shares = medians.T.tolist()
    return walls, rests, shares


def _beside_the_gpu(work: Work, device: torch.device, epochs: int = 7) -> float | None:
    """Seconds of an epoch in which the GPU waits, None where the profiler does not see the GPU; it slows
    only the epoch in which it looks."""
    seconds_of(work, device, times=WARM)
    wall = float(np.median([seconds_of(work, device) for _ in range(epochs)]))
    busy = busy_seconds(work.run, device)
    return wall - busy if busy else None


def busy_seconds(run: Callable[[], object], device: torch.device) -> float:
    """Seconds in which a GPU did anything during a run: kernels, copies, fills."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        run()
        synchronise(device)
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in seen.events()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]
    return covered(spans) / 1e6


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of a union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total
