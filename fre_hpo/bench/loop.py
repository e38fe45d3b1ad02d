"""Trials trained one after the other in one process, as the product's inline executor does it, but without
study and storage: what stands in for the product where its dependencies are missing."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fre_hpo.bench import ours
from fre_hpo.bench.shapes import SHAPES
from fre_hpo.training.checkpoint import to_bytes
from fre_hpo.training.engine import choose


def main() -> None:
    """Train, and write the best weights of every trial."""
    parser = argparse.ArgumentParser(description="Trials in the product's own loop.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    device = torch.device(given.device)
    for number in range(given.trials):
        training = ours.training(
            SHAPES[given.shape],
            given.folder,
            choose("auto", device),
            device,
            epochs=given.epochs,
        )
        for _ in training.run():
            pass
        assert training.best is not None
        (given.out / f"best-{number}.pt").write_bytes(to_bytes(training.best.state))


if __name__ == "__main__":
    main()
