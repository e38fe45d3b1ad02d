"""Whatever is wrong with a picture is one sentence that names the file and says what to do."""

import errno
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
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
from fre_hpo.data.pictures import PictureError

READERS: list[Callable[[Path], Any]] = [
    pictures.look,
    pictures.read_image,
    pictures.read_numbers,
    pictures.read_colours,
]


def sentence(read: Callable[[Path], Any], path: Path) -> str:
    """What is said of a file, without its name; always one line with something to do."""
    with pytest.raises(PictureError) as caught:
        read(path)
    text = str(caught.value)
    assert re.fullmatch(rf"{re.escape(str(path))} [^\n]+: [^\n]+", text), text
    return text.removeprefix(f"{path} ")


OTHERS = {
    "NIfTI": bytes(344) + b"n+1\x00" + bytes(8),
    "DICOM": bytes(128) + b"DICM" + bytes(8),
    "CZI of Zeiss": b"ZISRAWFILE" + bytes(22),
    "ND2 of Nikon": b"\xda\xce\xbe\x0a\x10\x00\x00\x00",
    "LIF of Leica": b"\x70\x00\x00\x00\x28\x0b\x00\x00*",
    "OIB, ZVI or an old Office document": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8),
    "HDF5, as .h5, .ims and new .mat files are": b"\x89HDF\r\n\x1a\n" + bytes(8),
    "a NumPy array": b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'}",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML": b"<!DOCTYPE html><html><body>Not found</body></html>",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "a zip archive or an Office document": b"PK\x03\x04\x14\x00",
    "a gzip archive, as .nii.gz and .tar.gz are": b"\x1f\x8b\x08\x00",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    "HEIC, AVIF or a film": b"\x00\x00\x00\x1cftypavif",
    "a Photoshop document": b"8BPS\x00\x01",
    "MRC": bytes(208) + b"MAP " + bytes(8),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_other_formats_are_told_by_their_name(tmp_path: Path, name: str, ending: str) -> None:
    path = put(tmp_path, OTHERS[name], f"a.{ending}")
    for read in READERS:
        assert sentence(read, path) == (
            f"is no picture that can be read (it looks like {name}): save it as PNG or TIFF"
        )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty (0 bytes): put an intact file there"),
        (b"x", "is a text file: put the picture itself there"),
        (b"BM is not always a bitmap", "is a text file: put the picture itself there"),
        ("schöne Bilder".encode() * 500, "is a text file: put the picture itself there"),
        ("Bilder".encode("utf-16"), "is a text file: put the picture itself there"),
        (b"\xff\xfe\xfd\x00\x01", "is a text file: put the picture itself there"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
            "is a git-lfs pointer and not the picture: fetch that with git lfs pull",
        ),
        (b"\x01\x02\x03\x04", "is no picture that can be read: save it as PNG or TIFF"),
        (bytes(500), "cannot be read (its first 500 bytes are all zero): put an intact file there"),
    ],
)
def test_no_picture_at_all(tmp_path: Path, content: bytes, expected: str) -> None:
    path = put(tmp_path, content)
    assert {sentence(read, path) for read in READERS} == {expected}


def test_files_that_are_none(tmp_path: Path) -> None:
    assert sentence(pictures.look, tmp_path) == "is a folder: name the picture in it"
    assert "No such file" in sentence(pictures.look, tmp_path / "none.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "is no ordinary file" in sentence(pictures.look, tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "link.png")
    assert "cannot be read" in sentence(pictures.look, tmp_path / "link.png")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = put(tmp_path, png(last(grey()), 8, 0))
    monkeypatch.setattr(Path, "open", refuse)
    assert sentence(pictures.look, path) == (
        "cannot be read (Permission denied): check that it is there and that you may read it"
    )


SAMPLES = every_sample()


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_a_file_cut_short_is_refused_or_whole(tmp_path: Path, sample: Sample) -> None:
    path = put(tmp_path, sample.content)
    whole = pictures.read_image(path, "all")
    refused = 0
    lengths = sorted(
        {*range(1, len(sample.content), len(sample.content) // 12), len(sample.content) - 1}
    )
    for length in lengths:
        path.write_bytes(sample.content[:length])
        try:
            found = pictures.read_image(path, "all")
        except PictureError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, whole)
    assert refused >= len(lengths) - 3


def test_checksums_of_png_are_checked_also_beside_the_pixels(tmp_path: Path) -> None:
    content = png(last(grey()), 8, 0, png_chunk(b"tEXt", b"Comment\x00drawn"))
    path = put(tmp_path, content.replace(b"drawn", b"drown"))
    assert "the checksum of tEXt at byte 33 is wrong" in sentence(pictures.read_image, path)


def test_png_with_too_few_pixels_or_the_wrong_chunks(tmp_path: Path) -> None:
    whole = png(last(grey()), 8, 0)
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0))
    end = png_chunk(b"IEND", b"")
    data = zlib.compress(b"\x00" + bytes(WIDTH))
    wrong = {
        "Not enough image data": [head, png_chunk(b"IDAT", data), end],
        "not those of one picture": [head, end],
        "does not begin with IHDR and end with IEND": [png_chunk(b"tEXt", b""), end],
        "a chunk of kind b'CgBI'": [head, png_chunk(b"CgBI", b""), png_chunk(b"IDAT", data), end],
        "a chunk of kind b'\\\\x00\\\\x00\\\\x00\\\\x00'": [head, bytes(12)],
    }
    for reason, chunks in wrong.items():
        path = put(tmp_path, whole[:8] + b"".join(chunks))
        assert re.search(reason, sentence(pictures.read_image, path))


