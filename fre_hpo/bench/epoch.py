"""Whole epochs: data, training, re-estimated statistics, validation, the best weights, the report."""

from __future__ import annotations

from dataclasses import replace

from fre_hpo.bench import ours
from fre_hpo.bench.fixed import costs
from fre_hpo.bench.measures import Figure, LeftOut, Part, Ratio, Timing, as_arms, compare
from fre_hpo.bench.reference import R0, R1, Reference, Style
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.shapes import Shape
from fre_hpo.bench.timing import Work, interleave

OURS = "ours"
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
        figures=tuple(_projection(timings[OURS], shape)),
        left_out=tuple(left_out),
        notes=("what the product does with an epoch's report is measured by search-overhead",),
    )


def timed(setup: Setup, shape: Shape) -> tuple[dict[str, Timing], list[LeftOut]]:
    """Epochs of all arms by turns."""
    styles = [R0, R1] if setup.compiled else [R0]
    left_out = [LeftOut(R1.name, setup.not_compiled)] if setup.not_compiled else []
    references = [_reference(setup, shape, style) for style in styles]
    rows = ours.training(shape, setup.pictures(shape), setup.engine, setup.device).run()
    works = [Work(r.style.name, r.epoch, r.enter) for r in references]
    works.append(Work(OURS, lambda: next(rows), setup.engine.set_up))
    timings = interleave(works, setup.device, setup.seconds)
    for reference in references:
        reference.close()
    return {timing.name: timing for timing in timings}, left_out


def _reference(setup: Setup, shape: Shape, style: Style) -> Reference:
    out = setup.folder / f"epoch-{shape.name}-{style.name}"
    out.mkdir()
    return Reference(shape, style, setup.device, setup.pictures(shape), out)


def _ratios(timings: dict[str, Timing], setup: Setup) -> list[Ratio]:
    on_gpu = setup.device.type == "cuda"
    goals = [AGAINST_R0, AGAINST_R1] if on_gpu else [{}, {}]
    return [
        compare(timings[style.name], timings[OURS], goal=goal.get(setup.shape.name))
        for style, goal in zip((R0, R1), goals, strict=True)
        if style.name in timings
    ]


def _projection(ours_timing: Timing, shape: Shape) -> list[Figure]:
    """How long the paper's search would take here, one trial after the other."""
    if shape.name != "mouse":
        return []
    minutes = TRIALS * EPOCHS * ours_timing.median / 60
    name = f"the whole search, {TRIALS} trials of {EPOCHS} epochs, projected from these"
    return [Figure(name, minutes, "min", "under 60 on one H100")]
