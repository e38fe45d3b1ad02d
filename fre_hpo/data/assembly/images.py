"""From pixel values to what the network is shown: shrinking and normalisation."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Normalisation = Literal["auto", "full-scale", "percentile"]
Percentiles = tuple[float, float]

PERCENTILES: Percentiles = (1.0, 99.8)
"""Mapped to 0 and 1 by the normalisation "percentile" where nothing else is said."""

LIMITS = (-1.0, 4.0)
"""How far beyond 0 and 1 a normalised value may lie."""


def has_full_scale(dtype: np.dtype[Any]) -> bool:
    """Whether a camera's full scale follows from the type: of 8 and 16 bits it does."""
    return dtype in (np.uint8, np.uint16)


def normalise(
    channel: NDArray[Any],
    how: Normalisation,
    percentiles: Percentiles = PERCENTILES,
    factor: int = 1,
) -> NDArray[np.float32]:
    """One channel (height, width) -> about 0..1, (height / factor, width / factor).

    "full-scale" divides by what 8 or 16 bits can hold.  "percentile" maps the picture's own
    percentiles to 0 and 1, so that dim pictures use the range too; what lies beyond is kept as far as
    LIMITS.  "auto" is full-scale for 8 bits and percentile for everything else.
    """
    values = shrink(channel, factor)
    low, high = _range(values, channel.dtype, how, percentiles)
    if not has_full_scale(values.dtype):
        return _stretch(values, low, high)
    every = np.arange(np.iinfo(values.dtype).max + 1)
    table = _stretch(every, low, high)
    shown: NDArray[np.float32] = table[values]
    return shown


def _range(
    values: NDArray[Any], dtype: np.dtype[Any], how: Normalisation, percentiles: Percentiles
) -> tuple[float, float]:
    """The values that become 0 and 1.  Percentiles are values that occur, the same on every machine."""
    if how == "full-scale" or (how == "auto" and dtype == np.uint8):
        return 0.0, float(np.iinfo(dtype).max)
    low, high = (float(v) for v in np.percentile(values, percentiles, method="nearest"))
    if high == low:  # nearly all is one value: what little stands out gives the scale
        high = max(float(values.max()), low + 1)
    return low, high


def _stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    stretched: NDArray[np.float64] = np.clip(
        (values.astype(np.float64) - low) / (high - low), *LIMITS
    )
    return stretched.astype(np.float32)


def shrink(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Average areas of factor x factor pixels, (height, width) -> (height, width) / factor.

    At the right and lower edge an area may hold fewer pixels: no pixel is left out.
    """
    if factor == 1:
        return pixels
    whole = all(side % factor == 0 for side in pixels.shape)
    counts = factor**2 if whole else _area_sums(np.ones(pixels.shape, dtype=np.uint8), factor)
    return _area_sums(pixels, factor) / counts


def _area_sums(pixels: NDArray[Any], factor: int) -> NDArray[np.float64]:
    missing = [(0, -side % factor) for side in pixels.shape]
    padded = np.pad(pixels, missing) if any(m for _, m in missing) else pixels
    height, width = padded.shape
    areas = padded.reshape(height // factor, factor, width // factor, factor)
    sums: NDArray[np.float64] = areas.sum(axis=(1, 3), dtype=np.float64)
    return sums


def shrink_labels(labels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The label nearest to the middle of each area, because classes cannot be averaged."""
    rows, columns = (
        np.minimum(np.arange(factor // 2, side + factor // 2, factor), side - 1)
        for side in labels.shape
    )
    nearest: NDArray[np.uint8] = labels[rows[:, None], columns]
    return nearest


def size(shape: tuple[int, ...]) -> str:
    """A picture's size in words: height x width."""
    return f"{shape[0]}x{shape[1]}"
