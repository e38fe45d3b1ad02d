"""``fre-hpo report``: a study or a comparison as a page, with everything that is needed to believe and to
repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fre_hpo.data import Dataset
from fre_hpo.errors import FilesElsewhere, FreHpoError, NothingComplete, StudyNotFound, nearest
from fre_hpo.results.report.comparison import (
    ComparisonFacts,
    comparison_recipe,
    comparison_report,
)
from fre_hpo.results.report.facts import StudyFacts
from fre_hpo.results.report.study import study_recipe, study_report
from fre_hpo.service import report_figures as figures
from fre_hpo.service.compared import Compared, compared, comparison_names
from fre_hpo.service.kept import KeptStudy
from fre_hpo.service.report_facts import (
    confirmed_words,
    data_facts,
    study_facts,
    tested_words,
)
from fre_hpo.service.report_folder import refuse_occupied, write
from fre_hpo.service.shown import dataset_of
from fre_hpo.service.view import study_view
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.creation import study_names
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import best_of


def report(settings: Settings, name: str, out: Path, data_dir: Path | None = None) -> Path:
    """Write the report of a study, or of a comparison of that name, into a folder; returns the folder.

    data_dir: where the images lie now.  Raises StudyNotFound, NothingComplete, ComparisonIncomplete and
    FolderInTheWay, all before anything is drawn.
    """
    folder = out.expanduser().absolute()
    refuse_occupied(folder)
    connection = Connection(settings.storage, create=False)
    studies = study_names(connection)
    if name in studies:
        facts = _study(settings, Ledger.open(connection, name), data_dir)
        write(study_report(facts, _made()), study_recipe(facts), folder)
        return folder
    comparisons = comparison_names(settings)
    if name not in comparisons:
        known = {*studies, *comparisons}
        hint = nearest(name, known) if known else "it holds no study yet"
        raise StudyNotFound(study=name, storage=connection.shown, hint=hint)
    found = _comparison(settings, compared(settings, name), data_dir)
    write(comparison_report(found, _made()), comparison_recipe(found), folder)
    return folder


def _made() -> str:
    return f"Written by fre-hpo {version('fre-hpo')} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."


def _study(settings: Settings, ledger: Ledger, data_dir: Path | None) -> StudyFacts:
    if best_of(ledger.records()) is None:
        raise NothingComplete(study=ledger.name)
    kept, elsewhere = _files(settings, ledger.name)
    dataset, missing = _images(ledger, data_dir)
    data = data_facts(ledger.spec.dataset, dataset, missing)
    pictures = figures.study_pictures(ledger, kept)
    facts = study_facts(settings, ledger, data, [*pictures], [elsewhere] if elsewhere else [])
    return replace(
        facts,
        confirmed=confirmed_words(settings, ledger.name),
        tested=tuple(tested_words(settings, ledger.name)),
    )


def _comparison(settings: Settings, found: Compared, data_dir: Path | None) -> ComparisonFacts:
    connection = Connection(settings.storage, create=False)
    names = dict.fromkeys([*found.seeds.values(), *found.searches.values()])
    ledgers = {name: Ledger.open(connection, name) for name in names}
    first = ledgers[next(iter(found.seeds.values()))]
    dataset, missing = _images(first, data_dir)
    data = data_facts(first.spec.dataset, dataset, missing)
    kept, remarks = _all_files(settings, found)
    pictures = [
        *figures.comparison_pictures([*kept.values()], dataset),
        *(
            figures.search_picture(study_view(ledgers[study]), f"search-{method}")
            for method, study in found.searches.items()
        ),
    ]
    part = first.charter.part
    return ComparisonFacts(
        name=found.name,
        table=found.table(),
        studies={name: study_facts(settings, ledger, data) for name, ledger in ledgers.items()},
        seeds=found.seeds,
        searches=found.searches,
        points=found.points,
        readings=found.readings,
        pictures=tuple(pictures),
        data=data,
        seed=part.seed if part else first.spec.seed,
        remarks=tuple(remarks),
    )


def _all_files(settings: Settings, found: Compared) -> tuple[dict[str, KeptStudy], Sequence[str]]:
    """The files of every method's seeds, or of none."""
    kept = {method: _files(settings, study) for method, study in found.seeds.items()}
    elsewhere = next((why for study, why in kept.values() if study is None), None)
    if elsewhere is not None:
        return {}, [elsewhere]
    return {method: study for method, (study, _) in kept.items() if study}, []


def _files(settings: Settings, study: str) -> tuple[KeptStudy | None, str]:
    """The study's files, or why there is no picture of its networks."""
    try:
        return KeptStudy.open(settings, study), ""
    except FilesElsewhere as error:
        return None, f"Pictures of networks and traces are left out. {error}"


def _images(ledger: Ledger, data_dir: Path | None) -> tuple[Dataset | None, str]:
    """The images, or why they are not looked at."""
    try:
        return dataset_of(ledger, data_dir), ""
    except FreHpoError as error:
        return None, str(error)
