"""A report as plain values: sections of paragraphs, tables, figures and commands.

What is told makes them, a page and a Markdown file are made of them; neither knows the other.  All words
are plain: whoever renders them escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Mono:
    """Words to be typed, or that a program wrote."""

    text: str


@dataclass(frozen=True)
class Strong:
    text: str


Inline = str | Mono | Strong


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    parts: tuple[Inline, ...]


@dataclass(frozen=True)
class Listing:
    """Paragraphs with a dot before each."""

    items: tuple[Words, ...]


@dataclass(frozen=True)
class Facts:
    """Things and what they are."""

    rows: tuple[tuple[str, Words], ...]


@dataclass(frozen=True)
class Grid:
    """A table.  numeric: which columns hold numbers; marked: rows that stand out, from 0."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A figure.  name: of its file, without the ending.  alt: what it shows, for those who cannot see it.
    width: in mm on paper, 0 for the whole width."""

    name: str
    kind: Literal["svg", "png"]
    content: bytes
    alt: str
    caption: str
    width: float = 0.0

    @property
    def file(self) -> str:
        return f"{self.name}.{self.kind}"


@dataclass(frozen=True)
class Code:
    """Something to copy.  language: sh, toml, json."""

    text: str
    language: str


Block = Words | Listing | Facts | Grid | Picture | Code


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Figure:
    """A number that matters most.  value: short; words: what it is; more: a line below it."""

    value: str
    words: str
    more: str = ""


@dataclass(frozen=True)
class Report:
    """kind: study or comparison.  lead: the answer, in a sentence or two.  headline: a few numbers."""

    kind: str
    title: str
    subtitle: str
    lead: tuple[Words, ...]
    headline: tuple[Figure, ...]
    sections: tuple[Section, ...]
    made: str

    def pictures(self) -> Iterator[Picture]:
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Picture))


def words(*parts: Inline) -> Words:
    return Words(parts)


def grid(
    title: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    left: int = 1,
    marked: frozenset[int] = frozenset(),
) -> Grid:
    """A table whose first columns hold words, and all others numbers."""
    numeric = tuple(place >= left for place in range(len(columns)))
    return Grid(title, columns, tuple(rows), numeric, marked)
