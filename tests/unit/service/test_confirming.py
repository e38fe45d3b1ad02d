"""``confirm``: noise shows no winner, a real one is shown; what is trained again, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comparing import Died, Simulation, simulated, simulation, small
from fre_hpo.errors import (
    BadValue,
    NothingComplete,
    NothingToConfirm,
    SearchRunning,
    StudyNotFound,
    UsageProblems,
)
from fre_hpo.results.comparison.simulation import Noise
from fre_hpo.scheduling.live import Live
from fre_hpo.scheduling.observer import Silent
from fre_hpo.service import read
from fre_hpo.service.confirmed import Confirmed, confirmed
from fre_hpo.service.confirming import Confirming, ConfirmRequest
from fre_hpo.service.request import Request
from fre_hpo.service.start import start
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger

__all__ = ["simulation"]

STUDY = "phantom-fre"
MEASURED = Noise(images=2, image=0.02, image_seed=0.01)
"""The seed alone moves mIoU by 5.7 points, a paired difference by 2.3."""


def sqlite(home: Path) -> Settings:
    return Settings(home, f"sqlite:///{home}/fre-hpo.db")


def search(settings: Settings, trials: int, **changes: Any) -> None:
    start(replace(small().base, trials=trials, **changes), settings, Silent())


def confirm(settings: Settings, study: str = STUDY, **changes: Any) -> Confirmed:
    request = ConfirmRequest(Request("", executor="inline", parallel=1), study, **changes)
    confirming = Confirming(request, settings)
    if not confirming.finished():
        confirming.check()
        confirming.run(Silent())
    found = confirming.result()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a search of 50 trials whose values are pure noise, each with a seed of its own."""
    home = tmp_path_factory.mktemp("noise") / "home"
    with pytest.MonkeyPatch.context() as monkeypatch:
        double = simulated(monkeypatch)
        double.noise = MEASURED
        overrides = {**small().base.overrides, "training.seeds": "per-trial"}
        search(sqlite(home), 50, overrides=overrides)
    return home


@pytest.fixture
def settings(home: Path) -> Settings:
    return sqlite(home)


@pytest.fixture
def searched(noise: Path, settings: Settings, simulation: Simulation) -> Settings:
    shutil.copytree(noise, settings.home)
    simulation.noise = MEASURED
    return settings


def test_pure_noise_shows_no_winner(searched: Settings) -> None:
    found = confirm(searched)
    told = found.confirmation
    assert not told.shown
    assert told.sentences[0].startswith("No winner is shown")
    assert told.gain is not None
    assert told.gain.interval is not None
    assert told.gain.interval.low < 0
    best = read.best(searched, STUDY)["observed"]
    assert told.luck is not None
    assert told.luck.of == 50
    assert told.luck.observed == best["value"]
    assert told.luck.luck.mean > 0.05  # of 50 draws with 5.7 points of noise the best is 12 above
    assert "luck made +" in told.sentences[1]


def test_while_the_search_runs_its_leading_trials_may_still_change(
    settings: Settings, simulation: Simulation
) -> None:
    search(settings, 2)
    ledger = Ledger.open(Connection(settings.storage, create=True), STUDY)
    live = Live("running", wanted=4, complete=2, failed=0, slots=1, elapsed=0.0, epochs=1)
    ledger.set_live(live.to_plain())
    with pytest.raises(SearchRunning, match="fre-hpo stop phantom-fre"):
        confirm(settings, seeds=2)
    ledger.set_live(replace(live, state="finished").to_plain())
    assert confirm(settings, seeds=2).seeds == (1001, 1002)


def test_a_point_that_is_better_is_shown_to_be(settings: Settings, simulation: Simulation) -> None:
    def worth(method: str, parameters: Mapping[str, float]) -> float:
        return 0.1 if method == "fre" and parameters["B"] <= 4 else 0.0

    simulation.noise, simulation.effect = MEASURED, worth
    search(settings, 20)
    told = confirm(settings).confirmation
    assert told.shown
    assert told.winner.parameters["B"] <= 4
    assert told.gain is not None
    assert told.gain.mean == pytest.approx(0.1, abs=0.04)


def test_the_leading_trials_the_recommended_point_and_the_baseline_have_the_same_fresh_seeds(
    searched: Settings, simulation: Simulation
) -> None:
    found = confirm(searched, top=2, seeds=3)
    trials = read.trials(searched, STUDY)
    leading = sorted(trials, key=lambda t: -t["value"])[:2]
    names = [f"trial-{t['number']}" for t in leading]
    assert [c.name for c in found.candidates] == [*names, "recommended-50"]
    assert [c.observed for c in found.candidates] == [t["value"] for t in leading] + [None]
    assert [dict(c.parameters) for c in found.candidates[:2]] == [t["params"] for t in leading]
    recommended = read.best(searched, STUDY)["recommended"]
    assert found.candidates[2].parameters == recommended["params"]
    assert found.seeds == (1001, 1002, 1003)
    assert not {t["seed"] for t in trials} & set(found.seeds)
    points = [("fre", s) for _ in range(3) for s in found.seeds]
    assert simulation.trained == points + [("baseline", s) for s in found.seeds]
    assert simulation.evaluated == []  # the test split is not read


def test_killed_it_goes_on_and_then_only_shows(searched: Settings, simulation: Simulation) -> None:
    simulation.most = 3
    with pytest.raises(Died):
        confirm(searched, top=1, seeds=2)
    assert confirmed(searched, STUDY) is None
    simulation.most = None
    first = confirm(searched, top=1, seeds=2)
    assert len(simulation.trained) == 6
    assert confirm(searched, top=1).to_json() == first.to_json()
    stored = confirmed(searched, STUDY)
    assert stored is not None
    assert stored.confirmation.winner == first.confirmation.winner
    assert len(simulation.trained) == 6
    assert confirm(searched, top=1, seeds=3).seeds == (1001, 1002, 1003)
    assert len(simulation.trained) == 9


def test_one_seed_cannot_choose_and_tell(searched: Settings) -> None:
    found = confirm(searched, top=1, seeds=1)
    assert found.confirmation.figure is None
    assert "one fresh seed cannot both choose and tell" in found.confirmation.sentences[0]
    assert found.to_json()["gain"] is None


def test_what_cannot_be_confirmed(settings: Settings, simulation: Simulation) -> None:
    with pytest.raises(StudyNotFound):
        confirm(settings)
    search(settings, 1, method="baseline")
    with pytest.raises(NothingToConfirm, match="searches nothing"):
        confirm(settings, "phantom-baseline")
    simulation.most = 1
    with pytest.raises(Died):
        search(settings, 3)
    with pytest.raises(NothingComplete):
        confirm(settings)


def test_what_is_mistyped(searched: Settings) -> None:
    with pytest.raises(UsageProblems, match="--top = 0"):
        ConfirmRequest(Request(""), STUDY, top=0, seeds=-1)
    with pytest.raises(BadValue, match="--seeds = 0"):
        ConfirmRequest(Request(""), STUDY, seeds=0)


def test_a_name_that_leaves_no_room(settings: Settings, simulation: Simulation) -> None:
    search(settings, 1, study="x" * 60)
    with pytest.raises(UsageProblems, match="1 to 64 letters"):
        confirm(settings, "x" * 60)
