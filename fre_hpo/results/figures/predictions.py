"""The paper's Figures 5 and 6: validation images with their truth, and what each method makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.showing import overlay
from fre_hpo.data.showing.overlay import Colour
from fre_hpo.results.agreement import image_iou, mean
from fre_hpo.results.figures.sheet import Cell, Row, Sheet, Swatch
from fre_hpo.results.numbers import three
from fre_hpo.results.panels import UNPAINTED, Sample, side_by_side
from fre_hpo.study.records import TrialRecord, params_text

SIDE = 512
"""Longest side of a picture, in pixels: more cannot be seen in a column of 40 mm."""
INPUT, TRUTH = ("input",), ("truth",)
HATCHED = "#a8a8a8"
"""Stands for the hatching, in a key."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What the network of one trial makes of some images.  samples: in one order for all methods."""

    study: str
    method: str
    record: TrialRecord
    samples: tuple[Sample, ...]


def predictions_figure(shown: Sequence[Shown], classes: Sequence[str]) -> Sheet:
    """Rows: images; columns: input, truth, and one for each trial.  All show the same images."""
    palette = overlay.colours(classes)
    count = len(shown[0].samples)
    rows = [_row([one.samples[index] for one in shown], classes, palette) for index in range(count)]
    return Sheet(
        kind="predictions",
        title=", ".join(one.study for one in shown),
        heads=(INPUT, TRUTH, *(_head(one, shown) for one in shown)),
        rows=tuple(rows),
        key=_key(shown, classes, palette),
        data={"kind": "predictions", "rows": [_known(one, classes) for one in shown]},
    )


def _head(one: Shown, shown: Sequence[Shown]) -> tuple[str, ...]:
    """The method, or the study where several have the same, with its parameters and its mIoU."""
    alike = sum(other.method == one.method for other in shown) > 1
    params = [params_text(one.record.params)] if one.record.params else []
    return (one.study if alike else one.method, *params, f"mIoU {one.record.value:.4f}")


def _row(
    samples: Sequence[Sample], classes: Sequence[str], palette: Sequence[Colour | None]
) -> Row:
    shape = overlay.fitted(samples[0].shape, SIDE)
    seen, truth, *_ = side_by_side(samples[0], palette, shape)
    cells = [Cell(seen), Cell(truth)]
    for sample in samples:
        _, _, prediction, _ = side_by_side(sample, palette, shape)
        cells.append(Cell(prediction, f"here {three(_miou(sample, classes))}"))
    return Row(samples[0].name, tuple(cells))


def _miou(sample: Sample, classes: Sequence[str]) -> float | None:
    return mean(image_iou(sample.truth, sample.prediction, len(classes)))


def _key(
    shown: Sequence[Shown], classes: Sequence[str], palette: Sequence[Colour | None]
) -> tuple[Swatch, ...]:
    swatches = [
        Swatch(_hex(colour or UNPAINTED), name)
        for name, colour in zip(classes, palette, strict=True)
    ]
    if any((sample.truth == IGNORED).any() for sample in shown[0].samples):
        swatches.append(Swatch(HATCHED, "not labelled (hatched)"))
    return tuple(swatches)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _known(one: Shown, classes: Sequence[str]) -> dict[str, object]:
    """Of one column, with every digit."""
    return {
        "study": one.study,
        "method": one.method,
        "trial": one.record.number,
        "params": one.record.params,
        "validation mIoU": one.record.value,
        "images": [_known_image(sample, classes) for sample in one.samples],
    }


def _known_image(sample: Sample, classes: Sequence[str]) -> dict[str, object]:
    found = image_iou(sample.truth, sample.prediction, len(classes))
    iou = dict(zip(classes, found, strict=True))
    return {"image": sample.name, "mIoU": mean(found), "IoU": iou}
