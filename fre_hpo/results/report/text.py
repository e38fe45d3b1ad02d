"""A report as Markdown (CommonMark with tables); its figures are files beside it."""

from __future__ import annotations

import re

from fre_hpo.results.markdown import code, image, text
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
    Strong,
    Words,
)

FIGURES = "figures"
"""The folder of the figures, beside the Markdown."""


def markdown(report: Report) -> str:
    """report.md."""
    blocks = [f"# {text(report.title)}", f"*{text(report.subtitle)}*"]
    blocks += [_inline(lead) for lead in report.lead]
    blocks.append("\n".join(f"- {text(_headline(figure))}" for figure in report.headline))
    for section in report.sections:
        blocks += [f"## {text(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(filter(None, [*blocks, text(report.made)])) + "\n"


def _headline(figure: Figure) -> str:
    more = f" ({figure.more})" if figure.more else ""
    return f"{figure.words}: {figure.value}{more}"


def _block(block: Block) -> str:
    match block:
        case Words():
            return _inline(block)
        case Listing(items):
            return "\n".join(f"- {_inline(item)}" for item in items)
        case Facts(rows):
            return "\n".join(f"- {text(name)}: {_inline(fact)}" for name, fact in rows)
        case Grid():
            return _grid(block)
        case Picture():
            shown = image(block.alt, f"{FIGURES}/{block.file}")
            return f"{shown}\n\n*{text(block.caption)}*"
        case Code():
            return _fenced(block)


def _inline(words: Words) -> str:
    return "".join(map(_part, words.parts))


def _part(part: Inline) -> str:
    match part:
        case Mono(words):
            return code(words)
        case Strong(words):
            return f"**{text(words)}**"
        case words:
            return _spaced(words)


def _spaced(words: str) -> str:
    """Escaped; a space at an end stays, for another part may follow."""
    before = " " if words[:1].isspace() else ""
    after = " " if words[-1:].isspace() and words.strip() else ""
    return f"{before}{text(words)}{after}"


def _grid(grid: Grid) -> str:
    sides = ["---:" if numeric else ":---" for numeric in grid.numeric]
    rows = [
        [f"**{text(cell)}**" if place in grid.marked else text(cell) for cell in row]
        for place, row in enumerate(grid.rows)
    ]
    lines = [[text(column) for column in grid.columns], sides, *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{text(grid.title)}**\n\n{table}" if grid.title else table


def _fenced(block: Code) -> str:
    longest = max(map(len, re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"
