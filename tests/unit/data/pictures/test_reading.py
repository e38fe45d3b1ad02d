"""Every kind of picture comes back as it was drawn; the other decoder's answer is the yardstick."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from containers import (
    HEIGHT,
    PALETTE,
    WIDTH,
    Array,
    Sample,
    every_sample,
    few,
    grey,
    last,
    pillow,
    png,
    png_chunk,
    put,
    tiff,
    with_alpha,
)
from fre_hpo.data import pictures

SAMPLES = every_sample()
DRAWN = [sample for sample in SAMPLES if sample.image is not None]
LOSSY = [sample for sample in SAMPLES if sample.image is None]


def assert_same(found: Array, expected: Array) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous


@pytest.mark.parametrize("sample", DRAWN, ids=[sample.name for sample in DRAWN])
def test_every_container_shows_what_was_drawn(tmp_path: Path, sample: Sample) -> None:
    path = put(tmp_path, sample.content)
    assert sample.image is not None
    assert_same(pictures.read_image(path, "all"), sample.image)
    header = pictures.look(path)
    assert (header.pages, header.channels, header.height, header.width) == sample.image.shape
    assert header.dtype == sample.image.dtype
    assert header.nbytes == sample.image.nbytes
    assert header.format == {"BigTIFF": "TIFF", "PGM": "PNM", "PPM": "PNM", "WebP": "WEBP"}.get(
        sample.name.split()[0], sample.name.split()[0]
    )
    assert not header.lossy


@pytest.mark.parametrize("sample", LOSSY, ids=[sample.name for sample in LOSSY])
def test_a_lossy_container_shows_what_another_decoder_shows(tmp_path: Path, sample: Sample) -> None:
    path = put(tmp_path, sample.content)
    found = pictures.read_image(path, "all")
    other = np.asarray(Image.open(io.BytesIO(sample.content)))
    other = np.moveaxis(other, -1, 0)[None] if other.ndim == 3 else other[None, None]
    assert found.shape == other.shape
    assert np.abs(found.astype(int) - other).max() <= 2
    assert pictures.look(path).lossy


COMPRESSIONS = ["none", "zlib", "lzw", "zstd", "packbits", "lzma"]
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 5},
    {"tile": (16, 32)},
    {"byteorder": ">"},
    {"bigtiff": True, "byteorder": ">", "rowsperstrip": 7},
]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "i8", "f2", "f4", "f8", "?"])
def test_tiff_of_every_kind(
    tmp_path: Path, compression: str, layout: dict[str, Any], dtype: str
) -> None:
    kind = np.dtype(dtype)
    drawn = few(2).astype(bool) if dtype == "?" else grey(kind) - (kind.kind == "i")
    options = dict(layout, compression=compression)
    predictable = kind.kind in "uif" and kind.name not in {"float16", "int64"}
    if compression not in {"none", "packbits"} and predictable:
        options["predictor"] = True
    path = put(tmp_path, tiff(drawn[0, 0], **options))
    if dtype == "?":
        expected = drawn * np.uint8(255)
    else:
        expected = drawn.astype(np.float32) if kind.kind == "f" else drawn
    assert_same(pictures.read_image(path), expected)
    assert pictures.look(path).one_bit == (dtype == "?")


@pytest.mark.parametrize("compression", ["none", "lzw", "zlib"])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 5}, {"tile": (16, 16)}], ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_with_colours(
    tmp_path: Path, compression: str, layout: dict[str, Any], dtype: str, planar: str
) -> None:
    drawn = grey(dtype, channels=3)
    pixels = drawn[0] if planar == "separate" else last(drawn)
    options = dict(layout, compression=compression, predictor=compression != "none")
    content = tiff(pixels, photometric="rgb", planarconfig=planar, **options)
    path = put(tmp_path, content)
    assert_same(pictures.read_image(path, "all"), drawn)
    assert pictures.look(path).rgb


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
def test_tiff_of_odd_depth(tmp_path: Path, bits: int) -> None:
    drawn = (grey("u2") >> (16 - bits)).astype("u1" if bits < 8 else "u2")
    path = put(tmp_path, odd_depth(drawn, bits))
    assert_same(pictures.read_numbers(path), drawn[:, 0])
    shown = drawn * np.uint8(255 // (2**bits - 1)) if bits < 8 else drawn
    assert_same(pictures.read_image(path), shown)


def odd_depth(drawn: Array, bits: int, *, photometric: int = 1, fill_order: int = 1) -> bytes:
    """A TIFF with rows packed to bytes, as no encoder at hand writes it."""
    places = np.arange(bits)[::-1]
    rows = [np.packbits((row[:, None] >> places & 1).ravel().astype(bool)) for row in drawn[0, 0]]
    data = np.concatenate(rows)
    if fill_order == 2:
        data = np.packbits(np.unpackbits(data.reshape(-1, 1), axis=1)[:, ::-1], axis=1)
    tags = [(256, WIDTH), (257, HEIGHT), (258, bits), (259, 1), (262, photometric)]
    tags += [(266, fill_order), (273, 8), (277, 1), (278, HEIGHT), (279, data.nbytes)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    end = struct.pack("<H", len(tags)) + table + struct.pack("<I", 0)
    return b"II*\x00" + struct.pack("<I", 8 + data.nbytes) + data.tobytes() + end


def test_tiff_with_reversed_bits(tmp_path: Path) -> None:
    path = put(tmp_path, odd_depth(few(2), 1, fill_order=2))
    assert_same(pictures.read_numbers(path), few(2)[:, 0])


@pytest.mark.parametrize("bits", [1, 4, 12])
def test_white_is_zero_is_shown_inverted_and_numbered_as_stored(tmp_path: Path, bits: int) -> None:
    drawn = (grey("u2") >> (16 - bits)).astype("u1" if bits < 8 else "u2")
    white = 2**bits - 1
    path = put(tmp_path, odd_depth(drawn, bits, photometric=0))
    assert_same(pictures.read_numbers(path), drawn[:, 0])
    scale = 255 // white if bits < 8 else 1
    assert_same(pictures.read_image(path), ((white - drawn) * scale).astype(drawn.dtype))


def test_white_is_zero_of_8_bit(tmp_path: Path) -> None:
    path = put(tmp_path, tiff(grey()[0, 0], photometric="miniswhite"))
    assert_same(pictures.read_image(path), 255 - grey())


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_tiff_with_jpeg_colours(
    tmp_path: Path, photometric: str, tile: tuple[int, int] | None
) -> None:
    content = tiff(last(grey(channels=3)), photometric=photometric, compression="jpeg", tile=tile)
    path = put(tmp_path, content)
    other = np.moveaxis(tifffile.imread(io.BytesIO(content)), -1, 0)[None]
    assert np.abs(pictures.read_image(path, "all").astype(int) - other).max() <= 2
    assert pictures.look(path).lossy


@pytest.mark.parametrize("fraction", ["f4", "f8"])
def test_fractions_are_single(tmp_path: Path, fraction: str) -> None:
    path = put(tmp_path, tiff(grey(fraction)[0, 0]))
    assert pictures.look(path).dtype == np.float32
    assert_same(pictures.read_image(path), grey(fraction).astype(np.float32))


@pytest.mark.parametrize("extra", [["unassalpha"], ["assocalpha"]])
def test_alpha_is_dropped(tmp_path: Path, extra: list[str]) -> None:
    colours = grey(channels=3)
    content = tiff(last(with_alpha(colours)), photometric="rgb", extrasamples=extra)
    assert_same(pictures.read_image(put(tmp_path, content), "all"), colours)
    content = tiff(last(with_alpha(grey())), extrasamples=extra, planarconfig="contig")
    path = put(tmp_path, content)
    assert_same(pictures.read_image(path), grey())
    assert_same(pictures.read_numbers(path), grey()[:, 0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_modes_of_pillow(tmp_path: Path, mode: str) -> None:
    drawn = few(2)[0, 0] * np.uint8(255)
    path = put(tmp_path, pillow(drawn, "PNG", mode))
    assert_same(pictures.read_image(path), drawn[None, None])
    assert_same(pictures.read_colours(path), np.stack([drawn[None]] * 3, axis=-1))


def test_interlaced_png(tmp_path: Path) -> None:
    """Seven passes over eight by eight pixels, each value its own place."""
    drawn = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
              (1, 2, 0, 1)]  # fmt: skip
    rows = [row for y, dy, x, dx in passes for row in drawn[y::dy, x::dx]]
    data = zlib.compress(b"".join(b"\x00" + row.tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    chunks = [(b"IHDR", head), (b"IDAT", data[:9]), (b"IDAT", data[9:]), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    assert_same(pictures.read_numbers(put(tmp_path, content)), drawn[None])


def test_remarks_in_a_png_change_nothing(tmp_path: Path) -> None:
    more = [
        png_chunk(b"gAMA", struct.pack(">I", 10000)),
        png_chunk(b"sBIT", b"\x03"),
        png_chunk(b"tRNS", b"\x00\x07"),
        png_chunk(b"tEXt", b"Comment\x00" + b"x" * 70000),
        png_chunk(b"prVt", b"own"),
    ]
    path = put(tmp_path, png(last(grey()), 8, 0, *more))
    assert_same(pictures.read_image(path), grey())
    path = put(tmp_path, png(last(grey()), 8, 0) + b"what follows belongs to no picture")
    assert_same(pictures.read_image(path), grey())


def test_palette_indices_are_numbers_and_colours_are_shown(tmp_path: Path) -> None:
    indices, plte = few(16), png_chunk(b"PLTE", PALETTE.tobytes())
    path = put(tmp_path, png(last(indices), 8, 3, plte))
    assert pictures.look(path).palette
    assert_same(pictures.read_numbers(path), indices[:, 0])
    assert_same(pictures.read_colours(path), PALETTE[indices[:, 0]])
    table = PALETTE.T.astype(np.uint16) * 257
    path = put(tmp_path, tiff(indices[0, 0], photometric="palette", colormap=table))
    assert_same(pictures.read_numbers(path), indices[:, 0])
    assert_same(pictures.read_colours(path), PALETTE[indices[:, 0]])


def test_a_grey_palette_is_none(tmp_path: Path) -> None:
    ramp = png_chunk(b"PLTE", bytes(v for v in range(256) for _ in range(3)))
    path = put(tmp_path, png(last(grey()), 8, 3, ramp))
    assert not pictures.look(path).palette
    assert_same(pictures.read_image(path, "all"), grey())


@pytest.mark.parametrize("colours", [b"\x00\x00\x00\xff\xff\xff", b"\xff\xff\xff\x00\x00\x00"])
def test_two_colours_black_and_white_are_one_bit(tmp_path: Path, colours: bytes) -> None:
    path = put(tmp_path, png(last(few(2)), 1, 3, png_chunk(b"PLTE", colours)))
    assert pictures.look(path).one_bit
    assert_same(pictures.read_numbers(path), few(2)[:, 0])
    shown = few(2) * np.uint8(255)
    assert_same(pictures.read_image(path), shown if colours[0] == 0 else 255 - shown)


@pytest.mark.parametrize("kind", [1, 4])
def test_portable_bitmaps_have_black_as_one(tmp_path: Path, kind: int) -> None:
    drawn = few(2)
    rows = [np.packbits(row).tobytes() for row in drawn[0, 0]]
    text = b"\n".join(b"".join(b"%d" % v for v in row) for row in drawn[0, 0])
    content = b"P%d\n%d %d\n" % (kind, WIDTH, HEIGHT) + (
        text + b"\n" if kind == 1 else b"".join(rows)
    )
    path = put(tmp_path, content)
    assert_same(pictures.read_numbers(path), drawn[:, 0])
    assert_same(pictures.read_image(path), (1 - drawn) * np.uint8(255))


@pytest.mark.parametrize("bits", [4, 8])
def test_bmp_with_a_palette_from_the_top(tmp_path: Path, bits: int) -> None:
    drawn = few(16)
    pixels = drawn[0, 0] if bits == 8 else drawn[0, 0, :, :36:2] << 4 | drawn[0, 0, :, 1:36:2]
    width = WIDTH if bits == 8 else 36
    rows = np.pad(pixels, ((0, 0), (0, -pixels.shape[1] % 4)))
    table = np.pad(PALETTE[:16, ::-1], ((0, 0), (0, 1))).tobytes()
    start = 54 + len(table)
    head = struct.pack("<IiiHHIIiiII", 40, width, -HEIGHT, 1, bits, 0, rows.size, 0, 0, 16, 0)
    content = struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start) + head + table
    path = put(tmp_path, content + rows.tobytes())
    assert_same(pictures.read_numbers(path), drawn[:, 0, :, :width])
    assert_same(pictures.read_colours(path), PALETTE[drawn[:, 0, :, :width]])


def test_grey_of_one_channel_of_colours_and_of_grey_saved_as_colours(tmp_path: Path) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = put(tmp_path, pillow(np.stack([every] * 3, axis=-1), "PNG"))
    assert_same(pictures.read_image(path), every[None, None])
    assert_same(pictures.read_numbers(path), every[None])
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    assert pictures.read_image(put(tmp_path, pillow(pixels, "PNG"))).tolist() == [[[[76, 150, 29]]]]


def test_deep_colours_become_deep_grey(tmp_path: Path) -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = put(tmp_path, png(np.stack([every] * 3, axis=-1), 16, 2))
    assert_same(pictures.read_image(path), every[None, None])


def test_a_channel_of_its_number(tmp_path: Path) -> None:
    colours = grey(channels=3)
    path = put(tmp_path, pillow(last(colours), "PNG"))
    for number in (1, 2, 3):
        assert_same(pictures.read_image(path, number), colours[:, number - 1 : number])
    palette = png(last(few(16)), 8, 3, png_chunk(b"PLTE", PALETTE.tobytes()))
    path = put(tmp_path, palette)
    assert_same(pictures.read_image(path, 2), PALETTE[few(16)[0, 0], 1][None, None])


def test_signed_numbers_that_are_not_negative_are_a_mask(tmp_path: Path) -> None:
    path = put(tmp_path, tiff(few(16)[0, 0].astype(np.int64)))
    assert_same(pictures.read_numbers(path), few(16)[:, 0].astype(np.uint64))
