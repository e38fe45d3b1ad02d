"""What the moving estimate of the batch-norm statistics changes against the full one; no test.

    python tests/benchmarks/recalibration.py --data ../shared/data/dsb2018_256

A training evaluates itself by the moving estimate.  Beside it every epoch's network is measured with the
statistics of all images as well, so that both curves belong to the same weights.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fre_hpo import data
from fre_hpo.study import recipe
from fre_hpo.training.batchnorm import IMAGES, EvaluationStatistics, affordable, spread_evenly
from fre_hpo.training.loop import Training
from fre_hpo.training.metrics import mean_iou
from fre_hpo.trial import Job, TrainingData, prepare

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Train every seed and print what the two curves say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="mouse")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared/data/dsb2018_256")
    parser.add_argument("--widths", default="8,16,32,64")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    widths = [int(width) for width in options.widths.split(",")]
    changes = {"model.widths": widths, "training.epochs": options.epochs, "B": 4, "X": 30.0}
    spec = recipe.resolve(recipe.find(options.recipe), "fre", changes).spec
    dataset = data.load(spec.dataset, options.data, spec.options)
    visible = TrainingData.of(dataset)
    torch.set_num_threads(options.threads)
    for seed in range(options.seeds):
        job = Job(0, 1, spec, dict(spec.fixed), seed, "cpu", options.threads)
        print(json.dumps(compared(prepare(job, visible)), indent=2), flush=True)


def compared(training: Training) -> dict[str, Any]:
    """Both curves of one training, in figures."""
    moving, full = [], []
    for row in training.run():
        moving.append(row.miou)
        full.append(fully_recalibrated(training))
    difference = np.array(moving) - np.array(full)
    chosen, best = int(np.argmax(moving)), int(np.argmax(full))
    return {
        "images in an epoch": affordable(len(training.train), len(training.validation)),
        "mean difference": difference.mean(),
        "mean distance": np.abs(difference).mean(),
        "mean distance, second half": np.abs(difference[len(difference) // 2 :]).mean(),
        "change from epoch to epoch": np.abs(np.diff(full[len(full) // 2 :])).mean(),
        "correlation": np.corrcoef(moving, full)[0, 1],
        "best epoch by the moving estimate": chosen + 1,
        "best epoch by the full one": best + 1,
        "full mIoU at the first": full[chosen],
        "full mIoU at the second": full[best],
    }


def fully_recalibrated(training: Training) -> float:
    """The validation mIoU of the network as it stands, with the statistics of all images."""
    statistics = EvaluationStatistics(training.network)
    images = training.train.images[spread_evenly(len(training.train), IMAGES)]
    training.network.eval()
    with statistics.installed():
        statistics.refresh(partial(training.engine.forward, training.network), images, IMAGES)
        return mean_iou(training.measure(training.validation))


if __name__ == "__main__":
    main()
