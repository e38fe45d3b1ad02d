"""What lies in a folder, by names alone: the ground on which layouts are recognised."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fre_hpo.data.finding.folder import written_by_us
from fre_hpo.data.finding.pairing import natural_order
from fre_hpo.data.finding.template import (
    SPLIT_WORDS,
    BadTemplate,
    Part,
    Template,
    Values,
    is_picture_name,
    parse_both,
)
from fre_hpo.errors import counted

_SKIPPED = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_DEEPEST = 6


@dataclass(frozen=True)
class Listing:
    """Folder (relative, "" is the top) -> names of its files in natural order."""

    files: Mapping[str, list[str]]

    @classmethod
    def of(cls, folder: Path) -> "Listing":
        """Hidden files, what macOS and Windows leave behind, our own recipes with their contact sheets,
        and links to folders are passed over."""
        found: dict[str, list[str]] = {}
        for place, folders, names in os.walk(folder):
            relative = Path(place).relative_to(folder).as_posix()
            folders[:] = sorted(name for name in folders if _is_plain(name))
            if relative.count("/") >= _DEEPEST:
                folders.clear()
            plain = set(filter(_is_plain, names)) - written_by_us(names)
            found["" if relative == "." else relative] = sorted(plain, key=natural_order)
        return cls(found)

    def pictures(self, folder: str) -> list[str]:
        """The files of one folder whose ending is a picture's."""
        return [name for name in self.files.get(folder, []) if is_picture_name(name)]

    @property
    def folders(self) -> list[str]:
        """The folders that hold pictures."""
        return [folder for folder in sorted(self.files) if self.pictures(folder)]

    @property
    def every_picture(self) -> list[str]:
        """All pictures by their relative paths, in natural order of the folders."""
        places = sorted(self.files, key=natural_order)
        return [join(place, name) for place in places for name in self.pictures(place)]

    def summary(self, longest: int = 6) -> str:
        """Endings and counts per folder, for a sentence."""
        lines = []
        for folder, names in sorted(self.files.items()):
            counts = Counter(_ending(name) for name in names)
            listed = ", ".join(f"{count} {ending}" for ending, count in counts.most_common(4))
            if names:
                lines.append(f"{folder or '.'}: {listed}")
        if len(lines) > longest:
            more = counted(len(lines) - longest + 1, "more folder")
            lines[longest - 1 :] = [f"and {more}"]
        return readable("; ".join(lines)) or "nothing"


def _is_plain(name: str) -> bool:
    return not name.startswith(".") and name not in _SKIPPED


def _ending(name: str) -> str:
    if name.endswith(".nii.gz"):
        return ".nii.gz"
    return Path(name).suffix.lower() or "without ending"


def readable(text: str) -> str:
    """A text for people: names of files may hold line breaks, or no UTF-8."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "?", text)


def from_the_root(folder: Path) -> Path:
    """A path from the root without "..", which no reader wants to work out; others as they are."""
    return folder.resolve() if folder.is_absolute() and ".." in folder.parts else folder


def join(folder: str, name: str) -> str:
    """A path below the top folder."""
    return f"{folder}/{name}" if folder else name


def stem(name: str) -> str:
    """A picture's name without its ending, as templates see it."""
    values = Part("{id}", any_ending=True).match(name)
    return values[0][1] if values else Path(name).stem


@dataclass(frozen=True)
class Fit:
    """What two templates find in a listing: relative paths, in natural order."""

    pairs: tuple[tuple[str, str], ...]
    unlabelled: tuple[str, ...]
    unpictured: tuple[str, ...]
    values: tuple[Mapping[str, str], ...]
    """For each pair what its placeholders stood for."""

    def turned(self) -> "Fit":
        """Masks for pictures."""
        return replace(self, pairs=tuple((mask, image) for image, mask in self.pairs))

    def distinct(self, placeholder: str) -> Counter[str]:
        """The texts that a placeholder stood for, with the number of pairs."""
        return Counter(values[placeholder] for values in self.values if placeholder in values)


def fit(listing: Listing, images: str, masks: str) -> Fit:
    """Pair a listing by two templates; a file that fits the masks' is no picture.

    Names that no template can hold, such as those with a brace, are no pairs.
    """
    try:
        image, mask = parse_both(images, masks)
    except BadTemplate:
        return Fit((), (), (), ())
    image_files, mask_files = _matches(listing, image), _matches(listing, mask)
    taken = {path for path, _ in mask_files}
    partners = {_key(values): path for path, values in mask_files}
    rows = [(path, values, _key(values)) for path, values in image_files if path not in taken]
    found = [(path, values, partners[key]) for path, values, key in rows if key in partners]
    used = {mask for _, _, mask in found}
    return Fit(
        pairs=tuple((path, mask) for path, _, mask in found),
        unlabelled=tuple(path for path, _, key in rows if key not in partners),
        unpictured=tuple(path for path, _ in mask_files if path not in used),
        values=tuple(dict(values) for _, values, _ in found),
    )


def _key(values: Values) -> tuple[tuple[str, str], ...]:
    """Placeholders and texts; numbers count as numbers, words of a split as the split."""

    def plain(name: str, text: str) -> str:
        if name == "split":
            return SPLIT_WORDS[text.lower()]
        return text.lstrip("0") or "0" if text.isdecimal() else text

    return tuple(sorted((name, plain(name, text)) for name, text in values))


def _matches(listing: Listing, template: Template) -> list[tuple[str, Values]]:
    *folders, file = template.parts
    found = []
    for folder, values in _places(listing, folders):
        names = listing.files[folder]
        matched = ((name, file.match(name, values)) for name in names)
        found += [(join(folder, n), v) for n, v in matched if v is not None and is_picture_name(n)]
    return found


def _places(listing: Listing, parts: list[Part]) -> Iterator[tuple[str, Values]]:
    """The folders that fit a template's levels."""
    for folder in sorted(listing.files, key=natural_order):
        names = folder.split("/") if folder else []
        values: Values | None = ()
        if len(names) != len(parts):
            continue
        for part, name in zip(parts, names, strict=True):
            values = part.match(name, values) if values is not None else None
        if values is not None:
            yield folder, values


@dataclass(frozen=True)
class Layout:
    """A way in which pictures and masks lie there, and what was noticed about it.

    form: what it was recognised as.  options: what the form says of other keys of [data].  notes,
    doubts: clauses and sentences for people.  told: pictures that these tell of or the form knows,
    though no template reads them.
    """

    form: str
    images: str
    masks: str
    fit: Fit
    options: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    manifest: str = ""
    told: frozenset[str] = frozenset()

    @property
    def named_for_cells(self) -> bool:
        """Masks called as Cellpose and the Cell Tracking Challenge call those of single cells."""
        cellpose = f"{self.images.removesuffix('.*')}_masks.*" == self.masks
        return cellpose or "_cp_masks" in self.masks or "man_seg" in self.masks


def stems_by_folder(listing: Listing, folders: Iterable[str]) -> list[str]:
    """The pictures' names without endings, of several folders together."""
    return list(dict.fromkeys(stem(n) for folder in folders for n in listing.pictures(folder)))
