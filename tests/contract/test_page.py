"""What the dashboard shows besides trials: written whole, repeatable, found again by its own reader."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import optuna
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs, save_note
from optuna_dashboard.artifact._backend import list_trial_artifacts

from fre_hpo.errors import EndedElsewhere
from fre_hpo.study.artifacts import StudyArtifacts
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from ledgers import create, reopen, search, tell

LONG = {"a": "a" * 30_000, "b": "b" * 9_000}
"""Figures that the dashboard's own writer would cut into pieces."""


@pytest.fixture
def ledger(url: str) -> Ledger:
    return create(url, "cells")


def attributes(url: str) -> dict[str, object]:
    """As the dashboard reads them, from a connection of its own."""
    storage = Connection(url, create=False).storage
    assert storage is not None
    (study,) = storage.get_all_studies()
    return study.system_attrs


def figure(url: str, name: str) -> str:
    found: str = get_plotly_graph_objects(attributes(url))[name]
    return found


def test_a_figure_is_read_back_and_replaced(ledger: Ledger, url: str) -> None:
    for text in LONG.values():
        ledger.publish_figure("1-search", json.dumps(text))
        ledger.publish_figure("2-curves", "{}")
        assert json.loads(figure(url, "1-search")) == text
    assert figure(url, "2-curves") == "{}"


def test_no_reader_meets_half_a_figure(ledger: Ledger, url: str) -> None:
    ledger.publish_figure("1-search", LONG["a"])
    done = threading.Event()

    def write() -> None:
        for _ in range(20):
            for text in LONG.values():
                ledger.publish_figure("1-search", text)
        done.set()

    storage = Connection(url, create=False).storage
    assert storage is not None
    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set():
        (study,) = storage.get_all_studies()
        assert get_plotly_graph_objects(study.system_attrs)["1-search"] in LONG.values()
        reads += 1
    writer.join()
    assert reads > 5


def test_a_note_replaces_one_that_the_dashboard_wrote_in_pieces(ledger: Ledger, url: str) -> None:
    storage = Connection(url, create=False).storage
    study = optuna.load_study(study_name="cells", storage=storage)
    save_note(study, "theirs " * 1000)
    assert ledger.note() == "theirs " * 1000
    for body in ("ours", "ours, renewed", "ours, renewed"):
        ledger.publish_note(body)
        assert reopen(url, "cells").note() == body
    note = get_note_from_system_attrs(attributes(url), None)
    assert note == {"version": 3, "body": "ours, renewed"}  # what is the same is not written again


def test_a_trial_has_its_note_and_files(ledger: Ledger, url: str) -> None:
    asked = ledger.ask()
    for _ in range(2):  # as after an answer that was lost
        ledger.publish_trial_note(asked.number, "a trial")
        ledger.attach(asked.number, "picture.png")
        ledger.attach(asked.number, "curve.csv")
    tell(ledger, asked)
    ledger.attach(asked.number, "picture.png")
    storage = Connection(url, create=False).storage
    (trial,) = optuna.load_study(study_name="cells", storage=storage).get_trials()
    found = list_trial_artifacts({}, trial.system_attrs, trial)
    assert [(a["filename"], a["mimetype"]) for a in found] == [
        ("picture.png", "image/png"),
        ("curve.csv", "text/csv"),
    ]
    assert ledger.artifact_path(0, "picture.png").endswith(
        f"/{trial._trial_id}/{found[0]['artifact_id']}"
    )
    assert get_note_from_system_attrs(attributes(url), trial._trial_id)["body"] == "a trial"


def test_nothing_is_attached_once_somebody_else_told_the_trial(ledger: Ledger, url: str) -> None:
    asked = ledger.ask()
    other = optuna.load_study(study_name="cells", storage=Connection(url, create=False).storage)
    other.tell(asked.number, state=optuna.trial.TrialState.FAIL)
    with pytest.raises(EndedElsewhere):
        ledger.attach(asked.number, "picture.png")


def test_files_are_found_by_their_ids(ledger: Ledger, tmp_path: Path) -> None:
    artifacts = StudyArtifacts(tmp_path)
    number = ledger.ask().number
    path = ledger.artifact_path(number, "picture.png").rpartition("/")[2]
    with pytest.raises(ArtifactNotFound):
        artifacts.open_reader(path)
    folder = StudyFolder(tmp_path / "cells")
    folder.identify(ledger.charter.id, ledger.shown)
    folder.trial(number).save_picture(b"a picture")
    folder.trial(number + 1).save_picture(b"another")
    with artifacts.open_reader(path) as file:
        assert file.read() == b"a picture"
    folder.trial(number).picture.unlink()
    with pytest.raises(ArtifactNotFound):
        artifacts.open_reader(path)
    for change in (lambda: artifacts.remove(path), lambda: artifacts.write(path, None)):  # type: ignore[arg-type]
        with pytest.raises(PermissionError):
            change()


def test_curves_and_importances_come_from_what_is_stored(ledger: Ledger) -> None:
    assert ledger.importances() == {}
    asked = ledger.ask()
    ledger.report(asked.number, 1, 0.25)
    ledger.report(asked.number, 2000, 0.5)
    assert ledger.curves() == {0: {1: 0.25, 2000: 0.5}}
    tell(ledger, asked)
    search(ledger, 7)
    found = ledger.importances()
    assert set(found) == {"B", "X"}
    assert sum(found.values()) == pytest.approx(1)
