"""The same search by Ray Tune's Tuner and OptunaSearch, as their documentation has it.

Trials are trained by our code, asleep, and report as ours do: every epoch, and checkpoints in between.
Metrics and checkpoints go to a local folder; where a search was killed, ``Tuner.restore`` goes on.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from optuna.samplers import TPESampler
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from fre_hpo import data, trial
from fre_hpo.bench.driving import STUDY, Order
from fre_hpo.bench.sleeping import SleepingTraining
from fre_hpo.bench.stamps import Stamps
from fre_hpo.study.recipe import find, resolve
from fre_hpo.study.sampler import distributions
from fre_hpo.study.spec import Spec
from fre_hpo.trial import Checkpoint, Epoch, Job, Result, StopFlag, TrainingData

FILE, NETWORK = "state.pt", "best.pt"
METRIC = "miou"


def search(order: Order, cpus: int) -> None:
    """Fit, or restore and fit."""
    spec = resolve(find("phantom"), "fre", order.settings).spec
    drawn = data.load("phantom", None, spec.options)
    objective = tune.with_resources(
        tune.with_parameters(train, data=TrainingData.of(drawn), spec=spec, order=order),
        {"cpu": cpus / order.parallel},
    )
    results = _tuner(order, spec, objective).fit()
    states = {"COMPLETE": 0, "ERROR": results.num_errors}
    for result in results:
        states["COMPLETE"] += bool(result.metrics and result.metrics.get("ended"))
    order.tell(states=states, cpu_seconds=time.process_time())


def _tuner(order: Order, spec: Spec, objective: Any) -> tune.Tuner:
    folder = Path(order.folder) / STUDY
    if order.again:
        return tune.Tuner.restore(
            str(folder), trainable=objective, resume_unfinished=True, resume_errored=True
        )
    sampler = TPESampler(
        seed=spec.seed,
        n_startup_trials=spec.sampler.startup_trials,
        multivariate=spec.sampler.multivariate,
        constant_liar=spec.sampler.constant_liar,
    )
    search = OptunaSearch(
        space=distributions(spec.parameters), metric=METRIC, mode="max", sampler=sampler
    )
    return tune.Tuner(
        objective,
        tune_config=tune.TuneConfig(
            search_alg=search,
            num_samples=order.trials,
            max_concurrent_trials=order.parallel,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=STUDY,
            storage_path=order.folder,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            failure_config=tune.FailureConfig(max_failures=3),
            verbose=0,
        ),
    )


def train(config: dict[str, Any], data: TrainingData, spec: Spec, order: Order) -> None:
    """One trial."""
    prepare = trial.prepare

    def asleep(job: Job, data: TrainingData) -> SleepingTraining:
        training = SleepingTraining.of(prepare(job, data))
        training.epoch_seconds = order.epoch_seconds
        training.stamps = Stamps(order.stamps, str(tune.get_context().get_trial_id()))
        return training

    trial.prepare = asleep  # type: ignore[assignment]
    try:
        job = Job(0, 1, spec, config, spec.seed, "cpu", 1, _checkpoint())
        metrics: dict[str, Any] = {METRIC: 0.0}
        for report in trial.run(job, data, StopFlag()):
            match report:
                case Epoch():
                    metrics = {METRIC: report.best_miou, "epoch": report.row.epoch}
                    tune.report(metrics)
                case Checkpoint():
                    _report(metrics, report.data)
                case Result():
                    folder = Path(tune.get_context().get_trial_dir() or order.folder)
                    (folder / NETWORK).write_bytes(report.network)
                    tune.report({METRIC: report.miou, "ended": True})
    finally:
        trial.prepare = prepare


def _checkpoint() -> bytes | None:
    found = tune.get_checkpoint()
    if found is None:
        return None
    with found.as_directory() as folder:
        return (Path(folder) / FILE).read_bytes()


def _report(metrics: dict[str, Any], content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(content)
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
