"""What the batch-norm rule of evaluation (design 3.10) does to a search's points; no test.

    python tests/benchmarks/batchnorm.py --out batchnorm.csv --processes 2
    python tests/benchmarks/batchnorm.py --out batchnorm.csv --read --picture batchnorm.png

Every training is measured by both rules after each epoch, on the same weights.  At its end two more
measurements say what the plain network does: with its statistics over all training images, of which
"recalibrate" takes 16, and over the validation images, which neither rule has seen.  The file has a line
for each training; a second call trains what is missing.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import statistics
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fre_hpo import data
from fre_hpo.study import recipe
from fre_hpo.study.spec import Spec
from fre_hpo.training.batchnorm import EvaluationStatistics, statistics_layers
from fre_hpo.training.loop import Training
from fre_hpo.training.metrics import mean_iou
from fre_hpo.trial import Job, TrainingData, prepare

REPOSITORY = Path(__file__).resolve().parents[2]
NORMS = ("batch", "batch_renorm")
UPSAMPLES = ("transposed", "bilinear")
POINTS = {
    "baseline": (0, 1.0),
    "mild": (4, 4.0),
    "paper's": (1, 250.0),  # Table 2: B=8 of 512 maps are 1 of this network's 64
    "strong": (16, 1000.0),  # 128 of 512
}
COLOURS = dict(zip(POINTS, ("#222222", "#009e73", "#0072b2", "#d55e00"), strict=True))


@dataclass(frozen=True)
class Trial:
    """One training.  B = 0 is the baseline."""

    norm: str
    upsample: str
    B: int
    X: float
    seed: int
    epochs: int


@dataclass(frozen=True)
class Measured:
    """Validation mIoU of a trial: after each epoch by the running and by the recalibrated statistics; and
    of the last network by its plain statistics over all training images and over the validation images.

    layer: where the running standard deviations are farthest from the plain network's, which they exceed
    ``ratio`` times (geometric mean over channels).  seconds: of training, with validation.
    """

    trial: Trial
    running: tuple[float, ...]
    recalibrated: tuple[float, ...]
    by_training: float
    by_validation: float
    layer: str
    ratio: float
    seconds: float


Value = Callable[[Measured], float]
Table = list[list[str]]
RULES = ("running", "recalibrated")
PLAIN = ("plain, training images", "plain, validation images")
FINAL: dict[str, Value] = {
    "running": lambda m: m.running[-1],
    "recalibrated": lambda m: m.recalibrated[-1],
    PLAIN[0]: lambda m: m.by_training,
    PLAIN[1]: lambda m: m.by_validation,
}
VALUES: dict[str, Value] = FINAL | {
    "best running": lambda m: max(m.running),
    "best recalibrated": lambda m: max(m.recalibrated),
}
"""With the best epoch by each rule, which is what a search compares."""


def main() -> None:
    """Train what is missing, print the tables, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="drosophila-quick")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared/data/drosophila")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    parser.add_argument("--out", type=Path, default=Path("batchnorm.csv"))
    parser.add_argument("--read", action="store_true", help="train nothing")
    parser.add_argument("--picture", type=Path, help="PNG or SVG of the curves")
    options = parser.parse_args()
    if not options.read:
        train_missing(options)
    found = [m for m in read(options.out) if m.trial in wanted(options)]
    print(
        "\n\n".join(map(markdown, (scores(found), errors(found), rankings(found), winners(found))))
    )
    if options.picture:
        draw(found, options.picture)


def wanted(options: argparse.Namespace) -> list[Trial]:
    """Seed by seed, so that what there is when one stops is balanced."""
    return [
        Trial(norm, upsample, B, X, seed, options.epochs)
        for seed, norm, upsample, (B, X) in itertools.product(
            range(options.seeds), NORMS, UPSAMPLES, POINTS.values()
        )
    ]


