"""The ledger: a study's trials in the storage.  Together with its neighbours it alone knows Optuna.

One coordinator writes; every method that reaches the database raises StorageUnreachable when it is
gone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from fre_hpo.errors import StorageNotOurs, StudyNotFound, nearest
from fre_hpo.study import records
from fre_hpo.study.charter import Charter
from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.records import TrialRecord, record
from fre_hpo.study.sampler import DRAW, SeededTPE, distributions
from fre_hpo.study.spec import Spec

CHARTER = "charter"
TARGET = "target"
LIVE = "live"
CURVE_POINTS = 200
"""Points of a trial's curve that are stored; more slow every poll of a dashboard (design 3.8)."""

Number = int | float
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A trial to be trained."""

    number: int
    parameters: dict[str, Number]
    seed: int
    attempts: int


def study_names(connection: Connection) -> list[str]:
    """The studies of ours in a storage."""
    if connection.storage is None:
        return []
    return sorted(
        study.study_name
        for study in connection.storage.get_all_studies()
        if CHARTER in study.user_attrs
    )


class Ledger:
    """One study."""

    def __init__(self, connection: Connection, name: str, study: optuna.Study) -> None:
        self.url = connection.url
        self.name = name
        self._study = study
        self._storage: optuna.storages.BaseStorage = study._storage
        self._study_id = study._study_id
        self.charter = Charter.from_plain(self._attribute(CHARTER))
        self._study.sampler = SeededTPE(self.charter.spec)

    # --- opening --------------------------------------------------------------------------------

    @classmethod
    def open(cls, connection: Connection, name: str) -> Ledger:
        """An existing study; raises StudyNotFound with the nearest names."""
        names = _names(connection)
        if name not in names:
            hint = nearest(name, names) if names else "it holds no study yet"
            raise StudyNotFound(study=name, storage=connection.shown, hint=hint)
        return cls(connection, name, _load(connection, name))

    @classmethod
    def create(cls, connection: Connection, name: str, charter: Charter) -> Ledger:
        """A new study.  A row left by a creation that was cut short is completed; a study that
        somebody else made is refused with StorageNotOurs."""
        return cls(connection, name, _create(connection, name, charter))

    @staticmethod
    def exists(connection: Connection, name: str) -> bool:
        return name in _names(connection)

    @reaching
    def delete(self) -> None:
        """Remove the study and all its trials from the storage."""
        self._storage.delete_study(self._study_id)

    # --- the study ------------------------------------------------------------------------------

    @property
    def spec(self) -> Spec:
        return self.charter.spec

    @property
    def wanted(self) -> int:
        """The total of complete trials that was asked for last."""
        return int(self._attribute(TARGET) or 0)

    @reaching
    def want(self, trials: int) -> None:
        self._study.set_user_attr(TARGET, trials)

    @reaching
    def set_live(self, live: dict[str, Any]) -> None:
        """Publish what is going on right now, for readers on any machine."""
        self._study.set_user_attr(LIVE, live)

    @property
    def live(self) -> dict[str, Any] | None:
        live: dict[str, Any] | None = self._attribute(LIVE)
        return live

    @reaching
    def _attribute(self, key: str) -> Any:
        return self._storage.get_study_user_attrs(self._study_id).get(key)

    # --- trials ---------------------------------------------------------------------------------

    @reaching
    def records(self) -> list[TrialRecord]:
        """Every row, by number."""
        return [record(trial) for trial in self._study.get_trials(deepcopy=False)]

    @reaching
    def ask(self) -> Asked:
        """A new trial, or the next enqueued one, with all its parameters in the storage."""
        return self._with_parameters(self._study.ask())

    @reaching
    def ask_again(self, number: int) -> Asked:
        """A trial that an earlier coordinator left running; a half-asked one is finished from its
        own draw, never with a value from another (design 3.5)."""
        self._study.get_trials(deepcopy=False)  # Optuna's cache writes only to rows it has read
        return self._with_parameters(Trial(self._study, self._id(number)))

    @reaching
    def enqueue(self, parameters: Mapping[str, Number]) -> None:
        """Have a known point tried before what TPE proposes; parameters not given are drawn."""
        self._study.enqueue_trial(dict(parameters), skip_if_exists=True)

    def _with_parameters(self, trial: Trial) -> Asked:
        if DRAW not in trial.user_attrs:
            trial.set_user_attr(DRAW, trial.relative_params)
        for name, distribution in distributions(self.spec.parameters).items():
            _suggest(trial, name, distribution)
        seed = training_seed(self.spec, trial.number)
        if records.SEED not in trial.user_attrs:
            trial.set_user_attr(records.SEED, seed)
        attempts = int(trial.user_attrs.get(records.ATTEMPTS, 0))
        return Asked(trial.number, dict(trial.params), seed, attempts)

    @reaching
    def begin_attempt(self, number: int, attempt: int) -> None:
        """Note an attempt before it is begun; the first one's time stays the trial's start."""
        trial = Trial(self._study, self._id(number))
        if records.STARTED_AT not in trial.user_attrs:
            trial.set_user_attr(records.STARTED_AT, records.now())
        trial.set_user_attr(records.ATTEMPTS, attempt)

    @reaching
    def set_worker(self, number: int, worker: str) -> None:
        """Note who trains the trial now."""
        self._storage.set_trial_user_attr(self._id(number), records.WORKER, worker)

    @reaching
    def report(self, number: int, epoch: int, miou: float) -> None:
        """One point of the curve; one that exists is overwritten, which ``Trial.report`` would not
        do."""
        if is_curve_point(epoch, self.spec.training.epochs):
            self._storage.set_trial_intermediate_value(self._id(number), epoch, miou)

    @reaching
    def complete(
        self,
        number: int,
        miou: float,
        best_epoch: int,
        epochs: int,
        class_iou: dict[str, float | None],
    ) -> None:
        """Tell a trial's value; what belongs to it is written before, for it is immutable after."""
        trial_id = self._id(number)
        facts = {
            records.BEST_EPOCH: best_epoch,
            records.EPOCHS: epochs,
            records.CLASS_IOU: class_iou,
            records.FINISHED_AT: records.now(),
        }
        for key, value in facts.items():
            self._storage.set_trial_user_attr(trial_id, key, value)
        self._study.tell(number, miou)

    @reaching
    def fail(self, number: int, epoch: int | None, reason: str) -> None:
        trial_id = self._id(number)
        self._storage.set_trial_user_attr(trial_id, records.REASON, reason)
        self._storage.set_trial_user_attr(trial_id, records.EPOCHS, epoch)
        self._storage.set_trial_user_attr(trial_id, records.FINISHED_AT, records.now())
        self._study.tell(number, state=TrialState.FAIL)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


