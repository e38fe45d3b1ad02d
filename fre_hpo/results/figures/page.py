"""A figure as one HTML file that needs nothing else: plotly's program is inside, no other host is asked."""

from __future__ import annotations

import html
import json

from fre_hpo.results.figures.description import Figure
from fre_hpo.results.figures.interactive import plotly_figure
from fre_hpo.results.figures.theme import PRINT

PIXELS = 6.2
"""For each mm on paper: the panels are larger on a screen."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{mark}">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<style>body {{ margin: 0; background: #fff }} #figure {{ max-width: {width}px; height: {height}px }}</style>
</head>
<body>
<div id="figure"></div>
<script>{program}</script>
<script type="application/json" id="shown">{shown}</script>
<script>
const shown = JSON.parse(document.getElementById("shown").textContent);
Plotly.newPlot("figure", shown.data, shown.layout, {{responsive: true, displaylogo: false}});
</script>
</body>
</html>
"""


def render(figure: Figure, mark: str) -> bytes:
    """mark: by which the program knows its own files."""
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    title = ", ".join(panel.name for panel in figure.panels)
    text = _PAGE.format(
        mark=html.escape(mark),
        title=html.escape(f"{title}: {figure.kind}"),
        width=round(figure.width * figure.beside * PIXELS * 1.15),
        height=round(figure.height * figure.rows * PIXELS),
        program=get_plotlyjs(),
        shown=json.dumps(plotly_figure(figure, PRINT), ensure_ascii=False).replace("</", "<\\/"),
    )
    return text.encode()
