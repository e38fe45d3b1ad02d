from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import formats
from fre_hpo.data.assembly.labels import INSTANCE_CLASSES, MOST_CLASSES, LabelMap, _edges, colour
from fre_hpo.data.pictures import PictureError

SIDE = 24
THREE = LabelMap.of(formats.LABELS)
COLOURED = LabelMap.of(formats.COLOURS)


@pytest.fixture
def classes() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, (SIDE, SIDE)).astype(np.uint8)


def refused(label_map: LabelMap, path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        label_map.read(path)
    return str(caught.value)


# --- the map ------------------------------------------------------------------------------------


def test_classes_have_the_order_in_which_they_are_written() -> None:
    found = LabelMap.of({"edge": (32, 64), "rest": 0, "cell": 255}, ignore=(7,))
    assert found.classes == ("edge", "rest", "cell")
    assert found.values == {32: 0, 64: 0, 0: 1, 255: 2, 7: 255}
    assert not found.colours


def test_colours_are_read_in_any_case() -> None:
    found = LabelMap.of({"a": "#00ff0a", "b": ("#FFFFFF", "#000000")})
    assert found.values == {0x00FF0A: 0, 0xFFFFFF: 1, 0: 1}
    assert found.colours


@pytest.mark.parametrize("text", ["red", "#f00", "#gg0000", "ff0000", "#ff00000", " #ff0000"])
def test_other_words_are_no_colours(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no colour: write it as '#rrggbb'"):
        colour(text)


WRONG: dict[str, tuple[Mapping[str, Any], Sequence[Any], str]] = {
    "one class": ({"cell": 1}, (), "name at least two classes"),
    "too many": ({f"c{n}": n for n in range(65)}, (), "65 classes are more than the 64"),
    "both kinds": ({"a": 0, "b": "#ff0000"}, (), "either numbers or colours"),
    "both kinds, ignored": ({"a": 0, "b": 1}, ("#ff0000",), "either numbers or colours"),
    "no number": ({"a": 0, "b": ()}, (), "the class b has no number and no colour"),
    "twice": ({"a": 0, "b": (1, 0)}, (), "0 stands for two classes: leave it in one"),
    "twice in one": ({"a": 0, "b": (1, 1)}, (), "1 stands for two classes"),
    "ignored as well": ({"a": 0, "b": 1}, (1,), "1 stands for two classes"),
    "a colour twice": ({"a": "#00ff00", "b": "#00FF00"}, (), "'#00FF00' stands for two classes"),
    "negative": ({"a": 0, "b": -1}, (), "-1 is below 0, which no mask holds"),
    "no colour": ({"a": "#000000", "b": "green"}, (), "'green' is no colour"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_map_that_cannot_be_used(mistake: str) -> None:
    labels, ignore, words = WRONG[mistake]
    with pytest.raises(ValueError, match=words):
        LabelMap.of(labels, ignore)


def test_as_many_classes_as_there_may_be() -> None:
    assert len(LabelMap.of({f"c{n}": n for n in range(MOST_CLASSES)}).classes) == 64


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", formats.MASKS)
def test_masks_become_class_indices(name: str, tmp_path: Path, classes: np.ndarray) -> None:
    encoding = formats.MASKS[name]
    path = tmp_path / f"mask{encoding.ending}"
    encoding.write(path, classes)
    options = {"labels": formats.LABELS, **encoding.options}
    label_map = LabelMap.of(options["labels"], inverted=options.get("inverted", False))
    found = label_map.read(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, classes[None])


def test_numbers_of_32_bits(tmp_path: Path, classes: np.ndarray) -> None:
    numbers = np.array([0, 70_000, 4_000_000_000], dtype=np.uint32)[classes]
    formats.tiff(tmp_path / "mask.tif", numbers)
    label_map = LabelMap.of({"a": 0, "b": 70_000, "c": 4_000_000_000})
    np.testing.assert_array_equal(label_map.read(tmp_path / "mask.tif")[0], classes)


def test_a_number_beyond_the_files_depth_matches_nothing(
    tmp_path: Path, classes: np.ndarray
) -> None:
    """256 is not 0 because a byte holds no more."""
    formats.png(tmp_path / "mask.png", classes)
    label_map = LabelMap.of({"a": 256, "b": 1, "c": 2, "d": 0})
    np.testing.assert_array_equal(
        label_map.read(tmp_path / "mask.png")[0], np.array([3, 1, 2])[classes]
    )


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("white", [1, 255])
def test_white_of_one_bit_is_1_or_255(white: int, inverted: bool, tmp_path: Path) -> None:
    bright = np.eye(SIDE, dtype=bool)
    formats.png(tmp_path / "mask.png", ~bright if inverted else bright)
    label_map = LabelMap.of({"dark": 0, "bright": white}, inverted=inverted)
    np.testing.assert_array_equal(label_map.read(tmp_path / "mask.png")[0], bright)


# --- what stands for no class -------------------------------------------------------------------


def test_an_unknown_number_is_told_with_file_value_count_and_map(
    tmp_path: Path, classes: np.ndarray
) -> None:
    classes[0, :5], classes[1, 0] = 7, 9
    path = tmp_path / "mask.png"
    formats.png(path, classes)
    told = (
        f"{path} has the unknown label 7 in 5 pixels, 9 in 1 pixel (known are background 0; membrane "
        "1, 3; nucleus 2; ignored 255): repaint it"
    )
    labels = {**formats.LABELS, "membrane": (1, 3)}
    assert refused(LabelMap.of(labels, ignore=(255,)), path) == told
    assert refused(LabelMap.of(labels, ignore=(255,), key="data.labels"), path) == (
        f"{told}, or give it a class in data.labels"
    )


def test_the_most_frequent_unknown_colours_are_named(tmp_path: Path) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[:, 12:] = (255, 0, 0)
    pixels[0, :9], pixels[1, :4], pixels[2, :3], pixels[3, 0] = 5, (254, 0, 0), (1, 2, 3), 9
    path = tmp_path / "mask.png"
    formats.png(path, pixels)
    assert refused(COLOURED, path) == (
        f"{path} has the unknown colour #050505 in 9 pixels, #fe0000 in 4 pixels, #010203 in 3 pixels, "
        "1 other in 1 pixel (known are background #000000; membrane #ff0000; nucleus #00ff00): "
        "repaint it"
    )


INSTANCES = (
    ": that looks like instance labels, one for each cell, so take data.labels out and set "
    'data.instances = "boundary", or paint classes'
)
SMOOTHED = ": that looks like smoothed or resized edges, so export the mask without smoothing"
PATCHES = np.kron(np.arange(16).reshape(4, 4), np.ones((6, 6), dtype=np.uint16))


@pytest.mark.parametrize(
    "labels", [{"background": 0, "cell": 1}, {"background": 0, "cell": 255}], ids=["1", "255"]
)
@pytest.mark.parametrize("spread", [1, 17])
def test_areas_of_many_numbers_look_like_instance_labels(
    labels: dict[str, int], spread: int, tmp_path: Path
) -> None:
    path = tmp_path / "mask.png"
    formats.png(path, (PATCHES * spread).astype(np.uint16))
    said = refused(LabelMap.of(labels, key="data.labels"), path)
    assert said.startswith(f"{path} has the unknown label ")
    assert "others in " in said
    assert said.endswith(INSTANCES)


@pytest.mark.parametrize("times", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["grey", "colours"])
def test_numbers_that_change_from_pixel_to_pixel_look_like_smoothed_edges(
    kind: str, times: int, tmp_path: Path
) -> None:
    """However wide the edges are: few pixels between the classes, or most of the picture."""
    rows, columns = np.mgrid[-40:40, -40:40]
    levels = 255.0 * (rows**2 + columns**2 < 30**2)
    for _ in range(times):
        around = np.pad(levels, 1, mode="edge")
        levels = sum(around[y : y + 80, x : x + 80] for y in range(3) for x in range(3)) / 9
    grey = np.rint(levels).astype(np.uint8)
    path = tmp_path / "mask.png"
    formats.png(path, grey if kind == "grey" else np.stack([grey, 0 * grey, 0 * grey], axis=-1))
    labels = {"grey": {"rest": 0, "cell": 255}, "colours": {"rest": "#000000", "cell": "#ff0000"}}
    assert refused(LabelMap.of(labels[kind], key="data.labels"), path).endswith(SMOOTHED)


@pytest.mark.parametrize("turned", [False, True])
def test_straight_smoothed_edges_are_no_cells_either(turned: bool, tmp_path: Path) -> None:
    levels = np.repeat(np.linspace(0, 255, 12).astype(np.uint8), 4)[:, None] + np.zeros(
        48, np.uint8
    )
    levels[::4] = levels[1::4] = levels[2::4] = 0
    path = tmp_path / "mask.png"
    formats.png(path, levels.T if turned else levels)
    assert refused(LabelMap.of({"rest": 0, "cell": 255}, key="data.labels"), path).endswith(
        SMOOTHED
    )


# --- instances ----------------------------------------------------------------------------------


CELLS = arrays(
    np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)
)


@settings(deadline=None)
@given(cells=CELLS)
def test_an_edge_has_a_neighbour_of_another_number(cells: np.ndarray) -> None:
    for row, column in np.ndindex(cells.shape):
        around = cells[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert _edges(cells)[row, column] == (around != cells[row, column]).any()


@pytest.mark.parametrize("kind", ["boundary", "foreground"])
def test_instances_of_every_page(kind: Any, tmp_path: Path) -> None:
    """Two cells that touch; the second page holds none."""
    cells = np.zeros((2, 8, 8), dtype=np.uint16)
    cells[0, 1:7, 1:4], cells[0, 1:7, 4:8] = 1, 500
    formats.tiff(tmp_path / "mask.tif", cells)
    label_map = LabelMap.of_instances(kind)
    found = label_map.read(tmp_path / "mask.tif")
    assert label_map.classes == INSTANCE_CLASSES[kind]
    assert not found[1].any()
    if kind == "foreground":
        np.testing.assert_array_equal(found[0], cells[0] > 0)
    else:
        assert "\n".join("".join(map(str, row)) for row in found[0]) == (
            "11111111\n11111111\n11211222\n11211222\n11211222\n11211222\n11111111\n11111111"
        )