def train_missing(options: argparse.Namespace) -> None:
    """Each trial's line is written as it comes."""
    done = {measured.trial for measured in read(options.out)}
    missing = [trial for trial in wanted(options) if trial not in done]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn) as pool:
        work = partial(measure, recipe_name=options.recipe, folder=options.data)
        for number, future in enumerate(as_completed([pool.submit(work, t) for t in missing])):
            found = future.result()
            append(options.out, found)
            last = f"running {found.running[-1]:.4f} recalibrated {found.recalibrated[-1]:.4f}"
            left = f"{number + 1}/{len(missing)}"
            print(f"{left} {found.trial} {last} in {found.seconds:.0f} s", flush=True)


def measure(trial: Trial, recipe_name: str, folder: Path) -> Measured:
    """Train one network by the project's own loop, and measure it by both rules after every epoch."""
    torch.set_num_threads(1)
    spec = make_spec(trial, recipe_name)
    job = Job(0, 1, spec, dict(spec.fixed), trial.seed, "cpu", 1)
    training = prepare(job, visible(recipe_name, folder))
    running, recalibrated, seconds = [], [], 0.0
    for row in training.run():
        recalibrated.append(row.miou)
        running.append(mean_iou(training.measure(training.validation)))
        seconds += row.seconds
    stds = running_stds(training)
    by_training, plain_stds = by_statistics_of(training, training.train.images)
    by_validation, _ = by_statistics_of(training, training.validation.images)
    layer, ratio = farthest(stds, plain_stds)
    return Measured(
        trial,
        tuple(running),
        tuple(recalibrated),
        by_training,
        by_validation,
        layer,
        ratio,
        seconds,
    )


def make_spec(trial: Trial, recipe_name: str) -> Spec:
    changes = {
        "model.norm": trial.norm,
        "model.upsample": trial.upsample,
        "training.epochs": trial.epochs,
        "training.eval_bn": "recalibrate",
    }
    method = "fre" if trial.B else "baseline"
    point = {"B": trial.B, "X": trial.X} if trial.B else {}
    return recipe.resolve(recipe.find(recipe_name), method, changes | point).spec


@cache
def visible(recipe_name: str, folder: Path) -> TrainingData:
    spec = recipe.resolve(recipe.find(recipe_name), "baseline", {}).spec
    dataset = data.load(spec.dataset, folder, spec.options)
    return TrainingData(dataset.classes, dataset.train, dataset.validation)


def by_statistics_of(training: Training, images: Tensor) -> tuple[float, dict[str, Tensor]]:
    """The network's validation mIoU, and its layers' standard deviations, normalised by the plain
    network's statistics over all ``images``."""
    plain = EvaluationStatistics(training.network)
    training.network.eval()
    with plain.installed(), torch.no_grad():
        plain.refresh(partial(training.engine.forward, training.network), images, len(images))
        return mean_iou(training.measure(training.validation)), running_stds(training)


def running_stds(training: Training) -> dict[str, Tensor]:
    """Of each layer of statistics, by its name in the network."""
    layers = statistics_layers(training.network)
    return {
        name: layer.running_var.clone().sqrt()
        for name, layer in training.network.named_modules()
        if any(layer is one for one in layers)
    }


def farthest(stds: dict[str, Tensor], plain: dict[str, Tensor]) -> tuple[str, float]:
    """The layer whose standard deviations differ most, and how many times they exceed the plain ones."""
    logs = {name: float((stds[name] / plain[name]).log().mean()) for name in stds}
    name = max(logs, key=lambda layer: abs(logs[layer]))
    return name, float(torch.tensor(logs[name]).exp())


def append(path: Path, found: Measured) -> None:
    """Add a trial's line."""
    line = {**asdict(found.trial), **asdict(found)}
    del line["trial"]
    for curve in ("running", "recalibrated"):
        line[curve] = " ".join(f"{miou:.5f}" for miou in line[curve])
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, line.keys())
        if is_new:
            writer.writeheader()
        writer.writerow(line)


