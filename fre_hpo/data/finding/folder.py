"""What lies in a folder, seen without opening a file: each place is listed once, links are followed
only inside, and whatever hinders is said."""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fre_hpo.data.finding.template import UNSHOWABLE

_LITTER = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}
_SHOWN = 6


class Entry(NamedTuple):
    """A file or a folder; the place is its path from the top, with forward slashes."""

    name: str
    place: str
    is_folder: bool


class Folder:
    """A folder and all below it, as far as somebody asks."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self._problems = problems
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._folders: dict[str, bool] = {}

    def __truediv__(self, place: str) -> Path:
        """The path of a place, as people are to read it."""
        return self.path / place

    @property
    def listed(self) -> Iterable[str]:
        """The places that somebody has looked at."""
        return self._entries.keys()

    def has_folder(self, place: str) -> bool:
        """Whether there is a folder; one that cannot be entered is said and counts as none."""
        if place not in self._folders:
            self._folders[place] = self._is_usable_folder(place)
        return self._folders[place]

    def entries(self, place: str) -> tuple[Entry, ...]:
        """The files and folders at a place, by name; what systems leave behind and what `fre-hpo data`
        writes is passed over."""
        if place not in self._entries:
            self._entries[place] = tuple(self._listing(place))
        return self._entries[place]

    def contents(self, place: str) -> str:
        """What lies at a place, for a sentence."""
        names = [entry.name + "/" * entry.is_folder for entry in self.entries(place)]
        if not names:
            return "it is empty"
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        be = "is" if len(names) == 1 else "are"
        return f"there {be} {', '.join(names[:_SHOWN])}{more}"

    def may_read(self, place: str) -> bool:
        """Whether a file may be read; where not, that is said."""
        if os.access(os.path.join(self._real, place), os.R_OK):  # noqa: PTH118 - a Path takes ten times as long
            return True
        self._problems.append(f"{self / place} may not be read: give yourself the permission")
        return False

    def _is_usable_folder(self, place: str) -> bool:
        path = self / place
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            if path.is_symlink():
                self._problems.append(_broken(path))
            return False
        except OSError as error:
            self._problems.append(_closed(path, error))
            return False
        if not stat.S_ISDIR(mode):
            self._problems.append(f"{path} is a file, but a folder is expected there: move it away")
            return False
        return not self._leads_out(path)

    def _listing(self, place: str) -> list[Entry]:
        try:
            with os.scandir(self / place) as found:
                there = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._problems.append(_closed(self / place, error))
            return []
        ours = written_by_us(entry.name for entry in there)
        plain = (entry for entry in there if entry.name not in ours and not _is_litter(entry.name))
        entries = (self._entry(entry, place) for entry in plain)
        return [entry for entry in entries if entry is not None]

    def _entry(self, found: os.DirEntry[str], place: str) -> Entry | None:
        """A file or folder that may be used; anything else is said."""
        if UNSHOWABLE.search(found.name):
            self._problems.append(
                f"{self / place} has a file named {found.name!a}, with characters that cannot "
                f"be shown: rename it"
            )
            return None
        below = f"{place}/{found.name}" if place else found.name
        try:
            if found.is_symlink() and self._is_bad_link(self / below):
                return None
            if found.is_file():
                return Entry(found.name, below, is_folder=False)
            if found.is_dir():
                return Entry(found.name, below, is_folder=True)
        except OSError as error:
            self._problems.append(_closed(self / below, error))
            return None
        self._problems.append(f"{self / below} is neither a file nor a folder: remove it")
        return None

    def _is_bad_link(self, path: Path) -> bool:
        if path.exists():
            return self._leads_out(path)
        self._problems.append(_broken(path))
        return True

    def _leads_out(self, path: Path) -> bool:
        """Whether a link on the way leads out of the folder; that is said, too."""
        real = os.path.realpath(path)
        if is_inside(real, self._real):
            return False
        self._problems.append(
            f"{path} leads out of {self.path}, to {real}: put a copy there, or list the files in a "
            f"manifest with data.allow_outside = true"
        )
        return True


def is_inside(real: str, folder: str) -> bool:
    """Whether a resolved path lies in a resolved folder or is it."""
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


def written_by_us(names: Iterable[str]) -> set[str]:
    """Of the names in one folder the recipes and their contact sheets: X.toml, and X-check.png beside
    it, which is what `fre-hpo data check X.toml` writes there."""
    here = set(names)
    recipes = {name for name in here if name.endswith(".toml")}
    return recipes | (here & {sheet_name(name.removesuffix(".toml")) for name in recipes})


def recipe_name(stem: str) -> str:
    """What a recipe is called, by the stem of its file: at most 40 plain characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:40]


def sheet_name(recipe: str) -> str:
    """The file of a recipe's contact sheet."""
    return f"{recipe_name(recipe)}-check.png"


def _is_litter(name: str) -> bool:
    """Hidden files, macOS's ._ files, and what file managers leave behind."""
    return name.startswith(".") or name.lower() in _LITTER


def _broken(path: Path) -> str:
    return f"{path} is a link that leads nowhere: put the file itself there or remove the link"


def _closed(path: Path, error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return (
        f"{path} cannot be looked into ({reason}): give yourself the permission or correct the path"
    )
