"""Printing of results: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2
READABLE = 24
"""Characters in which a wrapped column can still be read."""


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_data(value: Any, form: str) -> None:
    """A mapping or a list of them, as JSON or CSV."""
    if form == "json":
        print_json(value)
    else:
        print_csv(value if isinstance(value, list) else [value])


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a row; nested values become columns of their own, such as params.B."""
    flattened = [dict(_flat(row)) for row in rows]
    columns = list(dict.fromkeys(name for row in flattened for name in row))
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flattened)


def _flat(row: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            pairs.extend(_flat(value, f"{prefix}{name}."))
        else:
            pairs.append((f"{prefix}{name}", value))
    return pairs


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, wrap_last: bool = False
) -> None:
    """Columns as wide as their content, numbers to the right.

    What a terminal has no room for is left out from the right, and said so: a number on two lines
    would be read as another one.  ``wrap_last``: the last column is text, which may be wrapped.
    """
    screen = console()
    shown = _fitting(columns, rows, screen.width, wrap_last)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns[:shown]):
        numeric = bool(rows) and all(isinstance(row[index], Number) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row[:shown]))
    screen.print(table)
    if columns[shown:]:
        left_out = ", ".join(columns[shown:])
        print(f"Left out for want of room: {left_out}.", file=sys.stderr)


def _fitting(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], room: int, wrap_last: bool
) -> int:
    """How many columns, from the left, fit into so many characters; at least one."""
    widths = [
        max(cell_len(str(cell)) for cell in column) for column in zip(columns, *rows, strict=True)
    ]
    if wrap_last:
        widths[-1] = min(widths[-1], READABLE)
    ends = accumulate(width + GAP for width in widths)
    return max(sum(end - GAP <= room for end in ends), 1)


class Number(str):
    """Text that is a number, which aligns to the right."""

    __slots__ = ()


def console() -> Console:
    """Stdout; as wide as it needs to be when it is no terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=10_000)


def four(value: float | None) -> Number:
    return Number("-" if value is None else f"{value:.4f}")


def duration(seconds: float | None) -> str:
    """1:02:03 or 4:05."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def local_time(text: str) -> str:
    """A stored time (ISO 8601, UTC) on the clock of whoever reads."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: int | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return "-"
    amount, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.3g} {units[0]}"
