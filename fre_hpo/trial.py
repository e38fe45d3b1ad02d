"""What a worker executes: a job in, reports out.

A worker has no state of its own and knows neither storage nor study: everything it needs is in the job and
the training data, everything it learns leaves in its reports (design 2).
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fre_hpo.data.dataset import Dataset, Split, fingerprint
from fre_hpo.data.showing.choice import showcase
from fre_hpo.methods import Slots, get
from fre_hpo.model.unet import SEUNet
from fre_hpo.study.courier import Courier, Delivered, Undelivered
from fre_hpo.study.spec import Spec
from fre_hpo.study.store import StoreAddress
from fre_hpo.training import checkpoint
from fre_hpo.training.ahead import Ahead
from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.engine import Engine, choose
from fre_hpo.training.loop import Best, EpochRow, Training
from fre_hpo.training.schedule import Schedule
from fre_hpo.training.seeding import Purpose, derive


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a search may see of a data set; the test split stays with the coordinator (design 3.15)."""

    classes: tuple[str, ...]
    train: Split
    validation: Split
    depths: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> TrainingData:
        return cls(dataset.classes, dataset.train, dataset.validation, dataset.depths)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of what a network is shown."""
        return fingerprint(self.classes, {"train": self.train, "validation": self.validation})


@dataclass(frozen=True, eq=False)
class Job:
    """One attempt at a trial.

    parameters: the method's, searched and fixed.  seed: of initialisation, data order and draws.
    device: "cpu", "cuda", "cuda:1", "mps".  threads: for torch on the CPU.  checkpoint: to go on from,
    None to begin.  store: where to write checkpoints, None to report them.
    """

    number: int
    attempt: int
    spec: Spec
    parameters: dict[str, Any]
    seed: int
    device: str
    threads: int
    checkpoint: bytes | None = field(default=None, repr=False)
    store: StoreAddress | None = None


@dataclass(frozen=True)
class Started:
    """The worker is about to train; ``epoch`` epochs were done by earlier attempts.  worker: host and
    process, as a person names it.  engine: how the network is computed there."""

    epoch: int
    worker: str
    pid: int
    device: str
    engine: str


@dataclass(frozen=True)
class Epoch:
    """An epoch is done.  best_miou and best_epoch: the best so far, this one included."""

    row: EpochRow
    best_miou: float
    best_epoch: int
    pid: int


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after ``epoch`` epochs.  reason: why it is not at the job's store."""

    epoch: int
    data: bytes = field(repr=False)
    reason: str | None = None


