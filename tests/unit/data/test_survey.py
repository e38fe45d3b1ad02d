from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import formats
from fre_hpo.data import pictures
from fre_hpo.data.assembly import memory
from fre_hpo.data.assembly.survey import Reading, Survey, in_threads, noted, survey
from fre_hpo.data.finding.pairing import Pair
from fre_hpo.data.pictures import PictureError

WHOLE = Reading()


def pair(folder: Path, name: str, image: np.ndarray, mask: np.ndarray | None = None) -> Pair:
    """Two TIFF files; the mask is as the image says unless it is given."""
    paths = folder / f"{name}.tif", folder / f"{name}_mask.tif"
    shape = image.shape[:-1] if image.shape[-1] == 3 else image.shape
    its_mask = np.zeros(shape, dtype=np.uint8) if mask is None else mask
    formats.tiff(paths[0], image, photometric="rgb" if shape != image.shape else "minisblack")
    formats.tiff(paths[1], its_mask)
    return Pair(name, *paths)


def grey(*shape: int, dtype: str = "u1") -> np.ndarray:
    return np.zeros(shape, dtype=dtype)


def surveyed(
    pairs: Sequence[Pair], reading: Reading = WHOLE
) -> tuple[Survey, list[str], list[str]]:
    problems: list[str] = []
    remarks: list[str] = []
    return survey(pairs, reading, problems, remarks), problems, remarks


def test_pictures_that_fit_one_another(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, "a", grey(20, 30)), pair(tmp_path, "b", grey(4, 16, 26))]
    found, problems, remarks = surveyed(pairs)
    assert (problems, remarks) == ([], [])
    assert [p.pair for p in found.pairs] == pairs
    assert [p.pages for p in found.pairs] == [1, 4]
    assert found.tile == (1, 20, 30)
    assert found.fits


@pytest.mark.parametrize(
    ("reading", "tile"),
    [
        (Reading(), (1, 31, 41)),
        (Reading(factor=2), (1, 16, 21)),
        (Reading(tile=16), (1, 16, 16)),
        (Reading(tile=16, factor=2), (1, 8, 8)),
        (Reading(channel="all"), (3, 31, 41)),
        (Reading(channel=3), (1, 31, 41)),
    ],
)
def test_whole_pictures_are_as_large_as_the_largest(
    reading: Reading, tile: tuple[int, int, int], tmp_path: Path
) -> None:
    pairs = [pair(tmp_path, "a", grey(31, 20, 3)), pair(tmp_path, "b", grey(7, 41, 3))]
    found, problems, _ = surveyed(pairs, reading)
    assert problems == []
    assert found.tile == tile


def test_sizes_and_pages_are_compared(tmp_path: Path) -> None:
    pairs = [
        pair(tmp_path, "a", grey(20, 30), grey(30, 20)),
        pair(tmp_path, "b", grey(20, 30)),
        pair(tmp_path, "c", grey(5, 20, 30), grey(4, 20, 30)),
    ]
    _, problems, _ = surveyed(pairs)
    assert problems == [
        f"{tmp_path / 'a.tif'} is 20x30 but its mask {tmp_path / 'a_mask.tif'} is 30x20: give both one "
        "size",
        f"{tmp_path / 'c.tif'} has 5 pages but its mask {tmp_path / 'c_mask.tif'} has 4: give each "
        "picture of the stack its mask, or save pages that are channels as one picture of several "
        "channels",
    ]


def test_a_file_that_cannot_be_used_is_no_reason_to_stop(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, name, grey(8, 8)) for name in "abcd"]
    pairs[1].image.write_bytes(b"")
    pairs[2].mask.write_text("not a picture")
    found, problems, _ = surveyed(pairs)
    assert [(p.image is None, p.mask is None) for p in found.pairs] == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert [problem.split()[0] for problem in problems] == [
        str(pairs[1].image),
        str(pairs[2].mask),
    ]


def test_a_stack_that_cannot_be_used_has_as_many_pages_as_its_mask(tmp_path: Path) -> None:
    """Or it would look as if a split had no picture."""
    stack = pair(tmp_path, "a", grey(5, 8, 8))
    stack.image.write_bytes(b"")
    found, problems, _ = surveyed([stack])
    assert found.pairs[0].pages == 5
    assert len(problems) == 1


def test_channels_of_the_minority_are_told(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, name, grey(8, 8)) for name in "abc"]
    pairs.append(pair(tmp_path, "d", grey(8, 8, 3)))
    _, problems, _ = surveyed(pairs)
    assert problems == [
        f"{tmp_path / 'd.tif'} has 3 channels while 3 other pictures have 1: save all alike"
    ]


