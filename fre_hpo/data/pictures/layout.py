"""TIFF, middle layer: how the pixels of a page lie in the file, checked before one is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.directories import Directory, Order
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.kind import PALETTE, WHITE_IS_ZERO, YCBCR, Kind, read_kind
from fre_hpo.data.pictures.orientation import check_upright

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
_PREDICTABLE = frozenset({5, 8, 32946, 34925, 50000})


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
    kind = read_kind(directory)
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
