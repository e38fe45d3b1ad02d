"""What picture files say of themselves, held against one another before any pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fre_hpo.data import pictures
from fre_hpo.data.assembly import images, memory, tiling
from fre_hpo.data.assembly.images import Normalisation
from fre_hpo.data.assembly.tiling import Shape
from fre_hpo.data.finding.pairing import Pair
from fre_hpo.data.pictures import Channel, Header, PictureError
from fre_hpo.errors import counted

T = TypeVar("T")
R = TypeVar("R")

_THREADS = 4
_MOST_PADDING = 0.5
_SHARE = 0.8
"""Of the memory that is left, so much may be filled with pictures."""


@dataclass(frozen=True)
class Reading:
    """How pictures become arrays.  tile: side in pixels of the picture, 0 keeps it whole; factor: how
    many pixels make one, along a side."""

    channel: Channel = "grey"
    normalise: Normalisation = "auto"
    percentiles: images.Percentiles = images.PERCENTILES
    tile: int = 0
    factor: int = 1

    def channels(self, header: Header) -> int:
        """Channels of the array that a picture becomes."""
        return header.channels if self.channel == "all" else 1

    def shape(self, header: Header) -> Shape:
        """Height and width of a page once it is shrunk."""
        return -(-header.height // self.factor), -(-header.width // self.factor)


@dataclass(frozen=True)
class Surveyed:
    """A pair with what its files say of themselves; None where a file cannot be used."""

    pair: Pair
    image: Header | None
    mask: Header | None

    @property
    def pages(self) -> int:
        """Of the image; of the mask where the image cannot be used, so that splits are judged rightly."""
        header = self.image or self.mask
        return header.pages if header else 1


@dataclass(frozen=True)
class Survey:
    """All pairs; the shape (channels, height, width) of the tiles that they are cut into; whether the
    arrays fit into memory."""

    pairs: tuple[Surveyed, ...]
    tile: tuple[int, int, int]
    fits: bool

    @property
    def depths(self) -> tuple[str, ...]:
        """Types of the pictures' pixels."""
        return tuple(sorted({str(p.image.dtype) for p in self.pairs if p.image}))


def survey(
    pairs: Sequence[Pair], reading: Reading, problems: list[str], remarks: list[str]
) -> Survey:
    """Look at all files; notes what is wrong with each and between them."""
    looked = [Surveyed(*row) for row in in_threads(_look_at, pairs, problems)]
    for pair in looked:
        problems += _pair_problems(pair)
    headers = {p.pair.image: p.image for p in looked if p.image}
    problems += _mixed_channels(headers) + _without_full_scale(headers, reading)
    if reading.normalise != "percentile":
        remarks += _mixed_depths(headers)
    tile = _tile(headers.values(), reading)
    remarks += _padding(headers.values(), tile[1:], reading)
    too_large = _memory_problem(looked, tile, reading)
    if too_large:
        problems.append(too_large)
    return Survey(tuple(looked), tile, fits=too_large is None)


def in_threads(
    work: Callable[[T], tuple[R, list[str]]], items: Iterable[T], problems: list[str]
) -> list[R]:
    """Do the work on every item, several at a time (decoders let go of the interpreter); the problems
    come in the order of the items."""
    with ThreadPoolExecutor(_THREADS) as pool:
        done = list(pool.map(work, items))
    for _, found in done:
        problems += found
    return [result for result, _ in done]


def _look_at(pair: Pair) -> tuple[tuple[Pair, Header | None, Header | None], list[str]]:
    problems: list[str] = []
    headers = [noted(problems, pictures.look, path) for path in (pair.image, pair.mask)]
    return (pair, headers[0], headers[1]), problems


def noted(problems: list[str], read: Callable[[Path], R], path: Path) -> R | None:
    """Read a file; when it is bad, note the problem and return None, so that all are found."""
    try:
        return read(path)
    except PictureError as problem:
        problems.append(str(problem))
        return None


