"""The locked test split: nothing but ``test`` and the end of a comparison sees it, and both are recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparing import compare, small
from fre_hpo import data, errors
from fre_hpo.data import DataOptions, Dataset, Split
from fre_hpo.inference.evaluate import evaluate
from fre_hpo.inference.network import load
from fre_hpo.scheduling.observer import Silent
from fre_hpo.service.compared import compared
from fre_hpo.service.start import start
from fre_hpo.service.testing import measure_winner
from fre_hpo.settings import Settings
from fre_hpo.study import readings
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.training import metrics

TWO = ("baseline", "fre")


class Lock:
    """A lock that opens when a reading is recorded.  opened: how often, and by whom."""

    def __init__(self) -> None:
        self.opened: list[str] = []


class LockedArray:
    """An array that may be counted, and not looked at before the lock is opened."""

    def __init__(self, array: np.ndarray[Any, Any], lock: Lock) -> None:
        self._array, self._lock = array, lock
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

    def __len__(self) -> int:
        return len(self._array)

    def __array__(self, *arguments: Any, **more: Any) -> np.ndarray[Any, Any]:
        return np.asarray(self._open(), *arguments)

    def __getitem__(self, index: Any) -> Any:
        return self._open()[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._open(), name)

    def _open(self) -> np.ndarray[Any, Any]:
        if not self._lock.opened:
            raise AssertionError("somebody looked at the test split")
        return self._array


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Lock:
    """Every data set that is loaded from now on has a locked test split."""
    found, really, record = Lock(), data.load, readings.record_reading

    def locked(name: str, folder: Path | None, options: DataOptions | None = None) -> Dataset:
        dataset = really(name, folder, options)
        arrays: Any = [LockedArray(a, found) for a in (dataset.test.images, dataset.test.labels)]
        return replace(dataset, test=Split(*arrays, dataset.test.sources))

    def recorded(connection: Connection, fingerprint: str, study: str, networks: int) -> Any:
        earlier = record(connection, fingerprint, study, networks)
        found.opened.append(study)
        return earlier

    def digest(classes: tuple[str, ...], splits: dict[str, Any]) -> str:
        """To hash is allowed."""
        real = {n: Split(s.images._array, s.labels._array, s.sources) for n, s in splits.items()}
        return data.dataset.fingerprint(classes, real)

    monkeypatch.setattr("fre_hpo.data.load", locked, raising=False)
    monkeypatch.setattr("fre_hpo.service.testing.record_reading", recorded)
    monkeypatch.setattr("fre_hpo.service.testing.fingerprint", digest)
    return found


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home, f"sqlite:///{home}/fre-hpo.db")


def test_a_comparison_looks_at_the_test_split_once_at_its_end(
    settings: Settings, lock: Lock
) -> None:
    request = small(2, 2, methods=TWO)
    compare(settings, request)
    assert lock.opened == ["phantom"]
    found = compared(settings, "phantom")
    assert [(r.study, r.networks) for r in found.readings] == [("phantom", 4)]
    assert_stored_as_measured(settings, "phantom-fre-seeds")
    compare(settings, request)
    assert lock.opened == ["phantom"]


def test_a_search_does_not_look_and_test_records_that_it_does(
    settings: Settings, lock: Lock
) -> None:
    start(small(trials=2).base, settings, Silent())
    assert lock.opened == []
    first = measure_winner(settings, "phantom-fre", device="cpu")
    assert lock.opened == ["phantom-fre"]
    assert first.read_now
    assert first.earlier == ()
    other = measure_winner(settings, "phantom-fre", 1 - first.trial, device="cpu")
    assert [(r.study, r.networks) for r in other.earlier] == [("phantom-fre", 1)]
    assert lock.opened == ["phantom-fre", "phantom-fre"]
    assert measure_winner(settings, "phantom-fre").later == (*readings_after(settings, first.time),)


def test_the_lock_of_these_tests_holds(lock: Lock) -> None:
    dataset = data.load("phantom", None)
    assert len(dataset.test) == len(dataset.test.labels)
    for look in (lambda: np.asarray(dataset.test.images), lambda: dataset.test.labels[0]):
        with pytest.raises(AssertionError, match="somebody looked"):
            look()


def test_before_the_search_has_ended_it_stays_locked(settings: Settings) -> None:
    start(small(trials=1).base, settings, Silent())
    ledger = Ledger.open(Connection(settings.storage, create=True), "phantom-fre")
    ledger.want(4)
    with pytest.raises(errors.TestLocked, match="1 of 4 trials are complete"):
        measure_winner(settings, "phantom-fre")
    assert ledger.measurements() == {}
    start(small(trials=1).base, settings, Silent())  # says that these were all
    assert ledger.wanted == 1
    assert measure_winner(settings, "phantom-fre").read_now


def test_without_its_network_nothing_is_read(settings: Settings, lock: Lock) -> None:
    start(small(trials=1).base, settings, Silent())
    StudyFolder(settings.study_folder("phantom-fre")).trial(0).drop_network()
    with pytest.raises(errors.NoNetwork):
        measure_winner(settings, "phantom-fre")
    assert lock.opened == []


def assert_stored_as_measured(settings: Settings, study: str) -> None:
    """Each network's matrices are those that it gives on the split, and its validation is its value."""
    ledger = Ledger.open(Connection(settings.storage, create=False), study)
    dataset = data.load("phantom", None, ledger.spec.options)
    folder = StudyFolder(settings.study_folder(study))
    for number, stored in ledger.measurements().items():
        measured = evaluate(load(folder.trial(number).best), dataset.test)
        assert stored.test.confusion == measured.confusion.tolist()
        assert stored.test.sources == measured.sources
        matrices = np.array(stored.validation.confusion)
        assert metrics.mean_iou(matrices) == ledger.record(number).value


def readings_after(settings: Settings, time: str) -> list[readings.Reading]:
    ledger = Ledger.open(Connection(settings.storage, create=False), "phantom-fre")
    fingerprint = next(iter(ledger.measurements().values())).fingerprint
    found = readings.readings(Connection(settings.storage, create=False), fingerprint)
    return [reading for reading in found if reading.time > time]
