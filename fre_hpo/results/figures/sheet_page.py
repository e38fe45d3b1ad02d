"""A sheet of pictures as one HTML file that needs nothing else: the pictures are inside."""

from __future__ import annotations

import base64
import html
import io
import json

from fre_hpo.data.showing.overlay import Pixels
from fre_hpo.results.figures.sheet import Cell, Row, Sheet

WIDEST = 300
"""Of a picture, in pixels of the screen."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{mark}">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
img-src data:">
<title>{title}</title>
<style>
body {{ margin: 16px; background: #fff; color: #222; font: 14px Arial, Helvetica, sans-serif }}
table {{ table-layout: fixed; width: 100%; max-width: {width}px }}
th, td {{ padding: 2px 4px; text-align: left; vertical-align: bottom; font-weight: normal }}
thead th:first-child {{ width: 24px }}
th b {{ display: block }}
tbody th {{ writing-mode: vertical-rl; transform: rotate(180deg); text-align: left }}
img {{ display: block; width: 100%; image-rendering: pixelated }}
.key span {{ margin-right: 16px; white-space: nowrap }}
.key i {{ display: inline-block; width: 12px; height: 12px; margin-right: 5px }}
</style>
</head>
<body>
<table>
<thead><tr><th></th>{heads}</tr></thead>
<tbody>{rows}</tbody>
</table>
<p class="key">{key}</p>
<script type="application/json" id="shown">{shown}</script>
</body>
</html>
"""


def render(sheet: Sheet, mark: str) -> bytes:
    """mark: by which the program knows its own files."""
    page = _PAGE.format(
        mark=html.escape(mark),
        title=html.escape(f"{sheet.title}: {sheet.kind}"),
        width=WIDEST * len(sheet.heads) + 24,
        heads="".join(map(_head, sheet.heads)),
        rows="".join(_row(row, sheet.heads) for row in sheet.rows),
        key="".join(
            f'<span><i style="background:{s.colour}"></i>{html.escape(s.words)}</span>'
            for s in sheet.key
        ),
        shown=json.dumps(sheet.data, ensure_ascii=False).replace("</", "<\\/"),
    )
    return page.encode()


def _head(lines: tuple[str, ...]) -> str:
    first, *rest = map(html.escape, lines)
    return f"<th><b>{first}</b>{'<br>'.join(rest)}</th>"


def _row(row: Row, heads: tuple[tuple[str, ...], ...]) -> str:
    cells = "".join(
        _cell(cell, f"{row.name}, {head[0]}") for cell, head in zip(row.cells, heads, strict=True)
    )
    return f"<tr><th>{html.escape(row.name)}</th>{cells}</tr>\n"


def _cell(cell: Cell, words: str) -> str:
    return (
        f'<td><img alt="{html.escape(words)}" src="{data_uri(png(cell.pixels))}">'
        f"{html.escape(cell.caption) or '&nbsp;'}</td>"
    )


def png(pixels: Pixels) -> bytes:
    """(height, width, 3) as a PNG, every pixel as it is."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return content.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A picture within a page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