def training_seed(spec: Spec, number: int) -> int:
    """The seed of a trial's training.

    Common to the trials of a search by default (design 3.5), so that B and X are compared and not
    seeds; a method that searches nothing repeats its one setting with consecutive seeds.
    """
    if spec.training.seeds == "common" and spec.searched:
        return spec.seed
    return spec.seed + number


def is_curve_point(epoch: int, epochs: int) -> bool:
    """Whether an epoch is among the 200 at most that are stored: first, last, every n-th."""
    return epoch in (1, epochs) or epoch % math.ceil(epochs / (CURVE_POINTS - 1)) == 0


def _suggest(trial: Trial, name: str, distribution: object) -> None:
    if isinstance(distribution, IntDistribution):
        trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    elif isinstance(distribution, FloatDistribution):
        trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


@reaching
def _names(connection: Connection) -> list[str]:
    return study_names(connection)


@reaching
def _load(connection: Connection, name: str) -> optuna.Study:
    assert connection.storage is not None
    return optuna.load_study(study_name=name, storage=connection.storage)


@reaching
def _create(connection: Connection, name: str, charter: Charter) -> optuna.Study:
    """The charter comes last: whatever has one is complete."""
    assert connection.storage is not None
    study = optuna.create_study(
        study_name=name, storage=connection.storage, direction="maximize", load_if_exists=True
    )
    foreign_direction = study.directions != [StudyDirection.MAXIMIZE]
    if study.get_trials(deepcopy=False) or study.user_attrs or foreign_direction:
        reason = f"its study {name!r} was not made by fre-hpo"
        raise StorageNotOurs(storage=connection.shown, reason=reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(["mIoU"])
    study.set_user_attr(CHARTER, charter.to_plain())
    return study
