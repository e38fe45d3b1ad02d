"""A report as one HTML page that needs nothing else: its style and its figures are inside, and it has no
program.  A browser is told to ask nobody."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

from fre_hpo.results.report.blocks import (
    Block,
    Code,
    Facts,
    Figure,
    Grid,
    Inline,
    Listing,
    Mono,
    Picture,
    Report,
    Section,
    Strong,
    Words,
)

MARK = "fre-hpo report"
"""By which the program knows its own reports."""
STYLE = Path(__file__).with_name("page.css")
MIME = {"svg": "image/svg+xml", "png": "image/png"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(report: Report) -> str:
    """index.html."""
    style = STYLE.read_text(encoding="utf-8")
    contents = "".join(map(_entry, report.sections))
    headline = "".join(map(_figure, report.headline))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{MARK}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{_text(report.title)} - {MARK}</title>
<style>
{style}</style>
</head>
<body>
<header>
<p class="kind">{_text(report.kind)}</p>
<h1>{_text(report.title)}</h1>
<p class="subtitle">{_text(report.subtitle)}</p>
{"".join(f'<p class="lead">{_inline(lead)}</p>' for lead in report.lead)}
<div class="headline">{headline}</div>
<nav><ol>{contents}</ol></nav>
</header>
<main>
{"".join(map(_section, report.sections))}</main>
<footer><p>{_text(report.made)}</p></footer>
</body>
</html>
"""


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _entry(section: Section) -> str:
    return f'<li><a href="#{_anchor(section.title)}">{_text(section.title)}</a></li>'


def _figure(figure: Figure) -> str:
    more = f"<small>{_text(figure.more)}</small>" if figure.more else ""
    return f"<p>{_text(figure.words)}<b>{_text(figure.value)}</b>{more}</p>"


def _section(section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    title = _text(section.title)
    return f'<section id="{_anchor(section.title)}">\n<h2>{title}</h2>\n{blocks}\n</section>\n'


def _block(block: Block) -> str:
    match block:
        case Words():
            return f"<p>{_inline(block)}</p>"
        case Listing(items):
            return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
        case Facts(rows):
            pairs = (f"<dt>{_text(name)}</dt><dd>{_inline(fact)}</dd>" for name, fact in rows)
            return f"<dl>{''.join(pairs)}</dl>"
        case Grid():
            return _grid(block)
        case Picture():
            return _picture(block)
        case Code(text):
            return f"<pre><code>{_text(text)}</code></pre>"


def _inline(words: Words) -> str:
    return "".join(map(_part, words.parts))


def _part(part: Inline) -> str:
    match part:
        case Mono(text):
            return f"<code>{_text(text)}</code>"
        case Strong(text):
            return f"<strong>{_text(text)}</strong>"
        case text:
            return _text(text)


def _grid(grid: Grid) -> str:
    head = _cells("th", grid.columns, grid.numeric)
    rows = "\n".join(
        f"<tr{_class('marked', place in grid.marked)}>{_cells('td', row, grid.numeric)}</tr>"
        for place, row in enumerate(grid.rows)
    )
    title = f"<caption>{_text(grid.title)}</caption>" if grid.title else ""
    return (
        f'<div class="table" tabindex="0"><table>{title}\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cells(tag: str, cells: tuple[str, ...], numeric: tuple[bool, ...]) -> str:
    return "".join(
        f"<{tag}{_class('number', is_number)}>{_text(cell)}</{tag}>"
        for cell, is_number in zip(cells, numeric, strict=True)
    )


def _class(name: str, applies: bool) -> str:
    return f' class="{name}"' if applies else ""


def _picture(picture: Picture) -> str:
    """Each figure stays a document of its own: its styles and names touch nothing around it."""
    content = base64.b64encode(picture.content).decode()
    width = f' style="width:{picture.width:g}mm"' if picture.width else ""
    return (
        f'<figure><img alt="{_text(picture.alt)}"{width} '
        f'src="data:{MIME[picture.kind]};base64,{content}">\n'
        f"<figcaption>{_text(picture.caption)}</figcaption></figure>"
    )
