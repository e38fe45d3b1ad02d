"""Markdown as optuna-dashboard shows it: CommonMark with tables, without HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&#])")
_APART = "\u00a0\u00a0"
"""The dashboard sets columns side by side without any space."""


def text(words: str) -> str:
    """Words as they are: nothing in them is formatting."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def bold(words: str) -> str:
    return f"**{text(words)}**"


def code(words: str) -> str:
    """Words in a typewriter's letters, within a line or a table."""
    line = " ".join(words.split())
    ticks = _fence(line, 1)
    apart = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{apart}{line}{apart}{ticks}".replace("|", r"\|") if line else ""


def code_block(lines: Iterable[str]) -> str:
    """Commands to copy."""
    body = "\n".join(lines)
    fence = _fence(body, 3)
    return f"{fence}sh\n{body}\n{fence}"


def image(words: str, url: str) -> str:
    return f"![{text(words)}]({url})"


def link(words: str, url: str) -> str:
    return f"[{text(words)}]({url})"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 0) -> str:
    """Columns to the right but the first ``left`` ones; cells are Markdown already."""
    sides = [":---" if place < left else "---:" for place in range(len(columns))]
    padded = [[f"{cell}{_APART}" for cell in row] for row in (columns, *rows)]
    lines = [padded[0], sides, *padded[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fence(words: str, shortest: int) -> str:
    """More ticks than there are in a row anywhere in the words."""
    longest = max(map(len, re.findall("`+", words)), default=0)
    return "`" * max(shortest, longest + 1)
