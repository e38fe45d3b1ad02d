"""The climb of a probe: one trial alone, then one more as long as it pays; with drawn numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from fre_hpo.scheduling.packing import MOST, WINDOWS, Extent
from fre_hpo.scheduling.probe import Crowded, Probed, climb
from fre_hpo.training.pace import Memory

LONG = Extent(trials=50, epochs=2000, seconds=None, parallel=None, gpus=1)
GB = 1 << 30


@dataclass
class Drawn:
    """A GPU whose speed with 1, 2, ... trials is given; its seconds pass while it works."""

    rates: Sequence[float]
    each: int = 2 * GB
    total: int = 24 * GB
    holds: int = MOST
    trials: int = 0
    time: float = 0.0
    windows: list[int] = field(default_factory=list)

    def add(self) -> Memory:
        self.time += 5
        if self.trials == self.holds:
            raise Crowded("CUDA out of memory")
        self.trials += 1
        return Memory(self.each, self.total - self.trials * self.each, self.total)

    def window(self) -> float:
        self.time += 2
        self.windows.append(self.trials)
        return self.rates[self.trials - 1] * (1 + 0.01 * (len(self.windows) % WINDOWS))

    def now(self) -> float:
        return self.time


def climbed(stand: Drawn, extent: Extent = LONG) -> Probed:
    return climb(stand, extent, stand.now)


@pytest.mark.parametrize(
    ("rates", "trials", "tried"),
    [
        ([5.0, 4.9], 1, 2),
        ([5.0, 7.9, 8.0], 2, 3),
        ([5.0, 8.0, 10.0, 10.1], 3, 4),
        ([5.0, 8.0, 10.0, 11.0], 4, 4),
        ([5.0, 5.1, 9.0], 1, 2),
    ],
)
def test_company_is_taken_as_long_as_it_pays(rates: list[float], trials: int, tried: int) -> None:
    stand = Drawn(rates)
    probed = climbed(stand)
    assert (probed.trials, len(probed.rates), probed.settled) == (trials, tried, True)
    assert stand.windows == [n for n in range(1, tried + 1) for _ in range(WINDOWS)]


def test_a_trial_that_would_not_fit_is_not_tried() -> None:
    stand = Drawn([5.0, 8.0, 10.0], each=8 * GB)
    probed = climbed(stand)
    assert (probed.trials, stand.trials) == (2, 2)
    assert probed.sentence("NVIDIA X") == (
        "A probe on NVIDIA X trained one trial 5.05 epochs a second, 2 at once 8.08: 2 share a GPU, "
        "for its memory holds no more."
    )


def test_running_out_of_memory_is_a_limit_and_no_failure() -> None:
    assert climbed(Drawn([5.0, 8.0, 10.0], holds=2)).trials == 2
    assert climbed(Drawn([5.0, 8.0, 10.0], holds=1)).trials == 1
    with pytest.raises(Crowded):
        climbed(Drawn([5.0], holds=0))


def test_a_search_that_is_not_much_longer_than_its_probe_goes_without() -> None:
    """11 s alone and three times 11 s more: 20 times that is 880 s."""
    stand = Drawn([5.0, 8.0])
    probed = climbed(stand, Extent(trials=10, epochs=400, seconds=None, parallel=None, gpus=1))
    assert (probed.trials, stand.trials, probed.settled) == (1, 1, False)
    assert "the search is too short" in probed.sentence("NVIDIA X")
    longer = Extent(trials=10, epochs=450, seconds=None, parallel=None, gpus=1)
    assert climbed(Drawn([5.0, 8.0, 8.1]), longer).trials == 2


def test_what_holds_for_few_trials_is_not_remembered_for_many() -> None:
    few = Extent(trials=50, epochs=2000, seconds=None, parallel=2, gpus=1)
    probed = climbed(Drawn([5.0, 8.0, 10.0]), few)
    assert (probed.trials, probed.settled) == (2, False)
    assert climbed(Drawn([5.0, 4.0, 3.0]), few).settled
    assert probed.sentence("NVIDIA X").endswith("2 at once 8.08: 2 share a GPU.")
