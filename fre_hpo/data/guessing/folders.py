"""What the names of folders say: which hold pictures, which masks, which a split or a patient."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fre_hpo.data.finding.template import SPLIT_WORDS
from fre_hpo.data.guessing.names import IMAGE_WORDS, MASK_WORDS, words

Role = Literal["image", "mask", ""]

_ROLE_WORDS = IMAGE_WORDS | MASK_WORDS
_FILLING = {"ground", "png", "tif", "tiff", "jpg", "jpeg", "bmp", "files"}
_SPLITS = sorted(SPLIT_WORDS, key=len, reverse=True)


@dataclass(frozen=True)
class Level:
    """One folder's name.  template: its split replaced by {split}; key: what else it says beside its
    role, the same for a folder of pictures and that of their masks."""

    template: str
    role: Role
    key: str

    @property
    def literal(self) -> bool:
        """Neither role nor split: the name of a patient, perhaps."""
        return not self.role and "{split}" not in self.template


@dataclass(frozen=True)
class Folder:
    """A path of folder names, read."""

    path: str
    levels: tuple[Level, ...]

    @property
    def role(self) -> Role:
        """The last one that a level tells: in labels/images lie pictures."""
        return next((level.role for level in reversed(self.levels) if level.role), "")

    @property
    def key(self) -> tuple[str, ...]:
        """The same for pictures and their masks; wherever the split stands."""
        return tuple(level.key for level in self.levels if level.key)

    def template(self, group: str | None = None) -> str:
        """The path with {split}, and with {group} in place of the level of that key."""
        return "/".join(
            "{group}" if level.literal and level.key == group else level.template
            for level in self.levels
        )


def read(path: str) -> Folder:
    """Take a relative path apart; "" is the top folder."""
    return Folder(path, tuple(_level(name) for name in path.split("/") if name))


def _level(name: str) -> Level:
    for word in _SPLITS:
        for template, rest in _without_split(name, word):
            role, key = _role(rest)
            return Level(template, role, f"{SPLIT_WORDS[word]}:{key}")
    role, key = _role(name)
    return Level(name, role, key if role else name)


def _without_split(name: str, word: str) -> Iterator[tuple[str, str]]:
    """The template and the rest of a name that begins or ends with a split's word."""
    low, size = name.lower(), len(word)
    if low == word:
        yield "{split}", ""
    elif low.startswith(word) and _stands_apart(rest := name[size:], rest[0]):
        yield f"{{split}}{rest}", rest
    elif low.endswith(word) and _stands_apart(rest := name[:-size], rest[-1], name[-size]):
        yield f"{rest}{{split}}", rest


def _stands_apart(rest: str, neighbour: str, start: str = "") -> bool:
    """A separator, a capital, or a known word: train_images, imagesTr, trainannot; not trainer."""
    capital = start.isupper() if start else neighbour.isupper()
    return neighbour in "_- ." or capital or rest.lower() in _ROLE_WORDS


def _role(text: str) -> tuple[Role, str]:
    """A name's role, and what it says beside it."""
    said = words(text)
    mask = bool(said & MASK_WORDS)
    role: Role = "mask" if mask else "image" if said & IMAGE_WORDS else ""
    tokens = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", text)
    rest = [t.lower() for t in tokens if t.lower() not in _ROLE_WORDS | _FILLING]
    return role, "" if text.lower() in _ROLE_WORDS else "_".join(rest)


@dataclass(frozen=True)
class Family:
    """Folders of one template; partners: the folders of the masks (the same ones in one folder)."""

    images: str
    masks: str
    folders: tuple[str, ...]
    partners: tuple[str, ...]


def facing(paths: Iterable[str]) -> list[Family]:
    """Folders of pictures with the folders of their masks, as their names say it."""
    folders = [read(path) for path in paths]
    masks = defaultdict(list)
    for folder in folders:
        if folder.role == "mask":
            masks[folder.key].append(folder)
    pictures = [folder for folder in folders if folder.role != "mask"]
    return _families([(folder, mask) for folder in pictures for mask in masks[folder.key]])


def alone(paths: Iterable[str]) -> list[Family]:
    """Every folder by itself, those of splits or patients together."""
    return _families([(folder, folder) for folder in map(read, paths)])


def _families(both: Sequence[tuple[Folder, Folder]]) -> list[Family]:
    """Put folders together that differ in their split, or in one name that then is {group}."""
    found: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for images, masks in both:
        shared = {level.key for level in images.levels if level.literal}
        shared &= {level.key for level in masks.levels if level.literal}
        for group in (None, *sorted(shared)):
            template = images.template(group), masks.template(group)
            found[template].append((images.path, masks.path))
    return [
        _family(template, paths) for template, paths in found.items() if _is_one(*template, paths)
    ]


def _is_one(images: str, masks: str, paths: list[tuple[str, str]]) -> bool:
    """A group of one folder is none."""
    return len(paths) > 1 or "{group}" not in images + masks


def _family(template: tuple[str, str], paths: list[tuple[str, str]]) -> Family:
    images, masks = template if len(paths) > 1 else paths[0]
    return Family(images, masks, *(tuple(part) for part in zip(*paths, strict=True)))
