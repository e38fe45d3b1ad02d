"""A described figure as PNG, SVG or PDF, drawn by matplotlib at the size it has in a journal.

The same figure gives the same bytes: no dates, no random names.  Every file carries what it shows as
JSON (PNG and SVG: Description, PDF: Subject), and in an SVG words are words.
"""

from __future__ import annotations

import io
import json
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from fre_hpo.results.figures.axes import Axis
from fre_hpo.results.figures.description import (
    DOUBLE,
    Bars,
    Figure,
    Label,
    Layer,
    Line,
    Panel,
    Points,
    plain_data,
)
from fre_hpo.results.figures.theme import PRINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

MM = 1 / 25.4
DOTS_PER_INCH = 300
JAPANESE = ("Noto Sans CJK JP", "Hiragino Sans", "IPAexGothic")
NOTE = 50
"""Letters in a line above a panel of one column."""
SIZE = 8
"""Of the smallest words, in points."""

STYLE: dict[str, Any] = {
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": SIZE,
    "axes.titlesize": SIZE + 1,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PRINT.ink,
    "axes.labelcolor": PRINT.ink,
    "axes.titlecolor": PRINT.ink,
    "xtick.color": PRINT.ink,
    "ytick.color": PRINT.ink,
    "text.color": PRINT.ink,
    "text.parse_math": False,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": SIZE,
    "svg.fonttype": "none",
    "svg.hashsalt": "fre-hpo",
    "pdf.fonttype": 42,
    "axes.unicode_minus": False,
}

_KEY: dict[str, Any] = {
    "frameon": False,
    "handletextpad": 0.0,
    "columnspacing": 0.8,
    "borderpad": 0.1,
    "borderaxespad": 0.1,
}
_MARKERS = {"dot": "o", "ring": "o", "cross": "x", "hollow": "o", "tick": "|"}
_AREAS = {"dot": 24.0, "ring": 95.0, "cross": 20.0, "hollow": 24.0, "tick": 420.0}
"""Of each mark, in square points."""


def render(figure: Figure, ending: str, mark: str) -> bytes:
    """The file's content.  ending: png, svg or pdf.  mark: by which the program knows its own files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    with styled():
        sheet = Sheet(figsize=_inches(figure), layout="constrained")
        FigureCanvasAgg(sheet)
        grid = sheet.subplots(figure.rows, figure.beside, squeeze=False)
        for panel, row, column in figure.places():
            _draw(grid[row][column], panel)
        for unused in grid.flat[len(figure.panels) :]:
            unused.remove()
        return saved(sheet, plain_data(figure), ending, mark)


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib as our figures want it, whatever the user has set."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(cast(Any, {**STYLE, "font.family": _fonts()}))
        yield


def saved(sheet: Sheet, data: dict[str, Any], ending: str, mark: str) -> bytes:
    """The content of a file that carries its data."""
    content = io.BytesIO()
    sheet.savefig(content, format=ending, dpi=DOTS_PER_INCH, metadata=_metadata(data, ending, mark))
    return content.getvalue()


def _inches(figure: Figure) -> tuple[float, float]:
    width = figure.width if figure.beside == 1 else DOUBLE
    return width * MM, figure.height * figure.rows * MM


def _fonts() -> list[str]:
    """A journal's; for what it lacks matplotlib's own, and for Japanese one that is installed."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return ["sans-serif", "DejaVu Sans", *[name for name in JAPANESE if name in installed][:1]]


def _metadata(plain: dict[str, Any], ending: str, mark: str) -> dict[str, Any]:
    data = json.dumps(plain, ensure_ascii=False)
    match ending:
        case "png":
            return {"Software": mark, "Description": data}
        case "svg":
            return {"Creator": mark, "Description": data, "Date": None}
        case _:
            return {"Creator": mark, "Subject": data, "CreationDate": None}


def _draw(axes: Axes, panel: Panel) -> None:
    _draw_axis(axes, "x", panel.x)
    _draw_axis(axes, "y", panel.y)
    axes.set_axisbelow(True)
    for depth, layer in enumerate(panel.layers, 3):
        _draw_layer(axes, panel, layer, depth)
    for label in panel.labels:
        _draw_label(axes, label)
    if panel.message:
        axes.text(0.5, 0.5, panel.message, transform=axes.transAxes, ha="center", va="center")
    if panel.scale and not panel.message:
        _draw_scale(axes, panel)
    _draw_above(axes, panel)


