"""A run of one part or of all, with one report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch

from fre_hpo.bench import machine
from fre_hpo.bench.measures import Part
from fre_hpo.bench.report import Report
from fre_hpo.bench.request import ALL, GROUPS, OTHERS, PARTS, Request
from fre_hpo.bench.setup import Setup, compiler_problem
from fre_hpo.bench.shapes import SHAPES, Shape
from fre_hpo.errors import UsageError, nearest

SECONDS, TINY_SECONDS = 20.0, 3.0
NOT_ASKED = "asked for with --compile"


def run(request: Request, tell: Callable[[str], None]) -> Report:
    """Measure; ``tell`` hears what comes next.  Everything written lies in a folder that is removed.

    Raises UsageError for a shape that is not known, NoResources without the device.
    """
    device = machine.pick_device(request.device)
    with ExitStack() as stack:
        if request.tiny:
            stack.enter_context(one_thread())
        facts = {**machine.describe(device), "load_before": machine.load_average()}
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fre-hpo-bench-"))
        setup = _setup(request, device, Path(folder))
        parts = []
        for name in GROUPS.get(request.part, (request.part,)):
            tell(f"Measuring {name} ...")
            parts += _measure(name, setup, request)
            if device.type == "cuda":
                torch.cuda.empty_cache()
    facts["load_after"] = machine.load_average()
    return Report(facts, setup.shape, tuple(parts))


@contextmanager
def one_thread() -> Iterator[None]:
    """Within this block torch computes in one thread.  Several that wait for each other take many times
    as long where other processes want the cores, too; a check must not depend on that."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _setup(request: Request, device: torch.device, folder: Path) -> Setup:
    wanted = device.type == "cuda" if request.compiled is None else request.compiled
    return Setup(
        shape=_shape(request, device.type),
        device=device,
        not_compiled=compiler_problem(device) if wanted else NOT_ASKED,
        seconds=request.seconds or (TINY_SECONDS if request.tiny else SECONDS),
        tiny=request.tiny,
        folder=folder,
        storage=request.storage,
    )


def _shape(request: Request, kind: str) -> Shape:
    if request.shape is not None and request.shape not in SHAPES:
        hint = nearest(request.shape, SHAPES)
        raise UsageError(problem=f"No shape is called {request.shape!r}: {hint}")
    default = "tiny" if request.tiny else "mouse" if kind == "cuda" else "cpu"
    return SHAPES[request.shape or default]


def _measure(name: str, setup: Setup, request: Request) -> list[Part]:
    module = import_module("fre_hpo.bench." + {**PARTS, **OTHERS}[name])
    parts = [module.measure(setup)]
    on_gpu = setup.device.type == "cuda" and not request.tiny
    if name == "epoch" and request.part == ALL and on_gpu and request.shape is None:
        parts.append(module.measure_arms(replace(setup, shape=SHAPES["drosophila"])))
    return parts
