"""TIFF: what the pixels of a page are - size, depth, colours, alpha, coding - checked for sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.orientation import check_upright
from fre_hpo.data.pictures.picture import checked_size

if TYPE_CHECKING:
    from tifffile import TiffPage

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
UNCOMPRESSED, LZW, JPEG, LZMA = 1, 5, 7, 34925
_PREDICTABLE = frozenset({LZW, 8, 32946, LZMA, 50000})  # with both deflates and zstd
_READ = _PREDICTABLE | {UNCOMPRESSED, JPEG, 32773}  # and PackBits


@dataclass(frozen=True)
class Kind:
    """What the pages of a file must have in common to be one stack."""

    height: int
    width: int
    samples: int
    alpha: int
    bits: int
    dtype: np.dtype[Any]
    photometric: int
    palette: bytes

    @property
    def rgb(self) -> bool:
        """Whether the samples are red, green and blue; a palette's indices are not."""
        return self.photometric in {RGB, YCBCR}


def read_kind(page: TiffPage) -> Kind:
    """The kind of a page, if it is an upright picture of full size that a screen can show."""
    if not all(code in page.tags for code in (256, 257, 262)):
        raise damaged("its size or its kind of colours is missing")
    if 320 in page.tags and page.tags[320].count % 3:
        raise damaged("its palette is cut")
    checked_size(page.imagelength, page.imagewidth)
    _check_role(page)
    bits, dtype = _depth(page)
    photometric, samples = int(page.photometric), page.samplesperpixel
    if photometric not in {WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR}:
        name = "CMYK" if photometric == 5 else name_of(page.photometric)
        raise Flaw(f"has colours of a rare kind ({name})", "save it as grey or RGB")
    if photometric == WHITE_IS_ZERO and dtype.kind != "u":
        raise Flaw(f"says that white is zero, for {dtype}", "save it with black as zero")
    alpha = _alpha([int(extra) for extra in page.extrasamples], samples, photometric)
    palette = _palette(page, bits, dtype) if photometric == PALETTE else b""
    size = page.imagelength, page.imagewidth
    kind = Kind(*size, samples, alpha, bits, dtype, photometric, palette)
    _check_coding(page, kind)
    return kind


def name_of(value: Any) -> str:
    """What tifffile calls a compression or a kind of colours, or its number."""
    return str(getattr(value, "name", f"number {value}"))


def _check_role(page: TiffPage) -> None:
    if page.is_reduced:
        raise Flaw(
            "holds reduced copies of its pictures (thumbnails or a pyramid)",
            "save the picture of full size alone",
        )
    if page.is_mask:
        raise Flaw("holds a transparency mask as a page", "save the picture alone")
    if page.subfiletype not in {0, 2}:
        raise damaged(f"a page of the kind {int(page.subfiletype)}")
    if page.imagedepth != 1 or page.tiledepth != 1:
        raise Flaw("has pages of more than one layer", "save it as an ordinary stack")
    check_upright(int(page.tags.valueof(274, 1)))


def _depth(page: TiffPage) -> tuple[int, np.dtype[Any]]:
    """Bits of a stored sample, the same for all, and the type of the decoded one."""
    for code in (258, 339):
        count = page.tags[code].count if code in page.tags else 1
        if count not in {1, page.samplesperpixel}:
            raise damaged(f"TIFF tag {code} has {count} values for {page.samplesperpixel} samples")
    bits, dtype = page.bitspersample, page.dtype
    if isinstance(bits, tuple):
        raise Flaw("has channels of unlike depth", "save it with the same bits for each channel")
    if dtype is None or dtype.kind not in "buif":
        raise Flaw(
            f"has samples of a rare kind ({bits} bits, format {int(page.sampleformat)})",
            "save it with 8 or 16 bits, or as 32-bit fractions",
        )
    return bits, np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _alpha(extra: list[int], samples: int, photometric: int) -> int:
    """How many samples at the end are alpha; samples beyond the colours are stated one by one."""
    colours = 3 if photometric in {RGB, YCBCR} else 1
    if samples < colours or len(extra) > samples - colours:
        raise damaged(f"{samples} samples for colours of kind {photometric}, {len(extra)} extra")
    if samples == colours or (photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO} and not any(extra)):
        return 0
    if samples > colours + 1 and colours == 1 and not any(extra[:-1]):
        return 1
    if samples != colours + 1 or not any(extra):
        raise Flaw(
            f"has {samples - colours} channels of unknown meaning beside its colours",
            "save it as RGB, or as a hyperstack of single channels",
        )
    return 1


def _palette(page: TiffPage, bits: int, dtype: np.dtype[Any]) -> bytes:
    colours = page.colormap
    if bits > 16 or dtype.kind != "u" or colours is None:
        raise damaged("its palette is missing")
    if colours.size != 3 << bits:
        raise damaged(f"a palette of {colours.size // 3} colours for {bits} bits")
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8).tobytes()


def _check_coding(page: TiffPage, kind: Kind) -> None:
    """Compression, predictor and order of samples are those that every reader takes alike."""
    if page.compression not in _READ:
        raise Flaw(
            f"is compressed by {name_of(page.compression)}, which is not read here",
            "save it as TIFF with LZW or without compression",
        )
    if page.fillorder not in {1, 2} or page.planarconfig not in {1, 2}:
        raise damaged("its order of bits or samples is none")
    if page.fillorder == 2 and page.compression != UNCOMPRESSED:
        raise Flaw("is compressed with its bits reversed", "save it with LZW")
    usable = {1: True, 2: kind.bits % 8 == 0, 3: kind.dtype.kind == "f"}.get(page.predictor, False)
    if not usable or (page.predictor != 1 and page.compression not in _PREDICTABLE):
        raise damaged(f"predictor {page.predictor} for {kind.bits} bits so compressed")
    together = kind.samples if page.planarconfig == 1 else 1
    if kind.photometric == YCBCR and (page.compression != JPEG or together != 3):
        raise Flaw("has colours of a rare kind (YCbCr)", "save it as RGB")
    if page.compression == JPEG and (
        kind.bits != 8 or kind.dtype != np.uint8 or kind.photometric in {WHITE_IS_ZERO, PALETTE}
        or together not in {1, 3}
    ):  # fmt: skip
        raise Flaw("is compressed by JPEG of a rare kind", "save it with LZW")
