"""The data sets by name.  A further set is one file beside these and one line here."""

from pathlib import Path
from typing import Any

from fre_hpo.data import drosophila, mouse, pairs, phantom
from fre_hpo.data.dataset import Dataset
from fre_hpo.data.source import DataOptions, DataSource
from fre_hpo.errors import UnknownDataset, nearest

DATASETS: dict[str, DataSource[Any]] = {
    "mouse": mouse.SOURCE,
    "drosophila": drosophila.SOURCE,
    "phantom": phantom.SOURCE,
    "pairs": pairs.SOURCE,
}


def find(name: str) -> DataSource[Any]:
    """The data set of that name; UnknownDataset tells the nearest ones otherwise."""
    if name not in DATASETS:
        raise UnknownDataset(name=name, hint=nearest(name, DATASETS))
    return DATASETS[name]


def load(name: str, folder: Path | None, options: DataOptions | None = None) -> Dataset:
    """Read and check a whole data set; without options the set's own defaults hold.

    Raises UnknownDataset, DatasetNotFound when the files do not lie in the folder, and DataProblems
    with everything that is wrong with them, in one list.
    """
    source = find(name)
    return source.load(folder, source.options() if options is None else options)
