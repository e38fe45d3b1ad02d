"""What every data set becomes, whatever its files look like: three checked splits in arrays."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.assembly import tiling

IGNORED = 255
"""Label value of padding: in no loss and in no metric."""


@dataclass(frozen=True, eq=False)
class Split:
    """The images of one split with their labels, row by row."""

    images: NDArray[np.float32]
    """(n, channels, height, width), normalised."""
    labels: NDArray[np.uint8]
    """(n, height, width): class indices, or IGNORED."""
    sources: tuple[str, ...]
    """For each of the n rows the source image it was cut from: intervals resample whole source
    images, because tiles of one picture are not independent."""

    def __len__(self) -> int:
        return len(self.labels)

    def padded(self, multiple: int) -> "Split":
        """The same with heights and widths that ``multiple`` divides: pictures are mirrored there and
        labels IGNORED."""
        height, width = (-(-side // multiple) * multiple for side in self.labels.shape[1:])
        return Split(
            tiling.pad(self.images, (height, width)),
            tiling.pad(self.labels, (height, width), IGNORED),
            self.sources,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready to train on.

    The test split lies beside the others, but nobody may look at it before the search has ended
    (design 3.15).
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    remarks: tuple[str, ...] = ()
    """What the owner of the pictures should know, in sentences; nothing of it stops a search."""
    depths: tuple[str, ...] = ()
    """Types of the pictures' pixels on disk, such as "uint8"; empty where nothing was read."""

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "validation": self.validation, "test": self.test}


def assemble(
    name: str,
    classes: tuple[str, ...],
    *,
    train: Split,
    validation: Split,
    test: Split,
    remarks: tuple[str, ...] = (),
    depths: tuple[str, ...] = (),
) -> Dataset:
    """Make a Dataset of its splits and compute its fingerprint."""
    splits = {"train": train, "validation": validation, "test": test}
    digest = fingerprint(classes, splits)
    return Dataset(name, classes, train, validation, test, digest, remarks, depths)


def fingerprint(classes: tuple[str, ...], splits: dict[str, Split]) -> str:
    """SHA-256 (hex) of what a network is shown: a study refuses to go on with other pixels, another
    split or another label map, and does not mind where or when the files were copied."""
    digest = hashlib.sha256(json.dumps(classes).encode())
    for name, split in splits.items():
        digest.update(json.dumps([name, split.sources]).encode())
        _add_array(digest, split.images, "<f4")
        _add_array(digest, split.labels, "|u1")
    return digest.hexdigest()


def _add_array(digest: "hashlib._Hash", array: NDArray[np.generic], dtype: str) -> None:
    """Add shape, type and bytes, little-endian on every machine."""
    digest.update(json.dumps([dtype, array.shape]).encode())
    digest.update(np.ascontiguousarray(array, dtype=dtype).data)
