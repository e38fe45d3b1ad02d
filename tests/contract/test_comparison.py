"""One contract for comparisons on both storages: resumable, paired, and one reading of the test split."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from comparing import (
    NAME,
    Died,
    Simulation,
    compare,
    ledger,
    numbers,
    readings_of,
    simulation,
    small,
)
from fre_hpo.errors import (
    ComparisonIncomplete,
)
from fre_hpo.methods import METHODS
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service import read
from fre_hpo.service.compared import compared
from fre_hpo.service.testing import measure_winner, measured_winner
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.readings import readings
from fre_hpo.training import metrics

__all__ = ["simulation"]

TWO = ("baseline", "fre")
THREE = ("baseline", "dropout", "fre")


@pytest.fixture
def settings(url: str, home: Path) -> Settings:
    return Settings(home, url)


class TestTheWhole:
    def test_searches_then_trains_all_methods_with_the_same_fresh_seeds(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        ended = compare(settings)
        assert ended is not None
        assert (ended.outcome, ended.complete, ended.wanted) == (Outcome.COMPLETE, 24, 24)
        searches = [("supervision", 0)] * 3 + [("fre", 0)] * 3
        repeated = [(method, seed) for method in METHODS for seed in (1, 2, 3)]
        assert simulation.trained == searches + repeated
        assert simulation.evaluated == repeated
        found = compared(settings, NAME)
        assert [m.method for m in found.comparison.methods] == list(METHODS)
        assert all(m.seeds == (1, 2, 3) for m in found.comparison.methods)
        assert found.comparison.budgets == {"supervision": 3, "fre": 3}
        assert found.searches == {"supervision": "phantom-supervision", "fre": "phantom-fre"}
        assert found.points == {"supervision": "observed", "fre": "observed"}
        assert found.comparison.search_seed == 0

    def test_parameters_are_those_that_the_searches_chose(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings)
        found = {m.method: m.parameters for m in compared(settings, NAME).comparison.methods}
        best = {name: read.best(settings, f"{NAME}-{name}") for name in ("fre", "supervision")}
        assert found["fre"] == best["fre"]["observed"]["params"]
        assert found["supervision"] == best["supervision"]["observed"]["params"]
        assert found["dropout"] == {"B": found["fre"]["B"]}
        assert found["fre-fixed"] == {"B": 10, "X": 10_000.0}
        assert found["baseline"] == found["without-deep-layers"] == {}

    def test_of_enough_trials_the_recommended_point_is_compared_unless_told_otherwise(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(2, 8, methods=TWO))
        compare(settings, small(2, 8, methods=TWO, study="other", point="observed"))
        best = read.best(settings, "phantom-fre")
        points = [compared(settings, n).comparison.methods[1].parameters for n in (NAME, "other")]
        assert points == [best["recommended"]["params"], best["observed"]["params"]]
        assert points[0] != points[1]
        assert [compared(settings, n).points["fre"] for n in (NAME, "other")] == [
            "recommended",
            "observed",
        ]

    def test_every_number_of_the_table_is_that_of_the_stored_matrices(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(2, 2))
        table = compared(settings, NAME).table().to_json()
        assert table["classes"] == ["background", "membrane", "nucleus"]
        for row in table["methods"]:
            there = ledger(settings, f"{NAME}-{row['method']}-seeds")
            stored = there.measurements()
            chosen_by = {r.number: r.value for r in there.records()}
            for split in ("validation", "test"):
                matrices = [_matrix(getattr(stored[n], split)) for n in sorted(stored)]
                assert_scores(row[split], matrices, table["classes"])
            for number, measurement in stored.items():
                assert metrics.mean_iou(_matrix(measurement.validation)) == chosen_by[number]
        assert_differences(table["methods"], settings)

    def test_another_machine_needs_the_storage_alone(
        self, settings: Settings, simulation: Simulation, tmp_path: Path
    ) -> None:
        compare(settings, small(2, 2, methods=THREE))
        elsewhere = replace(settings, home=tmp_path / "elsewhere")
        assert numbers(compared(elsewhere, NAME)) == numbers(compared(settings, NAME))
        assert compare(elsewhere, small(2, 2, methods=THREE)) is None
        assert not elsewhere.home.exists()


class TestGoingOn:
    def test_killed_anywhere_it_ends_with_the_same_table(
        self, settings: Settings, simulation: Simulation, tmp_path: Path
    ) -> None:
        request = small(2, 2, methods=THREE)
        for most in (1, 3, 6):
            simulation.most = most
            with pytest.raises(Died):
                compare(settings, request)
        simulation.most = None
        compare(settings, request)
        assert len(simulation.trained) == 8
        unbroken = Settings(tmp_path / "unbroken", f"sqlite:///{tmp_path}/unbroken.db")
        compare(unbroken, request)
        assert numbers(compared(settings, NAME)) == numbers(compared(unbroken, NAME))
        assert readings_of(settings) == [(NAME, 6)]

    def test_a_kill_while_the_test_split_is_read_measures_the_rest_in_a_second_reading(
        self, settings: Settings, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dies(network: Any, split: Any) -> Any:
            if len(simulation.evaluated) == 4:
                raise Died
            return simulation.evaluate(network, split)

        monkeypatch.setattr("fre_hpo.inference.evaluate.evaluate", dies)
        with pytest.raises(Died):
            compare(settings, small(2, 2, methods=THREE))
        monkeypatch.setattr("fre_hpo.inference.evaluate.evaluate", simulation.evaluate)
        with pytest.raises(ComparisonIncomplete, match="the test split was not read"):
            compared(settings, NAME)
        compare(settings, small(2, 2, methods=THREE))
        assert len(simulation.evaluated) == len(set(simulation.evaluated)) == 6
        assert readings_of(settings) == [(NAME, 6), (NAME, 2)]

    def test_the_same_command_only_shows_what_is_there(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(2, 2, methods=THREE))
        before = numbers(compared(settings, NAME))
        assert compare(settings, small(2, 2, methods=THREE)) is None
        assert compare(settings, small(None, None)) is None
        assert len(simulation.trained) == 8
        assert numbers(compared(settings, NAME)) == before
        assert readings_of(settings) == [(NAME, 6)]


class TestReadings:
    def test_a_test_split_that_was_read_before_is_said_to_be(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(1, methods=TWO))
        assert (
            compared(settings, NAME)
            .table()
            .footnotes[-1]
            .startswith("The test split was read here for the first time in this storage")
        )
        compare(settings, small(1, methods=TWO, study="again"))
        assert (
            "had been read 1 time in this storage before it was read here"
            in (compared(settings, "again").table().footnotes[-1])
        )
        compare(settings, small(2, methods=TWO))
        assert compared(settings, NAME).table().footnotes[-1] == (
            "It was read 1 more time for networks that were trained later."
        )

    def test_the_record_outlives_the_studies_and_is_no_study(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(1, methods=TWO))
        fingerprint = compared(settings, NAME).readings[0].fingerprint
        names = [found["study"] for found in read.list_studies(settings)]
        assert names == ["phantom-baseline-seeds", "phantom-fre", "phantom-fre-seeds"]
        for name in names:
            read.delete(settings, name)
        assert read.list_studies(settings) == []
        connection = Connection(settings.storage, create=False)
        assert [r.study for r in readings(connection, fingerprint)] == [NAME]
        assert readings(connection, "0" * 64) == ()

    def test_the_winner_of_a_search_is_measured_once(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(1, methods=TWO))
        assert measured_winner(settings, "phantom-fre") is None
        first = measure_winner(settings, "phantom-fre")
        assert first.read_now
        assert [reading.study for reading in first.earlier] == [NAME]
        again = measure_winner(settings, "phantom-fre")
        assert not again.read_now
        assert again == replace(first, read_now=False)
        other = measure_winner(settings, "phantom-fre", 1)
        assert [reading.study for reading in other.earlier] == [NAME, "phantom-fre"]
        known = measured_winner(settings, "phantom-fre")
        assert known is not None
        assert [reading.study for reading in known.later] == ["phantom-fre"]
        best = read.best(settings, "phantom-fre")["observed"]
        assert (first.trial, first.validation) == (best["number"], best["value"])
        assert first.to_json()["first_reading"] is False


def _matrix(matrices: Any) -> Any:
    return np.array(matrices.confusion)


def assert_scores(found: Any, matrices: list[Any], classes: list[str]) -> None:
    means = [100 * metrics.mean_iou(matrix) for matrix in matrices]
    assert found["mIoU"]["mean"] == pytest.approx(statistics.fmean(means))
    assert found["mIoU"]["sd"] == pytest.approx(statistics.stdev(means))
    for index, name in enumerate(classes):
        of_class = [100 * (metrics.class_iou(matrix)[index] or 0) for matrix in matrices]
        assert found["classes"][name]["mean"] == pytest.approx(statistics.fmean(of_class))
        assert found["classes"][name]["sd"] == pytest.approx(statistics.stdev(of_class))


def assert_differences(rows: list[Any], settings: Settings) -> None:
    """The paired t-test's, by SciPy's own function, on the stored matrices."""
    values = {}
    for row in rows:
        stored = ledger(settings, f"{NAME}-{row['method']}-seeds").measurements()
        values[row["method"]] = [
            100 * metrics.mean_iou(_matrix(stored[n].test)) for n in sorted(stored)
        ]
    for row in rows[1:]:
        expected = stats.ttest_rel(values[row["method"]], values["baseline"])
        low, high = expected.confidence_interval(0.95)
        found = row["difference"]
        assert (found["low"], found["high"]) == pytest.approx((low, high))
        assert found["mean"] == pytest.approx((low + high) / 2)
        assert found["p"] == pytest.approx(expected.pvalue)