@dataclass(frozen=True)
class Saved:
    """The state after ``epoch`` epochs lies at the job's store."""

    epoch: int
    key: str


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a checkpoint is made of, copied from a training that goes on."""

    epoch: int
    state: dict[str, Any] = field(repr=False)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.epoch, checkpoint.to_bytes(self.state))


@dataclass(frozen=True, eq=False)
class Result:
    """A trial's outcome: the best validation mIoU and all that belongs to its epoch.

    confusion: (sources, classes, classes) of the validation split.  network: the plain network at that
    epoch, a checkpoint of its state dict with what is needed to build it.  predictions: labels (height,
    width) by that network, for a few validation images (index -> labels), to be shown.
    """

    miou: float
    best_epoch: int
    epochs: int
    class_iou: tuple[float | None, ...]
    sources: tuple[str, ...]
    confusion: list[list[list[int]]]
    curve: tuple[EpochRow, ...] = field(repr=False)
    network: bytes = field(repr=False)
    predictions: dict[int, NDArray[np.uint8]] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Stopped:
    """The trial was asked to stop; its checkpoint was reported just before.  epoch: None where it had not
    begun yet."""

    epoch: int | None


Report = Started | Epoch | Checkpoint | Saved | Result | Stopped


class StopFlag:
    """Asks a running trial to stop after its epoch."""

    def __init__(self) -> None:
        self.raised = False

    def raise_(self) -> None:
        self.raised = True


def run(job: Job, data: TrainingData, stop: StopFlag) -> Iterator[Report]:
    """Train a job to its end, or until ``stop`` is raised; yields reports as they come about, while the
    training goes on.

    Raises NonFiniteLoss when the training diverges and BadCheckpoint when the job's is damaged.
    """
    courier = _courier(job)
    for report in Ahead(train(job, data, stop)):
        if courier:
            yield from _carried(courier, report)
        else:
            yield report.checkpoint() if isinstance(report, Snapshot) else report


def _courier(job: Job) -> Courier | None:
    if job.store is None:
        return None
    return Courier(job.store, job.number, job.attempt, job.spec.training.checkpoint_seconds)


def _carried(courier: Courier, report: Report | Snapshot) -> Iterator[Report]:
    """A report, behind what is known by now of the checkpoint on its way to the store."""
    if isinstance(report, Snapshot):
        outcomes = courier.take(report.epoch, report.checkpoint().data)
    elif isinstance(report, Stopped):
        outcomes = courier.last()
    else:
        outcomes = courier.news()
    for outcome in outcomes:
        yield _told(outcome)
    if not isinstance(report, Snapshot):
        yield report


def _told(outcome: Delivered | Undelivered) -> Saved | Checkpoint:
    if isinstance(outcome, Delivered):
        return Saved(outcome.epoch, outcome.key)
    return Checkpoint(outcome.epoch, outcome.data, outcome.reason)


def train(job: Job, data: TrainingData, stop: StopFlag) -> Iterator[Report | Snapshot]:
    """As ``run``, but the training waits until each report is taken."""
    torch.set_num_threads(job.threads)
    training = prepare(job, data)
    pid = os.getpid()
    worker = f"{socket.gethostname()}:{pid}"
    yield Started(training.epoch, worker, pid, device_name(job.device), str(training.engine))
    saved = time.monotonic() - _stagger(job)
    for row in training.run():
        assert training.best is not None
        yield Epoch(row, training.best.miou, training.best.epoch, pid)
        if training.epoch == training.schedule.epochs:
            break
        if stop.raised or time.monotonic() - saved >= job.spec.training.checkpoint_seconds:
            yield Snapshot(training.epoch, training.state_dict())
            saved = time.monotonic()
        if stop.raised:
            yield Stopped(training.epoch)
            return
    yield _result(job, data, training)


def accelerators() -> tuple[int, bool]:
    """How many CUDA devices torch sees in this process, and whether there is Apple's MPS."""
    return torch.cuda.device_count(), torch.backends.mps.is_available()


def device_name(device: str) -> str:
    """The device as a person names it: "cpu", or the product's name of a GPU."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def curve_header(classes: Sequence[str]) -> list[str]:
    """The columns of curve.csv."""
    rules = ["miou_recalibrated", "miou_running"]
    shares = [f"iou_{name}" for name in classes]
    return ["epoch", "loss", "miou", *rules, *shares, "learning_rate", "seconds"]


def curve_row(row: EpochRow) -> list[Any]:
    """One line of curve.csv; empty where the validation split lacks a class, and where a batch-norm rule
    was not measured."""
    measured = [row.miou_recalibrated, row.miou_running, *row.class_iou]
    cells = ["" if value is None else value for value in measured]
    return [row.epoch, row.loss, row.miou, *cells, row.learning_rate, round(row.seconds, 4)]


def trace_row(row: EpochRow) -> list[Any] | None:
    """One line of trace.csv; None in epochs that were not traced."""
    return None if row.trace is None else [row.epoch, *row.trace]


def _stagger(job: Job) -> float:
    """Seconds by which a trial's first checkpoint comes early, so that trials that started together do
    not send their checkpoints together for ever."""
    return job.spec.training.checkpoint_seconds * (job.number % 4) / 4


def prepare(job: Job, data: TrainingData, engine: Engine | None = None) -> Training:
    """The training of a job at the point where its checkpoint left it; engine: instead of the spec's."""
    spec, device = job.spec, torch.device(job.device)
    classes = len(data.classes)
    slots = _build_slots(job, classes)
    engine = engine or choose_engine(spec, device)
    engine.set_up()
    network = build_network(spec, data.train.images.shape[1], classes, job.seed, slots)
    engine.place(network, device)
    training = Training(
        network,
        slots,
        DeviceSplit.place(data.train.padded(network.stride), device),
        DeviceSplit.place(data.validation.padded(network.stride), device),
        classes,
        schedule(spec),
        job.seed,
        engine,
    )
    if job.checkpoint is not None:
        training.load_state_dict(
            checkpoint.from_bytes(job.checkpoint, f"checkpoint of trial {job.number}")
        )
    return training


