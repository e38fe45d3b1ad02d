"""A data set on one page: pictures of every split, each beside itself with its labels over it.

Whoever knows the cells sees at a glance whether pictures and masks belong together, whether the
classes are the right ones and whether the splits look alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.dataset import Dataset, Split
from fre_hpo.data.showing import overlay
from fre_hpo.data.showing.overlay import Colour
from fre_hpo.data.showing.pen import ALARM, INK, PALE, PAPER, SWATCH, Pen, length, shortened
from fre_hpo.data.showing.shares import Shares, class_pixels, percent, shares

if TYPE_CHECKING:
    from PIL import Image

WIDTH, MARGIN = 1640, 24
CELL = 256
"""Longest side of a picture on the sheet."""
WITHIN, BETWEEN = 4, 20
"""Space within a pair and between two pairs."""
LINE = 22
ROWS = {"train": 2, "validation": 1, "test": 1}
"""Rows of pictures of each split."""
LEGEND_ROWS = 8
"""Classes below one another before a further column of the legend begins."""
LEGEND_WIDTH = 530


def contact_sheet(dataset: Dataset, title: str = "") -> Image.Image:
    """Draw the sheet, RGB.  title: what people call the set, if not by its own name."""
    from PIL import Image

    palette = overlay.colours(dataset.classes)
    splits = dataset.splits
    strips = [_heading(dataset, title), _legend(dataset, splits, palette)]
    strips += [_pictures(n, s, dataset.classes, palette) for n, s in splits.items() if len(s)]
    sheet = Image.new("RGB", (WIDTH, sum(strip.height for strip in strips) + MARGIN), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


# --- heading and legend -------------------------------------------------------------------------


def _heading(dataset: Dataset, title: str) -> Image.Image:
    pen = Pen.on_strip(WIDTH, MARGIN + 74)
    name = shortened(title or dataset.name, WIDTH // 2, 28)
    end = pen.write(MARGIN, MARGIN, name, size=28)
    pen.write(end + 20, MARGIN + 11, f"fingerprint {dataset.fingerprint[:12]}", ink=PALE)
    pen.write(MARGIN, MARGIN + 40, _counts(dataset), ink=PALE)
    return pen.strip


def _counts(dataset: Dataset) -> str:
    _, channels, height, width = dataset.train.images.shape
    counts = ", ".join(f"{name} {len(split)}" for name, split in dataset.splits.items())
    text = f"{counts} images of {height} x {width} pixels"
    if channels == 1:
        return f"{text}; the contrast of each is stretched here"
    shown = "magenta and green" if channels == 2 else "red, green and blue"
    first = f"its {channels}" if channels < 4 else f"the first 3 of {channels}"
    return f"{text}; {first} channels are shown in {shown}, the contrast of each image is stretched"


def _legend(
    dataset: Dataset, splits: dict[str, Split], palette: Sequence[Colour | None]
) -> Image.Image:
    """Class, colour and share of the labelled pixels of each split."""
    found = [shares(split, dataset.classes) for split in splits.values()]
    rows = len(dataset.classes) + any(share.ignored for share in found)
    deep = max(LEGEND_ROWS, -(-rows // (WIDTH // LEGEND_WIDTH)))
    pen = Pen.on_strip(WIDTH, (min(rows, deep) + 1) * LINE + 16)
    for left in range(-(-rows // deep)):
        _columns(pen, MARGIN + left * LEGEND_WIDTH, list(splits))
    for i, name in enumerate(dataset.classes):
        x, y = MARGIN + i // deep * LEGEND_WIDTH, (i % deep + 1) * LINE
        pen.swatch(x, y + 3, palette[i])
        label = name if palette[i] else f"{name} (left as it is)"
        _legend_row(pen, x, y, label, [share.classes[name] for share in found])
    if rows > len(dataset.classes):
        x, y = MARGIN + (rows - 1) // deep * LEGEND_WIDTH, ((rows - 1) % deep + 1) * LINE
        pen.paste(x, y + 3, overlay.hatching((SWATCH, SWATCH)))
        _legend_row(pen, x, y, "ignored (of all pixels)", _ignored(found), alarm=False)
    return pen.strip


def _ignored(found: Sequence[Shares]) -> list[float]:
    return [share.ignored for share in found]


def _columns(pen: Pen, x: int, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        pen.write(_right(x, place), 0, name, ink=PALE, to_left=True)


def _right(x: int, place: int) -> int:
    """Where a column of shares ends."""
    return x + 300 + 90 * place


def _legend_row(
    pen: Pen, x: int, y: int, label: str, found: Sequence[float], *, alarm: bool = True
) -> None:
    pen.write(x + SWATCH + 8, y, shortened(label, 220, 16))
    for place, share in enumerate(found):
        ink = ALARM if share == 0 and alarm else INK
        pen.write(_right(x, place), y, percent(share), ink=ink, to_left=True)


# --- pictures -----------------------------------------------------------------------------------


def _pictures(
    name: str, split: Split, classes: Sequence[str], palette: Sequence[Colour | None]
) -> Image.Image:
    """A split's heading and its rows of pictures."""
    counts = class_pixels(split.labels)[:, : len(classes)]
    height, width = overlay.fitted(split.labels.shape[1:], CELL)
    across = max((WIDTH - 2 * MARGIN + BETWEEN) // (2 * width + WITHIN + BETWEEN), 1)
    picked = chosen(counts, across * ROWS[name])
    deep = height + 2 * LINE + 14
    pen = Pen.on_strip(WIDTH, 46 + -(-len(picked) // across) * deep)
    end = pen.write(MARGIN, 14, name, size=22)
    pen.write(end + 12, 20, _how_many(split, len(picked)), ink=PALE)
    captions = _captions(split.sources)
    for place, row in enumerate(picked):
        x = MARGIN + place % across * (2 * width + WITHIN + BETWEEN)
        y = 46 + place // across * deep
        picture = overlay.seen(split.images[row], (height, width))
        labels = overlay.nearest(split.labels[row], (height, width))
        pen.paste(x, y, picture)
        pen.paste(x + width + WITHIN, y, overlay.overlaid(picture, labels, palette))
        room = 2 * width + WITHIN
        pen.write(x, y + height + 4, _caption(*captions[row], room), size=15)
        there = [i for i in range(len(classes)) if counts[row, i]]
        _present(pen, (x, y + height + LINE + 2), room, [(classes[i], palette[i]) for i in there])
    return pen.strip


def _how_many(split: Split, shown: int) -> str:
    pictures = len(set(split.sources))
    of = f" from {pictures} pictures" if pictures < len(split) else ""
    return f"{shown} of {len(split)} images{of}"


def chosen(counts: NDArray[np.int64], wanted: int) -> list[int]:
    """Rows to show, ascending: evenly from all, but a class that none of them has takes a place.

    counts: (rows, classes), the pixels of each class; at least one row.
    """
    total = len(counts)
    number = min(wanted, total)
    picked = [(2 * i + 1) * total // (2 * number) for i in range(number)]
    kept: set[int] = set()
    for index in counts.sum(axis=0).argsort(kind="stable"):  # the rarest class first
        showing = [row for row in picked if counts[row, index]]
        free = [row for row in picked if row not in kept]
        if not showing and free and counts[:, index].any():
            best = int(counts[:, index].argmax())
            nearest = min(free, key=lambda row: abs(row - best))
            picked[picked.index(nearest)] = best
            showing = [best]
        if not kept & set(showing):
            kept.update(showing[:1])
    return sorted(picked)


def _captions(sources: Sequence[str]) -> list[tuple[str, str]]:
    """For each row its source, and which tile of it it is."""
    totals, so_far = Counter(sources), Counter[str]()
    captions = []
    for source in sources:
        so_far[source] += 1
        tile = f", tile {so_far[source]} of {totals[source]}" if totals[source] > 1 else ""
        captions.append((source, tile))
    return captions


def _caption(source: str, tile: str, room: int) -> str:
    return shortened(source, room - length(tile, 15), 15) + tile


def _present(
    pen: Pen, corner: tuple[int, int], room: int, there: Sequence[tuple[str, Colour | None]]
) -> None:
    """The classes of one picture, as many as there is room for."""
    x, y = float(corner[0]), corner[1]
    for place, (name, colour) in enumerate(there):
        text, more = shortened(name, 160, 14), f"+{len(there) - place}"
        if x + SWATCH + 6 + length(text, 14) + length(f"  {more}", 14) > corner[0] + room:
            pen.write(x, y, more, size=14, ink=PALE)
            return
        pen.swatch(x, y + 2, colour)
        x = pen.write(x + SWATCH + 4, y, text, size=14, ink=PALE) + 12
