"""Masks -> class indices, by a map from stored numbers or displayed colours, or by instances.

Nothing is guessed: a number or colour that the map does not have is an error.  Taken for a class it
would spoil every metric.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data import pictures
from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.pictures import Header, PictureError
from fre_hpo.errors import counted

Instances = Literal["no", "boundary", "foreground"]
Value = int | str
"""A stored number, or a displayed colour such as "#ff0000"."""

INSTANCE_CLASSES: Mapping[Instances, tuple[str, ...]] = {
    "boundary": ("background", "membrane", "nucleus"),
    "foreground": ("background", "cell"),
}
"""The classes that instances become."""

MOST_CLASSES = 64
_UNKNOWN = IGNORED - 1
_LISTED = 3
_MANY = 8
"""So many unknown values in one mask are no slip of the brush."""


@dataclass(frozen=True)
class LabelMap:
    """How the masks of a data set are read.

    values: number or packed colour (0xrrggbb) -> class index, or IGNORED.  colours: whether the keys
    are colours.  inverted: numbers and colours are full scale minus what the file holds.  key: where the
    user can write the map, for sentences; empty where nobody can.
    """

    classes: tuple[str, ...]
    values: Mapping[int, int]
    colours: bool = False
    inverted: bool = False
    instances: Instances = "no"
    key: str = ""

    @classmethod
    def of(
        cls,
        labels: Mapping[str, Value | Sequence[Value]],
        ignore: Sequence[Value] = (),
        *,
        inverted: bool = False,
        key: str = "",
    ) -> LabelMap:
        """From class -> number(s) or colour(s); ValueError says in a clause what is wrong."""
        listed = {name: _listed(value) for name, value in labels.items()}
        every = [value for values in (*listed.values(), ignore) for value in values]
        kinds = {isinstance(value, str) for value in every}
        if len(listed) < 2:
            raise ValueError("name at least two classes, such as background = 0 and nucleus = 255")
        if len(listed) > MOST_CLASSES:
            raise ValueError(f"{len(listed)} classes are more than the {MOST_CLASSES} there may be")
        if len(kinds) > 1:
            raise ValueError("write either numbers or colours such as '#ff0000', not both")
        values: dict[int, int] = {}
        for index, (name, given) in enumerate(listed.items()):
            if not given:
                raise ValueError(f"the class {name} has no number and no colour")
            _enter(values, given, index)
        _enter(values, ignore, IGNORED)
        return cls(tuple(listed), values, colours=kinds == {True}, inverted=inverted, key=key)

    @classmethod
    def of_instances(cls, instances: Instances, *, inverted: bool = False) -> LabelMap:
        """Every number but 0 is one cell."""
        return cls(INSTANCE_CLASSES[instances], {}, inverted=inverted, instances=instances)

    def read(self, path: Path) -> NDArray[np.uint8]:
        """The class indices of a mask, (pages, height, width); raises PictureError."""
        header = pictures.look(path)
        if self.instances != "no":
            return np.stack([self._of_cells(page) for page in self._numbers(path, header)])
        if self.colours:
            return self._indices(path, self._packed(path))
        numbers = self._numbers(path, header)
        if header.one_bit and 1 not in self.values:
            numbers = numbers * numbers.dtype.type(255)  # white is 1, or full scale
        return self._indices(path, numbers)

    def _numbers(self, path: Path, header: Header) -> NDArray[Any]:
        if self.instances != "no" and header.rgb:
            return self._packed(path)
        numbers = pictures.read_numbers(path)
        if self.inverted:
            numbers = (1 if header.one_bit else np.iinfo(numbers.dtype).max) - numbers
        return numbers

    def _packed(self, path: Path) -> NDArray[np.uint32]:
        """The displayed colours as 0xrrggbb, (pages, height, width)."""
        colours = pictures.read_colours(path)
        if self.inverted:
            colours = np.invert(colours)
        red, green, blue = (colours[..., i].astype(np.uint32) for i in range(3))
        packed: NDArray[np.uint32] = red * 65536 + green * 256 + blue
        return packed

    def _of_cells(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        """One page of instances -> classes of INSTANCE_CLASSES."""
        labels: NDArray[np.uint8] = (numbers != 0).astype(np.uint8)
        if self.instances == "boundary":
            labels[labels == 1] = 2
            labels[_edges(numbers)] = 1
        return labels

    def _indices(self, path: Path, stored: NDArray[Any]) -> NDArray[np.uint8]:
        labels: NDArray[np.uint8]
        if stored.dtype.itemsize > 2:
            labels = self._table(stored)
        else:
            labels = self._table(np.arange(np.iinfo(stored.dtype).max + 1))[stored]
        if (labels == _UNKNOWN).any():
            raise PictureError(self._unknown(path, stored, labels))
        return labels

    def _table(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        table = np.full(numbers.shape, _UNKNOWN, dtype=np.uint8)
        for value, index in self.values.items():
            table[numbers == value] = index
        return table

    def _unknown(self, path: Path, stored: NDArray[Any], labels: NDArray[np.uint8]) -> str:
        """The sentence about values that stand for no class, the most frequent ones named."""
        values, counts = np.unique(stored[labels == _UNKNOWN], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        listed = [
            f"{self._shown(int(values[i]))} in {counted(counts[i], 'pixel')}"
            for i in order[:_LISTED]
        ]
        if len(values) > _LISTED:
            rest = counts[order[_LISTED:]].sum()
            listed.append(f"{counted(len(values) - _LISTED, 'other')} in {counted(rest, 'pixel')}")
        kind = "colour" if self.colours else "label"
        told = f"{path} has the unknown {kind} {', '.join(listed)} (known are {self._known()})"
        scattered = _scattered(stored, labels == _UNKNOWN)
        return told + self._advice(values.tolist(), scattered=scattered)

    def _advice(self, unknown: Sequence[int], *, scattered: bool) -> str:
        """What to do, by what the unknown values look like."""
        if len(unknown) >= _MANY and scattered:
            return (
                ": that looks like smoothed or resized edges, so export the mask without smoothing"
            )
        numbered = not self.colours and unknown[-1] < 2 * len(unknown) + len(self.values)
        if self.key and ((numbered and len(unknown) > 2) or len(unknown) >= _MANY):
            return (
                f": that looks like instance labels, one for each cell, so take {self.key} out and "
                'set data.instances = "boundary", or paint classes'
            )
        return f": repaint it, or give it a class in {self.key}" if self.key else ": repaint it"

    def _known(self) -> str:
        """Each class with what stands for it."""
        named: dict[str, list[str]] = {}
        for value, index in self.values.items():
            name = "ignored" if index == IGNORED else self.classes[index]
            named.setdefault(name, []).append(self._shown(value))
        return "; ".join(f"{name} {', '.join(values)}" for name, values in named.items())

    def _shown(self, value: int) -> str:
        if not self.colours:
            return str(value)
        return f"#{value:06x}"


def _scattered(stored: NDArray[Any], unknown: NDArray[np.bool_]) -> bool:
    """Whether most of the unknown pixels differ from the next one in the row or in the column: those
    of smoothed edges do, those of cells do not."""
    for axis in (-2, -1):
        here, there = (np.moveaxis(stored, axis, 0)[part] for part in (np.s_[:-1], np.s_[1:]))
        compared = np.moveaxis(unknown, axis, 0)[:-1]
        if 2 * np.count_nonzero((here != there) & compared) > np.count_nonzero(compared):
            return True
    return False


def _edges(numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels, inside or outside a cell, whose eight neighbours hold another number than they do."""
    edges = np.zeros(numbers.shape, dtype=bool)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(numbers, down, right)
        differ = here != there
        for view in _shifted(edges, down, right):
            view |= differ
    return edges


def _shifted(array: NDArray[Any], down: int, right: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two views in which a pixel and its neighbour have one place."""
    height, width = array.shape
    upper, lower = slice(0, height - down), slice(down, height)
    if right < 0:
        return array[upper, -right:], array[lower, : width + right]
    return array[upper, : width - right], array[lower, right:]


def _listed(value: Value | Sequence[Value]) -> Sequence[Value]:
    return [value] if isinstance(value, int | str) else value


def _enter(values: dict[int, int], given: Sequence[Value], index: int) -> None:
    for value in given:
        number = value if isinstance(value, int) else colour(value)
        if number < 0:
            raise ValueError(f"{value} is below 0, which no mask holds")
        if number in values:
            raise ValueError(f"{value!r} stands for two classes: leave it in one")
        values[number] = index


def colour(text: str) -> int:
    """ "#rrggbb" -> 0xrrggbb."""
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", text):
        raise ValueError(f"{text!r} is no colour: write it as '#rrggbb', such as '#ff0000' for red")
    return int(text[1:], 16)
