"""One contract for a whole search, on every storage and every executor."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from drawn import draw_mouse_set
from fre_hpo.errors import DifferentStudy, NotTheStudysData, StudyHeld
from fre_hpo.methods import METHODS
from fre_hpo.scheduling.observer import Silent
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service import read
from fre_hpo.service.request import Request
from fre_hpo.service.start import start
from fre_hpo.settings import Settings
from fre_hpo.study.connection import parse_url
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.lock import coordinator_lock
from searching import TINY, run_search

STUDY = "phantom-fre"
ARMS = [(storage, executor) for storage in ("sqlite", "postgres") for executor in ("inline", "ray")]


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over pixels depend on the number of threads: the same number everywhere."""
    monkeypatch.setattr("fre_hpo.service.search.usable_cpus", lambda: 2)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The trials of the search on SQLite and inline, that every other way must repeat."""
    home = tmp_path_factory.mktemp("unbroken")
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    run_search(settings, trials=4)
    return read.trials(settings, STUDY)


@pytest.fixture(params=ARMS, ids="-".join)
def arm(request: pytest.FixtureRequest, home: Path) -> tuple[Settings, str]:
    """Settings and executor of one of the four ways."""
    storage, executor = request.param
    if executor == "ray":
        request.getfixturevalue("local_ray")
    return _settings(request, storage, home), executor


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, home: Path) -> Settings:
    """Settings for one of the two storages; the executor does not matter then."""
    return _settings(request, request.param, home)


def _settings(request: pytest.FixtureRequest, storage: str, home: Path) -> Settings:
    if storage == "postgres":
        return Settings(home, request.getfixturevalue("postgres_url"))
    return Settings(home, f"sqlite:///{home}/fre-hpo.db")


class TestOnEveryStorageAndExecutor:
    def test_gives_the_same_points_and_values_everywhere(
        self, arm: tuple[Settings, str], unbroken: list[dict[str, Any]]
    ) -> None:
        settings, executor = arm
        ended = run_search(settings, trials=4, executor=executor)
        found = read.trials(settings, STUDY)
        assert ended.outcome is Outcome.COMPLETE
        assert [t["params"] for t in found] == [t["params"] for t in unbroken]
        assert [t["value"] for t in found] == [t["value"] for t in unbroken]
        assert [t["class_iou"] for t in found] == [t["class_iou"] for t in unbroken]

    def test_leaves_curves_results_and_events(self, arm: tuple[Settings, str]) -> None:
        settings, executor = arm
        run_search(settings, trials=2, executor=executor)
        folder = StudyFolder(settings.study_folder(STUDY))
        for number, trial in enumerate(read.trials(settings, STUDY)):
            files = folder.trial(number)
            curve = files.read_curve()
            assert [int(row["epoch"]) for row in curve] == [1, 2, 3]
            assert max(float(row["miou"]) for row in curve) == trial["value"]
            assert files.best.exists()
            assert not files.checkpoint.exists()
            confusion = json.loads(files.confusion.read_text())["confusion"]
            assert len(confusion) == 2
        events = [json.loads(line) for line in folder.events.read_text().splitlines()]
        names = [e["event"] for e in events]
        assert names[0] == "study_started"
        assert names[-1] == "study_finished"
        assert names.count("trial_started") == names.count("trial_finished") == 2
        assert names.count("epoch") == 6
        assert all({"trial", "attempt", "worker"} <= e.keys() for e in events[1:-1])

    def test_a_stopped_search_goes_on_with_the_same_curve(
        self, arm: tuple[Settings, str], home: Path
    ) -> None:
        settings, executor = arm
        timer = threading.Thread(target=_interrupt_after_first_epoch, args=(settings,))
        timer.start()
        overrides = {"training.epochs": 40}
        ended = run_search(settings, trials=1, executor=executor, overrides=overrides)
        timer.join()
        assert ended.outcome is Outcome.STOPPED
        assert read.status(settings, STUDY)["state"] == "stopped"
        assert StudyFolder(settings.study_folder(STUDY)).trial(0).checkpoint.exists()
        run_search(settings, trials=1, executor=executor, overrides=overrides)
        other = Settings(home / "other", f"sqlite:///{home}/other.db")
        run_search(other, trials=1, overrides=overrides)
        assert _curve(settings) == _curve(other)
        assert read.trials(settings, STUDY)[0]["attempts"] == 2


class TestOnEveryStorage:
    def test_a_larger_total_adds_exactly_what_is_missing(
        self, settings: Settings, unbroken: list[dict[str, Any]]
    ) -> None:
        run_search(settings, trials=2)
        first = read.trials(settings, STUDY)
        again = run_search(settings, trials=2)
        assert read.trials(settings, STUDY) == first
        assert again.complete == 2
        run_search(settings, trials=4)
        found = read.trials(settings, STUDY)
        assert found[:2] == first
        assert [(t["params"], t["value"]) for t in found] == [
            (t["params"], t["value"]) for t in unbroken
        ]

    def test_status_tells_how_far_it_is(self, settings: Settings) -> None:
        run_search(settings, trials=2)
        status = read.status(settings, STUDY)
        best = max(read.trials(settings, STUDY), key=lambda t: t["value"])
        assert status == {
            "study": STUDY,
            "state": "finished",
            "wanted": 2,
            "complete": 2,
            "running": 0,
            "waiting": 0,
            "failed": 0,
            "best": {name: best[name] for name in ("number", "value", "params")},
            "eta_seconds": None,
            "coordinator": None,
            "message": None,
            "disk_bytes": StudyFolder(settings.study_folder(STUDY)).size(),
        }
        assert read.list_studies(settings) == [status]

    def test_another_search_space_is_refused_and_named(self, settings: Settings) -> None:
        run_search(settings, trials=1)
        before = read.trials(settings, STUDY)
        with pytest.raises(DifferentStudy, match=r"X is 1\.\.1000:log there and 1\.\.100 here"):
            run_search(settings, trials=2, overrides={"X": "1..100"})
        with pytest.raises(DifferentStudy, match=r"training\.epochs is 3 there and 4 here"):
            run_search(settings, trials=2, overrides={"training.epochs": 4})
        with pytest.raises(DifferentStudy, match="method is fre there and baseline here"):
            run_search(settings, trials=2, study=STUDY, method="baseline")
        assert read.trials(settings, STUDY) == before

    def test_a_held_study_is_refused(self, settings: Settings) -> None:
        run_search(settings, trials=1)
        holder = coordinator_lock(parse_url(settings.storage), STUDY)
        assert holder.acquire()
        try:
            with pytest.raises(StudyHeld):
                run_search(settings, trials=2)
            with pytest.raises(StudyHeld):
                read.delete(settings, STUDY)
        finally:
            holder.release()
        run_search(settings, trials=2)

    def test_delete_removes_rows_and_files(self, settings: Settings) -> None:
        run_search(settings, trials=1)
        read.delete(settings, STUDY)
        assert read.list_studies(settings) == []
        assert not settings.study_folder(STUDY).exists()


def _curve(settings: Settings) -> list[list[str]]:
    """A trial's whole curve without the times."""
    rows = StudyFolder(settings.study_folder(STUDY)).trial(0).read_curve()
    return [[value for name, value in row.items() if name != "seconds"] for row in rows]


