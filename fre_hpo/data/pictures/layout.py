"""TIFF, middle layer: how the pixels of a page lie in the file, checked before one is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.directories import Directory, Order
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.orientation import check_upright
from fre_hpo.data.pictures.picture import checked_size

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
UNCOMPRESSED, JPEG = 1, 7

COMPRESSIONS = {
    UNCOMPRESSED: "none",
    5: "LZW",
    JPEG: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "zstd",
}
_OTHER_COMPRESSIONS = {
    2: "CCITT RLE",
    3: "CCITT fax 3",
    4: "CCITT fax 4",
    6: "old-style JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    33007: "JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_OTHER_COLOURS = {
    4: "a transparency mask",
    5: "CMYK",
    8: "CIELab",
    9: "ICCLab",
    32803: "a camera's raw",
}
_PREDICTABLE = frozenset({5, 8, 32946, 34925, 50000})
_DEPTHS = {1: {1, 2, 4, 8, 10, 12, 14, 16, 32, 64}, 2: {8, 16, 32, 64}, 3: {16, 32, 64}}
_KINDS = {1: "u", 2: "i", 3: "f"}


@dataclass(frozen=True)
class Kind:
    """What the pages of a file must have in common to be one stack."""

    height: int
    width: int
    samples: int
    alpha: int
    bits: int
    dtype: np.dtype[np.generic]
    photometric: int
    palette: bytes

    @property
    def rgb(self) -> bool:
        """Whether the samples are red, green and blue; a palette's indices are not."""
        return self.photometric in {RGB, YCBCR}


