"""Searches whose trials sleep, each in a process of its own that can be killed: ours and Ray Tune's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OURS, TUNE = "fre_hpo.bench.our_search", "fre_hpo.bench.tune_search"
DRIVER = "fre_hpo.bench.sleeping_driver"
STUDY = "asleep"
LONGEST = 1800.0
"""Seconds that a search may take before it is given up."""


@dataclass(frozen=True)
class Order:
    """What a driver is told.  folder: where its files go; again: go on with what lies there already."""

    folder: str
    trials: int
    epochs: int
    epoch_seconds: float
    parallel: int
    checkpoint_seconds: float
    widths: tuple[int, ...]
    again: bool = False

    @property
    def stamps(self) -> Path:
        return Path(self.folder) / "stamps.jsonl"

    @property
    def told(self) -> Path:
        """What a driver tells when it comes to its end."""
        return Path(self.folder) / "told.json"

    @property
    def settings(self) -> dict[str, Any]:
        """Of the study, by their keys."""
        return {
            "model.widths": list(self.widths),
            "training.epochs": self.epochs,
            "training.checkpoint_seconds": self.checkpoint_seconds,
        }

    @classmethod
    def given(cls) -> Order:
        """The one on this process's command line."""
        return cls(**json.loads(sys.argv[1]))

    def tell(self, **facts: Any) -> None:
        self.told.write_text(json.dumps(facts), encoding="utf-8")


@dataclass(frozen=True)
class Drive:
    """A driver that ended.  seconds: from its start; told: what it told, None where it did not come to
    its end; said: the end of its output."""

    code: int
    seconds: float
    told: dict[str, Any] | None
    said: str


def drive(whose: str, order: Order, until: Callable[[], bool] | None = None) -> Drive:
    """Run a search to its end; with ``until``, kill it (SIGKILL) as soon as that is true."""
    Path(order.folder).mkdir(parents=True, exist_ok=True)
    order.told.unlink(missing_ok=True)
    log = Path(order.folder) / "output.log"
    command = [sys.executable, "-m", DRIVER, json.dumps(asdict(order)), whose]
    begun = time.monotonic()
    with log.open("wb") as output:
        environment = {**os.environ, "RAY_AIR_NEW_OUTPUT": "0"}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            _wait(process, begun, until)
        finally:
            process.kill()
            process.wait()
    told = json.loads(order.told.read_text(encoding="utf-8")) if order.told.exists() else None
    said = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    return Drive(process.returncode, time.monotonic() - begun, told, said)


def _wait(process: subprocess.Popen[bytes], begun: float, until: Callable[[], bool] | None) -> None:
    while process.poll() is None and time.monotonic() - begun < LONGEST:
        if until and until():
            return
        time.sleep(0.1)
