"""Figures of studies as files; needs nothing but the storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fre_hpo.errors import (
    CannotWrite,
    FileInTheWay,
    FreHpoError,
    NothingComplete,
    StudyNotFound,
    UsageError,
    counted,
    together,
)
from fre_hpo.results.figures import ENDINGS
from fre_hpo.results.figures.kinds import figure_of, render
from fre_hpo.service.read import open_ledger
from fre_hpo.service.view import study_view
from fre_hpo.settings import Settings
from fre_hpo.study.folder import write_atomically
from fre_hpo.study.ledger import FEWEST_FOR_IMPORTANCES, Ledger
from fre_hpo.study.records import best_of

MARK = "a figure of fre-hpo"
"""In every file that is written, so that the next one may replace it."""
NAMED = 3
"""So many studies stand in the name of a file."""


def plot(
    settings: Settings,
    studies: Sequence[str],
    kind: str = "search",
    out: Path | None = None,
    palette: str = "paper",
    *,
    same_scale: bool = False,
) -> Path:
    """Draw studies side by side; returns the file, by default ``<study>-<kind>.png`` in this folder.

    Everything is checked before anything is written: raises StudyNotFound, NothingComplete, UsageError
    for another ending, FileInTheWay rather than replace what is no figure of ours; several at once as
    UsageProblems.
    """
    names = list(dict.fromkeys(studies))
    path = out.expanduser() if out else Path(_file_name(names, kind))
    problems: list[FreHpoError] = [*_path_problems(path)]
    ledgers = [found for name in names if (found := _opened(settings, name, kind, problems))]
    if problems:
        raise together(problems)
    importances = [led.importances() for led in ledgers] if kind == "importance" else []
    figure = figure_of(
        kind, [*map(study_view, ledgers)], importances, palette=palette, same_scale=same_scale
    )
    _write(path, render(figure, _ending(path), MARK))
    return path


def _file_name(studies: Sequence[str], kind: str) -> str:
    more = [f"{len(studies) - NAMED}-more"] if len(studies) > NAMED else []
    return f"{'+'.join([*studies[:NAMED], *more])}-{kind}.png"


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _path_problems(path: Path) -> list[FreHpoError]:
    if _ending(path) not in ENDINGS:
        known = ", ".join(f".{ending}" for ending in ENDINGS)
        problem = f"A figure's file ends with one of {known}, and not as {path.name or path}."
        return [UsageError(problem=problem)]
    hint = "name another file with -o"
    if path.is_dir():
        return [FileInTheWay(path=path, what="is a folder", hint=hint)]
    if path.exists() and not _is_ours(path):
        return [FileInTheWay(path=path, what="is no figure of fre-hpo", hint=hint)]
    return []


def _is_ours(path: Path) -> bool:
    try:
        return MARK.encode() in path.read_bytes()
    except OSError:
        return False


def _opened(settings: Settings, name: str, kind: str, problems: list[FreHpoError]) -> Ledger | None:
    """The study, if it can be drawn; otherwise why not is added to the problems."""
    try:
        ledger = open_ledger(settings, name)
        _refuse_what_cannot_be_drawn(ledger, kind)
    except (NothingComplete, UsageError, StudyNotFound) as error:
        problems.append(error)
        return None
    return ledger


def _refuse_what_cannot_be_drawn(ledger: Ledger, kind: str) -> None:
    if best_of(ledger.records()) is None:
        raise NothingComplete(study=ledger.name)
    if kind == "importance" and not ledger.importances():
        raise UsageError(problem=_why_no_importance(ledger))


def _why_no_importance(ledger: Ledger) -> str:
    if not ledger.spec.searched:
        return f"Study {ledger.name!r} searches no parameter: none has an importance."
    complete = counted(sum(record.complete for record in ledger.records()), "complete trial")
    return (
        f"Study {ledger.name!r} has {complete}: the importance of its parameters "
        f"needs {FEWEST_FOR_IMPORTANCES} or more."
    )


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CannotWrite(path=path, reason=error.strerror or error) from error
