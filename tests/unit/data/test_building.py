from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formats
from fre_hpo.data import IGNORED, Dataset
from fre_hpo.data.assembly import images, tiling
from fre_hpo.data.assembly.building import Room, _facts, _fill, _names, build
from fre_hpo.data.assembly.labels import LabelMap
from fre_hpo.data.assembly.survey import Reading
from fre_hpo.data.dividing.splitting import SPLITS, Item
from fre_hpo.data.finding.pairing import Pair
from fre_hpo.errors import DataProblems

SIDES = st.integers(1, 50)


@settings(deadline=None)
@given(
    shape=st.tuples(SIDES, SIDES), tile=st.sampled_from([0, 8, 16, 24]), factor=st.integers(1, 3)
)
def test_tiles_hold_the_whole_picture_and_its_labels_once(
    shape: tuple[int, int], tile: int, factor: int
) -> None:
    rng = np.random.default_rng(shape)
    page = rng.integers(0, 256, (2, *shape)).astype(np.uint8)
    labels = rng.integers(0, 3, shape).astype(np.uint8)
    small = -(-shape[0] // factor), -(-shape[1] // factor)
    cut = (tile, tile) if tile else small
    count = tiling.count(small, cut)
    room = Room(np.empty((count, 2, *cut), np.float32), np.empty((count, *cut), np.uint8))
    _fill(room, page, labels, Reading(tile=tile, factor=factor))
    assert np.count_nonzero(room.labels != IGNORED) == small[0] * small[1]
    shown = np.stack([images.shrink(channel, factor) / 255 for channel in page])
    for number, (top, left) in enumerate(tiling.corners(small, cut)):
        inside = np.s_[..., : min(cut[0], small[0] - top), : min(cut[1], small[1] - left)]
        there = np.s_[..., top : top + cut[0], left : left + cut[1]]
        np.testing.assert_allclose(room.images[number][inside], shown[there], rtol=1e-6)
        np.testing.assert_array_equal(
            room.labels[number][inside], images.shrink_labels(labels, factor)[there]
        )


def test_names_are_as_short_as_they_may_be() -> None:
    assert _names([Path("/a/b/1.png"), Path("/a/c/2.png")]) == ["1.png", "2.png"]
    alike = [Path("/a/b/x/1.png"), Path("/a/c/x/1.png"), Path("/a/c/x/2.png")]
    assert _names(alike) == ["b/x/1.png", "c/x/1.png", "c/x/2.png"]
    assert _names([]) == []


def test_facts_of_a_page() -> None:
    page = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    labels = np.repeat([0, 1, 2, 255], 16).astype(np.uint8).reshape(8, 8)
    facts = _facts(page, labels)
    assert facts.counts[:3] == (16, 16, 16)
    assert facts.counts[255] == 16
    assert sum(facts.counts) == 64
    assert not facts.constant
    assert _facts(page.copy(), 0 * labels).digest == facts.digest
    assert _facts(page.reshape(1, 4, 16), labels).digest != facts.digest
    assert _facts(page + 1, labels).digest != facts.digest
    assert _facts(page, 0 * labels).labels != facts.labels
    assert _facts(np.full_like(page, 9), labels).constant


@pytest.mark.parametrize("step", [1, 256, 257])
def test_a_copy_of_more_bits_is_known_again(step: int) -> None:
    page = np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    deep, labels = page.astype(np.uint16) * step, np.zeros((8, 8), dtype=np.uint8)
    assert _facts(deep, labels).digest == _facts(page, labels).digest
    assert _facts(deep + 3, labels).digest != _facts(page, labels).digest


def test_a_large_page_is_counted_to_the_last_pixel() -> None:
    labels = np.zeros((2100, 2001), dtype=np.uint8)
    labels[-1, -1] = 2
    counts = _facts(labels[None], labels).counts
    assert (counts[0], counts[2]) == (labels.size - 1, 1)


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    """Four pictures; the last one's labels are in no class on its right half."""
    found = []
    for number in range(4):
        labels = np.resize(np.arange(3, dtype=np.uint8), (16, 16))
        if number == 3:
            labels[:, 8:] = 9
        paths = tmp_path / f"{number}.png", tmp_path / f"{number}_mask.png"
        formats.png(paths[0], np.full((16, 16), 10 * number, np.uint8) + labels)
        formats.png(paths[1], labels)
        found.append(Pair(str(number), *paths))
    return found


def built(pairs: Sequence[Pair], places: Mapping[str, Sequence[int]], problem: str = "") -> Dataset:
    def divide(items: Sequence[Item], problems: list[str]) -> Mapping[str, Sequence[int]]:
        assert [item.name for item in items] == [pair.image.name for pair in pairs]
        if problem:
            problems.append(problem)
        return places

    label_map = LabelMap.of(formats.LABELS, ignore=(9,))
    return build("mine", pairs, label_map, Reading(tile=8), divide, ["before"] * bool(problem), [])


def test_rows_follow_the_places_of_a_split(pairs: list[Pair]) -> None:
    found = built(pairs, {"train": [2, 0], "validation": [1], "test": [3]})
    assert found.name == "mine"
    assert found.train.sources == ("2.png",) * 4 + ("0.png",) * 4
    np.testing.assert_array_equal(found.train.images[0, 0] * 255, 20 + found.train.labels[0])
    assert found.test.sources == ("3.png",) * 2  # its right half is ignored
    assert len(found.test.images) == len(found.test.labels) == 2


def test_a_picture_may_be_in_no_split(pairs: list[Pair]) -> None:
    found = built(pairs, {"train": [0], "validation": [1], "test": [2]})
    assert {source for split in SPLITS for source in found.splits[split].sources} == {
        "0.png",
        "1.png",
        "2.png",
    }


def test_what_was_noted_before_comes_first_and_pixels_are_still_looked_at(
    pairs: list[Pair],
) -> None:
    formats.png(pairs[1].mask, np.full((16, 16), 77, np.uint8))
    with pytest.raises(DataProblems) as caught:
        built(pairs, {}, problem="no split")
    assert caught.value.problems[:2] == ["before", "no split"]
    assert len(caught.value.problems) == 3
    assert "unknown label 77" in caught.value.problems[2]
