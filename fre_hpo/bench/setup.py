"""What a benchmark is asked for, and the pictures that its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from fre_hpo.bench.shapes import SHAPES, Shape, draw
from fre_hpo.training.engine import Engine, choose


@dataclass(frozen=True)
class Setup:
    """shape: of the network and its data.  not_compiled: why arms that compile take no part, None where
    they do.  seconds: how long each comparison is timed.  tiny: a check that all works, not a measurement.
    folder: for files.  storage: the database of search-overhead, None for a SQLite file."""

    shape: Shape
    device: torch.device
    not_compiled: str | None
    seconds: float
    tiny: bool
    folder: Path
    storage: str | None = None

    @property
    def compiled(self) -> bool:
        """Whether arms that compile take part."""
        return self.not_compiled is None

    @property
    def engine(self) -> Engine:
        """What a study gets that does not say otherwise."""
        return choose("auto", self.device)

    def pictures(self, shape: Shape) -> Path:
        """The folder of a shape's pictures, drawn when it is first asked for."""
        folder = self.folder / f"pictures-{shape.name}"
        if not folder.exists():
            draw(shape, folder)
        return folder

    @property
    def searched(self) -> Shape:
        """The shape on whose data the fixed cost of an epoch is measured."""
        if self.tiny:
            return self.shape
        return self.shape if self.device.type == "cuda" else SHAPES["mouse-narrow"]


PRODUCT = ("click", "filelock", "optuna", "platformdirs", "pydantic", "rich", "sqlalchemy")
"""Without these the product's searches do not start."""


def product_problem() -> str | None:
    """Why no search can be started here; None where one can."""
    missing = [name for name in PRODUCT if find_spec(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def compiler_problem(device: torch.device) -> str | None:
    """Why nothing can be compiled for a device here; None where it can."""
    try:
        torch.compile(lambda x: (x + 1).relu())(torch.ones(8, device=device))
    except Exception as error:
        lines = str(error).strip().splitlines()
        return f"torch.compile fails ({type(error).__name__}: {lines[0] if lines else ''})"
    return None
