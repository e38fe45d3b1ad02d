"""What a data set must tell about itself to be found, checked and loaded by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fre_hpo.data.assembly import images
from fre_hpo.data.assembly.survey import Reading
from fre_hpo.data.dataset import Dataset
from fre_hpo.errors import DatasetNotFound

NETWORK_STRIDE = 8
"""Tiles have sides that are multiples of this: three poolings halve them three times."""


class DataOptions(BaseModel):
    """Base of every set's options: unchangeable, no unknown key, no silent conversion."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class PictureOptions(DataOptions):
    """Base of the options of sets that lie in files: how pictures become tiles."""

    tile: int = Field(
        0,
        ge=0,
        description="side of square tiles, in pixels of the picture; 0 keeps pictures whole",
    )
    scale: float = Field(
        1.0, gt=0, le=1, description="1, 1/2, 1/3, ...: pictures are shrunk to that"
    )
    normalise: images.Normalisation = Field(
        "auto",
        description="full-scale (/255 of 8 bits), percentile (of each picture), or auto: full-scale of "
        "8 bits, percentile otherwise",
    )

    @model_validator(mode="after")
    def _fits_the_network(self) -> "PictureOptions":
        if abs(self.factor * self.scale - 1) > 1e-3:
            raise ValueError(f"scale = {self.scale} is not one of 1, 1/2, 1/3, ...")
        if self.tile % (self.factor * NETWORK_STRIDE):
            raise ValueError(
                f"tile = {self.tile} at scale = {self.scale} must have a side that is a multiple "
                f"of {NETWORK_STRIDE}"
            )
        return self

    @property
    def factor(self) -> int:
        """How many pixels of the picture make one pixel of the tile, along a side."""
        return round(1 / self.scale)

    @property
    def reading(self) -> Reading:
        return Reading(normalise=self.normalise, tile=self.tile, factor=self.factor)


Options = TypeVar("Options", bound=DataOptions)


@dataclass(frozen=True)
class DataSource(Generic[Options]):
    """One data set as the registry knows it; one file defines one."""

    name: str
    summary: str
    options: type[Options]
    load: Callable[[Path | None, Options], Dataset]
    """Raises DatasetNotFound when the files are not there, DataProblems with all that is wrong."""
    layout: str
    """What is expected where, to follow the words "expected is"."""
    obtain: str
    """How to get it: a clause of its own."""
    needs_folder: bool

    def not_found(self, folder: Path | None) -> DatasetNotFound:
        """The error to raise when this set does not lie in the folder."""
        where = "a folder named with --data-dir" if folder is None else folder
        return DatasetNotFound(name=self.name, folder=where, layout=self.layout, obtain=self.obtain)
