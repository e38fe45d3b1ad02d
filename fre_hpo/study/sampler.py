"""TPE with one seed per trial and one joint draw per trial (design 3.5).

A sampler rebuilt with the study's seed at every restart would repeat its start-up draws.  Here the
draw of trial n follows from (study seed, n) and the trials that are told, whoever asks and however
often: an interrupted search proposes what an unbroken one does.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState

from fre_hpo.study.space import Fixed, Range
from fre_hpo.study.spec import Spec

DRAW = "draw"
"""The trial attribute that records the joint draw, so that a half-asked row is finished with it;
what was enqueued goes before it."""


def distributions(parameters: Mapping[str, Fixed | Range]) -> dict[str, BaseDistribution]:
    """Optuna's distributions of a spec's parameters; a fixed one is a range of one value."""
    return {name: _distribution(parameter) for name, parameter in parameters.items()}


def _distribution(parameter: Fixed | Range) -> BaseDistribution:
    if isinstance(parameter, Fixed):
        value = parameter.value
        if isinstance(value, int):
            return IntDistribution(value, value)
        return FloatDistribution(value, value)
    low, high = parameter.low, parameter.high
    if parameter.integer:
        return IntDistribution(int(low), int(high), log=parameter.log)
    return FloatDistribution(low, high, log=parameter.log)


class SeededTPE(BaseSampler):
    """Draws all parameters of a trial at once, from a TPE sampler made for that trial."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._distributions = distributions(spec.parameters)
        self._common = IntersectionSearchSpace(include_pruned=True)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The recorded draw of the trial, or a new one."""
        recorded = trial.user_attrs.get(DRAW)
        return dict(recorded) if recorded else self._draw(study, trial)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A parameter whose drawn value lies outside its range: the range was changed by hand."""
        return self._tpe(trial.number).sample_independent(
            _read_once(study), trial, param_name, param_distribution
        )

    def _draw(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        tpe = self._tpe(trial.number)
        study = _read_once(study)
        drawn = tpe.sample_relative(study, trial, self._joint(study))
        for name, distribution in self._distributions.items():
            if distribution.single():
                drawn[name] = distribution.to_external_repr(distribution.low)  # type: ignore[attr-defined]
            elif name not in drawn:
                drawn[name] = tpe.sample_independent(study, trial, name, distribution)
        return {name: drawn[name] for name in self._distributions}

    def _joint(self, study: optuna.Study) -> dict[str, BaseDistribution]:
        """What TPE draws together, as its sampler would infer it; of the earlier trials only those are
        looked at that are new since the last draw."""
        if not self._spec.sampler.multivariate:
            return {}
        common = self._common.calculate(study)
        return {name: space for name, space in common.items() if not space.single()}

    def _tpe(self, number: int) -> TPESampler:
        sampler = self._spec.sampler
        seed = np.random.SeedSequence([self._spec.seed, number]).generate_state(1)[0]
        return TPESampler(
            seed=int(seed),
            n_startup_trials=sampler.startup_trials,
            multivariate=sampler.multivariate,
            constant_liar=sampler.constant_liar,
        )


def _read_once(study: optuna.Study) -> optuna.Study:
    return cast(optuna.Study, _ReadOnce(study))


class _ReadOnce:
    """A study as a sampler sees it during one draw: its trials are read a single time.

    Optuna reads them for every step of a draw, and with each of them all points of the curves of the
    trials that run: the longest part of an ask.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._read = study
        self._trials = study.get_trials(deepcopy=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read, name)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        """As ``optuna.Study`` has it; samplers change none of them, and copy none."""
        return [trial for trial in self._trials if states is None or trial.state in states]