def test_mixed_depths_are_remarked(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, name, grey(8, 8)) for name in "abc"]
    pairs.append(pair(tmp_path, "d", grey(8, 8, dtype="u2")))
    _, problems, remarks = surveyed(pairs)
    assert problems == []
    assert remarks == [
        "The pictures have several bit depths (3 of type uint8, 1 of type uint16), which are "
        'normalised differently: set data.normalise = "percentile" to have them alike.'
    ]


def test_full_scale_needs_8_or_16_bits(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, kind, grey(8, 8, dtype=kind)) for kind in ("f4", "u2", "i2")]
    _, problems, _ = surveyed(pairs, Reading(normalise="full-scale"))
    assert problems == [
        f"{tmp_path / name}.tif has pixels of type {dtype}, which have no full scale: set "
        'data.normalise = "percentile"'
        for name, dtype in (("f4", "float32"), ("i2", "int16"))
    ]


# --- memory -------------------------------------------------------------------------------------


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The memory that is left, in bytes: put a number there."""
    left = [1 << 40]
    monkeypatch.setattr(memory, "available", lambda: left[0])
    return left


def test_what_does_not_fit_is_refused_with_the_largest_file(
    tmp_path: Path, room: list[int]
) -> None:
    pairs = [pair(tmp_path, "small", grey(8, 8)), pair(tmp_path, "large", grey(3, 80, 100))]
    arrays = 80 * 100 * (4 + 1) * (3 + 1)  # the small one is made as large as the others
    decoded = 2 * (3 * 80 * 100 + 8 * 8)
    room[0] = (arrays + decoded) * 10 // 8 + 2
    found, problems, _ = surveyed(pairs)
    assert found.fits
    assert problems == []
    room[0] -= 20
    found, problems, _ = surveyed(pairs)
    assert not found.fits
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'large.tif'} is 80x100 with 3 pages and takes")
    assert "2 pictures together 0.0 GB of the 0.0 GB" in problems[0]
    assert "use a machine with more memory" in problems[0]


@pytest.mark.parametrize(
    ("reading", "arrays"),
    [
        (Reading(), 160 * 160 * (4 + 1)),
        (Reading(tile=96), 192 * 192 * (4 + 1)),
        (Reading(factor=2), 80 * 80 * (4 + 1)),
        (Reading(channel="all"), 160 * 160 * (3 * 4 + 1)),
    ],
)
def test_tiles_scale_and_channels_are_reckoned_with(
    reading: Reading, arrays: int, tmp_path: Path, room: list[int]
) -> None:
    pairs = [pair(tmp_path, "a", grey(160, 160, 3))]
    room[0] = (arrays + 160 * 160 * (3 + 1)) * 10 // 8 + 2
    assert surveyed(pairs, reading)[0].fits
    room[0] -= 20
    assert not surveyed(pairs, reading)[0].fits


def test_a_huge_header_is_answered_without_reading(tmp_path: Path) -> None:
    """Of a picture that says it has 100,000 x 100,000 pixels nothing is decoded."""
    huge = tmp_path / "huge.png"
    formats.png(huge, grey(8, 8))
    content = bytearray(huge.read_bytes())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    huge.write_bytes(content)
    began = time.monotonic()
    found, problems, _ = surveyed([Pair("huge", huge, huge)])
    assert time.monotonic() - began < 1
    assert not found.fits or problems
    assert any(str(huge) in problem for problem in problems)


# --- threads ------------------------------------------------------------------------------------


def test_results_and_problems_come_in_the_order_of_the_items() -> None:
    def work(number: int) -> tuple[int, list[str]]:
        time.sleep(0.002 * (9 - number))
        return number**2, [f"{number} is odd"] if number % 2 else []

    problems = ["before"]
    assert in_threads(work, range(9), problems) == [n**2 for n in range(9)]
    assert problems == ["before", *(f"{n} is odd" for n in (1, 3, 5, 7))]


def test_only_what_is_wrong_with_a_picture_is_noted(tmp_path: Path) -> None:
    problems: list[str] = []

    def bad(path: Path) -> None:
        raise PictureError(f"{path} is empty")

    assert noted(problems, bad, Path("a")) is None
    assert problems == ["a is empty"]
    assert noted(problems, pictures.look, pair(tmp_path, "b", grey(8, 8)).image) is not None
    with pytest.raises(ZeroDivisionError):
        noted(problems, lambda path: 1 // 0, Path("a"))


def test_tiles_that_are_mostly_padding_are_remarked(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, name, grey(40, 50)) for name in "ab"]
    _, problems, remarks = surveyed(pairs, Reading(tile=128))
    assert problems == []
    (remark,) = remarks
    assert remark.startswith("88% of the tiles of 128x128 are padding")
    assert surveyed(pairs, Reading(tile=16))[2] == []