def _draw_axis(axes: Axes, which: str, axis: Axis) -> None:
    horizontal = which == "x"
    side = axes.xaxis if horizontal else axes.yaxis
    if axis.log:
        (axes.set_xscale if horizontal else axes.set_yscale)("log")
    (axes.set_xlim if horizontal else axes.set_ylim)(axis.low, axis.high)
    side.set_ticks([v for v, _ in axis.ticks], labels=[text for _, text in axis.ticks])
    side.set_ticks(list(axis.minor), labels=[""] * len(axis.minor), minor=True)
    side.set_label_text(axis.title)
    spine = axes.spines["bottom" if horizontal else "left"]
    spine.set_bounds(*(axis.drawn or (axis.low, axis.high)))
    if not axis.shown:
        spine.set_visible(False)
        side.set_tick_params(length=0)
    elif axis.drawn and axis.drawn[0] == axis.drawn[1]:
        side.set_tick_params(length=0)
    if axis.rules:
        side.grid(visible=True, color=PRINT.grid, linewidth=0.6)


def _draw_layer(axes: Axes, panel: Panel, layer: Layer, depth: int) -> None:
    name = f"{layer.name}-{panel.name}"
    match layer:
        case Points():
            _draw_points(axes, panel, layer, depth, name)
        case Line(x=x, y=y):
            colour, alpha = PRINT.colour(layer.colour), layer.opacity
            (drawn,) = axes.plot(
                x, y, color=colour, linewidth=layer.width, alpha=alpha, zorder=depth, gid=name
            )
            drawn.set_solid_capstyle("round")
        case Bars(x=x, y=y):
            bars = axes.barh(y, x, height=0.6, color=layer.colour, zorder=depth)
            for number, bar in enumerate(bars):
                bar.set_gid(f"{name}-{number}")


def _draw_points(axes: Axes, panel: Panel, layer: Points, depth: int, name: str) -> None:
    """Whole even at the edge of the panel; every point outlined, so that a pale one is seen."""
    ink = PRINT.colour(layer.colour)
    fill: Any = ink
    if layer.values is not None and panel.scale is not None:
        fill = [panel.scale.colour(v) for v in layer.values]
    style: dict[str, Any] = {"color": ink, "linewidths": 1.2}
    if layer.mark == "dot":
        style = {"color": fill, "edgecolors": PRINT.ink, "linewidths": 0.4}
    elif layer.mark in ("ring", "hollow"):
        style = {"facecolors": "none", "edgecolors": ink, "linewidths": 1.1}
    axes.scatter(
        layer.x,
        layer.y,
        s=_AREAS[layer.mark],
        marker=_MARKERS[layer.mark],
        zorder=depth,
        clip_on=False,
        gid=name,
        label=layer.key or "_",
        **style,
    )


def _draw_label(axes: Axes, label: Label) -> None:
    from matplotlib.patheffects import withStroke

    colour = PRINT.colour(label.colour)
    line: dict[str, Any] = {
        "arrowstyle": "-",
        "color": colour,
        "linewidth": 0.5,
        "shrinkA": 1,
        "shrinkB": 2,
    }
    line["relpos"] = ({"left": 0, "center": 0.5, "right": 1}[label.anchor], 0.5)
    axes.annotate(
        label.text,
        xy=(label.x, label.y),
        xytext=(label.text_x, label.text_y),
        ha=label.anchor,
        va="center",
        color=colour,
        linespacing=1.15,
        arrowprops=line if label.leader else None,
        path_effects=[withStroke(linewidth=2.5, foreground=PRINT.ground)],
        zorder=50,
        annotation_clip=False,
    )


def _draw_scale(axes: Axes, panel: Panel) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    scale = panel.scale
    assert scale is not None
    colours = LinearSegmentedColormap.from_list("scale", list(scale.stops))
    mappable = ScalarMappable(Normalize(scale.low, scale.high), colours)
    bar = axes.get_figure(root=True).colorbar(  # type: ignore[union-attr]
        mappable,
        ax=axes,
        ticks=[v for v, _ in scale.ticks],
        pad=0.02,
        fraction=0.05,
        aspect=25,
        extend="min" if scale.clipped else "neither",
    )
    bar.ax.set_yticklabels([text for _, text in scale.ticks])
    bar.ax.set_ylabel(scale.title)
    bar.outline.set_linewidth(0.4)


def _draw_above(axes: Axes, panel: Panel) -> None:
    """From the panel upwards: what its marks mean, the note, the title."""
    line = SIZE * 1.5
    height = 4.0
    if panel.keyed:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, **_KEY)
        height += line
    if panel.note:
        note = textwrap.fill(panel.note, NOTE)
        words = axes.annotate(
            note, (0, 1), (0, height), "axes fraction", textcoords="offset points", linespacing=1.15
        )
        words.set_in_layout(False)
        height += line * (1 + note.count("\n"))
    axes.set_title(panel.title, pad=height + 2)
