"""Whole trials in fresh processes, from the start of the first process to the last result on the disk."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from fre_hpo.bench.measures import Part, Timing, as_arms, compare
from fre_hpo.bench.reference import R0
from fre_hpo.bench.setup import Setup, product_problem
from fre_hpo.bench.shapes import Shape

TRIALS = 3
EPOCHS = {"tiny": 3, "cpu": 10}
OTHER_EPOCHS = 20
LONGEST = 60.0
"""Seconds after which no further round begins on a GPU, which is lent for minutes."""
GOAL = 1.5
"""On a CPU."""
RECIPE = """
dataset = "pairs"
[data]
folder = "{folder}"
images = "{{split}}/images/{{id}}.*"
masks = "{{split}}/masks/{{id}}.*"
channel = "all"
split = "given"
[data.labels]
{labels}
[model]
widths = {widths}
[training]
batch_size = {batch}
"""


def measure(setup: Setup) -> Part:
    """Three trials, ours against three processes of R0, in turns."""
    shape, epochs = setup.shape, EPOCHS.get(setup.shape.name, OTHER_EPOCHS)
    problem = product_problem()
    arms = {
        R0.name: _references(setup, epochs),
        "ours": _loop(setup, epochs) if problem else _product(setup, epochs),
    }
    theirs, ours = _rounds(arms, setup)
    notes = ["ours writes checkpoints, curves and best weights of every trial; R0 the best weights"]
    if problem:
        notes = [f"ours is the training loop alone, without study and storage: {problem}"]
    return Part(
        name="trial",
        about=f"{TRIALS} trials of {epochs} epochs one after the other, shape {shape.name}, from "
        "the start of the first process to the last result on the disk; memory is the largest sum "
        "over the processes that ran at once",
        unit="s",
        arms=as_arms([theirs, ours], 1),
        ratios=(compare(theirs, ours, goal=GOAL if setup.device.type == "cpu" else None),),
        notes=tuple(notes),
    )


Commands = Callable[[Path], Sequence[Sequence[str]]]
"""The command lines to run one after the other, given an empty folder to write to."""


def _rounds(arms: dict[str, Commands], setup: Setup) -> list[Timing]:
    """Run every arm once a round; the first round is as cold as a user's."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    peaks: dict[str, list[float]] = {name: [] for name in arms}
    begun = time.perf_counter()
    for number in range(1 if setup.tiny else 3):
        if setup.device.type == "cuda" and time.perf_counter() - begun > LONGEST:
            break
        for name in list(arms) if number % 2 else list(reversed(arms)):
            out = setup.folder / f"trials-{name}-{number}"
            out.mkdir()
            started, peak = time.perf_counter(), 0.0
            for command in arms[name](out):
                peak = max(peak, peak_memory(command, out))
            seconds[name].append(time.perf_counter() - started)
            peaks[name].append(peak)
    return [Timing(name, tuple(seconds[name]), None, max(peaks[name])) for name in arms]


def _references(setup: Setup, epochs: int) -> Commands:
    return lambda out: [
        [
            *_python("fre_hpo.bench.reference"),
            str(setup.pictures(setup.shape)),
            str(out / str(number)),
            *("--shape", setup.shape.name),
            *("--epochs", str(epochs)),
            *("--device", setup.device.type),
        ]
        for number in range(TRIALS)
    ]


def _loop(setup: Setup, epochs: int) -> Commands:
    return lambda out: [
        [
            *_python("fre_hpo.bench.loop"),
            str(setup.pictures(setup.shape)),
            str(out),
            *("--shape", setup.shape.name),
            *("--epochs", str(epochs)),
            *("--trials", str(TRIALS)),
            *("--device", setup.device.type),
        ]
    ]


def _product(setup: Setup, epochs: int) -> Commands:
    recipe = setup.folder / "trials.toml"
    recipe.write_text(_recipe(setup.shape, setup.pictures(setup.shape)), encoding="utf-8")
    return lambda out: [
        [
            *_python("fre_hpo"),
            "start",
            *("--dataset", str(recipe)),
            *("--home", str(out)),
            *("--storage", f"sqlite:///{out / 'fre-hpo.db'}"),
            *("--executor", "inline"),
            *("--device", setup.device.type),
            *("--trials", str(TRIALS)),
            *("--epochs", str(epochs)),
            "--quiet",
        ]
    ]


def _python(module: str) -> tuple[str, ...]:
    return sys.executable, "-m", module


def _recipe(shape: Shape, folder: Path) -> str:
    labels = "\n".join(f"class{label} = {label}" for label in range(shape.classes))
    return RECIPE.format(folder=folder, labels=labels, widths=list(shape.widths), batch=shape.batch)


def peak_memory(command: Sequence[str], folder: Path) -> float:
    """Run a command to its end and return the largest memory of its processes in MB, summed over those
    that ran at once; the largest single one's where psutil is missing.  Raises CalledProcessError with
    what it wrote."""
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        if find_spec("psutil"):
            peak = _watched(process)
        else:
            process.wait()
            unit = 1 if sys.platform == "darwin" else 1024
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6
    if process.returncode:
        text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
        raise subprocess.CalledProcessError(process.returncode, command, text)
    return peak


def _watched(process: subprocess.Popen[bytes]) -> float:
    """The largest sum, looked at ten times a second."""
    peak = 0.0
    while process.returncode is None:
        peak = max(peak, _resident(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    return peak


def _resident(pid: int) -> float:
    """MB of a process and all that it started; of those that have just ended, nothing."""
    import psutil  # type: ignore[import-untyped]

    total = 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total / 1e6
