"""Data sets: pictures and labels as arrays, found, checked and divided.

Light to import: no torch, Pillow and tifffile only when a picture is read, and the sets themselves, which
need pydantic for their options, only when one is asked for.  So arrays can be trained on without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fre_hpo.data.dataset import IGNORED, Dataset, Split

if TYPE_CHECKING:
    from fre_hpo.data.registry import DATASETS, find, load
    from fre_hpo.data.source import DataOptions, DataSource

__all__ = ["DATASETS", "IGNORED", "DataOptions", "DataSource", "Dataset", "Split", "find", "load"]

_REGISTRY = "fre_hpo.data.registry"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_REGISTRY), name)
