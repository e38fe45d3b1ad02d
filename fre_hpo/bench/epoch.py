"""Whole epochs: data, training, re-estimated statistics, validation, the best weights, the report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fre_hpo.bench import ours
from fre_hpo.bench.fixed import costs
from fre_hpo.bench.measures import Figure, LeftOut, Part, Ratio, Timing, as_arms, compare
from fre_hpo.bench.reference import R0, R1, Reference, Style
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.shapes import Shape
from fre_hpo.bench.timing import Work, interleave
from fre_hpo.training.engine import Engine

OURS, COMPILED = "ours", "ours compiled"
TRIALS, EPOCHS = 50, 2000
"""Of the paper's whole search."""
AGAINST_R0 = {"mouse": 3.0, "drosophila": 2.0}
"""Goals on a GPU, by shape."""
AGAINST_R1 = {"mouse": 1.3}


def measure(setup: Setup) -> Part:
    """Epochs of the references and ours, and what an epoch costs beside its computing."""
    part = measure_arms(setup)
    return replace(part, figures=(*part.figures, *costs(setup)))


def measure_arms(setup: Setup) -> Part:
    """Epochs of the references and ours on the setup's shape."""
    shape = setup.shape
    timings, left_out = timed(setup, shape)
    return Part(
        name="epoch",
        about=f"whole epochs at the shape {shape.name}: {shape.train} pictures to train, "
        f"{shape.validation} to validate; ours is {setup.engine} and re-estimates batch-norm "
        "statistics, the references do not",
        unit="ms",
        arms=as_arms(list(timings.values()), 1000),
        ratios=tuple(_ratios(timings, setup)),
        figures=tuple(_projection(timings.get(COMPILED, timings[OURS]), shape)),
        left_out=tuple(left_out),
        notes=("what the product does with an epoch's report is measured by search-overhead",),
    )


def timed(setup: Setup, shape: Shape) -> tuple[dict[str, Timing], list[LeftOut]]:
    """Epochs of all arms by turns."""
    styles, engines, left_out = [R0], {OURS: setup.engine}, []
    if setup.not_compiled:
        left_out = [LeftOut(name, setup.not_compiled) for name in (R1.name, COMPILED)]
    else:
        styles.append(R1)
        engines[COMPILED] = replace(setup.engine, compiled=True)
    references = [_reference(setup, shape, style) for style in styles]
    works = [Work(r.style.name, r.epoch, r.enter) for r in references]
    works += [_ours(setup, shape, name, engine) for name, engine in engines.items()]
    timings = interleave(works, setup.device, setup.seconds)
    for reference in references:
        reference.close()
    return {timing.name: timing for timing in timings}, left_out


def _ours(setup: Setup, shape: Shape, name: str, engine: Engine) -> Work:
    rows = ours.training(shape, setup.pictures(shape), engine, setup.device).run()
    return Work(name, partial(next, rows), engine.set_up)


def _reference(setup: Setup, shape: Shape, style: Style) -> Reference:
    out = setup.folder / f"epoch-{shape.name}-{style.name}"
    out.mkdir()
    return Reference(shape, style, setup.device, setup.pictures(shape), out)


def _ratios(timings: dict[str, Timing], setup: Setup) -> list[Ratio]:
    on_gpu, shape = setup.device.type == "cuda", setup.shape.name
    pairs = [(R0.name, OURS, AGAINST_R0), (R1.name, OURS, {}), (R1.name, COMPILED, AGAINST_R1)]
    return [
        compare(timings[of], timings[to], goal=goals.get(shape) if on_gpu else None)
        for of, to, goals in pairs
        if of in timings
    ]


def _projection(ours_timing: Timing, shape: Shape) -> list[Figure]:
    """How long the paper's search would take here, one trial after the other."""
    if shape.name != "mouse":
        return []
    minutes = TRIALS * EPOCHS * ours_timing.median / 60
    name = f"the whole search, {TRIALS} trials of {EPOCHS} epochs, projected from these"
    return [Figure(name, minutes, "min", "under 60 on one H100")]
