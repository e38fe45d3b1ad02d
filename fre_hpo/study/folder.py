"""A study's folder: checkpoints, full curves, confusion matrices, trained networks, the event log.

A reader or a crash never meets half a file, and a full disk leaves what was there (``whole``).
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.study.records import now
from fre_hpo.study.stamp import Stamp
from fre_hpo.study.whole import append_whole, beside
from fre_hpo.study.whole import room_for as room_for
from fre_hpo.study.whole import write_atomically as write_atomically

_LONGEST_ROW = 4096
RESULTS = (
    "curve.csv",
    "trace.csv",
    "confusion.json",
    "predictions.npz",
    "picture.png",
    "best.pt",
    "outcome.json",
)
"""What is left of a trial that is trained to its end; the last one says that it is."""


class TrialFolder:
    """``trials/<number>/``: curve.csv, checkpoint.pt and the one before it, best.pt, confusion.json,
    predictions.npz of a few validation images, picture.png, which shows them, and outcome.json, which says
    that the trial is trained to its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.curve = path / "curve.csv"
        self.checkpoint = path / "checkpoint.pt"
        self.previous_checkpoint = path / "checkpoint.previous.pt"
        self.best = path / "best.pt"
        self.confusion = path / "confusion.json"
        self.trace = path / "trace.csv"
        self.predictions = path / "predictions.npz"
        self.picture = path / "picture.png"
        self._outcome = path / "outcome.json"

    def save_checkpoint(self, data: bytes) -> None:
        """Keep the newest checkpoint and the one before it."""
        with room_for(self.checkpoint):
            self.path.mkdir(parents=True, exist_ok=True)
            with beside(self.checkpoint, data) as partial:
                if self.checkpoint.exists():
                    self.checkpoint.replace(self.previous_checkpoint)
                partial.replace(self.checkpoint)

    def checkpoints(self) -> list[Path]:
        """Those that there are, the newest first."""
        return [p for p in (self.checkpoint, self.previous_checkpoint) if p.exists()]

    def set_aside(self, checkpoint: Path) -> Path:
        """Rename a damaged checkpoint, so that it never takes the place of a good one."""
        return checkpoint.replace(checkpoint.with_name("checkpoint.damaged.pt"))

    def drop_checkpoints(self, *, but: Collection[Stamp] = ()) -> None:
        self.checkpoint.unlink(missing_ok=True)
        self.previous_checkpoint.unlink(missing_ok=True)
        for stamp in self.stamps() - set(but):
            (self.path / stamp.name).unlink(missing_ok=True)

    # Where workers write to a store: what reached the coordinator because the store did not answer.

    def save_stamped(self, stamp: Stamp, data: bytes) -> None:
        write_atomically(self.path / stamp.name, data)

    def stamps(self) -> set[Stamp]:
        names = (path.name for path in self.path.glob("checkpoint-*.pt"))
        return {stamp for stamp in map(Stamp.of, names) if stamp}

    def cut_curve(self, header: Sequence[str], epoch: int) -> None:
        """Keep the curve up to an epoch: what comes after is trained again."""
        self.write_curve(header, [list(row.values()) for row in self.read_curve()[:epoch]])

    def write_curve(self, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        write_atomically(self.curve, _csv([header, *rows]).encode())

    def write_trace(self, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        write_atomically(self.trace, _csv([header, *rows]).encode())

    def append_curve(self, row: Sequence[Any]) -> None:
        """Append an epoch's row; one that is the last already is not repeated."""
        if self._last_epoch() != str(row[0]):
            append_whole(self.curve, _csv([row]).encode())

    def _last_epoch(self) -> str:
        with self.curve.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _LONGEST_ROW, 0))
            lines = file.read().decode(errors="replace").splitlines()
        return lines[-1].partition(",")[0] if lines else ""

    def read_curve(self) -> list[dict[str, str]]:
        """The whole lines of the curve, by column."""
        return _read_csv(self.curve)

    def read_trace(self) -> list[dict[str, str]]:
        """The lines of the trace, by column; empty where the trial was not traced."""
        return _read_csv(self.trace)

    def save_result(
        self, network: bytes, sources: Sequence[str], confusion: list[list[list[int]]]
    ) -> None:
        write_atomically(self.best, network)
        table = {"split": "validation", "sources": list(sources), "confusion": confusion}
        write_atomically(self.confusion, json.dumps(table).encode())

    def load_confusion(self) -> tuple[tuple[str, ...], list[list[list[int]]]] | None:
        """Source images and their matrices on validation, as they were saved."""
        if not self.confusion.exists():
            return None
        table = json.loads(self.confusion.read_text(encoding="utf-8"))
        return tuple(table["sources"]), table["confusion"]

    def save_predictions(self, predictions: Mapping[int, NDArray[np.uint8]]) -> None:
        """Labels (height, width) that the network gives to validation images, by index."""
        content = io.BytesIO()
        arrays: dict[str, Any] = {str(index): labels for index, labels in predictions.items()}
        np.savez_compressed(content, **arrays)
        write_atomically(self.predictions, content.getvalue())

    def load_predictions(self) -> dict[int, NDArray[np.uint8]]:
        """Empty where there are none."""
        if not self.predictions.exists():
            return {}
        with np.load(self.predictions) as arrays:
            return {int(index): arrays[index] for index in arrays.files}

    def save_picture(self, picture: bytes) -> None:
        write_atomically(self.picture, picture)

    def drop_network(self) -> None:
        self.best.unlink(missing_ok=True)

    def results(self) -> list[Path]:
        """The files of a trial that has ended, those that there are."""
        return [path for path in (self.path / name for name in RESULTS) if path.exists()]

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


