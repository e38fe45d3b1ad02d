"""Trials as the figures of feature maps and of predictions see them, drawn without any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fre_hpo.data import phantom
from fre_hpo.results.figures.predictions import Shown
from fre_hpo.results.panels import Sample
from fre_hpo.results.traced import TracedTrial
from viewed import make_view

EPOCHS = 40
COUNTS = {"fre": 8, "fre-fixed": 10}
FACTORS = {"fre": 100.0, "fre-fixed": 10_000.0}


def make_trace(method: str = "fre", *, name: str = "", **columns: float) -> TracedTrial:
    """Forty epochs of plain arithmetic; columns: constants instead."""
    view = make_view(method, complete=1, epochs=EPOCHS, name=name)
    (record,) = view.records
    if method == "fre":
        record.params.update(B=COUNTS[method], X=FACTORS[method])
    rows = [_row(method, epoch) | columns for epoch in range(1, EPOCHS + 1)]
    written = [{key: repr(value) for key, value in row.items()} for row in rows]
    return TracedTrial.of_rows(view.name, view.spec, record, written)


def _row(method: str, epoch: int) -> dict[str, float]:
    enhanced, rest = (3.0 + epoch / 7, 900.0 - epoch / 3) if method in COUNTS else (0.0, 950.0)
    return {
        "epoch": epoch,
        "deepest_mean": 0.2 - epoch / 1000,
        "skip_mean": 0.3 + epoch / 900,
        "all_sum": enhanced + rest,
        "enhanced_sum": enhanced,
        "enhanced_after": enhanced * FACTORS.get(method, 0.0),
        "rest_sum": rest,
        "enhanced": COUNTS.get(method, 0),
    }


def make_shown(
    *names: str, shape: tuple[int, int] = (32, 32), ignored: int | None = None
) -> list[Shown]:
    """Methods that were shown the same two images; each is wrong in a corner of its own size."""
    images = [_image(seed, shape, ignored) for seed in (0, 1)]
    found = []
    for corner, name in enumerate(names, 1):
        view = make_view(name, complete=1)
        samples = [
            Sample(f"cells{i}.tif", *im, _wrong(im[1], corner)) for i, im in enumerate(images)
        ]
        found.append(Shown(view.name, name, view.records[0], tuple(samples)))
    return found


def _image(seed: int, shape: tuple[int, int], ignored: int | None) -> tuple[Any, Any]:
    size = -(-max(shape) // 8) * 8
    light, labels = phantom.draw(np.random.default_rng(seed), phantom.Options(size=size, cells=2))
    truth = labels[: shape[0], : shape[1]].copy()
    if ignored is not None:
        truth[-ignored:] = 255
    return light[None, : shape[0], : shape[1]].astype(np.float32), truth


def _wrong(truth: Any, corner: int) -> Any:
    prediction = np.where(truth == 255, 0, truth).astype(np.uint8)
    prediction[: 4 * corner, : 4 * corner] = 2
    return prediction


def layers(figure: Any, panel: int) -> Mapping[str, Any]:
    return {layer.name: layer for layer in figure.panels[panel].layers}
