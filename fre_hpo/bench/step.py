"""One training step on a batch that lies on the device: the engine alone, without data and epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from fre_hpo.bench import ours
from fre_hpo.bench.measures import Figure, LeftOut, Part, Ratio, Timing, as_arms, compare
from fre_hpo.bench.reference import R0, R1, Reference, Style
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.timing import Work, interleave, seconds_of
from fre_hpo.training.engine import PLAIN, Engine

OURS, COMPILED, TWIN, LAYOUT = "ours", "ours compiled", "plain twin", "float32 channels_last"
AGAINST_R0 = {"cpu": 1.4}
"""Goals by the shape they were set for."""
AGAINST_R1 = {"cpu": 0.97}
SIDE = 8192
"""Of the square matrices whose product is the device's measured peak."""


def measure(setup: Setup) -> Part:
    """Steps of the references, our engines and their plain twin; raises nothing of its own."""
    works, left_out = _works(setup)
    timings = {t.name: t for t in interleave(works, setup.device, setup.seconds)}
    shape = setup.shape
    return Part(
        name="step",
        about=f"one training step of {shape.batch} pictures that lie on the device, shape "
        f"{shape.name}; ours is {setup.engine}",
        unit="ms",
        arms=as_arms(list(timings.values()), 1000),
        ratios=tuple(_ratios(timings, shape.name)),
        figures=tuple(_utilisation(setup, timings)),
        left_out=tuple(left_out),
    )


def _works(setup: Setup) -> tuple[list[Work], list[LeftOut]]:
    engines = {
        OURS: setup.engine,
        TWIN: PLAIN,
        LAYOUT: replace(setup.engine, precision="float32"),
    }
    works = [_reference(setup, R0)]
    if setup.not_compiled:
        left_out = [LeftOut(name, setup.not_compiled) for name in (R1.name, COMPILED)]
        return [*works, *_engines(setup, engines)], left_out
    engines[COMPILED] = replace(setup.engine, compiled=True)
    return [*works, _reference(setup, R1), *_engines(setup, engines)], []


def _engines(setup: Setup, engines: dict[str, Engine]) -> list[Work]:
    return [
        Work(name, ours.Step(setup.shape, engine, setup.device), engine.set_up)
        for name, engine in engines.items()
    ]


def _reference(setup: Setup, style: Style) -> Work:
    out = setup.folder / f"step-{style.name}"
    out.mkdir()
    reference = Reference(setup.shape, style, setup.device, setup.pictures(setup.shape), out)
    return Work(style.name, _resident_step(reference, setup), reference.enter)


def _resident_step(reference: Reference, setup: Setup) -> Callable[[], object]:
    images, labels = ours.batch(setup.shape, setup.device)
    if reference.style.tuned:
        images = images.to(memory_format=torch.channels_last)
    return partial(reference.step, images, labels)


def _ratios(timings: dict[str, Timing], shape: str) -> list[Ratio]:
    found = [
        compare(timings[R0.name], timings[OURS], goal=AGAINST_R0.get(shape)),
        compare(timings[TWIN], timings[OURS], gated=True),
        compare(timings[TWIN], timings[LAYOUT], gated=True),
    ]
    if COMPILED in timings:
        found += [
            compare(timings[R1.name], timings[COMPILED], goal=AGAINST_R1.get(shape)),
            compare(timings[TWIN], timings[COMPILED], gated=True),
        ]
    return found


def _utilisation(setup: Setup, timings: dict[str, Timing]) -> list[Figure]:
    """What share of a GPU's measured peak a step reaches; nothing for a CPU."""
    if setup.device.type != "cuda":
        return []
    fastest = timings.get(COMPILED, timings[OURS])
    achieved = flops_of_step(setup) / fastest.median
    peak = measured_peak(setup.device)
    return [
        Figure(f"computed by {fastest.name}", achieved / 1e12, "TFLOP/s"),
        Figure(f"bfloat16 product of two {SIDE} x {SIDE} matrices", peak / 1e12, "TFLOP/s"),
        Figure("share of it", 100 * achieved / peak, "%", "at least 30 at the shape mouse"),
    ]


def flops_of_step(setup: Setup) -> int:
    """Floating-point operations of a training step, forward and backward."""
    step = ours.Step(setup.shape, PLAIN, setup.device)
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def measured_peak(device: torch.device, side: int = SIDE) -> float:
    """Operations a second in the product of two square bfloat16 matrices, the best of several."""
    left = torch.rand(side, side, device=device, dtype=torch.bfloat16)
    work = Work("product", partial(torch.matmul, left, left))
    seconds_of(work, device, times=3)
    return 2 * side**3 / min(seconds_of(work, device, times=5) for _ in range(5))
