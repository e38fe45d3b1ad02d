"""Pages and channels of multi-page TIFF: ImageJ, OME, tifffile's own remark, and plain ones."""

import io
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from containers import Array, grey, last, put, tiff
from fre_hpo.data import pictures
from fre_hpo.data.pictures import PictureError

HYPERSTACKS = [("ZCYX", (3, 2)), ("CYX", (2,)), ("TZCYX", (2, 3, 2)), ("TYX", (4,)), ("ZYX", (3,))]


def drawn(axes: str, sizes: tuple[int, ...], dtype: Any = np.uint8) -> tuple[Array, Array]:
    """An array in the order of its axes, and the same as (pages, channels, height, width)."""
    channels = sizes[axes.index("C")] if "C" in axes else 1
    pages = int(np.prod(sizes)) // channels
    image = grey(dtype, pages=pages, channels=channels)
    grid = image.reshape(*sizes, *image.shape[2:])
    return grid, image


@pytest.mark.parametrize(("axes", "sizes"), HYPERSTACKS)
@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_hyperstacks(
    tmp_path: Path, axes: str, sizes: tuple[int, ...], kind: str, dtype: str
) -> None:
    pixels, image = drawn(axes, sizes, dtype)
    options: dict[str, Any] = {} if kind == "shaped" else {kind: True}
    path = put(tmp_path, tiff(pixels, metadata={"axes": axes}, **options))
    header = pictures.look(path)
    assert (header.pages, header.channels, header.rgb) == (*image.shape[:2], False)
    np.testing.assert_array_equal(pictures.read_image(path, "all"), image)
    for number in range(1, image.shape[1] + 1):
        found = pictures.read_image(path, number)
        np.testing.assert_array_equal(found, image[:, number - 1 : number])


@pytest.mark.parametrize("axes", ["CZYX", "ZCTYX", "CTYX"])
def test_ome_in_every_order(tmp_path: Path, axes: str) -> None:
    sizes = {"C": 2, "Z": 3, "T": 2}
    shape = tuple(sizes[a] for a in axes[:-2])
    pixels = grey(pages=int(np.prod(shape)))[:, 0].reshape(*shape, *grey().shape[2:])
    path = put(tmp_path, tiff(pixels, ome=True, metadata={"axes": axes}))
    expected = np.moveaxis(pixels, axes.index("C"), -3)
    found = pictures.read_image(path, "all")
    np.testing.assert_array_equal(found, expected.reshape(-1, 2, *expected.shape[-2:]))


@pytest.mark.parametrize("kind", ["imagej", "ome", "none"])
def test_colours_are_samples_and_no_channels(tmp_path: Path, kind: str) -> None:
    pixels = np.stack([last(grey(channels=3)), 255 - last(grey(channels=3))])
    options = {} if kind == "none" else {kind: True}
    path = put(tmp_path, tiff(pixels, photometric="rgb", metadata={"axes": "ZYXS"}, **options))
    header = pictures.look(path)
    assert (header.pages, header.channels, header.rgb) == (2, 3, True)
    np.testing.assert_array_equal(pictures.read_image(path, "all"), np.moveaxis(pixels, -1, 1))


def test_one_directory_for_all_pages(tmp_path: Path) -> None:
    """ImageJ writes stacks above 4 GB so, tifffile whenever it is asked to."""
    pixels, image = drawn("ZCYX", (3, 2), "u2")
    content = tiff(pixels, imagej=True, metadata={"axes": "ZCYX"})
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        following = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
    cut = bytearray(content)
    cut[following : following + 4] = bytes(4)
    path = put(tmp_path, bytes(cut))
    np.testing.assert_array_equal(pictures.read_image(path, "all"), image)
    path = put(tmp_path, tiff(pixels, metadata={"axes": "ZCYX"}, truncate=True))
    np.testing.assert_array_equal(pictures.read_image(path, "all"), image)


def test_samples_that_are_no_colours_are_channels(tmp_path: Path) -> None:
    image = grey(channels=5)
    path = put(tmp_path, tiff(image[0], planarconfig="separate"))
    header = pictures.look(path)
    assert (header.channels, header.rgb) == (5, False)
    np.testing.assert_array_equal(pictures.read_image(path, "all"), image)
    np.testing.assert_array_equal(pictures.read_image(path, 4), image[:, 3:4])


