"""The contact sheet, by its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fre_hpo import data
from fre_hpo.data.dataset import IGNORED, Dataset, Split, assemble
from fre_hpo.data.showing import overlay
from fre_hpo.data.showing.contact_sheet import WIDTH, chosen, contact_sheet
from fre_hpo.data.showing.overlay import (
    HATCH,
    PALETTE,
    TINT,
    colours,
    fitted,
    nearest,
    overlaid,
    seen,
)
from fre_hpo.data.showing.pen import shortened
from fre_hpo.data.showing.shares import class_pixels, percent, shares

CLASSES = ("background", "membrane", "nucleus")


def square(size: int = 64) -> NDArray[np.uint8]:
    """A nucleus within a membrane, and a strip that is ignored below."""
    labels = np.zeros((size, size), dtype=np.uint8)
    unit = size // 8
    labels[unit : 6 * unit, unit : 6 * unit] = 1
    labels[2 * unit : 5 * unit, 2 * unit : 5 * unit] = 2
    labels[7 * unit :] = IGNORED
    return labels


def dataset(
    labels: NDArray[np.uint8], count: int = 2, channels: int = 1, source: str = "cell{}.png"
) -> Dataset:
    """Splits of dark pictures with one bright pixel, all labelled alike."""
    pictures = np.zeros((count, channels, *labels.shape), dtype=np.float32)
    pictures[:, :, 0, 0] = 1
    split = Split(
        pictures, np.stack([labels] * count), tuple(source.format(i) for i in range(count))
    )
    return assemble("drawn", CLASSES, train=split, validation=split, test=split)


def pixels(found: Dataset, title: str = "") -> NDArray[np.uint8]:
    return np.asarray(contact_sheet(found, title))


def places(sheet: NDArray[np.uint8], piece: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Where a piece lies in a sheet, exactly."""
    height, width = piece.shape[:2]
    inside = sheet[: sheet.shape[0] - height + 1, : sheet.shape[1] - width + 1]
    found = np.argwhere((inside == piece[0, 0]).all(axis=2))
    for y, x in np.random.default_rng(0).integers(0, (height, width), (200, 2)):
        found = found[(sheet[found[:, 0] + y, found[:, 1] + x] == piece[y, x]).all(axis=1)]
    corners = [(int(y), int(x)) for y, x in found]
    return [(y, x) for y, x in corners if (sheet[y : y + height, x : x + width] == piece).all()]


# --- overlay ------------------------------------------------------------------------------------


def test_colours_are_where_labels_are() -> None:
    labels = square(64)
    picture = np.full((64, 64, 3), 100, dtype=np.uint8)
    drawn = overlaid(picture, labels, colours(CLASSES))
    membrane, nucleus = (np.array(colour) for colour in PALETTE[:2])
    assert (drawn[0, 0] == 100).all(), "the background stays as it is"
    assert (drawn[12, 12] == np.rint(65 + TINT * membrane)).all()
    assert (drawn[30, 30] == np.rint(65 + TINT * nucleus)).all()
    assert (drawn[8, 8:48] == membrane).all(), "the outline is opaque"
    assert (drawn[16, 16:40] == nucleus).all()
    assert (drawn[15, 16:40] == membrane).all()
    assert {tuple(colour) for colour in drawn[56:].reshape(-1, 3).tolist()} == set(HATCH)


def test_an_overlay_is_on_grey() -> None:
    """The colours of a stained picture would be taken for classes."""
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[:] = (255, 0, 0)
    assert (overlaid(picture, np.zeros((8, 8), np.uint8), [None]) == 85).all()


def test_every_class_has_a_colour_of_its_own() -> None:
    names = [f"class{i}" for i in range(20)]
    found = colours(["a", "Background", *names])
    assert found[1] is None
    assert len({found[0], *found[2:]}) == 21


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((256, 256), (256, 256)),
        ((64, 64), (256, 256)),
        ((100, 40), (200, 80)),
        ((200, 10), (200, 10)),
        ((700, 1100), (163, 256)),
        ((1024, 1024), (256, 256)),
        ((4000, 3), (256, 1)),
    ],
)
def test_every_size_fits(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted(shape, 256) == expected


def test_pictures_are_stretched_and_shrunk() -> None:
    picture = np.linspace(0.2, 0.3, 512 * 512, dtype=np.float32).reshape(1, 512, 512)
    shown = seen(picture, (256, 256))
    assert shown.shape == (256, 256, 3)
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown[:, 0, 0].astype(int)) >= 0).all()
    flat = seen(np.full((1, 8, 8), 0.5, np.float32), (16, 16))
    assert np.unique(flat).tolist() == [128]


