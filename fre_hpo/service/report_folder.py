"""A report on disk: the page, the Markdown with its figures, the recipe.  There as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fre_hpo.errors import CannotWrite, FolderInTheWay
from fre_hpo.results.report.blocks import Report
from fre_hpo.results.report.page import MARK, page
from fre_hpo.results.report.sections import RECIPE
from fre_hpo.results.report.text import FIGURES, markdown
from fre_hpo.study.folder import room_for, write_atomically

PAGE, TEXT = "index.html", "report.md"
OURS = frozenset({PAGE, TEXT, RECIPE, FIGURES})


def refuse_occupied(folder: Path) -> None:
    """Raise FolderInTheWay unless there is nothing, an empty folder or an earlier report and nothing
    besides."""
    if folder.is_dir():
        strange = next((name for name in _inside(folder) if name not in OURS), None)
        strange = strange or _strange_figure(folder / FIGURES)
        if strange is not None:
            raise FolderInTheWay(path=folder, what=f"holds {strange}, which is no report's")
        if any(_inside(folder)) and not _is_report(folder / PAGE):
            raise FolderInTheWay(path=folder, what="is no report of fre-hpo")
    elif os.path.lexists(folder):
        raise FolderInTheWay(path=folder, what="is a file")


def _inside(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _strange_figure(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    figures = (f"{FIGURES}/{name}" for name in _inside(folder))
    return next((name for name in figures if not name.endswith((".svg", ".png"))), None)


def _is_report(index: Path) -> bool:
    try:
        return f'<meta name="generator" content="{MARK}">'.encode() in index.read_bytes()
    except OSError:
        return False


def write(report: Report, recipe: str, folder: Path) -> None:
    """Put a report into a folder, in the place of an earlier one.

    Raises FolderInTheWay, DiskFull and CannotWrite, and leaves what was there.
    """
    refuse_occupied(folder)
    partial = folder.with_name(f".{folder.name}.part")
    try:
        with room_for(folder):
            shutil.rmtree(partial, ignore_errors=True)
            _fill(report, recipe, partial)
            _put_in_place(partial, folder)
    except OSError as error:
        raise CannotWrite(path=folder, reason=error.strerror or error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(report: Report, recipe: str, folder: Path) -> None:
    write_atomically(folder / PAGE, page(report).encode())
    write_atomically(folder / TEXT, markdown(report).encode())
    write_atomically(folder / RECIPE, recipe.encode())
    for picture in report.pictures():
        write_atomically(folder / FIGURES / picture.file, picture.content)


def _put_in_place(partial: Path, folder: Path) -> None:
    """An earlier report goes only once the new one stands."""
    if not folder.exists():
        partial.replace(folder)
        return
    earlier = folder.with_name(f".{folder.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    folder.replace(earlier)
    try:
        partial.replace(folder)
    except OSError:
        earlier.replace(folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
