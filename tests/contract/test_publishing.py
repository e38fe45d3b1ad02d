"""A study's page as the coordinator keeps it, and what happens when it cannot be drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs, save_note
from PIL import Image

from coordinating import Content, House, Scripted, begin, epochs_of, result_of, train
from fre_hpo import data
from fre_hpo.data import Dataset
from fre_hpo.scheduling.executor import Raised
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.publishing import StudyPage
from fre_hpo.study.artifacts import StudyArtifacts
from fre_hpo.study.records import TrialRecord
from fre_hpo.trial import Job


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.folder.identify(house.ledger.charter.id, house.ledger.shown)
    show(house)
    return house


def show(house: House) -> None:
    """Publish what the next coordinator does."""
    house.publisher = StudyPage(house.ledger, house.folder, phantom())


@cache
def phantom() -> Dataset:
    return data.load("phantom", None, data.DATASETS["phantom"].options())


def with_predictions(job: Job) -> Iterator[Content]:
    """A trial that goes well and shows what its network makes of two pictures."""
    truth = phantom().validation.labels
    yield begin(job)
    yield from epochs_of(job)
    yield replace(result_of(job), predictions={1: truth[1], 0: np.zeros_like(truth[0])})


def attributes(house: House) -> dict[str, object]:
    return dict(house.client()._storage.get_study_system_attrs(1))


def points(house: House) -> list[float]:
    """The mIoU of every coloured point of the search's figure."""
    figure = json.loads(get_plotly_graph_objects(attributes(house))["1-search"])
    (complete,) = (trace for trace in figure["data"] if trace["name"] == "complete")
    colours: list[float] = complete["marker"]["color"]
    return colours


def note(house: House, number: int | None = None) -> str:
    row = None if number is None else house.client().trials[number]._trial_id
    return str(get_note_from_system_attrs(attributes(house), row)["body"])


def test_every_trial_shows_its_picture_and_its_curve(house: House) -> None:
    assert house.run(Scripted(with_predictions)) is Outcome.COMPLETE
    artifacts = StudyArtifacts(house.folder.path.parent)
    for trial in house.client().trials:
        found = [
            json.loads(value)
            for key, value in trial.system_attrs.items()
            if key.startswith("artifacts:")
        ]
        contents = {}
        for meta in found:
            with artifacts.open_reader(meta["artifact_id"]) as file:
                contents[meta["filename"]] = file.read()
        assert contents["curve.csv"] == house.folder.trial(trial.number).curve.read_bytes()
        with Image.open(io.BytesIO(contents["picture.png"])) as picture:
            assert picture.width > 1000
        assert f"/artifacts/1/{trial._trial_id}/" in note(house, trial.number)
        assert f"{trial.value:.4f}" in note(house, trial.number)


def test_the_page_follows_the_search(house: House) -> None:
    house.run(Scripted(with_predictions), wanted=2)
    assert sorted(points(house)) == sorted(t.value for t in house.client().trials)
    assert "2 of " in note(house)
    best = max(house.client().trials, key=lambda t: t.value or 0)
    assert f"{best.value:.4f}" in note(house)
    assert house.ledger.artifact_path(best.number, "picture.png") in note(house)
    show(house.restarted())
    house.run(Scripted(with_predictions), wanted=4)
    assert len(points(house)) == 4
    assert "Finished" in note(house)


def test_what_people_wrote_into_the_note_stays(house: House) -> None:
    house.run(Scripted(train), wanted=1)
    save_note(house.client(), note(house) + "\nThe lamp was new from here on.")
    show(house.restarted())
    house.run(Scripted(train), wanted=2)
    assert "The lamp was new from here on." in note(house)
    assert len(points(house)) == 2


def test_a_failed_trial_says_why(house: House) -> None:
    def fail_the_first(job: Job) -> Iterator[Content]:
        if job.number:
            yield from train(job)
        else:
            yield begin(job)
            yield Raised("ValueError", "the disk is made of cheese", "Traceback ...")

    house.run(Scripted(fail_the_first), wanted=2)
    assert "The disk is made of cheese" in note(house, 0)
    assert len(points(house)) == 2


class Broken(StudyPage):
    """A page whose drawing has a mistake."""

    def trial_ends(self, trial: TrialRecord) -> None:
        raise ZeroDivisionError("no picture")

    def study_changed(self, state: str) -> None:
        raise ZeroDivisionError("no figure")


def test_a_page_that_cannot_be_drawn_ends_no_search(house: House) -> None:
    house.publisher = Broken(house.ledger, house.folder, phantom())
    assert house.run(Scripted(train)) is Outcome.COMPLETE
    said = [s for s in house.listener.sentences if "page" in s]
    assert said == [
        "The study's page could not be drawn (ZeroDivisionError: no figure); the search goes on."
    ]
    failures = house.events("page_failed")
    assert {e["trial"] for e in failures} == {None, 0, 1, 2}
    assert all("ZeroDivisionError" in e["traceback"] for e in failures)
