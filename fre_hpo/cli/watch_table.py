"""The running trials of a search as lines of a given width, for ``watch``.

What a terminal has no room for is left out, the least important column first; nothing is ever wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fre_hpo.cli.glyphs import Glyphs
from fre_hpo.cli.tables import GAP, duration, four
from fre_hpo.scheduling.live import RunningTrial
from fre_hpo.study.records import params_text

NARROWEST_CURVE, WIDEST_CURVE = 8, 32
NARROWEST_PARAMS = 8


@dataclass(frozen=True)
class Column:
    """cells: of every trial.  rank: the higher, the sooner it is left out.  shown: whether numbers, which
    align to the right."""

    name: str
    cells: tuple[str, ...]
    rank: int
    right: bool = True
    style: str = ""

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.name, *self.cells)))


def running_lines(
    running: Sequence[RunningTrial], age: float, width: int, rows: int, glyphs: Glyphs
) -> list[Text]:
    """A heading, the trials, and how many had no room; ``rows`` lines at most.  age: seconds since the
    trials were so far."""
    if not running or rows <= 0:
        return []
    if rows < 3:
        return [_left_out(len(running), "running", width, glyphs)]
    columns = _with_curve(_columns(running, age, glyphs), running, width, glyphs)
    count = len(running) if len(running) < rows else rows - 2
    lines = [_line([c.name for c in columns], columns, width, heading=True)]
    for index in range(count):
        lines.append(_line([c.cells[index] for c in columns], columns, width))
    if count < len(running):
        lines.append(_left_out(len(running) - count, "more", width, glyphs))
    return lines


def _left_out(count: int, word: str, width: int, glyphs: Glyphs) -> Text:
    line = Text(f"  {'...' if glyphs.ascii else glyphs.ellipsis} {count} {word}", style="dim")
    line.truncate(width)
    return line


# --- columns ------------------------------------------------------------------------------------


def _columns(running: Sequence[RunningTrial], age: float, glyphs: Glyphs) -> list[Column]:
    def column(name: str, cells: Sequence[str], rank: int, **how: bool | str) -> Column:
        return Column(name, tuple(map(glyphs.text, cells)), rank, **how)  # type: ignore[arg-type]

    columns = [
        column("trial", [str(t.number) for t in running], 0, style="bold"),
        column("with", [params_text(t.params) for t in running], 1, right=False),
        column("epoch", [f"{t.epoch}/{t.epochs}" for t in running], 2),
        column("mIoU", [four(t.miou) for t in running], 5),
        column("best", [four(t.best_miou) for t in running], 3, style="bold"),
        column("left", [_left(t, age) for t in running], 4),
        column("where", [_where(t) for t in running], 6, right=False),
    ]
    if any(t.attempt > 1 for t in running):
        again = [f"{t.attempt}." if t.attempt > 1 else "" for t in running]
        columns.append(column("try", again, 8, style="yellow"))
    return columns


def _left(trial: RunningTrial, age: float) -> str:
    """The time until a trial's end, at the pace of its last epoch."""
    if trial.epoch_seconds is None:
        return "-"
    return duration(max((trial.epochs - trial.epoch) * trial.epoch_seconds - age, 0.0))


def _where(trial: RunningTrial) -> str:
    """The worker's host, without its domain, and its device."""
    if trial.worker is None:
        return "-"
    host = trial.worker.rpartition(":")[0] or trial.worker
    named = not re.fullmatch(r"[0-9a-fA-F.:]*", host)
    return " ".join(filter(None, (host.partition(".")[0] if named else host, trial.device)))


def _with_curve(
    columns: list[Column], running: Sequence[RunningTrial], width: int, glyphs: Glyphs
) -> list[Column]:
    """The columns that fit, with a curve in what room is left, before the last ones."""
    shown = _fitting(columns, width)
    room = width - _total(shown) - GAP
    if len(shown) < len(columns) - 1 or room < NARROWEST_CURVE:
        return shown
    values = [value for trial in running for value in trial.recent]
    if not values:
        return shown
    low, high = min(values), max(values)
    size = min(room, WIDEST_CURVE)
    cells = tuple(glyphs.curve(t.recent, low, high, size) for t in running)
    place = next((i for i, c in enumerate(shown) if c.name == "where"), len(shown))
    return [
        *shown[:place],
        Column("curve", cells, 7, right=False, style="cyan"),
        *shown[place:],
    ]


def _fitting(columns: list[Column], width: int) -> list[Column]:
    """Leave out the least important columns until the others fit; the first two always stay, the
    second one cut if it must be."""
    shown = list(columns)
    while len(shown) > 2 and _total(shown) > width:
        shown.remove(max(shown, key=lambda column: column.rank))
    excess = _total(shown) - width
    if excess > 0:
        room = max(shown[1].width - excess, NARROWEST_PARAMS)
        cells = tuple(set_cell_size(cell, room) for cell in shown[1].cells)
        shown[1] = Column(shown[1].name, cells, 1, right=False)
    return shown


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _line(
    cells: Sequence[str], columns: Sequence[Column], width: int, *, heading: bool = False
) -> Text:
    line = Text()
    for index, (cell, column) in enumerate(zip(cells, columns, strict=True)):
        space = " " * (column.width - cell_len(cell))
        padded = space + cell if column.right else cell + space
        line.append(" " * GAP if index else "").append(
            padded, style="dim" if heading else column.style
        )
    line.rstrip()
    line.truncate(width)
    return line
