"""Finding, loading and making studies in a storage."""

from __future__ import annotations

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection

from fre_hpo.errors import StorageNotOurs, nearest
from fre_hpo.study.charter import CHARTER, Charter
from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.part import Part


@reaching
def study_names(connection: Connection) -> list[str]:
    """The studies of ours in a storage."""
    if connection.storage is None:
        return []
    return sorted(
        study.study_name
        for study in connection.storage.get_all_studies()
        if CHARTER in study.user_attrs
    )


def instead_of(connection: Connection, name: str) -> str:
    """What to name where there is no study of this name."""
    names = study_names(connection)
    if any(
        part.kind == "comparison" and part.of == name for part in study_parts(connection).values()
    ):
        return f"it is a comparison, which `fre-hpo compare --study {name}` and `fre-hpo report {name}` show"
    return nearest(name, names) if names else "it holds no study yet"


@reaching
def study_parts(connection: Connection) -> dict[str, Part]:
    """The studies that are part of a comparison or a confirmation, by name."""
    if connection.storage is None:
        return {}
    charters = {
        study.study_name: study.user_attrs.get(CHARTER, {})
        for study in connection.storage.get_all_studies()
    }
    parts = {name: Part.from_plain(charter.get("part")) for name, charter in charters.items()}
    return {name: part for name, part in sorted(parts.items()) if part is not None}


@reaching
def load_study(connection: Connection, name: str) -> optuna.Study:
    assert connection.storage is not None
    return optuna.load_study(study_name=name, storage=connection.storage)


@reaching
def create_study(connection: Connection, name: str, charter: Charter) -> optuna.Study:
    """A new study, or one whose creation was cut short.  The charter comes last: whatever has one is
    complete.  Raises StorageNotOurs where somebody else made a study of that name."""
    assert connection.storage is not None
    study = optuna.create_study(
        study_name=name, storage=connection.storage, direction="maximize", load_if_exists=True
    )
    foreign_direction = study.directions != [StudyDirection.MAXIMIZE]
    if study.get_trials(deepcopy=False) or study.user_attrs or foreign_direction:
        reason = f"its study {name!r} was not made by fre-hpo"
        raise StorageNotOurs(storage=connection.shown, reason=reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(["mIoU"])
    study.set_user_attr(CHARTER, charter.to_plain())
    return study