@dataclass(frozen=True, eq=False)
class Page:
    """Kind, coding and place of one page's pixels.

    block: rows and columns of a strip or tile.  planar: samples lie one after another.
    offsets, lengths: of the blocks, in reading order.
    """

    kind: Kind
    order: Order
    compression: int
    predictor: int
    reversed_bits: bool
    planar: bool
    tiled: bool
    block: tuple[int, int]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    jpeg_tables: bytes

    @property
    def grid(self) -> tuple[int, int, int]:
        """Blocks: planes, down, across."""
        down, across = (
            -(-size // step)
            for size, step in zip((self.kind.height, self.kind.width), self.block, strict=True)
        )
        return self.kind.samples if self.planar else 1, down, across

    @property
    def block_samples(self) -> int:
        """Samples of a pixel that lie in one block."""
        return 1 if self.planar else self.kind.samples

    def row_bytes(self) -> int:
        """Bytes of a block's row, before compression."""
        return -(-self.block[1] * self.block_samples * self.kind.bits // 8)

    def rows_of(self, down: int) -> int:
        """Rows in a block: the last strip has what is left, a tile is always whole."""
        rows = self.block[0]
        return rows if self.tiled else min(rows, self.kind.height - down * rows)


def read_page(directory: Directory) -> Page:
    """Check one page's tags against each other and against the file."""
    _check_role(directory)
    kind = _kind(directory)
    compression = directory.number(259, UNCOMPRESSED)
    if compression not in COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(compression, f"method {compression}")
        raise Flaw(
            f"is compressed by {name}, which is not read here",
            "save it as TIFF with LZW or without compression",
        )
    tiled = 322 in directory.entries
    page = Page(
        kind,
        directory.order,
        compression,
        _predictor(directory, compression, kind),
        _choice(directory, 266, (1, 2)) == 2,
        _choice(directory, 284, (1, 2)) == 2 and kind.samples > 1,
        tiled,
        _block(directory, kind, tiled),
        directory.numbers(324 if tiled else 273),
        directory.numbers(325 if tiled else 279),
        directory.data(347),
    )
    _check_jpeg(page)
    _check_blocks(page, directory.content.size)
    return page


def _check_role(directory: Directory) -> None:
    """A page is a picture of full size, upright."""
    role, old_role = directory.number(254, 0), directory.number(255, 1)
    if role & 1 or old_role == 2:
        raise Flaw(
            "holds reduced copies of its pictures (thumbnails or a pyramid)",
            "save the picture of full size alone",
        )
    if role & 4:
        raise Flaw("holds a transparency mask as a page", "save the picture alone")
    if role not in {0, 2} or old_role not in {1, 3}:
        raise damaged(f"a page of the kind {role}")
    if directory.number(32997, 1) != 1:
        raise Flaw("has pages of more than one layer", "save it as an ordinary stack")
    check_upright(directory.number(274, 1))


def _choice(directory: Directory, tag: int, known: tuple[int, ...]) -> int:
    """A tag's number, by default the first of those that are known."""
    value = directory.number(tag, known[0])
    if value not in known:
        raise damaged(f"TIFF tag {tag} of {value}")
    return value


def _kind(directory: Directory) -> Kind:
    width, height = directory.number(256), directory.number(257)
    checked_size(height, width)
    samples = directory.number(277, 1)
    bits, form = _of_samples(directory, 258, samples), _of_samples(directory, 339, samples)
    if bits not in _DEPTHS.get(form, ()):
        raise Flaw(
            f"has samples of a rare kind ({bits} bits, format {form})",
            "save it with 8 or 16 bits, or as 32-bit fractions",
        )
    size = next(n for n in (8, 16, 32, 64) if bits <= n)
    photometric = directory.number(262)
    if photometric not in {WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR}:
        name = _OTHER_COLOURS.get(photometric, f"kind {photometric}")
        raise Flaw(f"has colours of a rare kind ({name})", "save it as grey or RGB")
    alpha = _alpha(directory, samples, photometric)
    dtype: np.dtype[np.generic] = np.dtype(f"{_KINDS[form]}{size // 8}")
    palette = _palette(directory, bits, dtype) if photometric == PALETTE else b""
    if photometric == WHITE_IS_ZERO and dtype.kind != "u":
        raise Flaw(f"says that white is zero, for {dtype}", "save it with black as zero")
    return Kind(height, width, samples, alpha, bits, dtype, photometric, palette)


def _of_samples(directory: Directory, tag: int, samples: int) -> int:
    """A number that is stated for each sample, and must be the same for all."""
    values = directory.numbers(tag)
    if values.size not in {0, 1, samples}:
        raise damaged(f"TIFF tag {tag} has {values.size} values for {samples} samples")
    if (values != values[:1]).any():
        raise Flaw("has channels of unlike depth", "save it with the same bits for each channel")
    return int(values[0]) if values.size else 1


def _alpha(directory: Directory, samples: int, photometric: int) -> int:
    """How many samples at the end are alpha; samples beyond the colours are stated one by one."""
    colours = 3 if photometric in {RGB, YCBCR} else 1
    extra = directory.numbers(338)
    if directory.numbers(320).size % 3:
        raise damaged("its palette is cut")
    if samples < colours or extra.size > samples - colours or (extra > 2).any():
        raise damaged(f"{samples} samples for colours of kind {photometric}, {extra.size} extra")
    if samples == colours or (photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO} and not extra.any()):
        return 0
    if samples > colours + 1 and colours == 1 and (extra[:-1] == 0).all():
        return 1
    if samples != colours + 1 or not extra.any():
        raise Flaw(
            f"has {samples - colours} channels of unknown meaning beside its colours",
            "save it as RGB, or as a hyperstack of single channels",
        )
    return 1


def _palette(directory: Directory, bits: int, dtype: np.dtype[np.generic]) -> bytes:
    if bits > 16 or dtype.kind != "u" or 320 not in directory.entries:
        raise damaged("its palette is missing")
    if directory.entries[320].count != 3 << bits:
        raise damaged(f"a palette of {directory.entries[320].count // 3} colours for {bits} bits")
    colours = directory.numbers(320)
    if colours.max() > 255:
        colours >>= 8
    return colours.astype(np.uint8).tobytes()


def _predictor(directory: Directory, compression: int, kind: Kind) -> int:
    predictor = _choice(directory, 317, (1, 2, 3))
    usable = predictor == 1 or (
        compression in _PREDICTABLE
        and (kind.bits >= 8 if predictor == 2 else kind.dtype.kind == "f")
    )
    if not usable or (predictor == 2 and kind.bits % 8):
        raise damaged(f"predictor {predictor} for {COMPRESSIONS[compression]}, {kind.bits} bits")
    return predictor


def _block(directory: Directory, kind: Kind, tiled: bool) -> tuple[int, int]:
    if tiled == (273 in directory.entries):
        raise damaged("it has both strips and tiles, or neither")
    if not tiled:
        rows = directory.number(278, kind.height)
        if rows < 1:
            raise damaged("strips without rows")
        return min(rows, kind.height), kind.width
    rows, columns = directory.number(323), directory.number(322)
    if rows < 1 or columns < 1 or rows % 16 or columns % 16:
        raise damaged(f"tiles of {rows}x{columns} pixels")
    return rows, columns


def _check_jpeg(page: Page) -> None:
    kind = page.kind
    if kind.photometric == YCBCR and (page.compression != JPEG or page.planar):
        raise Flaw("has colours of a rare kind (YCbCr)", "save it as RGB")
    if page.compression == JPEG and (
        kind.bits != 8 or kind.dtype != np.uint8 or kind.photometric in {WHITE_IS_ZERO, PALETTE}
        or page.block_samples not in {1, 3}
    ):  # fmt: skip
        raise Flaw("is compressed by JPEG of a rare kind", "save it with LZW")


def _check_blocks(page: Page, size: int) -> None:
    """As many blocks as the page needs, each inside the file, of the right length if known."""
    planes, down, across = page.grid
    needed = planes * down * across
    if not page.offsets.size == page.lengths.size == needed:
        raise damaged(
            f"{page.offsets.size} blocks of pixels, {page.lengths.size} lengths, {needed} needed"
        )
    if (page.lengths < 1).any() or (page.offsets < 8).any():
        raise damaged("a block of its pixels is empty")
    if (page.offsets > size).any() or (page.lengths > size - page.offsets).any():
        raise damaged("it is cut short: a block of its pixels lies beyond its end")
    if page.compression == UNCOMPRESSED:
        rows = np.full((planes, down, across), page.block[0])
        rows[:, -1] = page.rows_of(down - 1)
        if (rows.ravel() * page.row_bytes() != page.lengths).any():
            raise damaged("a block of its pixels is longer or shorter than its size needs")
