"""What the pictures themselves are like: sizes, channels, brightness, and files that mislead."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fre_hpo.data import pictures
from fre_hpo.data.guessing.names import even
from fre_hpo.data.pictures import Header, PictureError
from fre_hpo.errors import counted

_MOST_LOOKED_AT = 2000
_READ = 6
_DIM = 0.4
_HEAD = 1 << 16

_FORMATS = {
    "png": "PNG", "tif": "TIFF", "tiff": "TIFF", "jpg": "JPEG", "jpeg": "JPEG", "bmp": "BMP",
    "gif": "GIF", "pgm": "PNM", "ppm": "PNM", "pnm": "PNM", "webp": "WEBP",
}  # fmt: skip

Choice = tuple[Any, str]
"""A value for a key of [data], and the remark behind it."""


@dataclass(frozen=True)
class Seen:
    """Headers of the pictures (or of an even sample), and what is wrong with the others."""

    headers: dict[Path, Header]
    broken: tuple[str, ...]

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        return Counter((header.height, header.width) for header in self.headers.values())

    @property
    def pages(self) -> int:
        """Of the longest stack."""
        return max((header.pages for header in self.headers.values()), default=1)

    @property
    def total(self) -> int:
        """Single pictures in all the files that were looked at."""
        return sum(header.pages for header in self.headers.values())

    def summary(self) -> str:
        """Sizes and depths, for a sentence."""
        (height, width), count = self.sizes.most_common(1)[0]
        sizes = f"{height}x{width}"
        if len(self.sizes) > 1:
            heights, widths = zip(*self.sizes, strict=True)
            low, high = f"{min(heights)}x{min(widths)}", f"{max(heights)}x{max(widths)}"
            sizes = f"{len(self.sizes)} sizes from {low} to {high}, {count} of them {sizes}"
        dtypes = Counter(str(header.dtype) for header in self.headers.values())
        return f"{sizes}, {' and '.join(dtype for dtype, _ in dtypes.most_common())}"


def look_at(paths: Sequence[Path]) -> Seen:
    """Read the headers."""
    headers, broken = {}, []
    for path in even(paths, _MOST_LOOKED_AT):
        try:
            headers[path] = pictures.look(path)
        except PictureError as problem:
            broken.append(str(problem))
    return Seen(headers, tuple(broken))


def misnamed(headers: dict[Path, Header], folder: Path) -> list[str]:
    """A remark on files whose content is another format than their ending says."""
    found = defaultdict(list)
    for path, header in headers.items():
        ending = path.suffix.lower().lstrip(".")
        if _FORMATS.get(ending, header.format) != header.format:
            found[ending, header.format].append(path)
    return [
        f"{named(paths, folder)} {'is' if len(paths) == 1 else 'are'} {kind} and not {ending.upper()} "
        "inside, and read as that"
        for (ending, kind), paths in found.items()
    ]


def named(paths: Sequence[Path], folder: Path, most: int = 3) -> str:
    """Some paths, relative to the folder, and how many there are besides."""
    shown = ", ".join(
        path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        for path in paths[:most]
    )
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return shown + more


def summed_up(problems: Sequence[str], paths: Iterable[Path]) -> list[str]:
    """Sentences that differ in their file alone become one."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    names = sorted(map(str, paths), key=len, reverse=True)
    for problem in problems:
        name = next((name for name in names if name in problem), "")
        found[problem.replace(name, "") if name else problem].append(problem)
    return [
        same[0] if len(same) == 1 else f"{same[0]} (so it is with {counted(len(same), 'file')})"
        for same in found.values()
    ]


