"""A job in, reports out: their order, what a result says, and going on from a checkpoint."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fre_hpo import trial
from fre_hpo.errors import BadCheckpoint, NonFiniteLoss
from fre_hpo.methods import METHODS
from fre_hpo.study.spec import Spec
from fre_hpo.training import checkpoint
from fre_hpo.training.metrics import class_iou, mean_iou
from fre_hpo.trial import (
    Checkpoint,
    Epoch,
    Result,
    Snapshot,
    Started,
    StopFlag,
    Stopped,
    TrainingData,
    build_network,
    curve_header,
    curve_row,
    prepare,
    run,
    train,
)
from trials import (
    curve,
    drawn_data,
    ended,
    prepared,
    reports,
    result,
    small_job,
    small_spec,
    stopped_after,
)

REPOSITORY = Path(__file__).resolve().parents[2]


# --- the reports --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_reports_come_in_order(method: str) -> None:
    spec = small_spec(method, {"training.checkpoint_seconds": 1000})
    found = reports(spec)
    assert [type(report) for report in found] == [Started, *[Epoch] * 3, Result]
    started, *epochs, outcome = found
    assert isinstance(started, Started)
    assert (started.epoch, started.pid, started.device) == (0, os.getpid(), "cpu")
    assert started.worker.endswith(f":{os.getpid()}")
    assert isinstance(outcome, Result)
    rows = [report.row for report in epochs if isinstance(report, Epoch)]
    assert rows == list(outcome.curve)
    assert [row.epoch for row in rows] == [1, 2, 3]


def test_an_epoch_tells_the_best_so_far() -> None:
    epochs = [r for r in reports(small_spec("fre", {"training.epochs": 8})) if isinstance(r, Epoch)]
    values = [report.row.miou for report in epochs]
    assert len(set(values)) > 4
    for done, report in enumerate(epochs, 1):
        best = max(values[:done])
        assert (report.best_miou, report.best_epoch) == (best, values.index(best) + 1)
        assert report.pid == os.getpid()


def test_the_job_decides_on_the_threads() -> None:
    job = replace(small_job(small_spec()), threads=2)
    next(train(job, drawn_data(job.spec), StopFlag()))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_everything_that_travels_can_be_pickled() -> None:
    """Ray sends a job to the worker and every report back."""
    spec = small_spec("fre", {"training.checkpoint_seconds": 0})
    job = pickle.loads(pickle.dumps(small_job(spec)))
    assert (job.spec, job.parameters) == (spec, {"B": 5, "X": 100.0})
    found = reports(spec)
    for report, copy in zip(found, pickle.loads(pickle.dumps(found)), strict=True):
        assert type(copy) is type(report)
        np.testing.assert_equal(vars(copy), vars(report))


# --- the result ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["recalibrate", "running"])
@pytest.mark.parametrize("method", ["baseline", "fre", "without-deep-layers", "supervision"])
def test_a_result_can_be_computed_again_from_what_it_holds(method: str, rule: str) -> None:
    spec = small_spec(method, {"training.eval_bn": rule, "training.epochs": 5})
    data, outcome = drawn_data(spec), result(spec)
    confusion = np.array(outcome.confusion)
    assert outcome.sources == data.validation.sources
    assert confusion.shape == (3, 3, 3)
    assert confusion.sum() == data.validation.labels.size
    assert outcome.miou == mean_iou(confusion)
    assert outcome.class_iou == tuple(class_iou(confusion))
    row = outcome.curve[outcome.best_epoch - 1]
    assert (row.miou, row.class_iou) == (outcome.miou, outcome.class_iou)
    assert outcome.miou == max(row.miou for row in outcome.curve)
    assert outcome.epochs == 5
    assert outcome.predictions is not None
    assert len(outcome.predictions) == 2
    for index, labels in outcome.predictions.items():  # here each picture is a source of its own
        truth = data.validation.labels[index]
        counts = [[((truth == t) & (labels == p)).sum() for p in range(3)] for t in range(3)]
        assert counts == outcome.confusion[index]


@pytest.mark.parametrize("rule", ["recalibrate", "running"])
@pytest.mark.parametrize("norm", ["batch", "batch_renorm", "group"])
def test_the_trained_network_gives_the_reported_miou_again(norm: str, rule: str) -> None:
    """With nothing but what best.pt holds."""
    settings = {"model.norm": norm, "training.eval_bn": rule, "training.epochs": 5}
    data, outcome = drawn_data(small_spec("fre", settings)), result(small_spec("fre", settings))
    kept = checkpoint.from_bytes(outcome.network, "best.pt")
    spec = Spec.from_json(kept["spec"])
    assert spec == small_spec("fre", settings)
    assert json.loads(kept["parameters"]) == {"B": 5, "X": 100.0}
    assert (kept["epoch"], kept["miou"]) == (outcome.best_epoch, outcome.miou)
    assert tuple(kept["shape"]) == data.train.images.shape[2:]
    network = build_network(spec, kept["channels"], len(kept["classes"]), seed=1)
    network.load_state_dict(kept["state"])
    with torch.no_grad():
        said = network.eval()(torch.tensor(data.validation.images)).argmax(dim=1).numpy()
    truth = data.validation.labels
    shares = [
        ((truth == c) & (said == c)).sum() / ((truth == c) | (said == c)).sum() for c in range(3)
    ]
    assert outcome.miou == pytest.approx(np.mean(shares), rel=1e-12)
    assert outcome.class_iou == pytest.approx(shares, rel=1e-12)


def test_a_line_of_the_curves_file_fits_its_header() -> None:
    outcome = result(small_spec())
    header = curve_header(("background", "membrane", "nucleus"))
    row = replace(outcome.curve[-1], class_iou=(0.5, None, 0.25), seconds=0.123456)
    line = dict(zip(header, curve_row(row), strict=True))
    assert line["epoch"] == 3
    assert (line["iou_background"], line["iou_membrane"], line["iou_nucleus"]) == (0.5, "", 0.25)
    assert (line["miou"], line["loss"]) == (row.miou, row.loss)
    assert (line["miou_recalibrated"], line["miou_running"]) == (
        row.miou_recalibrated,
        row.miou_running,
    )
    assert (line["learning_rate"], line["seconds"]) == (0.01, 0.1235)


# --- checkpoints --------------------------------------------------------------------------------


def test_no_interval_means_a_checkpoint_after_every_epoch() -> None:
    found = reports(small_spec("fre", {"training.checkpoint_seconds": 0}))
    # The last epoch's state is the result.
    kinds = [Started, Epoch, Checkpoint, Epoch, Checkpoint, Epoch, Result]
    assert [type(report) for report in found] == kinds
    assert [report.epoch for report in found if isinstance(report, Checkpoint)] == [1, 2]


@pytest.mark.parametrize(
    ("number", "epochs"), [(0, [4]), (1, [3]), (2, [2]), (3, [1, 5]), (4, [4])]
)
def test_checkpoints_keep_their_interval_and_are_staggered(
    monkeypatch: pytest.MonkeyPatch, number: int, epochs: list[int]
) -> None:
    """By a clock on which an epoch takes ten seconds."""
    spec = small_spec("baseline", {"training.checkpoint_seconds": 40, "training.epochs": 6})
    now = 0.0
    monkeypatch.setattr(trial, "time", SimpleNamespace(monotonic=lambda: now))
    found = []
    for report in train(small_job(spec, number=number), drawn_data(spec), StopFlag()):
        if isinstance(report, Epoch):
            now += 10.0
        if isinstance(report, Snapshot):
            found.append(report.epoch)
    assert found == epochs


def test_a_stop_ends_the_epoch_and_leaves_a_checkpoint() -> None:
    spec, stop, found = small_spec("fre"), StopFlag(), []
    for report in train(small_job(spec), drawn_data(spec), stop):
        found.append(report)
        stop.raise_()
    assert [type(report) for report in found] == [Started, Epoch, Snapshot, Stopped]
    assert isinstance(found[-1], Stopped)
    assert found[-1].epoch == 1


def test_a_stop_in_the_last_epoch_is_too_late() -> None:
    spec, stop = small_spec("fre", {"training.epochs": 1}), StopFlag()
    stop.raise_()
    found = list(run(small_job(spec), drawn_data(spec), stop))
    assert [type(report) for report in found] == [Started, Epoch, Result]


# --- going on -----------------------------------------------------------------------------------

SCHEDULE = {
    "training.epochs": 4,
    "training.warmup_epochs": 2,
    "training.lr_decay": "cosine",
    "training.gradient_clip": 1.0,
}
INTERRUPTED = [
    (method, norm, stop)
    for method, stop in (("fre", 2), ("dropout", 1), ("supervision", 3))
    for norm in ("batch", "batch_renorm")
]


def interrupted_spec(method: str, norm: str) -> Spec:
    return small_spec(method, {**SCHEDULE, "model.norm": norm})


def assert_same(found: Result, expected: Result) -> None:
    """The same curve and the same best network, bit for bit."""
    assert curve(found) == curve(expected)
    kept, wanted = (checkpoint.from_bytes(r.network, "best.pt") for r in (found, expected))
    assert all(torch.equal(kept["state"][name], wanted["state"][name]) for name in wanted["state"])
    del kept["state"], wanted["state"]
    assert kept == wanted
    for name in ("miou", "best_epoch", "epochs", "class_iou", "sources", "confusion"):
        assert getattr(found, name) == getattr(expected, name)


@pytest.mark.parametrize(("method", "norm", "stop"), INTERRUPTED)
def test_a_stopped_trial_goes_on_as_if_it_had_never_stopped(
    method: str, norm: str, stop: int
) -> None:
    spec = interrupted_spec(method, norm)
    data = stopped_after(spec, stop)
    torch.manual_seed(12345)  # other work in the same process
    first, *_ = found = reports(spec, data)
    assert isinstance(first, Started)
    assert first.epoch == stop
    assert [r.row.epoch for r in found if isinstance(r, Epoch)] == list(range(stop + 1, 5))
    assert isinstance(found[-1], Result)
    assert_same(found[-1], result(spec))


GO_ON = """
import pathlib, pickle, sys
from trials import ended, reports
folder = pathlib.Path(sys.argv[1])
jobs = pickle.loads((folder / "jobs").read_bytes())
(folder / "results").write_bytes(pickle.dumps([ended(reports(*job)) for job in jobs]))
"""


@pytest.fixture(scope="module")
def results_of_another_process(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """What a new process makes of the checkpoints, in the order of INTERRUPTED."""
    folder = tmp_path_factory.mktemp("resumed")
    specs = [interrupted_spec(method, norm) for method, norm, _ in INTERRUPTED]
    stops = [stop for _, _, stop in INTERRUPTED]
    jobs = [(spec, stopped_after(spec, stop)) for spec, stop in zip(specs, stops, strict=True)]
    (folder / "jobs").write_bytes(pickle.dumps(jobs))
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", GO_ON, folder], env=environment, check=True)
    found: list[Result] = pickle.loads((folder / "results").read_bytes())
    return found


@pytest.mark.parametrize(
    "case", range(len(INTERRUPTED)), ids=lambda i: "-".join(INTERRUPTED[i][:2])
)
def test_a_new_process_goes_on_as_if_it_had_never_stopped(
    results_of_another_process: list[Result], case: int
) -> None:
    method, norm, _ = INTERRUPTED[case]
    assert_same(results_of_another_process[case], result(interrupted_spec(method, norm)))


def test_a_trial_may_be_interrupted_after_every_epoch() -> None:
    spec = interrupted_spec("fre", "batch")
    stop, data = StopFlag(), None
    stop.raise_()
    for epoch in range(1, 4):
        *_, kept, last = run(small_job(spec, data), drawn_data(spec), stop)
        assert isinstance(kept, Checkpoint)
        assert last == Stopped(epoch)
        data = kept.data
    assert_same(ended(reports(spec, data)), result(spec))


def test_a_checkpoint_is_the_whole_state() -> None:
    spec = interrupted_spec("supervision", "batch_renorm")
    data = stopped_after(spec, 2)
    training = prepare(small_job(spec, data), drawn_data(spec))
    assert checkpoint.to_bytes(training.state_dict()) == data


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_diverging_training_is_an_error_that_names_its_epoch() -> None:
    spec = small_spec("baseline", {"training.learning_rate": 1e20})
    with pytest.raises(NonFiniteLoss) as caught:
        reports(spec)
    assert caught.value.facts["epoch"] == 1
    assert not np.isfinite(caught.value.facts["value"])


def test_the_epoch_of_a_later_divergence_is_told_too() -> None:
    training = prepared(small_spec())
    rows = training.run()
    next(rows)
    with torch.no_grad():
        training.network.head.weight.fill_(float("inf"))
    with pytest.raises(NonFiniteLoss, match="in epoch 2"):
        next(rows)


def test_a_damaged_checkpoint_is_refused_with_the_trials_number() -> None:
    spec = small_spec()
    job = small_job(spec, stopped_after(spec, 1)[:-100], number=17)
    with pytest.raises(BadCheckpoint, match="checkpoint of trial 17 is damaged"):
        next(run(job, drawn_data(spec), StopFlag()))


# --- the network of a spec ----------------------------------------------------------------------


def test_a_network_follows_from_its_seed_and_uses_no_global_random_number() -> None:
    spec = small_spec("dropout")
    state = torch.get_rng_state()
    networks = [build_network(spec, 1, 3, seed).state_dict() for seed in (0, 0, 1)]
    prepared(spec)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])
    assert not torch.equal(networks[0]["head.weight"], networks[2]["head.weight"])


def test_colour_images_and_ignored_pixels_are_trained_on() -> None:
    spec = small_spec("fre", {"model.upsample": "bilinear"})
    data = drawn_data(spec)

    def coloured(split: Any) -> Any:
        labels = split.labels.copy()
        labels[:, :8] = 255
        return replace(split, images=split.images.repeat(3, axis=1), labels=labels)

    changed = TrainingData(data.classes, coloured(data.train), coloured(data.validation))
    *_, outcome = run(small_job(spec), changed, StopFlag())
    assert isinstance(outcome, Result)
    assert np.sum(outcome.confusion) == 3 * 24 * 32
    assert checkpoint.from_bytes(outcome.network, "best.pt")["channels"] == 3
