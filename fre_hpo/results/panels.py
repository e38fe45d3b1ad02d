"""The pictures of one validation image: as it is, its classes, and where a network is wrong.

Classes and errors are painted opaque over the image itself, grey and dim, so that one sees at once which
cell is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.showing.overlay import Colour, Pixels, hatching, nearest, resized, seen

Area = tuple[Colour, NDArray[np.bool_]]

MISSED, EXTRA, CONFUSED = (255, 0, 110), (255, 220, 0), (255, 255, 255)
"""Colours of errors, none of them a class's: apart in hue and in brightness, over dim grey."""
DIMMEST, BRIGHTEST = 16, 104
"""Greys between which an image lies under classes and errors."""
UNPAINTED = (60, 60, 60)
"""What stands for the dim image in a legend."""
STEP, DIM_STEP = 2, 4
"""To so much an image is rounded, and the dim one: no eye sees it, and a page has few colours."""


@dataclass(frozen=True)
class Sample:
    """One validation image and what a network makes of it.

    name: its source.  image: (channels, height, width), of any range.  truth, prediction: (height, width),
    class indices; where the truth is IGNORED nothing is compared.
    """

    name: str
    image: NDArray[np.float32]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        return self.truth.shape[0], self.truth.shape[1]


def side_by_side(
    sample: Sample, palette: Sequence[Colour | None], shape: tuple[int, int]
) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """Input, truth, prediction and errors, each (*shape, 3).

    palette: a colour for each class, None for the background, which stays the dim image.
    """
    under = _dim(sample)
    return (
        _rounded(seen(sample.image, shape), STEP),
        _painted(sample, under, _classes(sample.truth, palette), shape),
        _painted(sample, under, _classes(sample.prediction, palette), shape),
        _painted(sample, under, errors(sample, palette).items(), shape),
    )


def _classes(labels: Pixels, palette: Sequence[Colour | None]) -> Iterator[Area]:
    return ((colour, labels == index) for index, colour in enumerate(palette) if colour)


def errors(sample: Sample, palette: Sequence[Colour | None]) -> dict[Colour, NDArray[np.bool_]]:
    """Pixels of each kind of error, by its colour: a structure is missed, or drawn where there is only
    background, or taken for another one."""
    uncoloured = [index for index, colour in enumerate(palette) if colour is None]
    there = ~np.isin(sample.truth, uncoloured)
    drawn = ~np.isin(sample.prediction, uncoloured)
    wrong = (sample.truth != sample.prediction) & (sample.truth != IGNORED)
    return {
        MISSED: wrong & there & ~drawn,
        EXTRA: wrong & drawn & ~there,
        CONFUSED: wrong & there & drawn,
    }


def _painted(
    sample: Sample, under: Pixels, areas: Iterable[Area], shape: tuple[int, int]
) -> Pixels:
    """Areas over the dim image.  Colours are averaged with it where it shrinks: thin lines grow pale
    instead of breaking up."""
    pixels = under.copy()
    for colour, area in areas:
        pixels[area] = colour
    shown = resized(pixels, shape).copy()
    ignored = nearest((sample.truth == IGNORED).astype(np.uint8), shape).astype(bool)
    shown[ignored] = hatching(shape)[ignored]
    return shown


def _dim(sample: Sample) -> Pixels:
    grey = seen(sample.image, sample.shape).mean(axis=2, keepdims=True)
    dim = DIMMEST + grey * ((BRIGHTEST - DIMMEST) / 255)
    return _rounded(np.repeat(dim, 3, axis=2), DIM_STEP)


def _rounded(pixels: NDArray[np.uint8 | np.float64], step: int) -> Pixels:
    steps: Pixels = np.minimum(np.rint(pixels / step) * step, 255).astype(np.uint8)
    return steps
