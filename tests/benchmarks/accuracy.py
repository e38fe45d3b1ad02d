"""Whether speed costs accuracy: the fast and the plain engine train the same seeds, paired; no test.

    python tests/benchmarks/accuracy.py --seeds 10 --out accuracy.json
    python tests/benchmarks/accuracy.py --read accuracy.json

Two one-sided t-tests on the paired differences of the best validation mIoU, against a margin that is set
beforehand.  Seeds that are in the file already are not trained again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

import torch

from fre_hpo import data
from fre_hpo.study import recipe
from fre_hpo.training.engine import PLAIN, choose
from fre_hpo.trial import Job, TrainingData, prepare

REPOSITORY = Path(__file__).resolve().parents[2]
MARGIN = 0.015
"""Of mIoU: smaller differences do not matter."""
LEVEL = 0.05
WANTED_POWER = 0.8
ENGINES = {"plain": PLAIN, "fast": choose("auto", torch.device("cpu"))}


def main() -> None:
    """Train what is missing, then print the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="drosophila-quick")
    parser.add_argument("--method", default="baseline")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared/data/drosophila")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("accuracy.json"))
    parser.add_argument("--read", type=Path, nargs="*", help="only test what these files hold")
    options = parser.parse_args()
    if options.read:
        found = {k: v for path in options.read for k, v in json.loads(path.read_text()).items()}
    else:
        found = trained(options)
    print(json.dumps(verdict(found), indent=2))


def trained(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The best validation mIoU by seed and engine."""
    path: Path = options.out
    found: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    spec = recipe.resolve(recipe.find(options.recipe), options.method, {}).spec
    dataset = data.load(spec.dataset, options.data, spec.options)
    visible = TrainingData.of(dataset)
    for seed in range(options.first, options.first + options.seeds):
        values = found.setdefault(str(seed), {})
        for name, engine in ENGINES.items():
            if name in values:
                continue
            job = Job(0, 1, spec, dict(spec.fixed), seed, "cpu", options.threads)
            torch.set_num_threads(options.threads)
            training = prepare(job, visible, engine)
            seconds = sum(row.seconds for row in training.run())
            assert training.best is not None
            values[name] = training.best.miou
            print(f"seed {seed} {name}: {values[name]:.4f} in {seconds:.0f} s", flush=True)
            path.write_text(json.dumps(found, indent=2))
    return found


def verdict(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Two one-sided paired t-tests, and the number of seeds that they would take."""
    from scipy import stats

    differences = [v["fast"] - v["plain"] for v in found.values() if len(v) == len(ENGINES)]
    count, mean, spread = (
        len(differences),
        statistics.mean(differences),
        statistics.stdev(differences),
    )
    error = spread / math.sqrt(count)
    tests = [(MARGIN - mean) / error, (mean + MARGIN) / error]
    p = max(stats.t.sf(t, count - 1) for t in tests)
    z = stats.norm.ppf(1 - LEVEL) + stats.norm.ppf(1 - (1 - WANTED_POWER) / 2)
    return {
        "seeds": count,
        "mean difference": mean,
        "standard deviation": spread,
        "90 % interval": [mean + s * stats.t.ppf(1 - LEVEL, count - 1) * error for s in (-1, 1)],
        "margin": MARGIN,
        "p": float(p),
        "equivalent": bool(p < LEVEL),
        "seeds for a power of 0.8": math.ceil((z * spread / MARGIN) ** 2),
    }


if __name__ == "__main__":
    main()
