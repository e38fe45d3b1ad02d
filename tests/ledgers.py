"""Small searches without any training: specs, charters, an objective of plain arithmetic."""

from __future__ import annotations

import math
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from fre_hpo.data import DATASETS
from fre_hpo.methods import METHODS
from fre_hpo.study.charter import Charter
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Asked, Ledger
from fre_hpo.study.space import parse
from fre_hpo.study.spec import ModelSpec, SamplerSpec, Spec, plain_options

CLASSES = ("background", "membrane", "nucleus")
MAPS = 64


def make_spec(method: str = "fre", **changes: Any) -> Spec:
    """A spec of defaults on a small network, with TPE from the third trial on."""
    values: dict[str, Any] = {
        "model": ModelSpec(widths=(8, 16, 32, MAPS)),
        "sampler": SamplerSpec(startup_trials=2),
        "parameters": {p.name: parse(p.default, p, maps=MAPS) for p in METHODS[method].parameters},
        "data": plain_options(DATASETS["phantom"].options()),
        **changes,
    }
    return Spec(dataset="phantom", method=method, **values)


def make_charter(spec: Spec | None = None) -> Charter:
    return Charter(
        id="0" * 32,
        spec=spec or make_spec(),
        overrides={"training.batch_size": 4},
        fingerprint="f" * 64,
        classes=CLASSES,
        recipe="phantom",
        data_folder=None,
        versions={"fre-hpo": "0.1.0"},
        created_at="2026-01-01T00:00:00.000+00:00",
    )


@cache
def _empty_database() -> bytes:
    """An SQLite file with Optuna's tables: making them takes a tenth of a second for every test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Connection(f"sqlite:///{path}", create=True).engine.dispose()
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


def create(url: str, name: str, spec: Spec | None = None) -> Ledger:
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists():
        path.write_bytes(_empty_database())
    return Ledger.create(Connection(url, create=True), name, make_charter(spec))


def reopen(url: str, name: str) -> Ledger:
    """The study as another coordinator finds it."""
    return Ledger.open(Connection(url, create=False), name)


def objective(parameters: dict[str, int | float]) -> float:
    """Between 0 and 1; the best point is B = 8, X = 100."""
    distance = math.log2(parameters["B"] / 8) ** 2 + math.log10(parameters["X"] / 100) ** 2
    return 1 / (1 + distance)


def tell(ledger: Ledger, asked: Asked) -> None:
    class_iou: dict[str, float | None] = dict.fromkeys(CLASSES, 0.5)
    ledger.complete(asked.number, objective(asked.parameters), 7, 40, class_iou)


def search(ledger: Ledger, trials: int) -> list[Asked]:
    """Trials one after the other, each told before the next is asked."""
    asked = []
    for _ in range(trials):
        asked.append(ledger.ask())
        tell(ledger, asked[-1])
    return asked
