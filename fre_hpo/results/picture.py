"""The picture of a trial: what its network makes of a few validation images, to be judged by eye."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.showing import overlay
from fre_hpo.data.showing.overlay import Colour, Pixels
from fre_hpo.data.showing.pen import PALE, SWATCH, Pen, length, shortened
from fre_hpo.results.agreement import image_iou, mean
from fre_hpo.results.numbers import three
from fre_hpo.results.panels import CONFUSED, EXTRA, MISSED, UNPAINTED, Sample, side_by_side

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Sample", "trial_picture"]

CELL = 336
"""Longest side of a panel: four of them and the table are as wide as a page on a large screen."""
NARROWEST = 130
"""Of a column, for its heading."""
MARGIN, GAP, LINE = 16, 10, 27
TABLE = 270
TITLE, HEADING, TEXT = 24, 22, 19
"""Sizes of letters that can still be read where a page shows the picture at two thirds."""
HEADINGS = ("input", "truth", "prediction", "errors")
COLUMNS = len(HEADINGS)
MOST_ROWS = 20
"""Classes in the table; of more, those are left out first that are not in the image."""
COLOURS = 256
"""Of a PNG with a palette, a third of the size of one without."""


def trial_picture(samples: Sequence[Sample], classes: Sequence[str], title: str) -> bytes:
    """PNG: input, truth, prediction and errors side by side, a row for each image.

    The table beside a row is its IoU and the legend at once.  title: one line, such as trial,
    parameters and mIoU.
    """
    palette = overlay.colours(classes)
    column = max(NARROWEST, *(_size(sample)[1] for sample in samples))
    strips = [_heading(title, palette, column)]
    strips += [_row(sample, classes, palette, column) for sample in samples]
    return _png(np.concatenate([np.asarray(strip) for strip in strips]))


def _size(sample: Sample) -> tuple[int, int]:
    return overlay.fitted(sample.shape, CELL)


def _left(place: int, column: int) -> int:
    """Where a column begins; the one after the panels is the table."""
    return MARGIN + place * (column + GAP) + (GAP if place == COLUMNS else 0)


def _strip(column: int, height: int) -> Pen:
    return Pen.on_strip(_left(COLUMNS, column) + TABLE + MARGIN, height)


# --- heading ------------------------------------------------------------------------------------


def _heading(title: str, palette: Sequence[Colour | None], column: int) -> Image.Image:
    """Title, a word over each column, and over the errors what their colours mean."""
    pen = _strip(column, MARGIN + 3 * LINE + 14)
    room = pen.strip.width - 2 * MARGIN
    pen.write(MARGIN, MARGIN - 4, shortened(title, room, TITLE), size=TITLE)
    top = MARGIN + LINE + 6
    for place, word in enumerate((*HEADINGS, "IoU")):
        pen.write(_left(place, column), top, word, size=HEADING)
    x: float = _left(COLUMNS - 1, column)
    for colour, word in _kinds(palette):
        pen.swatch(x, top + LINE + 6, colour, edge=PALE)
        x = pen.write(x + SWATCH + 5, top + LINE, word, size=TEXT) + 12
    return pen.strip


def _kinds(palette: Sequence[Colour | None]) -> list[tuple[Colour, str]]:
    """The errors that these classes allow, in words."""
    structures = sum(colour is not None for colour in palette)
    kinds = [(MISSED, "missed"), (EXTRA, "extra")] if structures < len(palette) else []
    return [*kinds, (CONFUSED, "wrong class")] if structures > 1 else kinds


# --- rows ---------------------------------------------------------------------------------------


def _row(
    sample: Sample, classes: Sequence[str], palette: Sequence[Colour | None], column: int
) -> Image.Image:
    size = _size(sample)
    table = _table(sample, classes, palette)
    pen = _strip(column, max(size[0] + LINE, table.height) + 12)
    for place, pixels in enumerate(side_by_side(sample, palette, size)):
        pen.paste(_left(place, column), 0, pixels)
    pen.paste(_left(COLUMNS, column), 0, np.asarray(table))
    room = _left(COLUMNS, column) - MARGIN - GAP
    pen.write(MARGIN, size[0] + 2, shortened(sample.name, room, TEXT), size=TEXT, ink=PALE)
    return pen.strip


def _table(sample: Sample, classes: Sequence[str], palette: Sequence[Colour | None]) -> Image.Image:
    """Colour, name and IoU of each class, and their mean."""
    found = image_iou(sample.truth, sample.prediction, len(classes))
    rows = _listed(found)
    left_out = len(classes) - len(rows)
    ignored = bool((sample.truth == IGNORED).any())
    pen = Pen.on_strip(TABLE, (1 + len(rows) + bool(left_out) + ignored) * LINE + 4)
    _line(pen, -3, "mIoU", three(mean(found)), HEADING)
    for place, index in enumerate(rows, 1):
        pen.swatch(0, place * LINE + 6, palette[index] or UNPAINTED)
        _line(pen, place * LINE, classes[index], three(found[index]), TEXT, SWATCH + 8)
    y = (len(rows) + 1) * LINE
    if left_out:
        _line(pen, y, f"and {left_out} more", "", TEXT, SWATCH + 8)
        y += LINE
    if ignored:
        pen.paste(0, y + 6, overlay.hatching((SWATCH, SWATCH)))
        _line(pen, y, "not labelled", "", TEXT, SWATCH + 8)
    return pen.strip


def _listed(found: Sequence[float | None]) -> list[int]:
    """The classes that the table has room for, in their own order."""
    if len(found) <= MOST_ROWS:
        return list(range(len(found)))
    return [index for index, value in enumerate(found) if value is not None][:MOST_ROWS]


def _line(pen: Pen, y: int, name: str, value: str, size: int, x: int = 0) -> None:
    room = TABLE - x - length(value, size) - 12
    pen.write(x, y, shortened(name, room, size), size=size)
    pen.write(TABLE, y, value, size=size, to_left=True)


# --- the file -----------------------------------------------------------------------------------


def _png(page: Pixels) -> bytes:
    """With a palette: exactly the page's colours where there are not more, as of a grey image, else
    the nearest of the best."""
    from PIL import Image

    image = Image.fromarray(page)
    small = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return file.getvalue()
