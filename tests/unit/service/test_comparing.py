"""A comparison that goes on, what it refuses, and trainings that fail."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comparing import (
    NAME,
    Died,
    Simulation,
    compare,
    ledger,
    readings_of,
    simulated,
    simulation,
    small,
    trained_seeds,
)
from fre_hpo.errors import (
    ComparisonIncomplete,
    ComparisonNotFound,
    DifferentStudy,
    StudyHeld,
    UnlikeMeasurements,
    UsageError,
    UsageProblems,
)
from fre_hpo.methods import METHODS
from fre_hpo.scheduling.observer import Silent
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.compared import compared, comparison_names
from fre_hpo.service.start import start
from fre_hpo.settings import Settings
from fre_hpo.study.connection import parse_url
from fre_hpo.study.lock import coordinator_lock

__all__ = ["simulation"]

TWO = ("baseline", "fre")


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home, f"sqlite:///{home}/fre-hpo.db")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a finished comparison of all methods, to be copied."""
    home = tmp_path_factory.mktemp("finished") / "home"
    with pytest.MonkeyPatch.context() as monkeypatch:
        simulated(monkeypatch)
        compare(Settings(home, f"sqlite:///{home}/fre-hpo.db"), small(1, 8))
    return home


@pytest.fixture
def begun(finished: Path, settings: Settings) -> Settings:
    shutil.copytree(finished, settings.home)
    return settings