def _pair_problems(pair: Surveyed) -> list[str]:
    """Size and pages of a picture and its mask."""
    image, mask = pair.image, pair.mask
    if image is None or mask is None:
        return []
    sizes = [images.size((h.height, h.width)) for h in (image, mask)]
    file, its_mask = pair.pair.image, pair.pair.mask
    if sizes[0] != sizes[1]:
        return [f"{file} is {sizes[0]} but its mask {its_mask} is {sizes[1]}: give both one size"]
    if image.pages != mask.pages:
        counts = f"has {counted(image.pages, 'page')} but its mask {its_mask} has {mask.pages}"
        return [f"{file} {counts}: {_EACH_A_MASK}"]
    return []


_EACH_A_MASK = (
    "give each picture of the stack its mask, or save pages that are channels as one picture of several "
    "channels"
)


def _mixed_channels(headers: dict[Path, Header]) -> list[str]:
    counts = Counter(header.channels for header in headers.values()).most_common()
    return [
        f"{path} has {counted(header.channels, 'channel')} while "
        f"{counted(counts[0][1], 'other picture')} have {counts[0][0]}: save all alike"
        for path, header in headers.items()
        if header.channels != counts[0][0]
    ]


def _without_full_scale(headers: dict[Path, Header], reading: Reading) -> list[str]:
    if reading.normalise != "full-scale":
        return []
    return [
        f"{path} has pixels of type {header.dtype}, which have no full scale: set data.normalise = "
        '"percentile"'
        for path, header in headers.items()
        if not images.has_full_scale(header.dtype)
    ]


_ALIKE = 'set data.normalise = "percentile" to have them alike'


def _mixed_depths(headers: dict[Path, Header]) -> list[str]:
    counts = Counter(str(header.dtype) for header in headers.values()).most_common()
    if len(counts) < 2:
        return []
    text = ", ".join(f"{count} of type {dtype}" for dtype, count in counts)
    return [
        f"The pictures have several bit depths ({text}), which are normalised differently: {_ALIKE}."
    ]


def _tile(headers: Iterable[Header], reading: Reading) -> tuple[int, int, int]:
    """The shape of a tile; whole pictures are made as large as the largest."""
    headers = list(headers)
    channels = max((reading.channels(h) for h in headers), default=1)
    if reading.tile:
        side = -(-reading.tile // reading.factor)
        return channels, side, side
    shapes = [reading.shape(header) for header in headers] or [(1, 1)]
    return channels, max(s[0] for s in shapes), max(s[1] for s in shapes)


def _padding(headers: Iterable[Header], tile: Shape, reading: Reading) -> list[str]:
    """Whether more is trained on mirror images than it need be."""
    shapes = [(reading.shape(h), h.pages) for h in headers]
    filled = sum(tile[0] * tile[1] * tiling.count(shape, tile) * n for shape, n in shapes)
    empty = filled - sum(shape[0] * shape[1] * n for shape, n in shapes)
    if empty <= _MOST_PADDING * filled:
        return []
    return [
        f"{empty / filled:.0%} of the tiles of {images.size(tile)} are padding, which costs time and "
        "teaches nothing: another data.tile, or 0 for whole pictures, may waste less."
    ]


def _memory_problem(
    pairs: Sequence[Surveyed], tile: tuple[int, int, int], reading: Reading
) -> str | None:
    """What would not fit is refused before anything is decoded, with the largest file's name."""
    channels, height, width = tile
    needs: dict[Path, int] = {}
    for pair in pairs:
        if pair.image and pair.mask:
            tiles = pair.pages * tiling.count(reading.shape(pair.image), (height, width))
            decoded = pair.image.nbytes + pair.mask.nbytes
            needs[pair.pair.image] = tiles * height * width * (4 * channels + 1) + decoded
    room = int(_SHARE * memory.available())
    if sum(needs.values()) <= room:
        return None
    largest = max(needs, key=needs.__getitem__)
    header = next(p.image for p in pairs if p.pair.image == largest)
    assert header is not None
    cut = "" if reading.tile else "set data.tile if the sizes differ, "
    return (
        f"{largest} is {images.size((header.height, header.width))} with "
        f"{counted(header.pages, 'page')} and takes {_gigabytes(needs[largest])} once it is read, "
        f"{counted(len(needs), 'picture')} together {_gigabytes(sum(needs.values()))} of the "
        f"{_gigabytes(room)} that there is room for: crop it, {cut}make data.scale smaller, or use a "
        "machine with more memory"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
