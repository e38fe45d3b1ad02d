"""Whether two trainings that ask for it give the same bits, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fre_hpo.bench import ours
from fre_hpo.bench.measures import Figure, LeftOut, Part, as_arms, compare
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.timing import Work, interleave
from fre_hpo.training.engine import Engine

EPOCHS = 2


def measure(setup: Setup) -> Part:
    """Two short trainings compared bit by bit, and epochs against those of the default engine."""
    strict = replace(setup.engine, deterministic=True)
    about = (
        f"two trainings of {EPOCHS} epochs with engine.deterministic, shape {setup.shape.name}, "
        "compared bit by bit; and what an epoch costs with it"
    )
    try:
        equal = same_bits(setup, strict)
        timings = interleave(
            [_epochs(setup, "default", setup.engine), _epochs(setup, "deterministic", strict)],
            setup.device,
            setup.seconds,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return Part("determinism", about, "ms", left_out=(LeftOut("deterministic", reason),))
    finally:
        setup.engine.set_up()
    return Part(
        name="determinism",
        about=about,
        unit="ms",
        arms=as_arms(timings, 1000),
        ratios=(compare(*timings),),
        figures=(Figure("same bits twice", float(equal), "", "1 means yes"),),
        notes=("two runs gave the same bits" if equal else "two runs differed",),
    )


def same_bits(setup: Setup, engine: Engine) -> bool:
    """Whether two trainings leave the same network behind."""
    first, second = _trained(setup, engine), _trained(setup, engine)
    return all(torch.equal(first[name], second[name]) for name in first)


def _trained(setup: Setup, engine: Engine) -> dict[str, Tensor]:
    pictures = setup.pictures(setup.shape)
    training = ours.training(setup.shape, pictures, engine, setup.device, epochs=EPOCHS)
    for _ in training.run():
        pass
    return training.network.state_dict()


def _epochs(setup: Setup, name: str, engine: Engine) -> Work:
    pictures = setup.pictures(setup.shape)
    rows = ours.training(setup.shape, pictures, engine, setup.device).run()
    return Work(name, lambda: next(rows), engine.set_up)
