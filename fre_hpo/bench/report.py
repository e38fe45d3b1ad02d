"""The report of a run: plain values for JSON, tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fre_hpo.bench.measures import GATE, Part
from fre_hpo.bench.shapes import Shape


@dataclass(frozen=True)
class Table:
    """Rows of text under columns."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Report:
    """machine: as ``machine.describe`` has it, with the load average before and after."""

    machine: dict[str, Any]
    shape: Shape
    parts: tuple[Part, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "shape": asdict(self.shape),
            "parts": [part.to_json() for part in self.parts],
        }

    @property
    def failures(self) -> list[str]:
        """One sentence for each fast path that is shown to be slower than its plain twin by too much."""
        return [
            f"{part.name}: {ratio.to} runs at {ratio.median:.2f} times the speed of its "
            f"{ratio.of} (95 % interval {ratio.low:.2f} to {ratio.high:.2f}); at least {GATE} is wanted."
            for part in self.parts
            for ratio in part.ratios
            if ratio.fails
        ]


def heading(report: Report) -> str:
    """Where and when it was measured."""
    m = report.machine
    return (
        f"{m['device']} ({m['processor']}, {m['cores']} cores, {m['capability']}), "
        f"torch {m['torch']}, Python {m['python']}, {m['threads']} threads, {m['date']}; "
        f"load average {m['load_before']} before, {m['load_after']} after"
    )


def tables(part: Part) -> list[Table]:
    """What a part measured: its arms, how they compare, single figures; none that is empty."""
    found = [_arms(part), _ratios(part), _figures(part)]
    return [table for table in found if table.rows]


def _arms(part: Part) -> Table:
    columns = ("arm", f"median, {part.unit}", "warm-up, s", "memory, MB")
    rows = [
        (arm.name, number(arm.median), number(arm.warmup), number(arm.memory_mb))
        for arm in part.arms
    ]
    return Table(columns, tuple(rows))


def _ratios(part: Part) -> Table:
    columns = ("this", "is so many times as fast", "as that", "95 % interval", "verdict", "goal")
    rows = [
        (
            ratio.to,
            f"{ratio.median:.2f}",
            ratio.of,
            f"{ratio.low:.2f} to {ratio.high:.2f}",
            ratio.verdict,
            "-" if ratio.goal is None else f"{ratio.goal:.2f}",
        )
        for ratio in part.ratios
    ]
    return Table(columns, tuple(rows))


def _figures(part: Part) -> Table:
    rows = [(f.name, number(f.value), f.unit, f.goal or "-") for f in part.figures]
    return Table(("figure", "value", "unit", "goal"), tuple(rows))


def remarks(part: Part) -> list[str]:
    """What was left out, and what to make of the rest."""
    left_out = [f"Left out: {item.name} ({item.reason})." for item in part.left_out]
    return left_out + [f"{note[:1].upper()}{note[1:]}." for note in part.notes]


def number(value: float | None) -> str:
    """Three significant digits, and whole numbers from 100 on."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text, for where nothing is installed that prints better ones."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [columns, *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
