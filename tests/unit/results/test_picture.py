"""The picture of a trial, by its pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from fre_hpo import data
from fre_hpo.data import phantom
from fre_hpo.data.dataset import IGNORED
from fre_hpo.data.showing.choice import showcase
from fre_hpo.data.showing.overlay import PALETTE, colours
from fre_hpo.data.showing.pen import SWATCH
from fre_hpo.results import picture
from fre_hpo.results.agreement import image_iou, mean
from fre_hpo.results.panels import CONFUSED, EXTRA, MISSED, Sample, side_by_side
from fre_hpo.results.picture import CELL, GAP, MARGIN, trial_picture
from fre_hpo.training.metrics import class_iou, mean_iou

CLASSES = ("background", "membrane", "nucleus")
WIDEST = 1700
Pixels = NDArray[np.uint8]


def drawn_cells(
    size: int = 64, channels: int = 1, shape: tuple[int, int] | None = None, seed: int = 0
) -> Sample:
    """Cells, and a prediction that is shifted, misses a corner and draws a nucleus too many."""
    rng = np.random.default_rng(seed)
    light, labels = phantom.draw(rng, phantom.Options(size=size, cells=5 if size > 32 else 2))
    bright: NDArray[np.float32] = light.astype(np.float32)
    height, width = shape or (size, size)
    truth = labels[:height, :width]
    predicted = np.roll(truth, 1, axis=0)
    predicted[: height // 4, : width // 4] = 0
    predicted[-height // 4 :, -width // 4 :] = 2
    image = np.stack([np.roll(bright[:height, :width], 3 * i, axis=1) for i in range(channels)])
    return Sample(f"cells{seed}.tif", image, truth, predicted)


def page(samples: Sequence[Sample], classes: Sequence[str] = CLASSES, title: str = "") -> Pixels:
    with Image.open(io.BytesIO(trial_picture(samples, classes, title))) as image:
        return np.asarray(image.convert("RGB"))


def area(pixels: Pixels, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=-1).sum())


# --- agreement ----------------------------------------------------------------------------------


def test_iou_of_one_image() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, IGNORED, 3]], dtype=np.uint8)
    prediction = np.array([[0, 1, 1, 1], [0, 0, 2, 0]], dtype=np.uint8)
    found = image_iou(truth, prediction, 5)
    assert found == [3 / 5, 2 / 3, None, 0.0, None]
    assert mean(found) == pytest.approx((3 / 5 + 2 / 3) / 3)


def test_a_class_that_is_drawn_where_there_is_none_counts() -> None:
    truth = np.zeros((2, 2), dtype=np.uint8)
    assert image_iou(truth, np.eye(2, dtype=np.uint8), 2) == [0.5, 0.0]


def test_where_all_is_ignored_there_is_no_value() -> None:
    truth = np.full((2, 2), IGNORED, dtype=np.uint8)
    found = image_iou(truth, np.zeros((2, 2), dtype=np.uint8), 2)
    assert found == [None, None]
    assert mean(found) is None


@given(
    truth=arrays.arrays(np.uint8, (5, 5), elements=st.sampled_from([0, 1, 2, IGNORED])),
    prediction=arrays.arrays(np.uint8, (5, 5), elements=st.integers(0, 2)),
)
def test_values_are_those_of_the_search_where_the_truth_has_every_class(
    truth: Pixels, prediction: Pixels
) -> None:
    truth[0, :3] = 0, 1, 2
    confusion = np.zeros((1, 3, 3), dtype=np.int64)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != IGNORED:
            confusion[0, t, p] += 1
    found = image_iou(truth, prediction, 3)
    assert found == class_iou(confusion)
    assert mean(found) == pytest.approx(mean_iou(confusion))


# --- panels -------------------------------------------------------------------------------------


def four_kinds() -> Sample:
    """One pixel that is right, one missed, one extra, one of the wrong class, two ignored."""
    truth = np.array([[1, 1, 0, 1, IGNORED, IGNORED]], dtype=np.uint8)
    prediction = np.array([[1, 0, 2, 2, 1, 0]], dtype=np.uint8)
    return Sample("a", np.ones((1, 1, 6), dtype=np.float32), truth, prediction)


def test_errors_are_coloured_by_their_kind_and_nothing_else_is() -> None:
    *_, errors = side_by_side(four_kinds(), colours(CLASSES), (1, 6))
    right, missed, extra, confused, *ignored = (tuple(map(int, pixel)) for pixel in errors[0])
    assert (missed, extra, confused) == (MISSED, EXTRA, CONFUSED)
    assert right[0] == right[1] == right[2] < 128
    assert not {MISSED, EXTRA, CONFUSED} & set(ignored)


def test_truth_and_prediction_have_the_colours_of_their_classes() -> None:
    _, truth, prediction, _ = side_by_side(four_kinds(), colours(CLASSES), (1, 6))
    membrane, nucleus = PALETTE[:2]
    assert [area(truth, colour) for colour in (membrane, nucleus)] == [3, 0]
    assert [area(prediction, colour) for colour in (membrane, nucleus)] == [1, 2]
    assert (truth[0, 4:] == prediction[0, 4:]).all(), "both hatched where the truth ignores"


def test_without_a_background_every_error_is_a_wrong_class() -> None:
    classes = ("cytoplasm", "membrane", "nucleus")
    *_, errors = side_by_side(four_kinds(), colours(classes), (1, 6))
    assert [area(errors, kind) for kind in (MISSED, EXTRA, CONFUSED)] == [0, 0, 3]


def test_classes_of_one_colour_are_all_painted() -> None:
    """Of many classes the colours come again."""
    classes = ["background", *map(str, range(40))]
    truth = np.arange(41, dtype=np.uint8)[None]
    sample = Sample("a", np.zeros((1, 1, 41), dtype=np.float32), truth, truth)
    _, shown, _, errors = side_by_side(sample, colours(classes), (1, 41))
    assert len(np.unique(shown[0, 1:22], axis=0)) == 21
    assert (np.ptp(shown[0, 1:].astype(int), axis=1) > 0).all(), "none is grey like the image"
    assert (np.ptp(errors.astype(int), axis=2) == 0).all()


def test_a_thin_error_in_a_large_image_grows_pale_but_stays() -> None:
    truth = np.zeros((1024, 1024), dtype=np.uint8)
    truth[:, 512] = 1
    sample = Sample("a", np.zeros((1, 1024, 1024), dtype=np.float32), truth, np.zeros_like(truth))
    *_, errors = side_by_side(sample, colours(CLASSES), (336, 336))
    red, green, _ = np.moveaxis(errors.astype(int), 2, 0)
    assert ((red - green).max(axis=1) > 50).all()


# --- the page -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "panel"), [(32, 320), (64, 320), (128, 256), (256, 256), (512, CELL)]
)
def test_panels_stand_side_by_side_a_row_for_each_image(size: int, panel: int) -> None:
    samples = [drawn_cells(size, seed=seed) for seed in range(2)]
    sheet = page(samples)
    assert sheet.shape[1] <= WIDEST
    left = [MARGIN + place * (panel + GAP) for place in range(4)]
    painted = sheet[:, left[1] + panel - 1].min(axis=1) < 255
    rows = range(len(sheet) - panel + 1)
    tops = [y for y in rows if painted[y : y + panel].all() and not painted[y - 1]]
    assert len(tops) == 2
    for sample, top in zip(samples, tops, strict=True):
        expected = side_by_side(sample, colours(CLASSES), (panel, panel))
        for x, pixels in zip(left, expected, strict=True):
            found = sheet[top : top + panel, x : x + panel]
            assert np.abs(found.astype(int) - pixels).mean() < 3


def test_small_grey_images_keep_every_pixel() -> None:
    """Fewer than 256 colours are no approximation."""
    sample = drawn_cells(64)
    sheet = page([sample])
    expected = side_by_side(sample, colours(CLASSES), (320, 320))[0]
    width = expected.shape[1]
    column = sheet[:, MARGIN : MARGIN + width]
    tops = [y for y in range(len(column) - width + 1) if (column[y] == expected[0]).all()]
    assert any((column[y : y + width] == expected).all() for y in tops)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "shape", [(256, 256), (96, 256), (256, 64)], ids=["square", "wide", "tall"]
)
def test_every_shape_and_number_of_channels(channels: int, shape: tuple[int, int]) -> None:
    samples = [drawn_cells(256, channels, shape, seed) for seed in range(2)]
    content = trial_picture(samples, CLASSES, "trial 3")
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        assert image.width <= WIDEST
    assert len(content) <= 250_000


def test_one_to_four_images() -> None:
    heights = [page([drawn_cells(seed=seed) for seed in range(n)]).shape[0] for n in range(1, 5)]
    assert len(set(np.diff(heights))) == 1


def test_any_range_of_values_looks_the_same() -> None:
    """Percentile or full-scale, 8 or 16 bits: the contrast is stretched."""
    sample = drawn_cells()
    other = Sample(sample.name, sample.image * 3000 - 1000, sample.truth, sample.prediction)
    assert np.abs(page([sample]).astype(int) - page([other])).max() <= 4


def test_a_flat_image_is_drawn() -> None:
    flat = np.zeros((1, 64, 64), dtype=np.float32)
    labels = np.zeros((64, 64), dtype=np.uint8)
    assert page([Sample("a", flat, labels, labels)]).shape[1] <= WIDEST


def test_the_same_trial_gives_the_same_bytes() -> None:
    first, second = (trial_picture([drawn_cells(96, 3)], CLASSES, "trial 3") for _ in range(2))
    assert first == second


def test_the_legend_stands_beside_each_image_also_for_a_class_that_is_not_there() -> None:
    nothing = np.zeros((64, 64), dtype=np.uint8)
    sample = Sample("a", drawn_cells().image, nothing, nothing)
    sheet = page([sample, sample])
    for colour in PALETTE[:2]:
        assert area(sheet, colour) == 2 * SWATCH * SWATCH


def test_kinds_of_error_are_named_over_the_errors() -> None:
    nothing = np.zeros((64, 64), dtype=np.uint8)
    sample = Sample("a", drawn_cells().image, nothing, nothing)
    kinds = (MISSED, EXTRA)
    assert [area(page([sample]), kind) for kind in kinds] == [(SWATCH - 2) ** 2] * 2
    no_background = page([sample], ("cytoplasm", "membrane", "nucleus"))
    assert [area(no_background, kind) for kind in kinds] == [0, 0]


def test_long_names_and_many_classes_stay_on_the_page() -> None:
    labels = (np.indices((64, 64))[0] % 40).astype(np.uint8)
    labels[60:] = IGNORED
    sample = Sample("section_" * 60 + ".tif", drawn_cells().image, labels, labels % 39)
    names = ["background", *(f"a class with a long name, number {i}" for i in range(39))]
    sheet = page([sample], names, "a title that is much too long " * 20)
    assert (sheet[:, -MARGIN:] == 255).all()
    assert sheet.shape[0] < 800
    assert not (sheet[-40:] == 255).all(), "the last line of the table says what is left out"


def test_of_many_classes_those_in_the_image_are_listed() -> None:
    found = [None] * 18 + [0.5, None, 0.1] + [None] * 4
    assert picture._listed(found) == [18, 20]
    assert picture._listed([None] * 20) == list(range(20))
    assert len(picture._listed([0.5] * 30)) == 20


def test_real_sections(shared_data: Path) -> None:
    """Two tiles of 256 x 256 with a shifted prediction: classes, errors and size."""
    found = data.load("drosophila", shared_data / "drosophila")
    split = found.validation
    rows = showcase(split.labels, split.sources, len(found.classes))
    samples = [
        Sample(split.sources[r], split.images[r], split.labels[r], np.roll(split.labels[r], 2, 0))
        for r in rows
    ]
    content = trial_picture(samples, found.classes, "drosophila-fre, trial 3")
    assert len(content) < 250_000
    sheet = page(samples, found.classes)
    for colour in (*PALETTE[:3], MISSED, EXTRA, CONFUSED):
        assert area(sheet, colour) > 300