def test_an_index_beyond_the_palette(tmp_path: Path) -> None:
    plte = png_chunk(b"PLTE", PALETTE[:5].tobytes())
    path = put(tmp_path, png(last(few(16)), 8, 3, plte))
    assert "colour 15 of a palette of 5" in sentence(pictures.read_colours, path)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(grey()[0, 0]), Image.fromarray(255 - grey()[0, 0])]
    for form in ("GIF", "PNG", "WEBP"):
        stream = io.BytesIO()
        frames[0].save(stream, form, save_all=True, append_images=frames[1:])
        found = sentence(pictures.look, put(tmp_path, stream.getvalue()))
        assert "is an animation" in found
        assert "as a file of its own" in found


def test_pixels_that_are_no_number_are_counted(tmp_path: Path) -> None:
    pixels = grey("f4")[0, 0]
    pixels[3, 4:6] = np.nan
    pixels[0, 0] = np.inf
    path = put(tmp_path, tiff(pixels))
    assert sentence(pictures.read_image, path) == (
        "has 3 of 814 pixels that are no number (NaN or infinite): replace them, then save it again"
    )
    path = put(tmp_path, tiff(np.full((4, 4), 1e300)))
    assert "has 16 of 16 pixels that are no number" in sentence(pictures.read_image, path)


def test_masks_that_are_none(tmp_path: Path) -> None:
    fractions = put(tmp_path, tiff(few(4)[0, 0].astype("f4")))
    assert "holds fractions (float32)" in sentence(pictures.read_numbers, fractions)
    negative = put(tmp_path, tiff(few(4)[0, 0].astype("i2") - 1))
    assert re.match(
        r"has \d+ negative numbers, the least -1", sentence(pictures.read_numbers, negative)
    )
    colours = put(tmp_path, pillow(PALETTE[few(4)[0, 0]], "PNG"))
    found = sentence(pictures.read_numbers, colours)
    assert re.match(
        r"has colours in \d+ pixels, such as \(\d+, \d+, \d+\): name the colours", found
    )
    deep = put(tmp_path, png(last(grey("u2")), 16, 0))
    assert "has uint16 numbers and no colours" in sentence(pictures.read_colours, deep)


@pytest.mark.parametrize(
    "content",
    [
        pillow(last(grey()), "JPEG"),
        pillow(last(grey(channels=3)), "WEBP"),
        tiff(grey()[0, 0], compression="jpeg"),
    ],
    ids=["JPEG", "WEBP", "TIFF"],
)
def test_masks_with_loss_are_refused_whatever_their_ending(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, content, "mask.png")
    for read in (pictures.read_numbers, pictures.read_colours):
        assert re.match(
            r"is stored with loss \((JPEG|WEBP|JPEG inside TIFF)\), which blurs the labels: export ",
            sentence(read, path),
        )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_that_is_to_be_turned_is_refused(tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    content = pillow(last(grey()), form, exif=exif)
    assert sentence(pictures.look, put(tmp_path, content)) == (
        "is stored turned or mirrored (orientation 6): save it upright, and its mask in the same way"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tiff(last(grey(channels=4)), photometric="separated"), "CMYK"),
        (tiff(np.zeros((4, 4), "c8")), "rare kind"),
        (tiff(grey()[0, 0], compression="jpeg2000"), "is compressed by JPEG2000"),
        (tiff(grey()[0, 0], compression="png"),
         "is compressed by PNG, which is not read here: save it as TIFF with LZW"),
        (tiff(last(with_alpha(grey(channels=3))), photometric="rgb", extrasamples=["unspecified"]),
         "1 channels of unknown meaning"),
        (pillow(last(grey()), "TIFF", "CMYK"), "CMYK"),
        (pillow(last(grey()), "JPEG", "CMYK"), "colours for printing"),
        (tiff(np.zeros((2, 3, 4, 4), "u1"), photometric="rgb", planarconfig="separate", imagej=False,
              ome=True, metadata={"axes": "CSYX"}), "2 channels of 3 samples each"),
    ],
)  # fmt: skip
def test_rare_kinds_are_named(tmp_path: Path, content: bytes, expected: str) -> None:
    assert expected in sentence(pictures.look, put(tmp_path, content))