class TestGoingOn:
    def test_more_seeds_are_added(self, settings: Settings, simulation: Simulation) -> None:
        compare(settings, small(2, methods=TWO))
        first = compared(settings, NAME).comparison.methods[1]
        simulation.trained.clear()
        compare(settings, small(4, methods=tuple(METHODS)))
        assert simulation.trained[:3] == [("supervision", 0)] * 3
        assert all(trained_seeds(settings, method) == [1, 2, 3, 4] for method in METHODS)
        now = compared(settings, NAME).comparison.find("fre")
        assert now is not None
        assert (now.test and now.test.counts[:2].tolist()) == (
            first.test and first.test.counts.tolist()
        )
        assert ("fre", 1) not in simulation.trained[3:]
        assert compare(settings, small(None)) is None
        assert readings_of(settings) == [(NAME, 4), (NAME, 20)]

    def test_what_was_begun_with_more_seeds_may_end_with_fewer(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        simulation.most = 9  # of the 5 seeds of the baseline, 3
        with pytest.raises(Died):
            compare(settings, small(5))
        simulation.most = None
        compare(settings, small(3))
        assert all(trained_seeds(settings, method) == [1, 2, 3] for method in METHODS)

    def test_a_search_that_there_is_already_is_taken(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        overrides = {**small().base.overrides, "B": "1..4"}
        request = replace(small().base, method="fre", trials=2, overrides=overrides)
        start(request, settings, Silent())
        compare(settings, small(2, None, methods=TWO))
        assert simulation.trained[:2] == [("fre", 0)] * 2
        assert ("fre", 0) not in simulation.trained[2:]
        assert compared(settings, NAME).comparison.budgets == {"fre": 2}

    def test_methods_that_were_not_begun_are_not_forgotten(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        simulation.most = 8
        with pytest.raises(Died):
            compare(settings)
        simulation.most = None
        compare(settings, small(None, None))
        assert [m.method for m in compared(settings, NAME).comparison.methods] == list(METHODS)

    def test_what_the_first_start_was_told_holds_for_later_methods(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(1, methods=TWO))
        plain = small(None, None, methods=("baseline", "fre-fixed"))
        compare(settings, replace(plain, base=replace(plain.base, overrides={})))
        assert ledger(settings, "phantom-fre-fixed-seeds").spec.training.epochs == 1
        assert [m.method for m in compared(settings, NAME).comparison.methods] == [
            "baseline",
            "fre",
            "fre-fixed",
        ]

    def test_the_time_of_all_its_studies_counts(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        compare(settings, small(1, methods=TWO))
        done = len(simulation.trained)
        again = compare(settings, small(2, methods=TWO, hours=1e-9))
        assert again is not None
        assert (again.outcome, again.complete, again.wanted) == (Outcome.OUT_OF_TIME, 2, 4)
        assert len(simulation.trained) == done
        compare(settings, small(2, methods=TWO, hours=1))
        assert compare(settings, small(None, methods=TWO)) is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"training.epochs": 2}, "training.epochs is 1 there and 2 here"),
            ({"seed": 4}, "seed is 0 there and 4 here"),
            ({"B": "1..3"}, "B is 1..16:log there and 1..3 here"),
            ({"B": 2}, "B is 1..16:log there and 2 here"),
            ({"methods.fre-fixed.X": 5}, "X is 10000 there and 5 here"),
            ({"methods.dropout.B": 16}, "B is [0-9]* there and 16 here"),
            ({"data.cells": 3}, "data.cells is 2 there and 3 here"),
        ],
    )
    def test_other_settings_are_named(
        self, changes: dict[str, Any], words: str, begun: Settings, simulation: Simulation
    ) -> None:
        for seeds in (1, 2):  # of a finished comparison, and of one that is to go on
            with pytest.raises((DifferentStudy, UsageProblems), match=words):
                compare(begun, small(seeds, None, overrides=changes))
        assert simulation.trained == []

    def test_another_choice_and_a_longer_search(
        self, begun: Settings, simulation: Simulation
    ) -> None:
        with pytest.raises(DifferentStudy, match="point is recommended there and observed here"):
            compare(begun, small(1, point="observed"))
        with pytest.raises(UsageProblems, match="begun with what 8 trials of phantom-fre have"):
            compare(begun, small(2, 9))
        assert simulation.trained == []

    def test_all_that_is_mistyped_is_told_at_once(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        wrong = small(0, methods=("fre", "frre"), overrides={"B": 99, "training.epoch": 3})
        with pytest.raises(UsageProblems) as raised:
            compare(settings, wrong)
        told = "\n".join(raised.value.problems)
        for words in ("'frre'", "name baseline", "--seeds = 0", "B = 99", "training.epoch'"):
            assert words in told
        assert comparison_names(settings) == []
        assert not settings.home.exists()

    def test_a_name_that_is_too_long_for_its_studies(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        with pytest.raises(UsageProblems, match="1 to 64 letters"):
            compare(settings, small(study="x" * 50))

    def test_a_study_of_that_name_which_is_somebody_elses(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        base = replace(small().base, method="baseline", study="phantom-baseline-seeds", trials=1)
        start(base, settings, Silent())
        with pytest.raises(UsageError, match="does not belong to this comparison"):
            compare(settings)

    def test_two_runs_at_once(self, settings: Settings, simulation: Simulation) -> None:
        lock = coordinator_lock(parse_url(settings.storage), f"{NAME}.comparison")
        assert lock.acquire()
        try:
            with pytest.raises(StudyHeld, match=f"'{NAME}'"):
                compare(settings)
        finally:
            lock.release()
        assert simulation.trained == []

    def test_studies_of_unlike_data_and_settings_are_not_put_in_one_table(
        self, begun: Settings
    ) -> None:
        for key, value, what in [
            ("fingerprint", "0" * 64, "for their data differ"),
            ("spec", _longer(begun), r"their settings \(training.epochs\) differ"),
        ]:
            study = ledger(begun, "phantom-fre-seeds")
            charter = study.charter.to_plain()
            study._study.set_user_attr("charter", {**charter, key: value})
            with pytest.raises(UnlikeMeasurements, match=what):
                compared(begun, NAME)
            study._study.set_user_attr("charter", charter)
        assert compared(begun, NAME).comparison.baseline is not None

    def test_what_is_not_there(self, settings: Settings, simulation: Simulation) -> None:
        with pytest.raises(ComparisonNotFound, match="begins one"):
            compared(settings, NAME)
        simulation.most = 8
        with pytest.raises(Died):
            compare(settings)
        with pytest.raises(ComparisonNotFound, match="did you mean phantom"):
            compared(settings, "fantom")
        with pytest.raises(ComparisonIncomplete, match="2 of 3 seeds of baseline are complete"):
            compared(settings, NAME)


class TestFailures:
    def test_a_training_that_fails_gives_way_to_another_seed_and_is_said(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        simulation.diverging = {("fre", 2)}
        compare(settings, small(3, methods=TWO))
        assert trained_seeds(settings, "fre") == [1, 3, 4]
        assert trained_seeds(settings, "baseline") == [1, 2, 3]
        table = compared(settings, NAME).table()
        row = next(row for row in table.rows if row["method"] == "fre")
        assert row["difference"]["seeds"] == 2
        text = "\n".join(table.footnotes)
        assert "1 training of fre came to no result and gave way to other seeds" in text
        assert "fre shares 2 of its 3 seeds with the baseline" in text

    def test_trainings_that_keep_failing_end_it(
        self, settings: Settings, simulation: Simulation
    ) -> None:
        simulation.diverging = {("baseline", seed) for seed in range(1, 20)}
        ended = compare(settings)
        assert ended is not None
        assert ended.outcome is Outcome.FAILING
        assert ("fre-fixed", 1) not in simulation.trained
        assert simulation.evaluated == []


def _longer(settings: Settings) -> str:
    spec = ledger(settings, "phantom-fre-seeds").spec
    longer = spec.training.model_copy(update={"epochs": 9})
    return spec.model_copy(update={"training": longer}).to_json()
