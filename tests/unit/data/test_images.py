from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import save
from fre_hpo.data import images
from fre_hpo.data.images import PictureError

GREY = np.arange(96, dtype=np.uint8).reshape(8, 12)
DEEP = (np.arange(96) * 600).astype(np.uint16).reshape(8, 12)


@pytest.mark.parametrize("pixels", [GREY, DEEP], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_grey_tiff(tmp_path: Path, pixels: np.ndarray, compression: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(pixels).save(path, compression=compression)
    found = images.read_grey(path)
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
    ("byte_order", "start"), [("<", b"II*\x00"), ("<", b"II+\x00"), (">", b"MM\x00*")]
)
def test_tiff_of_other_programs(tmp_path: Path, byte_order: str, start: bytes) -> None:
    """Little-endian, BigTIFF and big-endian."""
    path = tmp_path / "a.tif"
    Image.fromarray(DEEP.astype(f"{byte_order}u2")).save(path, big_tiff=b"+" in start)
    assert path.read_bytes().startswith(start)
    found = images.read_grey(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, DEEP)


@pytest.mark.parametrize("pixels", [GREY, DEEP], ids=["8 bit", "16 bit"])
def test_grey_png(tmp_path: Path, pixels: np.ndarray) -> None:
    found = images.read_grey(save(tmp_path / "a.png", pixels))
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)


def test_content_counts_and_not_the_ending(tmp_path: Path) -> None:
    png = save(tmp_path / "a.png", GREY)
    np.testing.assert_array_equal(images.read_grey(png.rename(tmp_path / "a.tif")), GREY)


def test_grey_saved_as_rgb_comes_back_exactly(tmp_path: Path) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = save(tmp_path / "a.png", np.stack([every] * 3, axis=-1))
    np.testing.assert_array_equal(images.read_grey(path), every)


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    assert images.read_grey(save(tmp_path / "a.png", pixels)).tolist() == [[76, 150, 29]]


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGBA"])
def test_other_modes_are_resolved(tmp_path: Path, mode: str) -> None:
    black_and_white = np.resize(np.array([0, 255, 255], dtype=np.uint8), (8, 8))
    path = tmp_path / "a.png"
    Image.fromarray(black_and_white).convert(mode).save(path)
    np.testing.assert_array_equal(images.read_grey(path), black_and_white)


def test_a_transparent_palette_is_resolved(tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "a.png", transparency=b"\x00\x80")
    assert (images.read_pixels(tmp_path / "a.png") == [255, 0, 0]).all()


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("kept", [0, 3, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_a_sentence(tmp_path: Path, ending: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    path = save(tmp_path / f"a.{ending}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(PictureError) as caught:
        images.read_grey(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path} cannot be read (")
    assert sentence.endswith("): put an intact file there")
    assert "\n" not in sentence


def test_a_folder_or_a_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_text("{not a picture}")
    for path in (tmp_path, tmp_path / "b.png", tmp_path / "none.png"):
        with pytest.raises(PictureError, match="cannot be read"):
            images.read_grey(path)


def test_several_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    page = Image.fromarray(GREY)
    page.save(path, save_all=True, append_images=[page, page])
    with pytest.raises(PictureError, match="holds 3 pictures: save each as a file of its own"):
        images.read_grey(path)


@pytest.mark.parametrize(("dtype", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_other_number_types_are_refused(tmp_path: Path, dtype: type, mode: str) -> None:
    path = save(tmp_path / "a.tif", GREY.astype(dtype))
    with pytest.raises(PictureError, match=f"mode {mode}: save it with 8 or 16 bits a channel"):
        images.read_grey(path)


def test_full_scale_follows_the_bit_depth() -> None:
    for pixels in (np.array([[0, 255]], np.uint8), np.array([[0, 65535]], np.uint16)):
        values = pixels.astype(np.float64)
        found = images.normalise(values, "full-scale", images.full_scale(pixels))
        assert found.tolist() == [[0, 1]]
        assert found.dtype == np.float32


def test_percentiles_map_to_zero_and_one_and_outliers_are_bounded() -> None:
    values = np.arange(1001, dtype=np.float64) + 50
    values[-1] = 1e6
    found = images.normalise(values, "percentile", 65535)
    assert (found[10], found[998]) == (0, 1)
    assert -0.02 < found[0] < 0
    assert found[-1] == 4


def test_percentile_of_nearly_constant_pictures_is_finite() -> None:
    constant = np.full((64, 64), 7.0)
    assert not images.normalise(constant, "percentile", 255).any()
    constant[0, 0] = 9
    found = images.normalise(constant, "percentile", 255)
    assert found[0, 0] == 1
    assert np.count_nonzero(found) == 1


def test_shrink_averages_exactly() -> None:
    pixels = np.array([[0, 1, 10, 10], [2, 4, 10, 11], [255] * 4, [255] * 4], dtype=np.uint8)
    assert images.shrink(pixels, 2).tolist() == [[1.75, 10.25], [255, 255]]
    np.testing.assert_array_equal(images.shrink(pixels, 1), pixels)
