"""A described figure in plotly's JSON, as plain values: made without plotly, which only draws it.

Numbers are whole wherever they come from the database; what we computed is rounded.
"""

from __future__ import annotations

import math
from typing import Any

from fre_hpo.results.figures.axes import Axis
from fre_hpo.results.figures.description import (
    Bars,
    Figure,
    Label,
    Layer,
    Line,
    Panel,
    Points,
)
from fre_hpo.results.figures.hover import hover, text_of
from fre_hpo.results.figures.theme import Theme

Plain = dict[str, Any]

FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
SIZE = 12
"""Of words, in pixels."""
GAP = 0.09
"""Between panels, as a share of the whole."""
BAR = 0.13
"""The share of a panel's width that its colour bar takes."""

_SYMBOLS = {
    "dot": "circle",
    "ring": "circle-open",
    "cross": "x-thin",
    "hollow": "circle-open",
    "tick": "line-ns",
}
_SIZES = {"dot": 8, "ring": 15, "cross": 7, "hollow": 8, "tick": 22}


def plotly_figure(figure: Figure, theme: Theme, title: str = "", *, small: bool = False) -> Plain:
    """{"data": [...], "layout": {...}}; as wide and high as the place it is put into.

    small: curves have the four digits that are shown, points all of theirs nevertheless."""
    data: list[Plain] = []
    layout: Plain = {
        "autosize": True,
        "showlegend": False,
        "hovermode": "closest",
        "font": {"family": FONT, "size": SIZE, "color": theme.ink},
        "paper_bgcolor": theme.ground,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 60, "r": 20, "t": _top(figure, title), "b": 55},
        "uirevision": figure.kind,
        "annotations": [],
    }
    if title:
        place = {"x": 0.02, "xanchor": "left", "y": 0.97, "yanchor": "top"}
        layout["title"] = {"text": text_of(title), "font": {"size": 15}, **place}
    for number, (panel, row, column) in enumerate(figure.places(), 1):
        _Panel(panel, number, theme, _domain(figure, row, column), small).add_to(
            data, layout, not title
        )
    return {"data": data, "layout": layout}


def _top(figure: Figure, title: str) -> int:
    """Pixels above the panels: for the title of the figure, or of each panel, and the lines below it."""
    lines = max(bool(p.note) + bool(p.keyed) for p in figure.panels)
    return (48 if title else 30) + 17 * lines


Domain = tuple[tuple[float, float], tuple[float, float]]


def _domain(figure: Figure, row: int, column: int) -> Domain:
    """From where to where a panel goes, of the whole, from the left and from the bottom."""
    width = (1 - GAP * (figure.beside - 1)) / figure.beside
    height = (1 - GAP * 1.8 * (figure.rows - 1)) / figure.rows
    left, top = column * (width + GAP), 1 - row * (height + GAP * 1.8)
    return (left, left + width), (max(top - height, 0.0), top)


