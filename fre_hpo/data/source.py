"""What a data set must tell about itself to be found, checked and loaded by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from fre_hpo.data.dataset import Dataset
from fre_hpo.errors import DatasetNotFound

NETWORK_STRIDE = 8
"""Heights and widths must be multiples of this: three poolings halve them three times."""


class DataOptions(BaseModel):
    """Base of every set's options: unchangeable, no unknown key, no silent conversion."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


Options = TypeVar("Options", bound=DataOptions)


@dataclass(frozen=True)
class DataSource(Generic[Options]):
    """One data set as the registry knows it; one file defines one."""

    name: str
    summary: str
    classes: tuple[str, ...]
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