def read(path: Path) -> list[Measured]:
    """What the file holds so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [measured_of(line) for line in csv.DictReader(file)]


def measured_of(line: dict[str, str]) -> Measured:
    trial = Trial(
        line["norm"],
        line["upsample"],
        int(line["B"]),
        float(line["X"]),
        int(line["seed"]),
        int(line["epochs"]),
    )
    return Measured(
        trial,
        running=tuple(map(float, line["running"].split())),
        recalibrated=tuple(map(float, line["recalibrated"].split())),
        by_training=float(line["by_training"]),
        by_validation=float(line["by_validation"]),
        layer=line["layer"],
        ratio=float(line["ratio"]),
        seconds=float(line["seconds"]),
    )


def variants(found: Iterable[Measured]) -> dict[str, list[Measured]]:
    """The trials of each network, by its name."""
    groups: dict[str, list[Measured]] = {}
    for m in found:
        groups.setdefault(f"{m.trial.norm}, {m.trial.upsample}", []).append(m)
    return groups


def points(found: Iterable[Measured]) -> dict[str, list[Measured]]:
    """The trials of each (B, X), in the order of POINTS."""
    chosen = list(found)
    groups = {
        name: [m for m in chosen if point == (m.trial.B, m.trial.X)]
        for name, point in POINTS.items()
    }
    return {name: group for name, group in groups.items() if group}


def scores(found: list[Measured]) -> Table:
    """mIoU after the last epoch: mean and standard deviation over seeds; ratio: median."""
    table = [["network", "point", "B, X", "seeds", *FINAL, "layer's std, running / plain"]]
    for variant, trials in variants(found).items():
        for name, group in points(trials).items():
            B, X = POINTS[name]
            cells = [spread(map(of, group)) for of in FINAL.values()]
            ratio = f"{statistics.median(m.ratio for m in group):.3g}"
            table.append([variant, name, f"{B}, {X:g}", str(len(group)), *cells, ratio])
    return table


def errors(found: list[Measured]) -> Table:
    """How far each rule is from the plain network, over all networks and seeds: mean difference (mean
    distance, largest distance); and how much its curve changes from epoch to epoch, in the second half."""
    names = [f"{rule} - {plain}" for plain in PLAIN for rule in RULES]
    table = [["point", "trials", *names, *(f"{rule}, from epoch to epoch" for rule in RULES)]]
    for name, group in points(found).items():
        cells = []
        for plain, rule in itertools.product(PLAIN, RULES):
            off = [FINAL[rule](m) - FINAL[plain](m) for m in group]
            far = [abs(difference) for difference in off]
            cells.append(
                f"{statistics.mean(off):+.3f} ({statistics.mean(far):.3f}, {max(far):.3f})"
            )
        cells += [f"{statistics.mean(changes(m, rule) for m in group):.3f}" for rule in RULES]
        table.append([name, str(len(group)), *cells])
    return table


def changes(m: Measured, rule: str) -> float:
    """The mean size of the changes between epochs in the second half of a curve."""
    curve: tuple[float, ...] = getattr(m, rule)[m.trial.epochs // 2 - 1 :]
    return statistics.mean(abs(b - a) for a, b in itertools.pairwise(curve))


def rankings(found: list[Measured]) -> Table:
    """How alike two values rank the points: Kendall's tau (Spearman's rho) of the means over seeds, and
    tau of each seed's own ranking, averaged.  Below: one value, two seeds, by how much luck ranks."""
    groups = variants(found)
    table = [["between", *groups, "seed by seed"]]
    pairs = [RULES, *itertools.product(RULES, PLAIN[1:]), ("best running", "best recalibrated")]
    for one, other in pairs:
        means = [
            [list(map(partial(mean_of, VALUES[v]), points(trials).values())) for v in (one, other)]
            for trials in groups.values()
        ]
        cells = [f"{kendall(*two):+.2f} ({spearman(*two):+.2f})" for two in means]
        seeds = [s for trials in groups.values() for s in by_seed(trials)]
        single = [kendall(*(list(map(VALUES[v], seed)) for v in (one, other))) for seed in seeds]
        table.append([f"{one} / {other}", *cells, f"{statistics.mean(single):+.2f}"])
    for name, of in VALUES.items():
        among = [
            kendall(list(map(of, one)), list(map(of, other)))
            for trials in groups.values()
            for one, other in itertools.combinations(by_seed(trials), 2)
        ]
        mean = f"{statistics.mean(among):+.2f}" if among else ""
        table.append([f"{name}, two seeds", *("" for _ in groups), mean])
    return table


