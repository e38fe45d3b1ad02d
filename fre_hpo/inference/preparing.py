"""From image files to what the network is shown, and why a file cannot be shown to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data import pictures
from fre_hpo.data.assembly import images
from fre_hpo.data.pictures import Header
from fre_hpo.errors import counted
from fre_hpo.inference.card import Card


def read_pages(path: Path, card: Card) -> NDArray[Any]:
    """The channels of a file that the network sees, (pages, channels, height, width), as stored.

    Raises PictureError.
    """
    return pictures.read_image(path, card.reading.channel)


def prepare(page: NDArray[Any], card: Card) -> NDArray[np.float32]:
    """One page (channels, height, width) as the data set prepared its pictures: normalised and shrunk."""
    reading = card.reading
    return np.stack(
        [
            images.normalise(channel, reading.normalise, reading.percentiles, reading.factor)
            for channel in page
        ]
    )


def problems(path: Path, header: Header, card: Card) -> Iterator[str]:
    """What makes an image one of another kind than those of the training, a sentence each."""
    yield from _of_channels(path, header, card)
    reading = card.reading
    if reading.normalise == "full-scale" and not images.has_full_scale(header.dtype):
        yield (
            f"{path} has pixels of type {header.dtype}, and the network needs some that have a full "
            "scale: save it with 8 or 16 bits"
        )
    elif not card.accepts(header.dtype):
        known = " or ".join(card.known_depths)
        yield (
            f"{path} has pixels of type {header.dtype}, and the network was trained on {known}: save "
            "it with the bits that the training images have"
        )


def _of_channels(path: Path, header: Header, card: Card) -> Iterator[str]:
    wanted, has = card.reading.channel, counted(header.channels, "channel")
    if wanted == "all" and header.channels != card.channels:
        yield (
            f"{path} has {has}, and the network was trained on images of {card.channels}: save it "
            "with the same channels"
        )
    elif wanted == "grey" and header.channels != 1 and not header.rgb:
        yield (
            f"{path} has {has}, and the network was trained on grey images: save the channel that "
            "shows the cells as a file of its own"
        )
    elif isinstance(wanted, int) and header.channels < wanted:
        yield (
            f"{path} has {has}, and the network was trained on channel {wanted}: save it with the "
            "same channels"
        )
