"""Which pictures of a split show most, for whoever looks at two of many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.showing.shares import class_pixels

ENOUGH = 0.005
"""Share of a picture's labelled pixels from which a class is seen without searching."""
BY_MUCH = 0.5
"""A class that has so little everywhere is seen best where it has at least half of its most."""


def showcase(
    labels: NDArray[np.uint8], sources: Sequence[str], classes: int, count: int = 2
) -> tuple[int, ...]:
    """Rows of a split, the most telling first: together they show as many classes as possible, rare
    ones with enough pixels to be seen, and they are from different sources where that costs no class.

    labels: (n, height, width), IGNORED where there is no class.  sources: of each row.  The same split
    always gives the same rows, so that trials and studies can be compared; of fewer rows than ``count``
    it gives all.
    """
    pixels = class_pixels(labels)
    counts, labelled = pixels[:, :classes], pixels[:, :IGNORED].sum(axis=1)
    most = counts.max(axis=0, initial=1)
    visible = _visibility(counts, labelled, most)
    richness = (counts / most).sum(axis=1)
    chosen: list[int] = []

    def worth(row: int) -> tuple[float, ...]:
        together = visible[[*chosen, row]].max(axis=0).sum()
        another_source = sources[row] not in [sources[other] for other in chosen]
        return together, another_source, visible[row].sum(), richness[row]

    while len(chosen) < min(count, len(labels)):
        chosen.append(max((row for row in range(len(labels)) if row not in chosen), key=worth))
    return tuple(chosen)


def _visibility(
    counts: NDArray[np.int64], labelled: NDArray[np.int64], most: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(rows, classes): 0 where a class is absent, 1 where it is hard to find, 2 where it is seen."""
    enough = np.minimum(ENOUGH * labelled[:, None], BY_MUCH * most)
    visibility: NDArray[np.int64] = (counts > 0).astype(np.int64)
    visibility += (counts > 0) & (counts >= enough)
    return visibility