def test_channels_are_colours() -> None:
    picture = np.zeros((4, 8, 8), dtype=np.float32)
    for channel in range(4):
        picture[channel, channel] = 1
    for count, expected in ((2, [(255, 0, 255), (0, 255, 0)]), (4, [(255, 0, 0), (0, 255, 0)])):
        shown = seen(picture[:count], (8, 8))
        assert [tuple(shown[row, 0].tolist()) for row in range(2)] == expected
    assert (seen(picture, (8, 8))[3] == 0).all(), "the fourth channel is not shown"


def test_small_pictures_stay_sharp() -> None:
    labels = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    assert (nearest(labels, (8, 8)) == labels.repeat(4, axis=0).repeat(4, axis=1)).all()


# --- the sheet ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 256, 512])
def test_a_picture_stands_beside_itself_with_its_labels(size: int) -> None:
    found = dataset(square(size))
    shape = fitted((size, size), 256)
    picture = seen(found.train.images[0], shape)
    drawn = overlaid(picture, nearest(square(size), shape), colours(CLASSES))
    sheet = pixels(found)
    assert sheet.shape[1:] == (WIDTH, 3)
    overlays = places(sheet, drawn)
    assert len(overlays) == 6, "two pictures of each of three splits"
    for y, x in overlays:
        beside = sheet[y : y + shape[0], x - shape[1] - 4 : x - 4]
        assert (beside == picture).all()


def test_the_legend_shows_every_colour_and_a_missing_class() -> None:
    """Nothing else on the page has these colours where no label has them."""
    found = dataset(np.zeros((64, 64), dtype=np.uint8))
    sheet = pixels(found).reshape(-1, 3)
    for colour in PALETTE[:2]:
        assert (sheet == colour).all(axis=1).sum() == 14 * 14
    assert (sheet == (180, 60, 0)).all(axis=1).sum() > 50, "`none` is written in another colour"
    full = pixels(dataset(square())).reshape(-1, 3)
    assert not (full == (180, 60, 0)).all(axis=1).any()


def test_long_names_and_many_classes_stay_on_the_page() -> None:
    names = tuple(f"a class with a long name, number {i}" for i in range(40))
    source = "section_" * 30 + "{}.tif"
    drawn = dataset((np.indices((48, 96))[0] // 2).astype(np.uint8), 40, 3, source)
    many = assemble("many", names, train=drawn.train, validation=drawn.train, test=drawn.train)
    sheet = pixels(many, "a title that is much too long " * 10)
    assert (sheet[:, -16:] == 255).all()


def test_the_middle_of_a_long_name_is_left_out() -> None:
    name = "patient_17_" + 50 * "x" + "_slice3.tif"
    short = shortened(name, 150, 15)
    assert short.startswith("patient")
    assert short.endswith("slice3.tif")
    assert "..." in short
    assert shortened("cell.png", 150, 15) == "cell.png"
    assert shortened(name, 1, 15) == "..."


def test_pictures_are_chosen_evenly_and_show_every_class() -> None:
    counts = np.zeros((100, 4), dtype=np.int64)
    counts[:, 0] = 10
    assert chosen(counts, 5) == [10, 30, 50, 70, 90]
    counts[63, 2] = 5
    assert chosen(counts, 5) == [10, 30, 50, 63, 90]
    counts[64, 1], counts[72, 3] = 9, 6
    assert chosen(counts, 5) == [10, 30, 63, 64, 72]
    assert chosen(counts, 1) == [63], "the rarest class, where there is room for one"
    assert chosen(counts[:3], 5) == [0, 1, 2]


def test_shares_are_of_the_labelled_pixels() -> None:
    found = shares(dataset(square()).train, CLASSES)
    assert found.ignored == 1 / 8
    assert found.classes["nucleus"] == pytest.approx(9 / 56)
    assert sum(found.classes.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "none"), (1e-6, "<0.1%"), (0.0006, "0.1%"), (0.03, "3.0%"), (1, "100.0%")],
)
def test_a_little_is_never_nothing(share: float, text: str) -> None:
    assert percent(share) == text


def test_real_sections(shared_data: Path) -> None:
    """The overlays of the chosen tiles lie on the sheet, with a synapse in every split."""
    found = data.load("drosophila", shared_data / "drosophila")
    sheet = pixels(found)
    palette = overlay.colours(found.classes)
    for split, count in ((found.train, 6), (found.validation, 3), (found.test, 3)):
        rows = chosen(class_pixels(split.labels)[:, :4], count)
        assert (split.labels[rows] == 3).any()
        for row in rows:
            picture = seen(split.images[row], (256, 256))
            assert len(places(sheet, overlaid(picture, split.labels[row], palette))) == 1
