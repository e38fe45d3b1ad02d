"""A folder for each picture: WT/field1/dapi.png with WT/field1/mask.png."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from fre_hpo.data.finding.template import split_of
from fre_hpo.data.guessing.listing import Layout, Listing, fit, join, stem
from fre_hpo.data.guessing.names import IMAGE_WORDS, MASK_WORDS, words

FORM = "a folder for each picture"

_FEWEST_GROUPS = 3
_MOST_NAMES = 12


def folder_per_picture(listing: Listing) -> Iterator[Layout]:
    """Files of the same names in folder after folder, one of which is called a mask."""
    for places in _of_one_depth(listing.folders):
        names = Counter(stem(name) for place in places for name in _once(listing, place))
        repeated = sorted(name for name, count in names.most_common(_MOST_NAMES) if count > 1)
        masks = [name for name in repeated if words(name) & MASK_WORDS]
        pictures = [name for name in repeated if name not in masks]
        pictures.sort(key=lambda name: not words(name) & IMAGE_WORDS)
        for image, mask in [(i, m) for m in masks for i in pictures]:
            yield from _layout(listing, places, image, mask)


def _of_one_depth(folders: Sequence[str]) -> list[list[str]]:
    """Folders below the top, those at the same depth together."""
    found = defaultdict(list)
    for folder in folders:
        if folder:
            found[folder.count("/")].append(folder)
    return [places for places in found.values() if len(places) > 1]


def _once(listing: Listing, place: str) -> list[str]:
    """The pictures of a folder, each stem once."""
    return list({stem(name): name for name in listing.pictures(place)}.values())


def _layout(listing: Listing, places: Sequence[str], image: str, mask: str) -> Iterator[Layout]:
    """The templates of two stems, as far as the folders' names have a place for {id}."""
    both = [place for place in places if all(_files(listing, [place], n) for n in (image, mask))]
    if len(both) < 2:
        return
    above = _levels(both)
    templates = [join(above, _file(_files(listing, both, name), name)) for name in (image, mask)]
    found = fit(listing, templates[0], templates[1])
    if len(found.pairs) >= len(both):
        yield Layout(FORM, templates[0], templates[1], found)


def _files(listing: Listing, places: Sequence[str], name: str) -> list[str]:
    return [file for place in places for file in listing.pictures(place) if stem(file) == name]


def _file(files: Sequence[str], name: str) -> str:
    """The file's own name where it is always the same, else with any ending."""
    return files[0] if len(set(files)) == 1 else f"{name}.*"


def _levels(places: Sequence[str]) -> str:
    """The last level that varies is {id}; one above it may be {group}, and others that vary are *."""
    levels = list(zip(*(PurePosixPath(place).parts for place in places), strict=True))
    varying = [number for number, names in enumerate(levels) if len(set(names)) > 1]
    written = [names[0] for names in levels]
    group = next((n for n in varying[:-1] if _are_groups(levels[n])), None)
    for number in varying:
        given = all(split_of(name) for name in levels[number])
        written[number] = "{split}" if given else "{group}" if number == group else "*"
    written[varying[-1]] = "{id}"
    return "/".join(written)


def _are_groups(names: Sequence[str]) -> bool:
    """Enough for three splits, and most with several pictures."""
    counts = Counter(names)
    several = sum(count > 1 for count in counts.values())
    splits = all(split_of(name) for name in counts)
    return len(counts) >= _FEWEST_GROUPS and 2 * several > len(counts) and not splits