def _interrupt_after_first_epoch(settings: Settings) -> None:
    """Ctrl-C, as soon as the event log shows an epoch."""
    events = StudyFolder(settings.study_folder(STUDY)).events
    for _ in range(1200):
        if events.exists() and '"event": "epoch"' in events.read_text():
            break
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_shows_its_parameters(method: str, home: Path) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    overrides = {"B": 3} if method == "dropout" else {}
    ended = run_search(settings, method=method, trials=2, overrides=overrides)
    found = read.trials(settings, f"phantom-{method}")
    assert ended.complete == 2
    names = [parameter.name for parameter in METHODS[method].parameters]
    assert all(list(trial["params"]) == names for trial in found)
    assert all(set(t["class_iou"]) == {"background", "membrane", "nucleus"} for t in found)


def test_a_method_that_searches_nothing_repeats_with_seeds(home: Path) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    run_search(settings, method="baseline", trials=3, overrides={"seed": 5})
    found = read.trials(settings, "phantom-baseline")
    assert [t["seed"] for t in found] == [5, 6, 7]
    assert len({t["value"] for t in found}) == 3


def test_enqueued_points_come_first(home: Path) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    run_search(settings, trials=3, enqueue=[{"B": 5, "X": 42.0}, {"B": 9}])
    found = [t["params"] for t in read.trials(settings, STUDY)]
    assert found[0] == {"B": 5, "X": 42.0}
    assert found[1]["B"] == 9


def test_other_data_is_refused(home: Path) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    images = draw_mouse_set(home / "cells", count=6, size=32)
    mouse: dict[str, Any] = {"dataset": "mouse", "study": "cells", "data_dir": images}
    split = {"data.train": 3, "data.validation": 2, "data.test": 1}
    overrides = {k: v for k, v in TINY.items() if not k.startswith("data.")} | split
    start(tiny_mouse(overrides, trials=1, **mouse), settings, Silent())
    picture = next((images / "Image").iterdir())
    draw_mouse_set(home / "others", count=6, size=32, seed=1)
    picture.write_bytes((home / "others" / "Image" / picture.name).read_bytes())
    with pytest.raises(NotTheStudysData):
        start(tiny_mouse(overrides, trials=2, **mouse), settings, Silent())


def tiny_mouse(overrides: dict[str, Any], **changes: Any) -> Request:
    return Request(executor="inline", overrides=overrides, **changes)
