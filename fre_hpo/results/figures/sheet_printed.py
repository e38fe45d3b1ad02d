"""A sheet of pictures as PNG, SVG or PDF, drawn by matplotlib; everything stands where it is put, in mm."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fre_hpo.results.figures.description import DOUBLE
from fre_hpo.results.figures.placing import LETTER
from fre_hpo.results.figures.printed import MM, saved, styled
from fre_hpo.results.figures.sheet import Row, Sheet, Swatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]

LARGEST = 40.0
"""Width of a picture, in mm; smaller where many stand beside one another."""
EDGE, GAP = 1.0, 1.6
NARROW = 1.5
"""Width of a letter in a heading, in mm."""
LINE = 3.8
NAME = 4.6
"""Room at the left for the name of an image, which is turned."""
SWATCH = 2.6
CAPTION = 5.0


@dataclass(frozen=True)
class _Plan:
    """Where things stand, in mm from the upper left corner."""

    sheet: Sheet
    cell: float
    heads: tuple[tuple[tuple[str, bool], ...], ...]
    """Of each column its lines, and which of them are bold."""
    key: tuple[tuple[Swatch, float, int], ...]
    """Swatch, its left edge, its line."""

    @classmethod
    def of(cls, sheet: Sheet) -> _Plan:
        columns = len(sheet.heads)
        cell = min(LARGEST, (DOUBLE - 2 * EDGE - NAME) / columns - GAP)
        heads = tuple(tuple(_wrapped(head, cell)) for head in sheet.heads)
        width = 2 * EDGE + NAME + columns * (cell + GAP)
        return cls(sheet, cell, heads, tuple(_key(sheet.key, width)))

    @property
    def width(self) -> float:
        return 2 * EDGE + NAME + len(self.heads) * (self.cell + GAP)

    @property
    def top(self) -> float:
        """Of the first row."""
        return EDGE + max(map(len, self.heads)) * LINE + GAP

    def row_height(self, row: Row) -> float:
        return self.cell * row.ratio + CAPTION

    @property
    def key_top(self) -> float:
        return self.top + sum(map(self.row_height, self.sheet.rows)) + GAP

    @property
    def height(self) -> float:
        lines = max((line for _, _, line in self.key), default=-1) + 1
        return self.key_top + lines * LINE + EDGE

    def left(self, column: int) -> float:
        return EDGE + NAME + column * (self.cell + GAP)


def _wrapped(head: tuple[str, ...], cell: float) -> Iterator[tuple[str, bool]]:
    for number, words in enumerate(head):
        for line in textwrap.wrap(words, max(int(cell / NARROW), 6)):
            yield line, number == 0


def _ending(name: str, most: int) -> str:
    """The end of a name that is too long: it tells files apart."""
    return name if len(name) <= most else f"...{name[3 - most :]}"


def _key(swatches: tuple[Swatch, ...], width: float) -> Iterator[tuple[Swatch, float, int]]:
    """One beside the other, as many as there is room for in a line."""
    x, line = EDGE + NAME, 0
    for swatch in swatches:
        room = SWATCH + 1.2 + len(swatch.words) * LETTER
        if x + room > width - EDGE and x > EDGE + NAME:
            x, line = EDGE + NAME, line + 1
        yield swatch, x, line
        x += room + 5


def width(sheet: Sheet) -> float:
    """Of the paper, in mm."""
    return _Plan.of(sheet).width


def render(sheet: Sheet, ending: str, mark: str) -> bytes:
    """The file's content.  ending: png, svg or pdf.  mark: by which the program knows its own files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    plan = _Plan.of(sheet)
    with styled():
        paper = Figure(figsize=(plan.width * MM, plan.height * MM))
        FigureCanvasAgg(paper)
        drawing = _Drawing(paper, plan)
        drawing.heads()
        drawing.rows()
        drawing.key()
        return saved(paper, sheet.data, ending, mark)


class _Drawing:
    """Puts things onto the paper."""

    def __init__(self, paper: Figure, plan: _Plan) -> None:
        self.paper = paper
        self.plan = plan

    def heads(self) -> None:
        plan = self.plan
        for column, lines in enumerate(plan.heads):
            first = plan.top - GAP - len(lines) * LINE
            for number, (line, bold) in enumerate(lines):
                weight = "bold" if bold else "normal"
                self._write(plan.left(column), first + (number + 0.8) * LINE, line, weight=weight)

    def rows(self) -> None:
        y = self.plan.top
        for number, row in enumerate(self.plan.sheet.rows):
            high = self.plan.cell * row.ratio
            most = max(int(high / LETTER), 8)
            self._write(EDGE, y + high, _ending(row.name, most), turned=True)
            for column, cell in enumerate(row.cells):
                left = self.plan.left(column)
                axes = self.paper.add_axes(self._box(left, y, self.plan.cell, high))
                axes.imshow(cell.pixels, aspect="auto", gid=f"picture-{number}-{column}")
                axes.set_axis_off()
                self._write(left, y + high + 0.66 * CAPTION, cell.caption)
            y += self.plan.row_height(row)

    def key(self) -> None:
        from matplotlib.patches import Rectangle

        for swatch, x, line in self.plan.key:
            y = self.plan.key_top + line * LINE
            left, bottom, width, height = self._box(x, y, SWATCH, SWATCH)
            self.paper.add_artist(
                Rectangle((left, bottom), width, height, facecolor=swatch.colour, linewidth=0)
            )
            self._write(x + SWATCH + 1.2, y + 0.92 * SWATCH, swatch.words)

    def _write(
        self, x: float, y: float, words: str, *, weight: str = "normal", turned: bool = False
    ) -> None:
        """Words that begin on a base line at (x, y)."""
        left, bottom, *_ = self._box(x, y, 0, 0)
        rotation = "vertical" if turned else "horizontal"
        self.paper.text(left, bottom, words, va="baseline", weight=weight, rotation=rotation)

    def _box(self, x: float, y: float, width: float, height: float) -> Box:
        """As parts of the paper, from its lower left corner: left, bottom, width, height."""
        across, upright = self.plan.width, self.plan.height
        return x / across, 1 - (y + height) / upright, width / across, height / upright
