"""A comparison's table on the terminal, for programs, for papers, and into a file."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fre_hpo.errors import CannotWrite, UsageError

if TYPE_CHECKING:
    from fre_hpo.results.comparison.render import Section
    from fre_hpo.results.comparison.table import ComparisonTable

FORMATS = ("table", "json", "csv", "markdown", "latex")
ENDINGS = {".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex"}


def format_of(out: Path) -> str:
    """By the file's ending; raises UsageError."""
    if out.suffix.lower() not in ENDINGS:
        known = ", ".join(ENDINGS)
        raise UsageError(problem=f"--out {out}: its ending says what it becomes, one of {known}.")
    return ENDINGS[out.suffix.lower()]


def refuse_place(out: Path | None) -> None:
    """Raise UsageError for a file that could not be written at the end."""
    if out is None:
        return
    format_of(out)
    if out.is_dir() or not out.expanduser().absolute().parent.is_dir():
        raise UsageError(problem=f"--out {out}: name a file in a folder that is there.")


def print_comparison(table: ComparisonTable, form: str, out: Path | None) -> None:
    """The table on stdout; and in a file, in the format of its ending."""
    if form == "table":
        _print_for_people(table)
    else:
        click.echo(_text(table, form), nl=False)
    if out is not None:
        _write(out, _text(table, format_of(out)))
        click.echo(f"Written: {out}", err=True)


def _text(table: ComparisonTable, form: str) -> str:
    from fre_hpo.results.comparison import render

    writers: dict[str, Callable[[ComparisonTable], str]] = {
        "json": render.json_text,
        "csv": render.csv_text,
        "markdown": render.markdown,
        "latex": render.latex,
    }
    return writers[form](table)


def _write(out: Path, text: str) -> None:
    try:
        out.expanduser().write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(path=out, reason=error.strerror) from error


# --- for people -----------------------------------------------------------------------------------


def _print_for_people(table: ComparisonTable) -> None:
    """The tables, then what they show, then what a reader must know."""
    from fre_hpo.cli.tables import console
    from fre_hpo.results.comparison.render import sections

    for section in sections(table):
        click.echo(f"{section.title}\n")
        for part in _fitting(section, console().width):
            _print_section(part)
            click.echo()
    for sentence in dict.fromkeys(filter(None, (table.answer, *table.sentences))):
        click.echo(wrapped(sentence, "* "))
    click.echo()
    for note in table.footnotes:
        click.echo(wrapped(note, "- "))


def _print_section(section: Section) -> None:
    from fre_hpo.cli.tables import Number, print_table

    rows = [
        [
            Number(cell) if number else cell
            for cell, number in zip(row, section.numeric, strict=True)
        ]
        for row in section.rows
    ]
    print_table(section.columns, rows)


def _fitting(section: Section, room: int) -> Iterator[Section]:
    """A table that is too wide as several, each with the first column again."""
    for chosen in _columns(section, room):
        yield replace(
            section,
            columns=tuple(section.columns[i] for i in chosen),
            rows=tuple(tuple(row[i] for i in chosen) for row in section.rows),
            numeric=tuple(section.numeric[i] for i in chosen),
        )


def _columns(section: Section, room: int) -> Iterator[Sequence[int]]:
    from rich.cells import cell_len

    from fre_hpo.cli.tables import GAP

    widths = [
        max(map(cell_len, column)) + GAP
        for column in zip(section.columns, *section.rows, strict=True)
    ]
    chosen, used = [0], widths[0]
    for index in range(1, len(widths)):
        if used + widths[index] - GAP > room and len(chosen) > 1:
            yield chosen
            chosen, used = [0], widths[0]
        chosen.append(index)
        used += widths[index]
    yield chosen


def wrapped(text: str, bullet: str = "") -> str:
    """Broken between words on a terminal, as one line elsewhere."""
    if not sys.stdout.isatty():
        return bullet + text
    indent = " " * len(bullet)
    return textwrap.fill(
        text,
        shutil.get_terminal_size().columns,
        initial_indent=bullet,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
