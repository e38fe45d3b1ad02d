"""Figures of studies as files.  Those of all trials need nothing but the storage; those of single trials
need the study's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from fre_hpo.errors import (
    BadValue,
    CannotWrite,
    FileInTheWay,
    FreHpoError,
    NothingComplete,
    StorageUnreachable,
    StudyNotFound,
    UsageError,
    counted,
    together,
)
from fre_hpo.results.figures import ENDINGS, OF_TRACES, OF_TRIALS
from fre_hpo.results.figures.description import Figure
from fre_hpo.results.figures.kinds import figure_of, render
from fre_hpo.results.figures.predictions import predictions_figure
from fre_hpo.results.figures.sheet import Sheet
from fre_hpo.service import shown, traces
from fre_hpo.service.kept import KeptStudy
from fre_hpo.service.read import open_ledger
from fre_hpo.service.view import study_view
from fre_hpo.settings import Settings
from fre_hpo.study.folder import write_atomically
from fre_hpo.study.ledger import FEWEST_FOR_IMPORTANCES, Ledger
from fre_hpo.study.records import best_of

T = TypeVar("T")

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
    trials: Sequence[str] = (),
    data_dir: Path | None = None,
) -> Path:
    """Draw studies side by side; returns the file, by default ``<study>-<kind>.png`` in this folder.

    trials: for kinds that show one trial of each study, N or STUDY=N; the best one's by default.
    data_dir: where the images lie now, for predictions.

    Everything is checked before anything is written: raises StudyNotFound, NothingComplete, UsageError
    for another ending, FileInTheWay rather than replace what is no figure of ours; several at once as
    UsageProblems.  The kinds that show single trials also raise FilesElsewhere, UnknownTrial, NotTraced,
    NoPredictions, UnlikeMeasurements, and what data sets raise.
    """
    names = list(dict.fromkeys(studies))
    path = out.expanduser() if out else Path(_file_name(names, kind))
    problems: list[FreHpoError] = [*_path_problems(path)]
    numbers = _numbers(trials, names, kind, problems)
    figure: Figure | Sheet
    if kind in OF_TRIALS:
        figure = _of_trials(settings, names, kind, palette, problems, same_scale=same_scale)
    elif kind in OF_TRACES:
        figure = _of_traces(settings, numbers, kind, problems, same_scale=same_scale)
    else:
        figure = _of_predictions(settings, numbers, data_dir, problems)
    _write(path, render(figure, _ending(path), MARK))
    return path


# --- kinds --------------------------------------------------------------------------------------


def _of_trials(
    settings: Settings,
    names: Sequence[str],
    kind: str,
    palette: str,
    problems: list[FreHpoError],
    *,
    same_scale: bool,
) -> Figure:
    ledgers = [found for name in names if (found := _opened(settings, name, kind, problems))]
    _raise_any(problems)
    importances = [led.importances() for led in ledgers] if kind == "importance" else []
    return figure_of(
        kind, [*map(study_view, ledgers)], importances, palette=palette, same_scale=same_scale
    )


def _of_traces(
    settings: Settings,
    numbers: Mapping[str, int | None],
    kind: str,
    problems: list[FreHpoError],
    *,
    same_scale: bool,
) -> Figure:
    studies = _kept(settings, numbers, problems)
    if kind == "enhancement":
        problems += traces.refusals(studies)
    found = [_noted(problems, traces.traced, kept, numbers[kept.name]) for kept in studies]
    _raise_any(problems)
    return traces.trace_figure(kind, [*filter(None, found)], same_scale=same_scale)


def _of_predictions(
    settings: Settings,
    numbers: Mapping[str, int | None],
    data_dir: Path | None,
    problems: list[FreHpoError],
) -> Sheet:
    studies = _kept(settings, numbers, problems)
    problems += shown.refusals(studies)
    found = [_noted(problems, shown.predicted, kept, numbers[kept.name]) for kept in studies]
    _raise_any(problems)
    ledger = studies[0].ledger
    pairs = [(kept, record) for kept, record in zip(studies, found, strict=True) if record]
    dataset = shown.dataset_of(ledger, data_dir)
    return predictions_figure(shown.shown(pairs, dataset), ledger.charter.classes)


def _kept(settings: Settings, names: Iterable[str], problems: list[FreHpoError]) -> list[KeptStudy]:
    found = [_noted(problems, KeptStudy.open, settings, name) for name in names]
    return [kept for kept in found if kept]


def _noted(problems: list[FreHpoError], look: Callable[..., T], *args: object) -> T | None:
    """What was found; otherwise why not is added to the problems."""
    try:
        return look(*args)
    except StorageUnreachable:
        raise
    except FreHpoError as error:
        problems.append(error)
        return None


def _raise_any(problems: Sequence[FreHpoError]) -> None:
    if problems:
        raise together(problems)


def _numbers(
    trials: Sequence[str], names: Sequence[str], kind: str, problems: list[FreHpoError]
) -> dict[str, int | None]:
    """The trial that is wanted of each study; None is the best one."""
    found: dict[str, int | None] = dict.fromkeys(names)
    if trials and kind in OF_TRIALS:
        problem = (
            f"--trial is for single trials, and a figure of kind {kind} shows all: leave it away."
        )
        problems.append(UsageError(problem=problem))
    for given in trials:
        study, _, number = given.rpartition("=")
        study = study or (names[0] if len(names) == 1 else "")
        if study not in found or not number.isdecimal():
            example = f"{names[-1]}=3" if len(names) > 1 else "3"
            reason = f"write the number of a trial of one of these studies, as in --trial {example}"
            problems.append(BadValue(key="--trial", value=given, reason=reason))
        else:
            found[study] = int(number)
    return found


# --- the file -----------------------------------------------------------------------------------


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