def test_a_stack_without_remarks_has_pages(tmp_path: Path) -> None:
    image = grey(pages=3)
    path = put(tmp_path, tiff(image[:, 0], metadata=None))
    np.testing.assert_array_equal(pictures.read_image(path), image)
    np.testing.assert_array_equal(pictures.read_numbers(path), image[:, 0])


def test_pages_written_one_by_one(tmp_path: Path) -> None:
    image = grey(pages=3)
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for page in image:
            writer.write(page[0], photometric="minisblack")
    np.testing.assert_array_equal(pictures.read_image(put(tmp_path, stream.getvalue())), image)


def test_grey_of_several_channels_asks_which(tmp_path: Path) -> None:
    pixels, _ = drawn("CYX", (2,))
    path = put(tmp_path, tiff(pixels, imagej=True, metadata={"axes": "CYX"}))
    with pytest.raises(PictureError) as caught:
        pictures.read_image(path)
    assert str(caught.value) == (
        f"{path} has 2 channels: set data.channel to the one that shows the cells, 1 to 2"
    )
    for number in (0, 3, -1):
        with pytest.raises(
            PictureError,
            match=f"has 2 channels and no channel {number}: set data.channel to 1 to 2",
        ):
            pictures.read_image(path, number)
    with pytest.raises(PictureError, match="has 2 channels: save the mask with one"):
        pictures.read_numbers(path)


def changed(content: bytes, before: bytes, after: bytes) -> bytes:
    assert content.count(before) == 1
    assert len(before) == len(after)
    return content.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (b"images=6", b"images=7", "7 images, but 2 channels, 3 slices and 1 frames"),
        (b"channels=2", b"channels=3", "6 images, but 3 channels, 3 slices"),
        (b"images=6", b"images=x", "says x images, but 2 channels"),
        (b"images=6\nchannels=2\nslices=3", b"images=8\nchannels=2\nslices=4", "6 of the 8 pages"),
        (b"ImageJ=1", b"\x00mageJ=1", "ImageJ description lacks its beginning"),
    ],
)
def test_imagej_counts_that_are_wrong(
    tmp_path: Path, before: bytes, after: bytes, sentence: str
) -> None:
    pixels, _ = drawn("ZCYX", (3, 2))
    content = tiff(pixels, imagej=True, metadata={"axes": "ZCYX"})
    path = put(tmp_path, changed(content, before, after))
    with pytest.raises(PictureError, match=sentence):
        pictures.look(path)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (b'SizeZ="3"', b'SizeZ="4"', "names 8 pages, but 6 are there"),
        (b'SizeX="37"', b'SizeX="38"', r"description \(ome\) is broken or of another picture"),
        (b'Type="uint8"', b'Type="int16"', "says 'int16', but its pixels are uint8"),
        (b'SizeC="2"', b'SizeC="0"', r"description \(ome\) is broken or of another picture"),
        (b"<Pixels ", b"<Pixelz ", r"description \(ome\) is broken"),
        (b'PlaneCount="6"', b'PlaneCount="5"', "does not name each page once"),
        (b'IFD="0"', b'IFD="1"', "does not name each page once"),
        (b'"XYCZT"', b'"XYCZZ"', "names 18 pages, but 6 are there"),
    ],
)
def test_ome_counts_that_are_wrong(
    tmp_path: Path, before: bytes, after: bytes, sentence: str
) -> None:
    pixels, _ = drawn("ZCYX", (3, 2))
    content = tiff(pixels, ome=True, metadata={"axes": "ZCYX"})
    path = put(tmp_path, changed(content, before, after))
    with pytest.raises(PictureError, match=sentence):
        pictures.look(path)


def test_axes_without_a_name(tmp_path: Path) -> None:
    """Otherwise channels would be taken for pages."""
    pixels, _ = drawn("ZCYX", (3, 2))
    content = changed(tiff(pixels, metadata={"axes": "ZCYX"}), b'"axes"', b'"axis"')
    with pytest.raises(PictureError, match="has axes without a name"):
        pictures.look(put(tmp_path, content))


