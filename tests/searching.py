"""A search small enough for a test: drawn cells, a tiny network, three epochs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fre_hpo.scheduling.observer import Silent
from fre_hpo.service.request import Request
from fre_hpo.service.start import Ended, start
from fre_hpo.settings import Settings

TINY: dict[str, Any] = {
    "data.size": 32,
    "data.cells": 2,
    "data.train": 6,
    "data.validation": 2,
    "data.test": 2,
    "model.widths": [4, 8, 16],
    "training.epochs": 3,
    "training.batch_size": 4,
    "training.checkpoint_seconds": 0.0,
    "sampler.startup_trials": 2,
}


def tiny_request(**changes: Any) -> Request:
    """A request for a phantom search; ``overrides`` are added to those that make it small."""
    overrides = {**TINY, **changes.pop("overrides", {})}
    first = Request(dataset="phantom", trials=3, executor="inline", parallel=1, overrides=overrides)
    return replace(first, **changes)


def run_search(settings: Settings, **changes: Any) -> Ended:
    return start(tiny_request(**changes), settings, Silent())


def as_flags(overrides: Mapping[str, Any]) -> list[str]:
    """Overrides as ``--set`` flags."""
    return [
        text
        for key, value in overrides.items()
        for text in (
            "--set",
            f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}",
        )
    ]


def fre_hpo(*arguments: str, home: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, as a user calls it."""
    return subprocess.run(
        command(*arguments),
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fre_hpo", *arguments]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "FRE_HPO_HOME": str(home), "OMP_WAIT_POLICY": "PASSIVE"}
