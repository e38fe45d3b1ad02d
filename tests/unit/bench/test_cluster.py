"""The benchmarks of a coordinator with many workers, small: that they measure, not what."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import TrialState

from fre_hpo.bench import ask, scaling, slots, tune
from fre_hpo.bench.measures import Part
from fre_hpo.bench.request import GROUPS, NAMES, PARTS
from fre_hpo.bench.rows import fill, new_study
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.shapes import SHAPES
from fre_hpo.bench.sleeping import SleepingTraining, sleeping_trainings
from fre_hpo.bench.stamps import read
from fre_hpo.study.ledger import CURVE_POINTS
from fre_hpo.trial import Checkpoint, Epoch, StopFlag, run
from trials import drawn_data, prepared, small_job, small_spec


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(SHAPES["tiny"], torch.device("cpu"), "not asked for", 1.0, True, tmp_path)


def values(part: Part) -> dict[str, float]:
    return {figure.name: figure.value for figure in part.figures}


def test_what_takes_long_is_not_part_of_all() -> None:
    assert GROUPS["all"] == tuple(PARTS)
    assert set(GROUPS["cluster"]).isdisjoint(PARTS)
    assert {"slots", "ask", "scaling", "tune", "cluster"} <= set(NAMES)


def test_rows_are_those_of_trials_that_were_trained(setup: Setup) -> None:
    with new_study(setup, **{"training.epochs": 2000}) as (ledger, _):
        fill(ledger, 3, TrialState.COMPLETE)
        fill(ledger, 2, TrialState.RUNNING, points=7)
        rows = ledger.records()
        assert [row.state for row in rows] == ["COMPLETE"] * 3 + ["RUNNING"] * 2
        assert all(row.begun and row.params.keys() == {"B", "X"} for row in rows)
        lengths = [len(curve) for _, curve in sorted(ledger.curves().items())]
        assert lengths == [CURVE_POINTS] * 3 + [7] * 2
        assert ledger.ask().number == 5


def test_asks_are_timed(setup: Setup) -> None:
    found = values(ask.measure(setup))
    assert 0 < found["median ask"] <= found["slowest ask"]


def test_a_coordinator_keeps_up_with_few_workers(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "TINY_WORKERS", (3,))
    found = values(scaling.measure(setup))
    assert 30 < found["3 workers: of their epochs taken in time"] < 200
    assert 0 < found["3 workers: the coordinator is busy"] <= 100


def test_a_worker_that_nobody_listens_to_waits() -> None:
    executor = scaling.Pretended(1, 1e9, scaling.Placement("cpu", 1, 1, 0, 1))
    executor.submit(small_job(small_spec()))
    worker = executor.workers[0]
    due = [worker.due]
    for _ in range(2 * scaling.ROOM):
        executor._next(worker, now=due[0] + 100)
        due.append(worker.due)
    assert due[scaling.ROOM] == due[0] + scaling.ROOM
    assert due[scaling.ROOM + 1] == due[0] + 100


def test_an_asleep_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    stamps = tmp_path / "stamps.jsonl"
    spec = small_spec(settings={"training.epochs": 4, "training.checkpoint_seconds": 0.0})
    with sleeping_trainings(0.01, stamps):
        reports = list(run(small_job(spec), drawn_data(spec), StopFlag()))
        second = next(r for r in reports if isinstance(r, Checkpoint) and r.epoch == 2)
        again = list(run(small_job(spec, second.data), drawn_data(spec), StopFlag()))
    assert [r.row.epoch for r in again if isinstance(r, Epoch)] == [3, 4]
    assert [s.epoch for s in read(stamps)] == [1, 2, 3, 4, 3, 4]
    assert isinstance(SleepingTraining.of(prepared(spec)), SleepingTraining)


def test_ray_tune_is_left_out_where_its_packages_are_missing(setup: Setup) -> None:
    if all(find_spec(name) for name in tune.NEEDED):
        pytest.skip("ray[tune] is installed")
    (left_out,) = tune.measure(setup).left_out
    assert "pip install 'ray[tune]'" in left_out.reason


@pytest.mark.slow
def test_slots_are_measured_through_a_whole_search(setup: Setup) -> None:
    """On a Ray of its own, in a process of its own."""
    part = slots.measure(setup)
    assert part.left_out == ()
    found: dict[str, Any] = json.loads(json.dumps(values(part)))
    assert found["lost, of the trials' time"] > 0
    assert 0 < found["median between two trials of a slot"] <= found["longest"]
