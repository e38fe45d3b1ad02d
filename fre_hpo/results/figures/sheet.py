"""A sheet of pictures as plain values: rows of images, columns of what is shown of each, a key of colours.

As ``description`` is for panels with axes; sizes on paper are in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fre_hpo.data.showing.overlay import Pixels


@dataclass(frozen=True, eq=False)
class Cell:
    """pixels: (height, width, 3).  caption: a line below it, empty for none."""

    pixels: Pixels
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """The pictures of one image, all of one shape.  name: of the image."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def ratio(self) -> float:
        """Of height to width."""
        height, width = self.cells[0].pixels.shape[:2]
        return float(height / width)


@dataclass(frozen=True)
class Swatch:
    """What a colour means.  colour: #rrggbb."""

    colour: str
    words: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """heads: lines of words over each column, the first one bold.  data: what a file carries along, under the
    key "rows" one entry for each prediction."""

    kind: str
    title: str
    heads: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    key: tuple[Swatch, ...]
    data: dict[str, Any] = field(default_factory=dict)
