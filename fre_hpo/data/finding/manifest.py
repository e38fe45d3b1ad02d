"""A list of pairs in a file: image, mask and, if wanted, split and group (CSV or JSON).

Paths are relative to the list and, unless that is allowed, do not leave its folder: a set that is
copied or archived as one folder must not depend on what lies elsewhere.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from fre_hpo.data.finding.folder import is_inside
from fre_hpo.data.finding.pairing import Pair, Pairing, natural_order, shortened
from fre_hpo.data.finding.table import Row, read_table
from fre_hpo.data.finding.template import split_of
from fre_hpo.errors import counted

_LISTED = 8


def read_manifest(
    folder: Path,
    name: str,
    *,
    allow_outside: bool,
    leave_out_unlabelled: bool,
    problems: list[str],
    advice: str = "",
) -> Pairing:
    """The pairs that the manifest lists, in natural order of the images, whatever its own order is.

    Appends a sentence with the line for each mistake, and goes on; without any pair there is at least
    one problem.

    advice: ends the sentence about an image without mask, and begins with ", or".
    """
    path = folder / name
    if not allow_outside and not is_inside(os.path.realpath(path), os.path.realpath(folder)):
        problems.append(
            f"{path} lies outside of {folder}: put the manifest there or set data.allow_outside = true"
        )
        return Pairing()
    table = read_table(path)
    listing = _Listing(path, allow_outside)
    rows = [listing.row(row) for row in table.rows]
    found = [*table.problems, *listing.problems, *_split_problems(path, table.rows)]
    pairs: list[Pair] = []
    unlabelled: list[Path] = []
    for row, image, mask in rows:
        if image is not None and mask is not None:
            pairs.append(_pair(row, image, mask))
        elif image is not None and not row.mask:
            unlabelled.append(image)
            if not leave_out_unlabelled:
                found.append(
                    f"{path} names no mask in {row.place}: add it or remove the image{advice}"
                )
    if not pairs and not found:
        found.append(f"{path} lists no image with a mask: add rows with both")
    problems += shortened(found, f"mistakes in {path}: correct these first")
    return Pairing(
        pairs=tuple(sorted(pairs, key=lambda pair: natural_order(str(pair.image)))),
        unlabelled=tuple(unlabelled) if leave_out_unlabelled else (),
        remarks=tuple(_remark(path, table.passed_over)),
    )


@dataclass
class _Listing:
    """Files as they are named, row after row."""

    manifest: Path
    allow_outside: bool
    problems: list[str] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)
    """Resolved path of a file -> where it was first listed."""
    _folders: dict[str, str] = field(default_factory=dict)
    """Resolved paths of folders: few folders hold many files, so each is followed once."""

    def row(self, row: Row) -> tuple[Row, Path | None, Path | None]:
        """The row with its two files; None for one that is not named or cannot be used."""
        if not row.image:
            self.problems.append(f"{self.manifest} names no image in {row.place}: add it")
        image = self._file(row, row.image) if row.image else None
        mask = self._file(row, row.mask) if row.mask else None
        return row, image, mask

    def _file(self, row: Row, written: str) -> Path | None:
        path = self.manifest.parent / written
        says = f"{self.manifest} names {written} in {row.place}"
        if problem := self._hindrance(path, written):
            self.problems.append(f"{says}, {problem}")
            return None
        real = self._resolved(path)
        if real in self._seen:
            where = self._seen[real]
            again = "twice" if where == row.place else f"and in {where}"
            self.problems.append(f"{says} {again}: list each file once")
            return None
        self._seen[real] = row.place
        return path

    def _hindrance(self, path: Path, written: str) -> str | None:
        """Why a file cannot be used, as the rest of a sentence."""
        absolute = Path(written).is_absolute() or PureWindowsPath(written).is_absolute()
        if absolute and not self.allow_outside:
            return "which is no path relative to it: write one, or set data.allow_outside = true"
        if not self.allow_outside and not is_inside(
            self._resolved(path), self._resolved_folder(self.manifest.parent)
        ):
            return "which leaves its folder: put the file there, or set data.allow_outside = true"
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            hint = (
                "write / between folders" if "\\" in written else "correct the path or add the file"
            )
            return f"which does not exist: {hint}"
        except OSError as error:
            return f"which cannot be read ({error.strerror}): correct the path or the permission"
        if not stat.S_ISREG(mode):
            return "which is no file: name a picture"
        return (
            None if os.access(path, os.R_OK) else "which may not be read: give yourself permission"
        )

    def _resolved(self, path: Path) -> str:
        """The path once all links and .. are followed."""
        if path.name == ".." or os.path.islink(path):  # noqa: PTH114 - a Path's own way may raise
            return os.path.realpath(path)
        return f"{self._resolved_folder(path.parent).rstrip(os.sep)}{os.sep}{path.name}"

    def _resolved_folder(self, folder: Path) -> str:
        if str(folder) not in self._folders:
            self._folders[str(folder)] = os.path.realpath(folder)
        return self._folders[str(folder)]


def _pair(row: Row, image: Path, mask: Path) -> Pair:
    """Named by the image's path as it is written, whatever ./ it has."""
    written = str(PurePosixPath(row.image))
    return Pair(written, image, mask, split_of(row.split), row.group or None)


def _split_problems(path: Path, rows: Sequence[Row]) -> list[str]:
    """Words that name no split, and rows that say nothing where others do."""
    problems = [
        f'{path} has the split "{row.split}" in {row.place}: write train, validation or test'
        for row in rows
        if row.split and split_of(row.split) is None
    ]
    silent = [row.place for row in rows if not row.split]
    if silent and len(silent) < len(rows):
        more = f" and {counted(len(silent) - 1, 'other')}" if len(silent) > 1 else ""
        problems.append(
            f"{path} says no split in {silent[0]}{more}, though it does elsewhere: say it in every row "
            f"or in none"
        )
    return problems


def _remark(path: Path, columns: Sequence[str]) -> list[str]:
    if not columns:
        return []
    listed = ", ".join(columns[:_LISTED]) + (", ..." if len(columns) > _LISTED else "")
    return [
        f"{path} has columns that are not read: {listed} (a column named group keeps the pictures of a "
        f"patient, section or movie in one split)."
    ]