def choose_channel(seen: Seen) -> tuple[Choice, list[str]]:
    """The channel, and a doubt where pictures of several kinds are mixed."""
    counts = Counter(header.channels for header in seen.headers.values())
    if len(counts) > 1:
        kinds = " and ".join(f"{count} with {n}" for n, count in counts.most_common())
        text = f"The pictures have different numbers of channels ({kinds}): save all alike"
        return ("grey", "colours become luminance"), [text]
    channels = next(iter(counts))
    if channels == 1:
        return ("grey", "one channel"), []
    if all(header.rgb for header in seen.headers.values()):
        return _of_colours(seen), []
    names = _channel_names(next(iter(seen.headers)))
    listed = f" ({', '.join(names)})" if len(names) == channels else ""
    return (1, f"guessed: the first of {channels} channels{listed}; choose by number"), []


def _of_colours(seen: Seen) -> Choice:
    """Grey saved as RGB, one dye saved as RGB, or colours that mean something."""
    varying: set[int] = set()
    coloured = False
    for path in even(list(seen.headers), _READ):
        try:
            image = pictures.read_image(path, "all")
        except PictureError:
            continue
        varying |= {n for n in range(3) if np.ptp(image[:, n])}
        coloured |= bool((image != image[:, :1]).any())
    if not coloured:
        return "grey", "grey saved as RGB"
    if len(varying) == 1:
        number = varying.pop() + 1
        return number, f"only {('red', 'green', 'blue')[number - 1]} holds anything"
    return "all", 'colour pictures: red, green and blue; "grey" makes luminance of them'


def _channel_names(path: Path) -> list[str]:
    """What OME or ImageJ call the channels; empty where nothing does."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            if tiff.ome_metadata:
                return re.findall(r'<Channel\b[^>]*\bName="([^"]*)"', tiff.ome_metadata)
            labels = (tiff.imagej_metadata or {}).get("Labels", [])
            return [str(label) for label in labels]
    except Exception:  # a damaged file is told of elsewhere; names are only a help
        return []


def depths(seen: Seen) -> list[tuple[str, list[Path]]]:
    """The files of each bit depth, those of the usual one first."""
    found = defaultdict(list)
    for path, header in seen.headers.items():
        found[str(header.dtype)].append(path)
    return sorted(found.items(), key=lambda row: -len(row[1]))


def choose_normalisation(seen: Seen) -> Choice:
    """By percentiles where 8-bit pictures use little of their range or depths are mixed, else as the
    depth says."""
    if len(depths(seen)) > 1:
        return "percentile", "bit depths are mixed"
    if {str(header.dtype) for header in seen.headers.values()} != {"uint8"}:
        return "auto", "by percentiles of each picture, for they are not of 8 bits"
    tops = []
    for path in even(list(seen.headers), _READ):
        try:
            tops.append(float(np.percentile(pictures.read_image(path, "all"), 99.8)))
        except PictureError:
            continue
    if tops and sorted(tops)[len(tops) // 2] < _DIM * 255:
        return "percentile", "the pictures are dim"
    return "auto", "8 bits: divided by 255"


def variety(path: Path) -> int:
    """How many different values a file has; a file that cannot be a mask has very many."""
    try:
        if pictures.look(path).lossy:
            return 1 << 32
        return len(np.unique(pictures.read_image(path, "all")))
    except PictureError:
        return 1 << 32


def repeated(paths: Iterable[Path]) -> list[list[Path]]:
    """Files of the very same content; only such of one length are opened."""
    by_size: defaultdict[int, list[Path]] = defaultdict(list)
    for path in paths:
        if path.is_file():
            by_size[path.stat().st_size].append(path)
    heads = _alike([group for size, group in by_size.items() if size], _HEAD)
    return _alike(heads, -1)


def _alike(groups: Iterable[list[Path]], length: int) -> list[list[Path]]:
    """Divide groups further by the content of so many bytes, -1 for all."""
    found: defaultdict[tuple[int, bytes], list[Path]] = defaultdict(list)
    for place, group in enumerate(groups):
        for path in group if len(group) > 1 else []:
            found[place, _digest(path, length)].append(path)
    return [group for group in found.values() if len(group) > 1]


def _digest(path: Path, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(length)).digest()
    except OSError:
        return str(path).encode()
