"""Comparisons small enough for a test: drawn cells, and trainings that are only simulated."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fre_hpo.data import Split
from fre_hpo.errors import NonFiniteLoss
from fre_hpo.inference.evaluate import Evaluation
from fre_hpo.results.comparison import scores
from fre_hpo.results.comparison.measured import Counts
from fre_hpo.results.comparison.simulation import Noise, trained
from fre_hpo.scheduling.observer import Observer, Silent
from fre_hpo.scheduling.publisher import NoPublisher
from fre_hpo.service.compare_request import CompareRequest
from fre_hpo.service.compared import Compared, compared
from fre_hpo.service.comparing import Comparing
from fre_hpo.service.start import Ended
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.readings import readings
from fre_hpo.training.loop import EpochRow
from fre_hpo.trial import Job, Report, Result, Started, StopFlag, TrainingData
from searching import TINY, tiny_request

NAME = "phantom"
VALIDATION, TEST = 0, 1
SMALL = {**TINY, "training.epochs": 1}

Effect = Callable[[str, Mapping[str, float]], float]


@dataclass
class Simulation:
    """Stands for training and evaluation.  noise: of the matrices.  effect: of a method and its parameters,
    in IoU.  diverging: method and seed of trainings that fail.  trained: method and seed of each that was
    asked for, in turn; most: after so many the process dies."""

    noise: Noise = field(default_factory=lambda: Noise(images=2, image=0.02, image_seed=0.01))
    effect: Effect = lambda method, parameters: 0.0
    diverging: set[tuple[str, int]] = field(default_factory=set)
    trained: list[tuple[str, int]] = field(default_factory=list)
    evaluated: list[tuple[str, int]] = field(default_factory=list)
    most: int | None = None

    def run(self, job: Job, data: TrainingData, stop: StopFlag) -> Iterator[Report]:
        if self.most is not None and len(self.trained) == self.most:
            raise Died
        self.trained.append((job.spec.method, job.seed))
        yield Started(0, "host:1", 1, "cpu", "float32")
        if self.trained[-1] in self.diverging:
            raise NonFiniteLoss(value="nan", epoch=1)
        yield self._result(job, data)

    def _result(self, job: Job, data: TrainingData) -> Result:
        what = {"method": job.spec.method, "seed": job.seed, "parameters": job.parameters}
        counts = self.counts(what, VALIDATION)
        miou = float(scores.mean_iou(counts))
        of_classes = scores.optional(scores.class_iou(counts))
        row = EpochRow(1, 1.0, miou, miou, miou, of_classes, 1e-3, 0.1)
        sources = tuple(dict.fromkeys(data.validation.sources))
        network = json.dumps(what).encode()
        return Result(miou, 1, 1, of_classes, sources, counts.tolist(), (row,), network)

    def load(self, path: Any, device: str = "cpu") -> Any:
        what = json.loads(path.read_bytes())
        return SimpleNamespace(what=what, repeatable=lambda: SimpleNamespace(what=what))

    def evaluate(self, network: Any, split: Split) -> Evaluation:
        what = network.what
        self.evaluated.append((what["method"], what["seed"]))
        return Evaluation(tuple(dict.fromkeys(split.sources)), self.counts(what, TEST))

    def counts(self, what: Mapping[str, Any], split: int) -> Counts:
        """The same for the same training, on either split."""
        method, parameters = what["method"], what["parameters"]
        arm = zlib.crc32(json.dumps([method, parameters], sort_keys=True).encode())
        effect = self.effect(method, parameters)
        return trained(self.noise, split, what["seed"], arm, effect)


class Died(BaseException):
    """The process was killed."""


def simulated(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    """Nothing is really trained, and no page is drawn."""
    double = Simulation()
    monkeypatch.setattr("fre_hpo.service.search.StudyPage", lambda *_: NoPublisher())
    monkeypatch.setattr("fre_hpo.trial.run", double.run)
    monkeypatch.setattr("fre_hpo.inference.network.load", double.load)
    monkeypatch.setattr("fre_hpo.inference.evaluate.evaluate", double.evaluate)
    return double


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    return simulated(monkeypatch)


def small(seeds: int | None = 3, trials: int | None = 3, **changes: Any) -> CompareRequest:
    """A request; overrides and other flags of ``Request`` among the changes."""
    own = {name: changes.pop(name) for name in ("methods", "point") if name in changes}
    overrides = {**SMALL, **changes.pop("overrides", {})}
    base = replace(tiny_request(), trials=trials, overrides=overrides, **changes)
    return CompareRequest(base, seeds=seeds, **own)


def compare(
    settings: Settings, request: CompareRequest | None = None, observer: Observer | None = None
) -> Ended | None:
    """As the command does; None where all is there already."""
    comparing = Comparing(request or small(), settings)
    if comparing.finished():
        return None
    comparing.check()
    return comparing.run(observer or Silent())


def numbers(found: Compared) -> str:
    """All that its table says."""
    plain = found.table().to_json()
    return json.dumps({**plain, "footnotes": plain["footnotes"][:-1]})


def values(counts: Counts) -> list[float]:
    return [float(v) for v in np.atleast_1d(scores.mean_iou(counts))]


def ledger(settings: Settings, study: str) -> Ledger:
    return Ledger.open(Connection(settings.storage, create=False), study)


def trained_seeds(settings: Settings, method: str) -> list[int | None]:
    return [r.seed for r in ledger(settings, f"{NAME}-{method}-seeds").records() if r.complete]


def readings_of(settings: Settings) -> list[tuple[str, int]]:
    fingerprint = compared(settings, NAME).readings[0].fingerprint
    found = readings(Connection(settings.storage, create=False), fingerprint)
    return [(reading.study, reading.networks) for reading in found]
