from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from drawn import draw_drosophila_set, save
from fre_hpo import data
from fre_hpo.data import drosophila
from fre_hpo.data.drosophila import Options, sections
from fre_hpo.data.pictures import PictureError
from fre_hpo.errors import DataProblems, DatasetNotFound

SIDE = 32
TABLE = {
    0: "membrane",
    32: "membrane",
    64: "membrane",
    96: "membrane",
    128: "membrane",
    159: "background",
    191: "mitochondria",
    223: "synapse",
    255: "background",
}


def options(**changes: object) -> Options:
    small = {"tile": SIDE, "train": "2-3", "validation": "1", "test": "0"}
    return Options(**{**small, **changes})


def table_section(values: list[int]) -> np.ndarray:
    """SIDE x SIDE labels that go through the values one pixel after the other."""
    return np.resize(np.array(values, dtype=np.uint8), (SIDE, SIDE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_drosophila_set(tmp_path / "set", sections=4, size=SIDE)


def raw(folder: Path, number: int) -> Path:
    return folder / "stack1" / "raw" / f"{number:02}.tif"


def labels(folder: Path, number: int) -> Path:
    return folder / "stack1" / "labels" / f"labels{number:08}.png"


def problems(folder: Path, **changes: object) -> list[str]:
    with pytest.raises(DataProblems) as caught:
        data.load("drosophila", folder, options(**changes))
    return caught.value.problems


def test_the_label_table_is_exact(folder: Path) -> None:
    save(labels(folder, 0), table_section(list(TABLE)))
    found = data.load("drosophila", folder, options()).test.labels[0]
    expected = [drosophila.CLASSES.index(name) for name in TABLE.values()]
    np.testing.assert_array_equal(found, table_section(expected))


@pytest.mark.parametrize("value", sorted(set(range(256)) - TABLE.keys()))
def test_every_other_label_is_an_error(tmp_path: Path, value: int) -> None:
    path = save(tmp_path / "labels.png", np.full((2, 3), value, dtype=np.uint8))
    with pytest.raises(PictureError, match=rf"unknown label {value} in 6 pixels"):
        drosophila.label_map("background").read(path)


def test_an_unknown_label_is_told_with_file_value_and_count(folder: Path) -> None:
    changed = table_section([255])
    changed[0, :5], changed[1, :2] = 17, 200
    path = save(labels(folder, 2), changed)
    assert problems(folder) == [
        f"{path} has the unknown label 17 in 5 pixels, 200 in 2 pixels (known are membrane "
        "0, 32, 64, 96, 128; background 159, 255; mitochondria 191; synapse 223): repaint it"
    ]


@pytest.mark.parametrize("glia", drosophila.CLASSES)
def test_glia_goes_where_the_option_says(folder: Path, glia: str) -> None:
    save(labels(folder, 0), table_section([159]))
    found = data.load("drosophila", folder, options(glia=glia)).test.labels
    assert (found == drosophila.CLASSES.index(glia)).all()


def test_tiles_are_cut_row_by_row_and_keep_their_section(tmp_path: Path) -> None:
    folder = draw_drosophila_set(tmp_path, sections=4, size=2 * SIDE)
    found = data.load("drosophila", folder, options(train="3,2"))
    assert found.train.images.shape == (8, 1, SIDE, SIDE)
    assert found.train.sources == ("03.tif",) * 4 + ("02.tif",) * 4
    assert found.test.sources == ("00.tif",) * 4
    section = np.asarray(Image.open(raw(folder, 3))).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(found.train.images[1, 0], section[:SIDE, SIDE:])
    np.testing.assert_array_equal(found.train.images[2, 0], section[SIDE:, :SIDE])
    assert found.train.images.dtype == np.float32
    assert found.train.labels.dtype == np.uint8


def test_the_folder_may_be_stack1_itself(folder: Path) -> None:
    outer = data.load("drosophila", folder, options())
    inner = data.load("drosophila", folder / "stack1", options())
    assert inner.fingerprint == outer.fingerprint


def test_scale_averages_pictures_and_takes_labels_from_the_middle(folder: Path) -> None:
    full = data.load("drosophila", folder, options()).train
    half = data.load("drosophila", folder, options(scale=0.5)).train
    assert half.images.shape == (2, 1, SIDE // 2, SIDE // 2)
    means = full.images[:, 0].reshape(2, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(half.images[:, 0], means, atol=1e-6)
    np.testing.assert_array_equal(half.labels, full.labels[:, 1::2, 1::2])


def test_a_third_takes_the_middle_pixel(tmp_path: Path) -> None:
    folder = draw_drosophila_set(tmp_path, sections=4, size=48)
    full = data.load("drosophila", folder, options(tile=48)).train
    third = data.load("drosophila", folder, options(tile=24, scale=1 / 3)).train
    assert third.labels.shape == (8, 8, 8)
    np.testing.assert_array_equal(third.labels[0], full.labels[0, 1:24:3, 1:24:3])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8-11", [8, 9, 10, 11]), ("0,2,5-7", [0, 2, 5, 6, 7]), (" 3 , 1 - 2 ", [3, 1, 2])],
)
def test_section_lists(text: str, expected: list[int]) -> None:
    assert sections(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no list of sections: write it like 8-19 or 0,2,5-7"),
        ("1,,2", "is no list of sections"),
        ("one", "is no list of sections"),
        ("-3", "is no list of sections"),
        ("1-2-3", "is no list of sections"),
        ("7-5", "'7-5' holds no section: write the smaller number first"),
        ("1,0-2", "names a section twice: name each once"),
    ],
)
def test_bad_section_lists_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        options(train=text)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": "1-3"}, "section 1 is in train and in validation: leave it in one"),
        ({"test": "0,3"}, "section 3 is in train and in test: leave it in one"),
        ({"validation": "0-1"}, "section 0 is in validation and in test: leave it in one"),
        ({"scale": 0.4}, "scale = 0.4 is not one of 1, 1/2, 1/3, ..."),
        ({"scale": 0.2}, "tile = 32 at scale = 0.2 must have a side that is a multiple of 8"),
        ({"tile": 20}, "tile = 20 at scale = 1.0 must have a side that is a multiple of 8"),
        ({"scale": 0.0}, "greater than 0"),
        ({"glia": "neuron"}, "glia"),
        ({"tile": "32"}, "valid integer"),
        ({"tiles": 32}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        options(**changes)


def test_the_default_split_is_the_designs() -> None:
    default = Options()
    assert default.sections("train") == list(range(8, 20))
    assert default.sections("validation") == [4, 5, 6, 7]
    assert default.sections("test") == [0, 1, 2, 3]


def test_a_tile_need_not_divide_the_section(folder: Path) -> None:
    whole = data.load("drosophila", folder, options(tile=0, train="2")).train
    cut = data.load("drosophila", folder, options(tile=24, train="2")).train
    assert whole.images.shape == (1, 1, SIDE, SIDE)
    assert cut.images.shape == (4, 1, 24, 24)
    np.testing.assert_array_equal(cut.labels[1, :, :8], whole.labels[0, :24, 24:])
    assert (cut.labels[1, :, 8:] == data.IGNORED).all()
    assert np.count_nonzero(cut.labels != data.IGNORED) == SIDE * SIDE


def test_sections_that_are_not_there_are_told_by_split(folder: Path) -> None:
    assert problems(folder, train="2-9") == [
        f"train = 2-9 names 6 sections that are not in {folder / 'stack1'} (the first is 4, "
        "there are 4: 0 to 3): change the option train or add the files"
    ]


def test_three_planted_problems_come_in_one_list(folder: Path) -> None:
    labels(folder, 0).unlink()
    save(labels(folder, 2), table_section([255, 1]))
    damaged = raw(folder, 3)
    damaged.write_bytes(damaged.read_bytes()[:200])
    found = problems(folder)
    assert len(found) == 3
    assert found[0] == (
        f"{raw(folder, 0)} has no partner labels/labels00000000.png: "
        "add that file or remove this one"
    )
    assert f"{labels(folder, 2)} has the unknown label 1 in 512 pixels" in found[2]
    assert found[1].startswith(f"{damaged} cannot be read (")


def test_both_files_of_one_section_may_be_bad(folder: Path) -> None:
    raw(folder, 1).write_bytes(b"no picture")
    labels(folder, 1).write_bytes(b"")
    found = problems(folder)
    assert [sentence.split(": ")[0] for sentence in found] == [
        f"{raw(folder, 1)} is a text file",
        f"{labels(folder, 1)} is empty (0 bytes)",
    ]


def test_a_label_without_its_picture_is_told(folder: Path) -> None:
    raw(folder, 3).unlink()
    assert problems(folder) == [
        f"{labels(folder, 3)} has no partner raw/03.tif: add that file or remove this one"
    ]


def test_a_pair_of_two_sizes_is_told(folder: Path) -> None:
    save(labels(folder, 1), np.full((32, 40), 255, dtype=np.uint8))
    assert problems(folder) == [
        f"{raw(folder, 1)} is 32x32 but its mask {labels(folder, 1)} is 32x40: give both one size"
    ]


def test_labels_in_colours_are_refused(folder: Path) -> None:
    save(labels(folder, 1), np.full((32, 32, 3), (255, 0, 0), dtype=np.uint8))
    (problem,) = problems(folder)
    assert problem.startswith(f"{labels(folder, 1)} has colours")


def test_other_files_and_unused_sections_are_left_alone(folder: Path) -> None:
    before = data.load("drosophila", folder, options())
    (folder / "stack1" / "raw" / ".DS_Store").write_bytes(b"")
    (folder / "stack1" / "labels" / "notes.txt").write_text("seen")
    draw_drosophila_set(folder, sections=6, size=SIDE)
    labels(folder, 5).write_bytes(b"never read")
    assert data.load("drosophila", folder, options()).fingerprint == before.fingerprint


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_wrong_folder_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetNotFound) as caught:
        data.load("drosophila", tmp_path / name)
    assert str(caught.value) == (
        f"The data set 'drosophila' is not in {tmp_path / name}: expected is a folder that holds "
        "stack1 with raw/00.tif and labels/labels00000000.png onwards; `fre-hpo data fetch "
        "drosophila` downloads it, or name the folder that holds stack1"
    )
    assert caught.value.exit_code == 4


def test_no_folder_at_all_names_the_flag() -> None:
    with pytest.raises(DatasetNotFound, match="is not in a folder named with --data-dir"):
        data.load("drosophila", None)
