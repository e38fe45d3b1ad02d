import numpy as np
import pytest

from fre_hpo.data.assembly import images


def test_full_scale_follows_the_bit_depth() -> None:
    for pixels in (np.array([[0, 255]], np.uint8), np.array([[0, 65535]], np.uint16)):
        found = images.normalise(pixels, "full-scale")
        assert found.tolist() == [[0, 1]]
        assert found.dtype == np.float32


def test_percentiles_map_to_zero_and_one_and_outliers_are_bounded() -> None:
    values = np.arange(1001, dtype=np.float64) + 50
    values[-1] = 1e6
    found = images.normalise(values[None], "percentile")[0]
    assert (found[10], found[998]) == (0, 1)
    assert -0.02 < found[0] < 0
    assert found[-1] == 4


def test_percentile_of_nearly_constant_pictures_is_finite() -> None:
    constant = np.full((64, 64), 7.0)
    assert not images.normalise(constant, "percentile").any()
    constant[0, 0] = 9
    found = images.normalise(constant, "percentile")
    assert found[0, 0] == 1
    assert np.count_nonzero(found) == 1


def test_shrink_averages_exactly() -> None:
    pixels = np.array([[0, 1, 10, 10], [2, 4, 10, 11], [255] * 4, [255] * 4], dtype=np.uint8)
    assert images.shrink(pixels, 2).tolist() == [[1.75, 10.25], [255, 255]]
    np.testing.assert_array_equal(images.shrink(pixels, 1), pixels)


@pytest.mark.parametrize("shape", [(4, 7), (5, 6), (5, 7)])
def test_what_the_factor_does_not_divide_is_kept(shape: tuple[int, int]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    found = images.shrink(pixels, 3)
    assert found.shape == (2, 3 if shape[1] == 7 else 2)
    for row, column in np.ndindex(found.shape):
        area = pixels[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert found[row, column] == pytest.approx(area.mean())
    labels = images.shrink_labels(pixels.astype(np.uint8), 3)
    assert labels.shape == found.shape
    assert labels[0, 0] == pixels[1, 1]


def test_auto_is_full_scale_for_8_bits_and_percentile_for_all_else() -> None:
    ramp = np.arange(4096).reshape(64, 64)
    shallow = (ramp // 16).astype(np.uint8)
    np.testing.assert_array_equal(
        images.normalise(shallow, "auto"), images.normalise(shallow, "full-scale")
    )
    for dtype in (np.uint16, np.int32, np.float32):
        deep = ramp.astype(dtype)
        found = images.normalise(deep, "auto")
        np.testing.assert_array_equal(found, images.normalise(deep, "percentile"))
        assert np.percentile(found, [1, 99.8], method="nearest").tolist() == [0, 1]


def test_percentiles_can_be_set() -> None:
    ramp = np.arange(101, dtype=np.uint16)[None]
    found = images.normalise(ramp, "percentile", (10, 60))[0]
    assert found[10] == 0
    assert found[60] == 1
