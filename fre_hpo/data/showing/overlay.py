"""A picture as an eye wants it, and its labels over it in colours that nearly everybody can tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.dataset import IGNORED

Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
)
"""Okabe & Ito, 2008: distinct with every common colour vision deficiency."""
SHADES = ((0.0, 255), (0.55, 255), (0.45, 0))
"""Once all hues are used they come again lighter, then darker: how much of white or black is added."""
UNCOLOURED = "background"
"""The class that stays as the picture is: whatever lies around the structures."""
TINT = 0.35
"""How opaque the colour inside a structure is; its outline is opaque."""
HATCH = ((205, 205, 205), (130, 130, 130))
HATCH_WIDTH = 4
MAGENTA_GREEN = np.array([[1, 0, 1], [0, 1, 0]], dtype=np.float32)


def colours(classes: Sequence[str]) -> tuple[Colour | None, ...]:
    """A colour for each class; None for the background."""
    named = [name for name in classes if name.lower() != UNCOLOURED]
    chosen = {name: _colour(i) for i, name in enumerate(named)}
    return tuple(chosen.get(name) for name in classes)


def _colour(number: int) -> Colour:
    turn, hue = divmod(number, len(PALETTE))
    share, target = SHADES[turn % len(SHADES)]
    red, green, blue = (round(v + share * (target - v)) for v in PALETTE[hue])
    return red, green, blue


def fitted(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width that fit into a square: shrunk, or enlarged by a whole number."""
    height, width = shape
    longest = max(height, width)
    if longest <= side:
        return height * (side // longest), width * (side // longest)
    return max(round(height * side / longest), 1), max(round(width * side / longest), 1)


def seen(picture: NDArray[np.float32], shape: tuple[int, int]) -> Pixels:
    """(channels, height, width), any range -> (*shape, 3), its contrast stretched.

    One channel is grey, two are magenta and green, of more the first three are red, green and blue.
    """
    shown = picture[:3]
    low, high = (float(v) for v in np.percentile(shown, [0.5, 99.8]))
    grey = np.clip((shown - low) / (high - low) if high > low else shown, 0, 1)
    mixed = np.tensordot(MAGENTA_GREEN, grey, axes=(0, 0)) if len(grey) == 2 else grey
    channels = np.broadcast_to(mixed, (3, *mixed.shape[1:]))
    pixels = np.rint(255 * channels.transpose(1, 2, 0)).astype(np.uint8)
    return resized(pixels, shape)


def resized(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    """Areas are averaged where a picture shrinks, and each pixel stays a sharp square where it grows."""
    if shape[0] >= pixels.shape[0]:
        return nearest(pixels, shape)
    from PIL import Image

    smaller = Image.fromarray(pixels).resize(shape[::-1], Image.Resampling.BOX)
    return np.asarray(smaller)


def nearest(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    """(height, width, ...) -> (*shape, ...), the nearest pixel for each: labels cannot be averaged."""
    rows, columns = (
        (np.arange(new) * 2 + 1) * old // (2 * new)
        for new, old in zip(shape, pixels.shape[:2], strict=True)
    )
    scaled: Pixels = pixels[rows[:, None], columns]
    return scaled


def overlaid(picture: Pixels, labels: Pixels, palette: Sequence[Colour | None]) -> Pixels:
    """The labels (height, width) over a picture (height, width, 3), which is made grey for it.

    Classes are tinted and outlined; what is ignored is hatched.
    """
    grey = picture.mean(axis=2, keepdims=True)
    drawn: NDArray[np.float64] = np.repeat(grey, 3, axis=2)
    edges = _edges(labels)
    for index, colour in enumerate(palette):
        if colour is not None:
            inside = labels == index
            drawn[inside] = (1 - TINT) * drawn[inside] + TINT * np.array(colour)
            drawn[inside & edges] = colour
    ignored = labels == IGNORED
    drawn[ignored] = hatching(labels.shape)[ignored]
    return np.rint(drawn).astype(np.uint8)


def hatching(shape: tuple[int, ...]) -> Pixels:
    """Diagonal stripes of two greys, (height, width, 3)."""
    height, width = shape
    stripe = (np.arange(height)[:, None] + np.arange(width)) // HATCH_WIDTH % len(HATCH)
    stripes: Pixels = np.array(HATCH, dtype=np.uint8)[stripe]
    return stripes


def _edges(labels: Pixels) -> NDArray[np.bool_]:
    """Pixels with another label above, below, to the left or to the right."""
    edges = np.zeros(labels.shape, dtype=bool)
    below = labels[1:] != labels[:-1]
    beside = labels[:, 1:] != labels[:, :-1]
    edges[1:] |= below
    edges[:-1] |= below
    edges[:, 1:] |= beside
    edges[:, :-1] |= beside
    return edges
