"""The sampler: TPE, with a seed and a joint draw of each trial's own."""

from __future__ import annotations

from statistics import mean
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from fre_hpo.study.sampler import SeededTPE, distributions
from fre_hpo.study.space import Fixed, Range
from fre_hpo.study.spec import SamplerSpec, Spec
from ledgers import MAPS, make_spec, objective

RANDOM = SamplerSpec(startup_trials=10**6)
UNIVARIATE = SamplerSpec(startup_trials=10, multivariate=False, constant_liar=False)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def points(spec: Spec, trials: int, *, rebuild: bool = False) -> list[dict[str, int | float]]:
    """A search in memory; ``rebuild``: with a new sampler for every trial."""
    study = optuna.create_study(direction="maximize", sampler=SeededTPE(spec))
    for _ in range(trials):
        if rebuild:
            study.sampler = SeededTPE(spec)
        trial = study.ask(distributions(spec.parameters))
        study.tell(trial, objective(trial.params))
    return [trial.params for trial in study.trials]


def late_values(sampler: SamplerSpec) -> float:
    """The mean value of the last 15 of 30 trials, over three seeds."""
    searches = [points(make_spec(seed=seed, sampler=sampler), 30) for seed in range(3)]
    return mean(objective(point) for search in searches for point in search[15:])


@pytest.mark.parametrize("sampler", [SamplerSpec(), UNIVARIATE], ids=["default", "univariate"])
def test_tpe_gathers_near_the_best_point(sampler: SamplerSpec) -> None:
    assert late_values(sampler) > 1.5 * late_values(RANDOM)


def test_the_first_trials_are_drawn_at_random() -> None:
    tpe = points(make_spec(sampler=SamplerSpec(startup_trials=5)), 8)
    random = points(make_spec(sampler=RANDOM), 8)
    assert tpe[:5] == random[:5]
    assert all(a != b for a, b in zip(tpe[5:], random[5:], strict=True))


@pytest.mark.parametrize("sampler", [SamplerSpec(startup_trials=3), UNIVARIATE])
def test_the_seed_decides_whoever_asks(sampler: SamplerSpec) -> None:
    spec = make_spec(seed=7, sampler=sampler)
    once = points(spec, 14)
    assert points(spec, 14, rebuild=True) == once
    assert points(make_spec(seed=8, sampler=sampler), 14) != once


@pytest.mark.parametrize("changes", [{}, {"multivariate": False}, {"constant_liar": False}])
def test_a_draw_is_optunas_own_and_reads_the_trials_once(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(sampler=SamplerSpec(startup_trials=3, **changes))
    sampler = SeededTPE(spec)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    reads = 0

    def counted(*args: Any, **kwargs: Any) -> list[FrozenTrial]:
        nonlocal reads
        reads += 1
        return all_trials(*args, **kwargs)

    all_trials = study._storage.get_all_trials
    running = [study.ask(distributions(spec.parameters)) for _ in range(2)]
    for number in range(2, 12):
        told = running.pop(0)
        study.tell(told, objective(told.params))
        trial = study.ask()
        frozen = study._storage.get_trial(trial._trial_id)
        expected = _drawn_by_optuna(sampler._tpe(number), study, frozen)
        monkeypatch.setattr(study._storage, "get_all_trials", counted)
        reads = 0
        assert sampler.sample_relative(study, frozen, {}) == expected
        assert reads == 1
        monkeypatch.undo()
        for name, distribution in distributions(spec.parameters).items():
            trial._suggest(name, distribution)
        running.append(trial)


def _drawn_by_optuna(
    tpe: TPESampler, study: optuna.Study, trial: FrozenTrial
) -> dict[str, int | float]:
    """Jointly what its sampler draws jointly, the rest one by one."""
    space = SeededTPE(make_spec())._distributions
    drawn = tpe.sample_relative(study, trial, tpe.infer_relative_search_space(study, trial))
    return {
        name: drawn[name]
        if name in drawn
        else tpe.sample_independent(study, trial, name, distribution)
        for name, distribution in space.items()
    }


def test_start_up_draws_are_not_repeated() -> None:
    drawn = points(make_spec(sampler=RANDOM), 25, rebuild=True)
    assert len({tuple(point.values()) for point in drawn}) == 25


def test_the_liar_keeps_away_from_what_is_running() -> None:
    """TPE counts trials in flight as bad ones, so that the next is drawn elsewhere."""

    def next_point(liar: bool, in_flight: bool) -> dict[str, int | float]:
        sampler = SamplerSpec(startup_trials=5, constant_liar=liar)
        spec = make_spec(sampler=sampler)
        space = distributions(spec.parameters)
        study = optuna.create_study(direction="maximize", sampler=SeededTPE(spec))
        for _ in range(10):
            trial = study.ask(space)
            study.tell(trial, objective(trial.params))
        running = study.ask(space)
        if not in_flight:
            study.tell(running, state=TrialState.FAIL)
        return study.ask(space).params

    assert next_point(liar=True, in_flight=True) != next_point(liar=True, in_flight=False)
    assert next_point(liar=False, in_flight=True) == next_point(liar=False, in_flight=False)


def test_what_is_fixed_stays_and_what_is_searched_moves() -> None:
    parameters = {"B": Range(1, MAPS, log=True, integer=True), "X": Fixed(10000.0)}
    drawn = points(make_spec(parameters=parameters, sampler=SamplerSpec(startup_trials=3)), 8)
    assert {point["X"] for point in drawn} == {10000.0}
    assert len({point["B"] for point in drawn}) > 3


def test_distributions_say_what_the_spec_says() -> None:
    assert distributions(
        {
            "B": Range(1, 64, log=True, integer=True),
            "X": Range(1.0, 1000.0, log=False, integer=False),
            "count": Fixed(10),
            "lambda": Fixed(0.25),
        }
    ) == {
        "B": IntDistribution(1, 64, log=True),
        "X": FloatDistribution(1.0, 1000.0),
        "count": IntDistribution(10, 10),
        "lambda": FloatDistribution(0.25, 0.25),
    }