def test_a_description_of_ones_own_beside_that_of_tifffile(tmp_path: Path) -> None:
    pixels, image = drawn("ZCYX", (3, 2))
    content = tiff(pixels, description="labels by hand", metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(pictures.read_image(put(tmp_path, content), "all"), image)


def test_one_directory_for_several_series(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for _ in range(2):
            writer.write(grey(channels=2)[0], photometric="minisblack", metadata={"axes": "CYX"})
    with pytest.raises(PictureError, match="holds 2 images of its own"):
        pictures.look(put(tmp_path, stream.getvalue()))


def ome(body: str, pages: int = 2) -> bytes:
    """A TIFF with a description of one's own."""
    text = f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{body}</OME>'
    return tiff(grey(pages=pages)[:, 0], metadata=None, description=text)


PIXELS = 'DimensionOrder="XYCZT" Type="uint8" SizeX="37" SizeY="22" SizeC="1" SizeZ="2" SizeT="1"'


def test_ome_planes_in_another_order(tmp_path: Path) -> None:
    planes = '<TiffData FirstZ="0" IFD="1"/><TiffData FirstZ="1" IFD="0"/>'
    path = put(tmp_path, ome(f"<Image><Pixels {PIXELS}>{planes}</Pixels></Image>"))
    np.testing.assert_array_equal(pictures.read_image(path), grey(pages=2)[::-1])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            f"<Image><Pixels {PIXELS}>"
            '<TiffData FirstZ="0" IFD="0"><UUID FileName="a.tif"/></TiffData>'
            '<TiffData FirstZ="1" IFD="1"><UUID FileName="b.tif"/></TiffData></Pixels></Image>',
            "is a part of an OME set of several files: save the images as single files",
        ),
        ('<BinaryOnly MetadataFile="all.companion.ome"/>', "is a part of an OME set"),
        (
            f"<Image><Pixels {PIXELS}><TiffData/></Pixels></Image>" * 2,
            "holds 2 images of its own: save each as a file of its own",
        ),
    ],
)
def test_ome_sets_are_refused(tmp_path: Path, body: str, sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence):
        pictures.look(put(tmp_path, ome(body)))


@pytest.mark.parametrize(
    ("kind", "compression"),
    [("imagej", None), *((k, c) for k in ("ome", "shaped", "none") for c in (None, "lzw"))],
)
def test_a_stack_cut_short_anywhere_is_refused(
    tmp_path: Path, kind: str, compression: str | None
) -> None:
    """tifffile reads one page of it, and says so in its log only."""
    options: dict[str, Any] = {"imagej": True} if kind == "imagej" else {}
    options |= {"ome": True} if kind == "ome" else {}
    options |= {"metadata": None} if kind == "none" else {"metadata": {"axes": "ZYX"}}
    content = tiff(grey("u2", pages=3)[:, 0], compression=compression, **options)
    path = tmp_path / "stack.tif"
    silent = []
    for length in range(1, len(content), 23):
        path.write_bytes(content[:length])
        with suppress(PictureError):
            if not np.array_equal(pictures.read_image(path), grey("u2", pages=3)):
                silent.append(length)
    assert silent == []


def test_a_stack_cut_short_is_refused_without_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's logging.config may have switched tifffile's off."""
    monkeypatch.setattr(logging.getLogger("tifffile"), "disabled", True)
    for options in ({"metadata": None}, {"ome": True}, {"compression": "lzw"}):
        content = tiff(grey(pages=3)[:, 0], **options)
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            cut = file.pages[1].offset
        with pytest.raises(PictureError, match="cut short"):
            pictures.look(put(tmp_path, content[:cut]))


def test_pages_of_unlike_size_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(grey()[0, 0], photometric="minisblack")
        writer.write(grey()[0, 0, :-1], photometric="minisblack")
    with pytest.raises(PictureError, match=r"holds pages of unlike size or kind \(1 and 2\)"):
        pictures.look(put(tmp_path, stream.getvalue()))


def test_thumbnails_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(grey()[0, 0], photometric="minisblack")
        writer.write(grey()[0, 0, ::2, ::2], photometric="minisblack", subfiletype=1)
    with pytest.raises(PictureError, match="save the picture of full size alone"):
        pictures.look(put(tmp_path, stream.getvalue()))
