"""Printing of results: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as their content; numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], Number) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console().print(table)


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


def short(value: float) -> str:
    """A parameter's value: whole numbers whole, others with four significant digits."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def params_text(params: Mapping[str, float]) -> str:
    """B=162, X=632."""
    return ", ".join(f"{name}={short(value)}" for name, value in params.items()) or "-"


def duration(seconds: float | None) -> str:
    """1:02:03 or 4:05."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