@pytest.mark.parametrize("codec", ["lzw", "zstd", "packbits"])
def test_a_missing_codec_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    import imagecodecs

    def hidden(*_: Any, **__: Any) -> None:
        raise imagecodecs.DelayedImportError(f"{codec}_decode")

    path = put(tmp_path, tiff(grey()[0, 0], compression=codec))
    monkeypatch.setattr(imagecodecs, f"{codec}_decode", hidden)
    monkeypatch.setattr(tifffile.TIFF.DECOMPRESSORS, "_codecs", {})  # or it takes the one it had
    assert sentence(pictures.read_image, path) == (
        f"is compressed by {codec.upper()}, and this installation of imagecodecs cannot undo it: "
        "run pip install imagecodecs, or save the picture without compression"
    )
    assert pictures.look(path).format == "TIFF"


def test_fractions_that_are_marked_as_whole_numbers(tmp_path: Path) -> None:
    path = put(tmp_path, tiff(grey("f4")[0, 0].view("u4")))
    assert "look like fractions" in sentence(pictures.read_image, path)


def edited(content: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another number in one of its first page's tags."""
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    found = bytearray(content)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, at)[0] == tag:
            form = {3: "<H", 4: "<I"}[struct.unpack_from("<H", content, at + 2)[0]]
            struct.pack_into(form, found, at + 8, value)
            return bytes(found)
    raise AssertionError(f"no tag {tag}")


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        (256, 38, "longer or shorter than its size needs"),
        (257, 21, "longer or shorter"),
        (256, 0, "a size of 22x0 pixels"),
        (258, 9, "longer or shorter"),
        (262, 77, "colours of a rare kind"),
        (273, 10**6, "cut short: a block of its pixels lies beyond its end"),
        (273, 4, "its pixels is empty|lie in two places at once, or where its description does"),
        (273, 20, "where its description does"),
        (277, 2, "longer or shorter"),
        (278, 11, "1 blocks of pixels, 1 lengths, 2 needed"),
        (279, 813, "longer or shorter"),
        (279, 10**6, "lies beyond its end"),
    ],
)
def test_numbers_of_a_tiff_that_disagree(
    tmp_path: Path, tag: int, value: int, expected: str
) -> None:
    path = put(tmp_path, edited(tiff(grey()[0, 0]), tag, value))
    assert re.search(expected, sentence(pictures.look, path))


def test_a_jpeg_with_too_few_bytes_for_its_size(tmp_path: Path) -> None:
    (sample,) = (sample for sample in SAMPLES if sample.name == "JPEG grey")
    found = sentence(pictures.look, put(tmp_path, _huge(sample)))
    assert re.search(r"\d+ bytes are too few for 65535x65535 pixels", found)


@pytest.mark.parametrize("name", ["JPEG grey", "JPEG RGB", "JPEG progressive"])
def test_a_jpeg_goes_on_to_its_end_and_no_further(tmp_path: Path, name: str) -> None:
    (sample,) = (sample for sample in SAMPLES if sample.name == name)
    path = put(tmp_path, sample.content + bytes(100))
    assert pictures.read_image(path).shape == (1, 1, HEIGHT, WIDTH)
    path = put(tmp_path, sample.content + b"more")
    assert "it ends 4 bytes before the file does" in sentence(pictures.look, path)
    path = put(tmp_path, sample.content[:-2])
    assert "without an end" in sentence(pictures.look, path)


def test_pages_in_a_circle(tmp_path: Path) -> None:
    content = bytearray(tiff(grey()[0, 0]))
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    struct.pack_into("<I", content, start + 2 + 12 * count, start)
    assert "go round in a circle" in sentence(pictures.look, put(tmp_path, bytes(content)))


@pytest.mark.parametrize("name", ["PNG 8 bit", "BMP grey", "PGM", "GIF", "JPEG grey", "TIFF lzw"])
def test_a_small_file_that_claims_to_be_huge_costs_nothing(tmp_path: Path, name: str) -> None:
    """It is refused, or its header is told and nothing is decoded."""
    import tracemalloc

    (sample,) = (sample for sample in SAMPLES if sample.name == name)
    path = put(tmp_path, _huge(sample))
    tracemalloc.start()
    try:
        header = pictures.look(path)
    except PictureError:
        pass
    else:
        assert header.nbytes >= 10**9
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def _huge(sample: Sample) -> bytes:
    content, side = bytearray(sample.content), 100_000
    if sample.name.startswith("PNG"):
        head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        return bytes(content[:8]) + png_chunk(b"IHDR", head) + bytes(content[33:])
    if sample.name.startswith("TIFF"):
        for tag in (256, 257):
            content[:] = edited(bytes(content), tag, side)
        return edited(bytes(content), 278, side)
    if sample.name.startswith("BMP"):
        struct.pack_into("<ii", content, 18, side, side)
    elif sample.name.startswith("PGM"):
        content[:] = content.replace(b"37 22", b"100000 100000")
    elif sample.name.startswith("GIF"):
        struct.pack_into("<HH", content, 6, 65535, 65535)
    else:
        at = content.index(b"\xff\xc0")
        struct.pack_into(">HH", content, at + 5, 65535, 65535)
    return bytes(content)


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_a_large_picture_is_no_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Sample
) -> None:
    """Pillow would warn of a picture above its limit, and refuse one of twice as many pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert pictures.read_image(put(tmp_path, sample.content), "all").size >= WIDTH * HEIGHT
