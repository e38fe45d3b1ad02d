"""A figure as plain values: panels with axes, layers of points, lines and bars, labels, a colour scale.

A kind of figure makes it from studies, a renderer draws it; neither knows the other.  Coordinates are
in units of the data, sizes on paper in mm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from fre_hpo.results.figures.axes import Axis
from fre_hpo.results.figures.palette import Scale

INK: Final = "ink"
FAINT: Final = "faint"
"""Colours that depend on the ground a figure is drawn on; all others are #rrggbb."""

Numbers = tuple[float, ...]
Role = Literal["x", "y", "value"]
Mark = Literal["dot", "ring", "cross", "hollow", "tick"]


@dataclass(frozen=True)
class Fact:
    """Something that is known of each point of a layer, under the name that people read.

    of: the point's own coordinate or its value on the colour scale, else one entry for each point; of
    a line it may be one for all.  form: how it is shown, in d3's notation, which plotly speaks.
    """

    name: str
    of: Role | tuple[Any, ...]
    form: str = ""


@dataclass(frozen=True)
class Points:
    """values: on the panel's colour scale, which then colours the points.  key: what the marks mean,
    where that needs words."""

    name: str
    x: Numbers
    y: Numbers
    mark: Mark = "dot"
    values: Numbers | None = None
    colour: str = INK
    facts: tuple[Fact, ...] = ()
    key: str = ""

    def known(self, fact: Fact) -> list[Any]:
        return list(_column(self, fact))


@dataclass(frozen=True)
class Line:
    """width: in points, 1/72 inch; opacity: 0..1."""

    name: str
    x: Numbers
    y: Numbers
    colour: str = INK
    width: float = 1.0
    opacity: float = 1.0
    facts: tuple[Fact, ...] = ()

    def known(self, fact: Fact) -> list[Any]:
        return list(_column(self, fact))


@dataclass(frozen=True)
class Bars:
    """Horizontal ones, from 0 to x, at y."""

    name: str
    x: Numbers
    y: Numbers
    colour: str
    facts: tuple[Fact, ...] = ()

    def known(self, fact: Fact) -> list[Any]:
        return list(_column(self, fact))


Layer = Points | Line | Bars


def _column(layer: Layer, fact: Fact) -> tuple[Any, ...]:
    match fact.of:
        case "x":
            return layer.x
        case "y":
            return layer.y
        case "value":
            assert isinstance(layer, Points)
            assert layer.values is not None
            return layer.values
        case entries:
            return entries


@dataclass(frozen=True)
class Label:
    """Words about a point (x, y), which stand at (text_x, text_y) and begin, end or are centred there;
    leader: whether a thin line leads from one to the other."""

    text: str
    x: float
    y: float
    text_x: float
    text_y: float
    anchor: Literal["left", "right", "center"] = "left"
    colour: str = INK
    leader: bool = False


@dataclass(frozen=True)
class Panel:
    """name: no other panel of the figure has it.  note: a line of words below the title.  message: what is
    said in the middle of a panel that has nothing to show."""

    name: str
    title: str
    x: Axis
    y: Axis
    layers: tuple[Layer, ...] = ()
    labels: tuple[Label, ...] = ()
    scale: Scale | None = None
    note: str = ""
    message: str = ""

    @property
    def keyed(self) -> list[Points]:
        """The layers whose marks need words."""
        return [layer for layer in self.layers if isinstance(layer, Points) and layer.key]


@dataclass(frozen=True)
class Figure:
    """kind: its name.  columns: panels beside one another, at most.  width, height: of one panel alone, in
    mm; panels side by side share the width of a page (DOUBLE)."""

    kind: str
    panels: tuple[Panel, ...]
    columns: int
    width: float
    height: float

    @property
    def rows(self) -> int:
        return -(-len(self.panels) // self.columns)

    def places(self) -> Iterator[tuple[Panel, int, int]]:
        """Each panel with its row, from the top, and its column."""
        for index, panel in enumerate(self.panels):
            yield panel, *divmod(index, self.columns)

    @property
    def beside(self) -> int:
        """The panels that stand beside one another."""
        return min(self.columns, len(self.panels))


SINGLE: Final = 89.0
MIDDLE: Final = 136.0
DOUBLE: Final = 183.0
"""Widths of a column, of one and a half, and of two, in mm, as journals want them."""


def plain_data(figure: Figure) -> dict[str, Any]:
    """Everything that is drawn, with every digit: what a file of the figure carries along."""
    return {
        "kind": figure.kind,
        "panels": [
            {
                "panel": panel.name,
                "layers": [
                    {"layer": layer.name, **{f.name: layer.known(f) for f in layer.facts}}
                    for layer in panel.layers
                    if layer.facts
                ],
            }
            for panel in figure.panels
        ],
    }