def _build_slots(job: Job, classes: int) -> Slots:
    """The method's additions; initialised from a stream of their own, so that the rest of the network is
    the baseline's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(job.seed, Purpose.SIDE_HEAD))
        return get(job.spec.method).slots(job.parameters, job.spec.maps, classes, job.seed)


def build_network(
    spec: Spec, channels: int, classes: int, seed: int, slots: Slots | None = None
) -> SEUNet:
    """The network of a spec; without ``slots`` the plain one, as evaluation uses it.

    Its memory format decides which kernels run, and these the last digits: it is the same for all.
    """
    slots = slots or Slots()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, Purpose.INITIALISATION))
        network = SEUNet(
            get(spec.method).widths(spec.model.widths),
            classes,
            channels=channels,
            norm=spec.model.norm,
            upsample=spec.model.upsample,
            se_reduction=spec.model.se_reduction,
            bottleneck=slots.bottleneck,
            side_head=slots.side_head,
        )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def choose_engine(spec: Spec, device: torch.device) -> Engine:
    """The engine section of a spec on a device."""
    wanted = spec.engine
    return choose(
        wanted.precision, device, compiled=wanted.compile, deterministic=wanted.deterministic
    )


def schedule(spec: Spec) -> Schedule:
    """The training section of a spec, as the loop takes it."""
    training = spec.training
    return Schedule(
        epochs=training.epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_epochs=training.warmup_epochs,
        lr_decay=training.lr_decay,
        gradient_clip=training.gradient_clip,
        class_weights=training.class_weights,
        augment=training.augment,
        eval_bn=training.eval_bn,
        trace=training.trace,
    )


def _result(job: Job, data: TrainingData, training: Training) -> Result:
    best = training.best
    assert best is not None
    return Result(
        miou=best.miou,
        best_epoch=best.epoch,
        epochs=training.epoch,
        class_iou=training.curve[best.epoch - 1].class_iou,
        sources=training.validation.sources,
        confusion=best.confusion.tolist(),
        curve=tuple(training.curve),
        network=checkpoint.to_bytes(_trained_network(job, data, best)),
        predictions=_predictions(data, training, best),
    )


def _predictions(
    data: TrainingData, training: Training, best: Best
) -> dict[int, NDArray[np.uint8]]:
    """What the best network makes of the validation images that show most."""
    truth = data.validation.labels
    chosen = showcase(truth, data.validation.sources, len(data.classes))
    training.load_best()
    labels = training.predict(training.validation, chosen)
    height, width = truth.shape[1:]
    return {index: labels[i, :height, :width] for i, index in enumerate(chosen)}


def _trained_network(job: Job, data: TrainingData, best: Best) -> dict[str, Any]:
    """What ``best.pt`` holds: enough to build the plain network and to use it without the study."""
    return {
        "state": {name: tensor.cpu() for name, tensor in best.state.items()},
        "spec": job.spec.to_json(),
        "parameters": json.dumps(job.parameters),
        "classes": list(data.classes),
        "channels": data.train.images.shape[1],
        "shape": list(data.train.images.shape[2:]),
        "depths": list(data.depths),
        "epoch": best.epoch,
        "miou": best.miou,
    }
