"""TIFF: what the pixels of a page are - size, depth, colours, alpha - checked for sense."""

from dataclasses import dataclass

import numpy as np

from fre_hpo.data.pictures.directories import Directory
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.picture import checked_size

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
_OTHER_COLOURS = {
    4: "a transparency mask",
    5: "CMYK",
    8: "CIELab",
    9: "ICCLab",
    32803: "a camera's raw",
}
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


def read_kind(directory: Directory) -> Kind:
    """The kind of a page, if it is one that a screen can show."""
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
