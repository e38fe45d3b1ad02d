"""The side of tiles: as little as possible of what the network sees is made up at edges."""

from collections import Counter

from fre_hpo.data.assembly.tiling import Shape, count
from fre_hpo.data.guessing.seen import Choice, Seen

_WHOLE = 512
"""Pictures of no larger side need not be cut."""
_WASTED = 0.5
"""Of what whole pictures are filled up to, so much may be padding."""
_SIDES = range(128, 513, 32)
_EQUAL = 0.05
"""Shares of padding so near that a larger tile, which shows more around a cell, is better."""


def choose_tile(seen: Seen) -> Choice:
    """0, which keeps pictures whole, where they are small and much alike; else the tile that pads least."""
    heights, widths = zip(*seen.sizes, strict=True)
    largest = max(heights), max(widths)
    padded = _padding(seen.sizes, largest)
    if max(largest) <= _WHOLE and padded < _WASTED:
        if len(seen.sizes) == 1:
            return 0, "pictures are small and of one size: whole"
        return (
            0,
            f"pictures are small: whole, filled up to {largest[0]}x{largest[1]}{_ignored(padded)}",
        )
    shares = {side: _padding(seen.sizes, (side, side)) for side in _SIDES}
    least = min(shares.values())
    side = max(side for side, share in shares.items() if share <= least + _EQUAL)
    why = "of several sizes" if len(seen.sizes) > 1 else "large"
    text = (
        f"pictures are {why}: tiles of {side}x{side}, no pixel is dropped{_ignored(shares[side])}"
    )
    return side, text


def _padding(sizes: Counter[Shape], tile: Shape) -> float:
    """The share of all tiles that lies beyond the pictures."""
    covered = sum(height * width * n for (height, width), n in sizes.items())
    tiles = sum(count(size, tile) * n for size, n in sizes.items())
    return 1 - covered / (tiles * tile[0] * tile[1])


def _ignored(share: float) -> str:
    return f"; {share:.0%} of that is padding, which is ignored" if share >= 0.005 else ""
