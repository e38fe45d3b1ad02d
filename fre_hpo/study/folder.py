"""A study's folder: checkpoints, full curves, confusion matrices, trained networks, the event log.

Whatever is replaced is written beside it, flushed to the disk and renamed, so that a reader or a
crash never meets half a file.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from fre_hpo.study.records import now


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


class TrialFolder:
    """``trials/<number>/``: curve.csv, checkpoint.pt and the one before it, best.pt, confusion.json and
    outcome.json, which says that the trial is trained to its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.curve = path / "curve.csv"
        self.checkpoint = path / "checkpoint.pt"
        self.previous_checkpoint = path / "checkpoint.previous.pt"
        self.best = path / "best.pt"
        self.confusion = path / "confusion.json"
        self._outcome = path / "outcome.json"

    def save_checkpoint(self, data: bytes) -> None:
        """Keep the newest checkpoint and the one before it."""
        if self.checkpoint.exists():
            self.checkpoint.replace(self.previous_checkpoint)
        write_atomically(self.checkpoint, data)

    def checkpoints(self) -> list[Path]:
        """Those that there are, the newest first."""
        return [p for p in (self.checkpoint, self.previous_checkpoint) if p.exists()]

    def set_aside(self, checkpoint: Path) -> Path:
        """Rename a damaged checkpoint, so that it never takes the place of a good one."""
        return checkpoint.replace(checkpoint.with_name("checkpoint.damaged.pt"))

    def drop_checkpoints(self) -> None:
        self.checkpoint.unlink(missing_ok=True)
        self.previous_checkpoint.unlink(missing_ok=True)

    def cut_curve(self, header: Sequence[str], epoch: int) -> None:
        """Keep the curve up to an epoch: what comes after is trained again."""
        self.write_curve(header, [list(row.values()) for row in self.read_curve()[:epoch]])

    def write_curve(self, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        write_atomically(self.curve, _csv([header, *rows]).encode())

    def append_curve(self, row: Sequence[Any]) -> None:
        with self.curve.open("a", encoding="utf-8", newline="") as file:
            file.write(_csv([row]))

    def read_curve(self) -> list[dict[str, str]]:
        """The whole lines of the curve, by column."""
        if not self.curve.exists():
            return []
        text = self.curve.read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))

    def save_result(
        self, network: bytes, sources: Sequence[str], confusion: list[list[list[int]]]
    ) -> None:
        write_atomically(self.best, network)
        table = {"split": "validation", "sources": list(sources), "confusion": confusion}
        write_atomically(self.confusion, json.dumps(table).encode())

    def drop_network(self) -> None:
        self.best.unlink(missing_ok=True)

    def save_outcome(self, outcome: dict[str, Any]) -> None:
        write_atomically(self._outcome, json.dumps(outcome).encode())

    def load_outcome(self) -> dict[str, Any] | None:
        if not self._outcome.exists():
            return None
        outcome: dict[str, Any] = json.loads(self._outcome.read_text(encoding="utf-8"))
        return outcome


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


class StudyFolder:
    """``$FRE_HPO_HOME/studies/<study>/``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.jsonl"

    def trial(self, number: int) -> TrialFolder:
        return TrialFolder(self.path / "trials" / str(number))

    def log(self, event: str, **facts: Any) -> None:
        """Append one line to the event log; a line that a crash cut short stays a line of its own."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time": now(), "event": event, **facts}) + "\n"
        with self.events.open("ab+") as file:
            if file.tell() and not _ends_with_newline(file):
                line = "\n" + line
            file.write(line.encode())

    def delete(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
