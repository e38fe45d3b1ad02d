"""Random numbers as pure functions of a seed and a place.

Every draw of a training - initialisation, data order, augmentation, dropout - comes from a generator that
is seeded anew from (seed, purpose, epoch).  A resumed trial therefore continues as if it had never been
interrupted, and no random state has to be stored.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream of random numbers is for; the numbers are part of every stored result."""

    INITIALISATION = 0
    SIDE_HEAD = 1
    DATA = 2
    DROPOUT = 3


def derive(seed: int, *path: int) -> int:
    """A seed for ``path`` (a purpose, an epoch) that is independent of those for other paths."""
    words = np.random.SeedSequence(seed, spawn_key=path).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])
