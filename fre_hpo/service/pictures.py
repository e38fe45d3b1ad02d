"""Which image files are meant by what somebody named, and what is wrong with them.

All problems are found before anything is computed: an evening's work must not end at the last image.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.data import pictures
from fre_hpo.data.assembly import memory
from fre_hpo.data.assembly.survey import noted
from fre_hpo.data.finding.template import ENDINGS
from fre_hpo.data.pictures import Header, PictureError
from fre_hpo.inference.card import Card
from fre_hpo.inference.preparing import problems as unlike
from fre_hpo.inference.preparing import read_pages

BYTES_AT_WORK = 12
"""For each value of an image: as floating-point numbers, and what is made of them meanwhile."""


@dataclass(frozen=True)
class ImageFile:
    """An image to work on.  stem: what its results are called."""

    path: Path
    header: Header
    stem: str

    @property
    def is_stack(self) -> bool:
        return self.header.pages > 1

    @property
    def pixels(self) -> int:
        """Of all pages."""
        return self.header.pages * self.header.height * self.header.width


def find(named: Sequence[str], problems: list[str]) -> list[Path]:
    """The files behind files, folders and globs, each once; notes what leads to none.

    Of a folder, and of a glob, only files with a picture's ending count.
    """
    found: dict[Path, None] = {}
    for name in named:
        paths = list(_files(Path(name).expanduser(), problems))
        found |= dict.fromkeys(paths)
    return list(found)


def _files(path: Path, problems: list[str]) -> Iterator[Path]:
    if path.is_dir():
        inside = _natural(entry for entry in path.iterdir() if _may_be_picture(entry))
        if not inside:
            kinds = ", ".join(ENDINGS)
            problems.append(
                f"{path} holds no image ({kinds}), and folders in it are not searched: name one that does"
            )
        yield from inside
    elif os.path.lexists(path) or not glob.has_magic(str(path)):
        if not path.exists():
            problems.append(f"{path} is not there: name an image, a folder of images or a glob")
        else:
            yield path
    else:
        found = glob.glob(str(path), recursive=True)  # noqa: PTH207 - Path's takes none from the root
        matching = map(Path, found)
        inside = _natural(match for match in matching if _may_be_picture(match))
        if not inside:
            problems.append(f"{path} matches no image: correct it, or name a folder of images")
        yield from inside


def _may_be_picture(path: Path) -> bool:
    ending = path.suffix.lower().removeprefix(".")
    return ending in ENDINGS and not path.name.startswith(".") and path.is_file()


def _natural(paths: Iterable[Path]) -> list[Path]:
    """cell2 before cell10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", str(path))]

    return sorted(paths, key=key)


def stem_of(path: Path) -> str:
    """A file's name without its ending; .ome.tif is one."""
    return re.sub(r"\.ome\Z", "", path.stem, flags=re.IGNORECASE)


def examine(paths: Sequence[Path], card: Card, problems: list[str]) -> list[ImageFile]:
    """Look at every file, read it once; notes all that is wrong with each and between them."""
    images: list[ImageFile] = []
    for path in paths:
        header = noted(problems, pictures.look, path)
        if header is None:
            continue
        images.append(ImageFile(path, header, stem_of(path)))
        wrong = [*unlike(path, header, card), *_too_large(path, header)]
        problems += wrong
        if not wrong:
            _try_to_read(path, card, problems)
    problems += _namesakes(images)
    return images


def _try_to_read(path: Path, card: Card, problems: list[str]) -> None:
    """Damage inside the pixels shows only when they are decoded."""
    try:
        read_pages(path, card)
    except PictureError as error:
        problems.append(str(error))


def _too_large(path: Path, header: Header) -> Iterator[str]:
    page = header.height * header.width
    needed = header.nbytes + header.pages * page + page * header.channels * BYTES_AT_WORK
    room = memory.available()
    if needed > room:
        yield (
            f"{path} takes {needed / 1e9:.1f} GB of the {room / 1e9:.1f} GB that there is room for: cut "
            "it into smaller images, or use a machine with more memory"
        )


def _namesakes(images: Sequence[ImageFile]) -> Iterator[str]:
    """Files whose results would have one name; on some systems upper and lower case are one."""
    first: dict[str, ImageFile] = {}
    for image in images:
        other = first.setdefault(image.stem.casefold(), image)
        if other is not image:
            yield (
                f"{image.path} and {other.path} would both become {image.stem}: predict them in runs of "
                "their own, with another --out"
            )


def refuse_existing(places: Iterable[Path], problems: list[str]) -> None:
    """Note the files that would be replaced."""
    problems += [
        f"{path} is there already: name another folder with --out, or move it away"
        for path in places
        if os.path.lexists(path)
    ]