def winners(found: list[Measured]) -> Table:
    """Which enhanced point each value puts first (mean over seeds; above the baseline by so much), and
    how many of all enhanced trials beat the baseline of their seed."""
    table = [["network", *VALUES]]
    for variant, trials in variants(found).items():
        row = [variant]
        for of in VALUES.values():
            means = {name: mean_of(of, group) for name, group in points(trials).items()}
            baseline = means.pop("baseline")
            best = max(means, key=means.__getitem__)
            row.append(f"{best} ({means[best] - baseline:+.3f})")
        table.append(row)
    row = ["trials above the baseline"]
    for of in VALUES.values():
        beaten = [
            of(m) > of(group[0])
            for trials in variants(found).values()
            for group in by_seed(trials)
            for m in group[1:]
        ]
        row.append(f"{sum(beaten)} of {len(beaten)}")
    return [*table, row]


def by_seed(trials: list[Measured]) -> list[list[Measured]]:
    """The trials of each seed that has all points, in the order of POINTS."""
    groups: dict[int, list[Measured]] = {}
    for m in itertools.chain(*points(trials).values()):
        groups.setdefault(m.trial.seed, []).append(m)
    return [group for group in groups.values() if len(group) == len(points(trials))]


def mean_of(of: Value, group: list[Measured]) -> float:
    return statistics.mean(map(of, group))


def kendall(one: list[float], other: list[float]) -> float:
    from scipy import stats

    return float(stats.kendalltau(one, other).statistic)


def spearman(one: list[float], other: list[float]) -> float:
    from scipy import stats

    return float(stats.spearmanr(one, other).statistic)


def spread(values: Iterable[float]) -> str:
    """Mean and standard deviation."""
    listed = list(values)
    deviation = statistics.stdev(listed) if len(listed) > 1 else 0.0
    return f"{statistics.mean(listed):.3f} ± {deviation:.3f}"


def markdown(table: Table) -> str:
    header, *lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([header, "|" + " --- |" * len(table[0]), *lines])


def draw(found: list[Measured], path: Path) -> None:
    """The curves of each network: a colour for each point, a stroke for each rule; behind them the seeds,
    and at their end the plain network by the validation images' statistics."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(9.6, 7.2), layout="constrained")
    panels = figure.subplots(len(NORMS), len(UPSAMPLES), sharex=True, sharey=True)
    for panel, (norm, upsample) in zip(
        panels.flat, itertools.product(NORMS, UPSAMPLES), strict=True
    ):
        here = [m for m in found if (m.trial.norm, m.trial.upsample) == (norm, upsample)]
        for name, group in points(here).items():
            draw_point(panel, group, COLOURS[name])
        panel.set_title(f"norm = {norm}, upsample = {upsample}", fontsize=10)
        panel.set_ylim(bottom=0.2)  # a seed that begins below is cut off
        panel.grid(color="#ececec")
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("epoch")
    for panel in panels[:, 0]:
        panel.set_ylabel("validation mIoU")
    keys = [
        Line2D(
            [], [], color=COLOURS[name], label=f"{name}: B={POINTS[name][0]}, X={POINTS[name][1]:g}"
        )
        for name in points(found)
    ]
    keys += [
        Line2D([], [], color="#222222", label="recalibrated"),
        Line2D([], [], color="#222222", linestyle="--", label="running"),
        Line2D(
            [],
            [],
            color="#222222",
            marker="o",
            mfc="none",
            ls="",
            label="plain network, at the end",
        ),
    ]
    figure.legend(handles=keys, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def draw_point(panel: Any, group: list[Measured], colour: str) -> None:
    epochs = range(1, group[0].trial.epochs + 1)
    for rule, style in (("recalibrated", "-"), ("running", "--")):
        curves = [getattr(m, rule) for m in group]
        for curve in curves:
            panel.plot(epochs, curve, style, color=colour, alpha=0.2, linewidth=0.7)
        mean = [statistics.mean(values) for values in zip(*curves, strict=True)]
        panel.plot(epochs, mean, style, color=colour, linewidth=1.8)
    plain = mean_of(VALUES[PLAIN[1]], group)
    panel.plot(epochs[-1] + 0.25, plain, "o", color=colour, mfc="none", clip_on=False)


if __name__ == "__main__":
    main()
