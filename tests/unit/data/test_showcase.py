"""Which pictures are shown of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fre_hpo import data
from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.phantom import Options
from fre_hpo.data.showing.choice import showcase

SIDE = 20


def labelled(*shares: dict[int, int]) -> NDArray[np.uint8]:
    """Pictures of 400 pixels: class -> pixels of it, the rest is class 0."""
    pictures = np.zeros((len(shares), SIDE * SIDE), dtype=np.uint8)
    for picture, share in zip(pictures, shares, strict=True):
        start = 0
        for index, count in share.items():
            picture[start : start + count] = index
            start += count
    return pictures.reshape(-1, SIDE, SIDE)


def test_classes_are_shown_that_no_single_picture_has() -> None:
    labels = labelled({1: 50}, {1: 60}, {2: 50}, {1: 50, 3: 50})
    assert set(showcase(labels, "abcd", 4)) == {2, 3}


def test_the_most_telling_picture_comes_first() -> None:
    labels = labelled({1: 50}, {1: 90, 2: 90}, {1: 50, 2: 50})
    assert showcase(labels, "abc", 3) == (1, 2)


def test_a_rare_class_is_shown_where_it_can_be_seen() -> None:
    """One pixel of a class is not enough where another picture has twenty."""
    labels = labelled({1: 200, 2: 1}, {1: 60, 2: 20}, {1: 200})
    assert showcase(labels, "abc", 3, 1) == (1,)
    everywhere_rare = labelled({1: 200}, {1: 60, 2: 1}, {1: 200})
    assert showcase(everywhere_rare, "abc", 3, 1) == (1,)


def test_another_source_is_preferred_but_not_to_another_class() -> None:
    alike = labelled({1: 90, 2: 90}, {1: 80, 2: 80}, {1: 50, 2: 50})
    assert showcase(alike, ["a", "a", "b"], 3) == (0, 2)
    assert showcase(alike, ["a", "a", "a"], 3) == (0, 1)
    class_in_a = labelled({1: 90, 2: 90}, {3: 80}, {1: 50, 2: 50})
    assert showcase(class_in_a, ["a", "a", "b"], 4) == (0, 1)


def test_what_is_ignored_shows_nothing() -> None:
    labels = labelled({1: 90}, {IGNORED: 400}, {1: 50, IGNORED: 300})
    assert showcase(labels, "abc", 2) == (0, 2)


def test_of_few_pictures_all_are_shown() -> None:
    assert showcase(labelled({1: 9}), "a", 2) == (0,)
    assert showcase(np.zeros((0, 4, 4), dtype=np.uint8), [], 2) == ()
    assert showcase(labelled({1: 9}, {1: 9}, {1: 9}), "abc", 2, count=9) == (0, 1, 2)


@given(
    shares=st.lists(
        st.dictionaries(st.sampled_from([1, 2, 3, IGNORED]), st.integers(0, 100)), max_size=8
    ),
    count=st.integers(1, 4),
)
def test_rows_are_distinct_repeat_themselves_and_show_what_one_more_could(
    shares: list[dict[int, int]], count: int
) -> None:
    labels, sources = labelled(*shares), [str(i % 3) for i in range(len(shares))]
    rows = showcase(labels, sources, 4, count)
    assert len(set(rows)) == len(rows) == min(count, len(shares))
    assert rows == showcase(labels.copy(), sources, 4, count)
    assert rows[:1] == showcase(labels, sources, 4, 1)
    if len(rows) == 4:
        everything = set(np.unique(labels)) - {IGNORED}
        assert set(np.unique(labels[list(rows)])) - {IGNORED} == everything


def test_drawn_cells_show_every_class() -> None:
    found = data.load("phantom", None, Options(size=32, cells=2)).validation
    rows = showcase(found.labels, found.sources, 3)
    assert len(rows) == 2
    assert set(np.unique(found.labels[list(rows)])) == {0, 1, 2}


def test_real_sections_show_a_synapse_of_two_sections(shared_data: Path) -> None:
    """Synapses are 1 % of the pixels, and most tiles have none."""
    found = data.load("drosophila", shared_data / "drosophila").validation
    rows = showcase(found.labels, found.sources, 4)
    assert len({found.sources[row] for row in rows}) == 2
    for row in rows:
        assert (found.labels[row] == 3).mean() > 0.005
