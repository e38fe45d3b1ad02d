"""What plotly shows of a point under the pointer, from the facts of its layer."""

from __future__ import annotations

import html
from typing import Any

from fre_hpo.results.figures.description import Fact, Layer


def text_of(words: str) -> str:
    """Words without any meaning as HTML, of which plotly reads a little."""
    return html.escape(words, quote=False).replace("\n", "<br>")


def hover(layer: Layer) -> dict[str, Any]:
    """A trace's part of it; what is alike for all points stands in the template."""
    if not layer.facts:
        return {"hoverinfo": "skip"}
    columns: list[list[Any]] = []
    lines = [_hover_line(fact, layer, columns) for fact in layer.facts]
    found: dict[str, Any] = {"hovertemplate": "<br>".join(lines) + "<extra></extra>"}
    if columns:
        found["customdata"] = [list(row) for row in zip(*columns, strict=True)]
    return found


def _hover_line(fact: Fact, layer: Layer, columns: list[list[Any]]) -> str:
    form = f":{fact.form}" if fact.form else ""
    name = text_of(fact.name)
    match fact.of:
        case "x" | "y" as role:
            return f"{name} %{{{role}{form}}}"
        case "value":
            return f"{name} %{{marker.color{form}}}"
        case (only,) if len(layer.x) > 1:
            return f"{name} {_alike(only, fact.form)}"
        case _:
            columns.append([text_of(v) if isinstance(v, str) else v for v in layer.known(fact)])
            return f"{name} %{{customdata[{len(columns) - 1}]{form}}}"


def _alike(value: Any, form: str) -> str:
    """A value that is the same for the whole layer, in words."""
    if not isinstance(value, float):
        return text_of(str(value))
    return f"{value:.4f}" if form == ".4f" else f"{value:.4g}"