class _Panel:
    """One panel with its own axes and colour scale."""

    def __init__(
        self, panel: Panel, number: int, theme: Theme, domain: Domain, small: bool
    ) -> None:
        self.panel = panel
        self.theme = theme
        self.suffix = "" if number == 1 else str(number)
        (left, right), self.upright = domain
        self.small = small
        self.scaled = panel.scale is not None and not panel.message
        width = (right - left) * (1 - BAR) if self.scaled else right - left
        self.across = left, left + width

    def add_to(self, data: list[Plain], layout: Plain, titled: bool) -> None:
        panel = self.panel
        layout[f"xaxis{self.suffix}"] = self._axis(panel.x, "x", self.across)
        layout[f"yaxis{self.suffix}"] = self._axis(panel.y, "y", self.upright)
        if self.scaled:
            layout[f"coloraxis{self.suffix}"] = self._colours()
        data.extend(self._trace(layer) for layer in panel.layers)
        words = layout["annotations"]
        words.extend(self._label(label) for label in panel.labels)
        words.extend(self._around(titled))

    def _axis(self, axis: Axis, which: str, domain: tuple[float, float]) -> Plain:
        other = "y" if which == "x" else "x"
        ends = (axis.low, axis.high)
        named = axis.drawn is not None and axis.drawn[0] == axis.drawn[1]
        return {
            "type": "log" if axis.log else "linear",
            "range": [_rounded(math.log10(v) if axis.log else v) for v in ends],
            "domain": [_rounded(v) for v in domain],
            "anchor": f"{other}{self.suffix}",
            "title": {"text": text_of(axis.title), "standoff": 8},
            "tickvals": [v for v, _ in axis.ticks],
            "ticktext": [text_of(text) for _, text in axis.ticks],
            "ticks": "outside" if axis.shown and not named else "",
            "ticklen": 4,
            "tickcolor": self.theme.ink,
            "showgrid": axis.rules or (axis.shown and not named),
            "gridcolor": self.theme.grid,
            "zeroline": False,
            "automargin": True,
        }

    def _colours(self) -> Plain:
        scale = self.panel.scale
        assert scale is not None
        low, high = self.upright
        last = len(scale.stops) - 1
        return {
            "cmin": scale.low,
            "cmax": scale.high,
            "colorscale": [[_rounded(i / last), stop] for i, stop in enumerate(scale.stops)],
            "colorbar": {
                "title": {"text": text_of(scale.title), "side": "right"},
                "tickvals": [v for v, _ in scale.ticks],
                "ticktext": [text for _, text in scale.ticks],
                "thickness": 11,
                "outlinewidth": 0,
                "x": _rounded(self.across[1] + 0.01),
                "xanchor": "left",
                "y": _rounded((low + high) / 2),
                "len": _rounded(high - low),
            },
        }

    def _trace(self, layer: Layer) -> Plain:
        trace: Plain = {
            "type": "scatter",
            "name": layer.name,
            "xaxis": f"x{self.suffix}",
            "yaxis": f"y{self.suffix}",
            "x": list(layer.x),
            "y": self._upright(layer),
            **hover(layer),
        }
        match layer:
            case Points():
                marker = {"symbol": _SYMBOLS[layer.mark], "size": _SIZES[layer.mark]}
                trace |= {"mode": "markers", "cliponaxis": False}
                trace["marker"] = marker | self._paint(layer)
            case Line():
                colour = self.theme.colour(layer.colour)
                line = {"color": colour, "width": round(layer.width * 4 / 3, 2)}
                trace |= {"mode": "lines", "line": line}
                if layer.opacity < 1:
                    trace["opacity"] = layer.opacity
            case Bars():
                trace |= {"type": "bar", "orientation": "h", "width": 0.6}
                trace["marker"] = {"color": layer.colour}
        return trace

    def _upright(self, layer: Layer) -> list[float]:
        if self.small and isinstance(layer, Line):
            return [round(v, 4) for v in layer.y]
        return list(layer.y)

    def _paint(self, layer: Points) -> Plain:
        ink = self.theme.colour(layer.colour)
        if layer.mark in ("ring", "hollow", "cross", "tick"):
            return {"color": ink, "line": {"color": ink, "width": 1.6}}
        outline = {"color": self.theme.ink, "width": 0.6}
        if layer.values is None:
            return {"color": ink, "line": outline}
        return {
            "color": list(layer.values),
            "coloraxis": f"coloraxis{self.suffix}",
            "line": outline,
        }

    def _label(self, label: Label) -> Plain:
        """plotly wants positions on a log axis as logarithms."""
        axes = ((self.panel.x, label.x, label.text_x), (self.panel.y, label.y, label.text_y))
        (x, text_x), (y, text_y) = (_places(*entry) for entry in axes)
        across, upright = f"x{self.suffix}", f"y{self.suffix}"
        words: Plain = {
            "text": text_of(label.text),
            "xref": across,
            "yref": upright,
            "xanchor": label.anchor,
            "yanchor": "middle",
            "align": "left",
            "font": {"color": self.theme.colour(label.colour), "size": SIZE - 1},
            "bgcolor": self.theme.halo,
            "borderpad": 0,
        }
        if not label.leader:
            return words | {"x": text_x, "y": text_y, "showarrow": False}
        thin = {"arrowhead": 0, "arrowwidth": 0.7, "arrowcolor": words["font"]["color"]}
        return (
            words
            | thin
            | {"x": x, "y": y, "ax": text_x, "ay": text_y}
            | {
                "axref": across,
                "ayref": upright,
                "showarrow": True,
            }
        )

    def _around(self, titled: bool) -> list[Plain]:
        """The panel's title and the meaning of its marks above it, a message in its middle."""
        (left, right), (bottom, top) = self.across, self.upright
        above = []
        if titled:
            above.append(f"<b>{text_of(self.panel.title)}</b>")
        if self.panel.note:
            above.append(text_of(self.panel.note))
        if self.panel.keyed:
            keys = (f"{_KEYS[layer.mark]} {text_of(layer.key)}" for layer in self.panel.keyed)
            above.append("    ".join(keys))
        found = []
        if above:
            found.append(("<br>".join(above), left, top, "left", "bottom"))
        if self.panel.message:
            middle = (left + right) / 2, (bottom + top) / 2
            found.append((text_of(self.panel.message), *middle, "center", "middle"))
        return [
            {
                "text": text,
                "x": _rounded(x),
                "y": _rounded(y),
                "xref": "paper",
                "yref": "paper",
                "xanchor": xanchor,
                "yanchor": yanchor,
                "yshift": 6 if yanchor == "bottom" else 0,
                "align": "left",
                "showarrow": False,
            }
            for text, x, y, xanchor, yanchor in found
        ]


_KEYS = {"ring": "◯", "cross": "×", "hollow": "○", "dot": "●", "tick": "|"}


def _places(axis: Axis, *values: float) -> list[float]:
    return [_rounded(math.log10(v) if axis.log else v) for v in values]


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
