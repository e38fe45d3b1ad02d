from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from drawn import COLOURS, draw_mouse_set, save
from fre_hpo import data
from fre_hpo.data.mouse import Options
from fre_hpo.errors import DataProblems, DatasetNotFound

SIDE = 32
SMALL = Options(train=8, validation=2, test=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_mouse_set(tmp_path / "set", count=12, size=SIDE)


def picture(folder: Path, number: int) -> Path:
    return folder / "Image" / f"cell{number}.png"


def mask(folder: Path, number: int) -> Path:
    return folder / "GroundTruth" / f"cell{number}.png"


def problems(folder: Path, options: Options = SMALL) -> list[str]:
    with pytest.raises(DataProblems) as caught:
        data.load("mouse", folder, options)
    return caught.value.problems


def test_files_are_divided_in_natural_order(folder: Path) -> None:
    found = data.load("mouse", folder, SMALL)
    names = found.train.sources + found.validation.sources + found.test.sources
    assert names == tuple(f"cell{n}.png" for n in range(1, 13))
    assert (len(found.train), len(found.validation), len(found.test)) == (8, 2, 2)


def test_colours_become_classes(folder: Path) -> None:
    classes = np.resize(np.arange(3), (SIDE, SIDE))
    save(mask(folder, 1), COLOURS[classes])
    found = data.load("mouse", folder, SMALL)
    np.testing.assert_array_equal(found.train.labels[0], classes)
    assert found.classes == ("background", "membrane", "nucleus")


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_masks_of_other_modes_give_the_same_classes(folder: Path, mode: str) -> None:
    before = data.load("mouse", folder, SMALL)
    for number in range(1, 13):
        rgb = Image.open(mask(folder, number))
        other = rgb.quantize(8) if mode == "P" else rgb.convert("RGBA")
        assert other.mode == mode
        other.save(mask(folder, number))
    assert data.load("mouse", folder, SMALL).fingerprint == before.fingerprint


def test_a_black_mask_may_be_grey(folder: Path) -> None:
    save(mask(folder, 1), np.zeros((SIDE, SIDE), dtype=np.uint8))
    assert not data.load("mouse", folder, SMALL).train.labels[0].any()


def test_unknown_colours_are_told_with_file_colour_and_count(folder: Path) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[0, :9], pixels[1, :4], pixels[2, :3] = (0, 0, 255), (254, 0, 0), (1, 2, 3)
    pixels[3, 0], pixels[3, 1] = (9, 9, 9), (8, 8, 8)
    save(mask(folder, 7), pixels)
    assert problems(folder) == [
        f"{mask(folder, 7)} has the unknown colour #0000ff in 9 pixels, #fe0000 in 4 "
        "pixels, #010203 in 3 pixels, 2 others in 2 pixels (known are background #000000; "
        "membrane #ff0000; nucleus #00ff00): repaint it"
    ]


def test_a_16_bit_mask_is_refused(folder: Path) -> None:
    save(mask(folder, 1), np.zeros((SIDE, SIDE), dtype=np.uint16))
    (problem,) = problems(folder)
    assert problem.startswith(f"{mask(folder, 1)} has uint16 numbers and no colours: ")


def test_three_planted_problems_come_in_one_list(folder: Path) -> None:
    mask(folder, 2).unlink()
    save(mask(folder, 5), np.full((SIDE, SIDE, 3), 7, dtype=np.uint8))
    picture(folder, 10).write_bytes(picture(folder, 10).read_bytes()[:-40])
    found = problems(folder)
    assert len(found) == 3
    assert found[0] == (
        f"{picture(folder, 2)} has no partner GroundTruth/cell2.png: "
        "add that file or remove this one"
    )
    assert f"{mask(folder, 5)} has the unknown colour #070707 in 1024 pixels" in found[2]
    assert found[1].startswith(f"{picture(folder, 10)} ")


def test_a_mask_without_its_picture_is_told(folder: Path) -> None:
    picture(folder, 12).unlink()
    assert problems(folder) == [
        f"{mask(folder, 12)} has no partner Image/cell12.png: add that file or remove this one"
    ]


def test_another_number_of_pictures_names_the_options(folder: Path) -> None:
    assert problems(folder, Options()) == [
        f"{folder} holds 12 pictures, but train + validation + test = 35 + 5 + 10 = 50: "
        "set the options train, validation and test so that they sum to 12"
    ]
    assert problems(folder, Options(train=9, validation=2, test=2)) == [
        f"{folder} holds 12 pictures, but train + validation + test = 9 + 2 + 2 = 13: set the "
        "options train, validation and test so that they sum to 12 (for example train = 8)"
    ]


def test_a_mask_of_another_size_is_told(folder: Path) -> None:
    save(mask(folder, 3), np.zeros((SIDE, 40, 3), dtype=np.uint8))
    assert problems(folder) == [
        f"{picture(folder, 3)} is 32x32 but its mask {mask(folder, 3)} is 32x40: give both one size"
    ]


def test_pictures_of_two_sizes_are_made_one_and_what_is_added_counts_nowhere(folder: Path) -> None:
    tall, classes = np.zeros((40, SIDE), dtype=np.uint8), np.resize(np.arange(3), (40, SIDE))
    tall[3:9] = 200
    save(picture(folder, 3), tall)
    save(mask(folder, 3), COLOURS[classes])
    found = data.load("mouse", folder, SMALL).train
    assert found.images.shape == (8, 1, 40, SIDE)
    np.testing.assert_array_equal(found.labels[2], classes)
    assert (found.labels[[0, 1, 3], SIDE:] == data.IGNORED).all()
    np.testing.assert_array_equal(found.images[0, 0, SIDE:], found.images[0, 0, SIDE - 1 : 23 : -1])


def test_two_files_of_one_name_are_told(folder: Path) -> None:
    save(folder / "Image" / "cell4.tif", np.zeros((SIDE, SIDE), dtype=np.uint8))
    assert problems(folder) == [
        f"{folder / 'Image' / 'cell4.png'} and Image/cell4.tif are images of the same name: "
        "keep or rename one"
    ]


def test_an_empty_set_is_told(tmp_path: Path) -> None:
    for part in ("Image", "GroundTruth"):
        (tmp_path / part).mkdir()
    found = problems(tmp_path)
    assert [sentence.split(" has no file")[0] for sentence in found] == [
        str(tmp_path / "Image"),
        str(tmp_path / "GroundTruth"),
    ]


def test_pictures_may_be_tiff_and_other_files_are_left_alone(folder: Path) -> None:
    before = data.load("mouse", folder, SMALL)
    path = picture(folder, 1)
    save(path.with_suffix(".tif"), np.asarray(Image.open(path)))
    path.unlink()
    (folder / "Image" / "._cell2.png").write_bytes(b"left by a copy")
    (folder / "Image" / "Thumbs.db").write_bytes(b"")
    after = data.load("mouse", folder, SMALL)
    np.testing.assert_array_equal(after.train.images, before.train.images)


def test_normalise_is_an_option_and_percentile_by_default(folder: Path) -> None:
    assert Options().normalise == "percentile"
    pixels = np.asarray(Image.open(picture(folder, 1)))
    full = data.load("mouse", folder, SMALL.model_copy(update={"normalise": "full-scale"}))
    np.testing.assert_array_equal(full.train.images[0, 0], (pixels / 255).astype(np.float32))
    stretched = data.load("mouse", folder, SMALL).train.images[0, 0]
    assert np.percentile(stretched, 1) == pytest.approx(0, abs=0.01)
    assert np.percentile(stretched, 99.8) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("changes", [{"train": 0}, {"train": "8"}, {"tile": 9}, {"test": 1.5}])
def test_options_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options(**changes)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_wrong_folder_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetNotFound) as caught:
        data.load("mouse", tmp_path / name)
    assert str(caught.value) == (
        f"The data set 'mouse' is not in {tmp_path / name}: expected is a folder with "
        "Image/NAME.png and GroundTruth/NAME.png (black background, red membrane, green nucleus); "
        "the paper's pictures are unpublished, so ask its authors, or put your own or pictures "
        "like those of the 2018 Data Science Bowl (BBBC038) there"
    )
    assert caught.value.exit_code == 4