def _read_csv(path: Path) -> list[dict[str, str]]:
    """The whole lines of a file that may not be there, by column."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))


class StudyFolder:
    """``$FRE_HPO_HOME/studies/<study>/``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.jsonl"
        self._identity = path / "study.json"

    def trial(self, number: int) -> TrialFolder:
        return TrialFolder(self.path / "trials" / str(number))

    def log(self, event: str, **facts: Any) -> None:
        """Append one line to the event log."""
        line = json.dumps({"time": now(), "event": event, **facts}) + "\n"
        with room_for(self.events):
            self.path.mkdir(parents=True, exist_ok=True)
        append_whole(self.events, line.encode())

    def trials_logged(self, event: str) -> set[int]:
        """The trials of which an event stands in the log."""
        if not self.events.exists():
            return set()
        found = set()
        with self.events.open(encoding="utf-8") as file:
            for line in file:
                if f'"event": "{event}"' in line and line.endswith("}\n"):
                    found.add(int(json.loads(line)["trial"]))
        return found

    def add_events(self, log: bytes) -> None:
        """Add the lines of a log that was kept elsewhere; each begins with its time, and stands there."""
        ours = self.events.read_bytes().splitlines() if self.events.exists() else []
        known = set(ours)
        theirs = [line for line in log.splitlines() if line not in known]
        if theirs:
            lines = sorted([*ours, *theirs], key=lambda line: line.partition(b",")[0])
            write_atomically(self.events, b"".join(line + b"\n" for line in lines))

    def identify(self, study_id: str, storage: str) -> None:
        """Record which study the folder belongs to; ``storage`` without its password."""
        write_atomically(self._identity, json.dumps({"id": study_id, "storage": storage}).encode())

    @property
    def identity(self) -> dict[str, str] | None:
        """id and storage of the study that the folder belongs to; None where there is none."""
        if not self._identity.exists():
            return None
        identity: dict[str, str] = json.loads(self._identity.read_text(encoding="utf-8"))
        return identity

    def size(self) -> int:
        """Bytes that the folder takes on the disk."""
        return sum(_size(path) for path in self.path.rglob("*"))

    def delete(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _size(path: Path) -> int:
    """0 for what was removed meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
