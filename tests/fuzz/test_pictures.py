"""Damaged pictures: 2,000 files cut short or with one byte changed.

None of them may end in anything but a PictureError, and none may give another array than the intact
file - as far as a container can tell.  PNG has checksums, and tells always.  The others have none: a
byte among their pixels is another picture, and nobody can know.  So those cases are counted apart;
what is said about the pixels (size, depth, pages, place) must not change without an error.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile

from containers import Array, Sample, every_sample
from fre_hpo.data import pictures
from fre_hpo.data.pictures import PictureError

CASES = 2000
Damage = Literal["cut", "header", "palette", "pixels"]
Outcome = Literal["refused", "same", "other pixels", "other size", "uncaught"]


@dataclass(frozen=True)
class Case:
    """A damaged file and what became of it."""

    sample: str
    damage: Damage
    place: int
    outcome: Outcome
    detail: str = ""

    @property
    def container(self) -> str:
        return self.sample.split()[0].replace("BigTIFF", "TIFF")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """All cases, drawn from one seed: as many of each sample, half cut and half changed."""
    path = tmp_path_factory.mktemp("fuzz") / "damaged"
    samples = every_sample()
    rng = np.random.default_rng(2021)
    found: list[Case] = []
    for number, sample in enumerate(samples):
        path.write_bytes(sample.content)
        intact = pictures.read_image(path, "all")
        share = CASES * (number + 1) // len(samples) - len(found)
        lengths = np.linspace(1, len(sample.content) - 1, share // 2).astype(int)
        for length in lengths:
            path.write_bytes(sample.content[:length])
            found.append(_case(sample, "cut", int(length), path, intact))
        places = places_of(sample)
        for _ in range(share - len(lengths)):
            place, change = int(rng.integers(len(sample.content))), int(rng.integers(1, 256))
            content = bytearray(sample.content)
            content[place] ^= change
            path.write_bytes(content)
            found.append(_case(sample, places[place], place, path, intact))
    print("\n" + table(found))
    return found


def _case(sample: Sample, damage: Damage, place: int, path: Path, intact: Array) -> Case:
    outcome, detail = _outcome(path, intact)
    return Case(sample.name, damage, place, outcome, detail)


def _outcome(path: Path, intact: Array) -> tuple[Outcome, str]:
    try:
        found = pictures.read_image(path, "all")
    except PictureError as error:
        return "refused", str(error)
    except Exception as error:
        return "uncaught", repr(error)
    if (found.shape, found.dtype) != (intact.shape, intact.dtype):
        return "other size", f"{found.shape} {found.dtype}"
    return ("same" if np.array_equal(found, intact) else "other pixels"), ""


def table(cases: list[Case]) -> str:
    """The cases by container, damage and outcome."""
    counts = Counter((case.container, case.damage, case.outcome) for case in cases)
    lines = [f"{'/'.join(key):32} {count:5}" for key, count in sorted(counts.items())]
    return "\n".join([*lines, f"{'all':32} {len(cases):5}"])


def places_of(sample: Sample) -> list[Damage]:
    """What each byte of a file is: pixels (and a codec's tables), palette, or said about them."""
    places: list[Damage] = ["header"] * len(sample.content)
    for begin, end in _pixel_ranges(sample.content):
        places[begin:end] = ["pixels"] * (end - begin)
    for begin, end in _palette_ranges(sample.content):
        places[begin:end] = ["palette"] * (end - begin)
    return places


def _palette_ranges(content: bytes) -> list[tuple[int, int]]:
    if content.startswith(b"BM"):
        return [(54, int.from_bytes(content[10:14], "little"))]
    if content.startswith(b"GIF"):
        return [(13, 13 + 3 * (2 << (content[10] & 7)))]
    if content.startswith(b"II"):
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            tags = [page.tags["ColorMap"] for page in file.pages if "ColorMap" in page.tags]
            return [(tag.valueoffset, tag.valueoffset + 2 * tag.count) for tag in tags]
    return []


def _pixel_ranges(content: bytes) -> list[tuple[int, int]]:
    end = len(content)
    match content[:2]:
        case b"II" | b"MM":
            return _tiff_ranges(content)
        case b"BM":
            return [(54, end)]
        case b"P3" | b"P5" | b"P6":
            last = content.index(b"255\n" if b"255\n" in content else b"65535\n")
            return [(content.index(b"\n", last) + 1, end)]
        case b"GI":
            colours = 13 + 3 * (2 << (content[10] & 7))
            return [(content.index(b",", colours) + 10, end - 1)]
        case b"\xff\xd8":
            return _jpeg_ranges(content)
        case b"RI":
            return [(30, end)]
    return []


def _tiff_ranges(content: bytes) -> list[tuple[int, int]]:
    found = []
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        for page in file.pages:
            found += list(zip(page.dataoffsets, page.databytecounts, strict=True))
            if "JPEGTables" in page.tags:
                tables = page.tags["JPEGTables"]
                found.append((tables.valueoffset, tables.count))
    return [(offset, offset + length) for offset, length in found]


def _jpeg_ranges(content: bytes) -> list[tuple[int, int]]:
    """Tables of quantisation and Huffman, and all from the first scan on."""
    found, at = [], 2
    while content[at + 1] != 0xDA:
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] in {0xDB, 0xC4}:
            found.append((at + 4, at + 2 + length))
        at += 2 + length
    return [*found, (at + 4, len(content) - 2)]


def test_as_many_cases_of_every_kind_as_promised(cases: list[Case]) -> None:
    assert len(cases) == CASES
    assert {case.damage for case in cases} == {"cut", "header", "palette", "pixels"}
    assert {case.container for case in cases} == {
        "BMP", "GIF", "JPEG", "PGM", "PNG", "PPM", "TIFF", "WebP"
    }  # fmt: skip


def test_nothing_but_a_picture_error_is_raised(cases: list[Case]) -> None:
    assert [case for case in cases if case.outcome == "uncaught"] == []


def test_a_file_cut_short_never_gives_another_array(cases: list[Case]) -> None:
    silent = {"other pixels", "other size"}
    assert [case for case in cases if case.damage == "cut" and case.outcome in silent] == []


def test_a_changed_png_is_always_refused(cases: list[Case]) -> None:
    changed = [c for c in cases if c.container == "PNG" and c.damage != "cut"]
    assert len(changed) > 200
    assert [case for case in changed if case.outcome != "refused"] == []


def test_changed_pixels_never_change_the_size(cases: list[Case]) -> None:
    assert [c for c in cases if c.damage == "pixels" and c.outcome == "other size"] == []


def test_a_changed_header_never_gives_another_array(cases: list[Case]) -> None:
    """JPEG, GIF and WebP say their size once, and nothing in the file contradicts another one."""
    silent = [c for c in cases if c.damage == "header" and c.outcome.startswith("other")]
    said_once = {"JPEG", "WebP"}
    assert [case for case in silent if case.container not in said_once] == []
    assert len(silent) <= 5
