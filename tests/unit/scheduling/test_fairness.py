"""How searches share a cluster."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.scheduling.fairness import Claim, fair_slots


def claim(
    name: str, room: int, demand: int, turns: int = 0, since: float = 0.0, device: str = "cuda"
) -> Claim:
    return Claim(name, since, device, room, demand, turns)


@pytest.mark.parametrize(
    ("room", "demands", "expected"),
    [
        (8, [50], [8]),
        (8, [50, 50], [4, 4]),
        (8, [3, 50], [3, 5]),
        (8, [50, 0], [8, 0]),
        (9, [1, 2, 50, 50], [1, 2, 3, 3]),
        (8, [8, 8, 8], [3, 3, 2]),
        (3, [50, 50], [2, 1]),
        (1, [50, 50], [1, 0]),
        (0, [50, 50], [0, 0]),
    ],
)
def test_equal_shares_and_nothing_idle(room: int, demands: list[int], expected: list[int]) -> None:
    claims = [claim(str(i), room, demand, since=i) for i, demand in enumerate(demands)]
    slots = fair_slots(claims)
    assert [slots[str(i)] for i in range(len(demands))] == expected


def test_trials_of_different_sizes_get_equal_parts() -> None:
    """One search packs two trials on a GPU, the other one: of four GPUs each gets two."""
    assert fair_slots([claim("packed", 8, 50), claim("whole", 4, 50)]) == {"packed": 4, "whole": 2}


def test_what_cannot_be_divided_goes_round() -> None:
    """On one GPU each search has its turn, however many there are."""
    turns = {"a": 0, "b": 0, "c": 0}
    for _ in range(9):
        slots = fair_slots([claim(name, 1, 9, turns=had) for name, had in turns.items()])
        (chosen,) = [name for name, count in slots.items() if count]
        turns[chosen] += 1
    assert turns == {"a": 3, "b": 3, "c": 3}


CLAIMS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=6
)


@given(CLAIMS)
def test_whatever_is_claimed_the_cluster_is_full_and_not_overfull(
    numbers: list[tuple[int, int, int]],
) -> None:
    claims = [claim(str(i), *facts, since=i) for i, facts in enumerate(numbers)]
    slots = fair_slots(claims)
    used = math.fsum(c.fraction(slots[c.search]) for c in claims)
    assert used <= 1 + 1e-6
    for c in claims:
        got = slots[c.search]
        assert 0 <= got <= min(c.demand, c.room)
        fits = c.room and used + 1 / c.room <= 1 - 1e-6
        assert got == min(c.demand, c.room) or not fits


@given(CLAIMS)
def test_everybody_computes_the_same(numbers: list[tuple[int, int, int]]) -> None:
    claims = [claim(str(i), *facts, since=i) for i, facts in enumerate(numbers)]
    assert fair_slots(claims) == fair_slots(reversed(claims))
