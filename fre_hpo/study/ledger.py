"""The ledger: a study's trials in the storage.  Together with its neighbours it alone knows Optuna.

One coordinator writes; every method that reaches the database raises StorageUnreachable when it is
gone.  Whatever writes may then be called again: a write whose answer was lost is taken for done, and
a row that was made without an answer is found among those that run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from fre_hpo.errors import EndedElsewhere, StudyGone, StudyNotFound
from fre_hpo.study import fault, measurement, page, records
from fre_hpo.study.artifacts import artifact_id
from fre_hpo.study.charter import CHARTER, Charter
from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.creation import create_study, instead_of, load_study, study_names
from fre_hpo.study.fence import GENERATION, Fence
from fre_hpo.study.measurement import Measurement
from fre_hpo.study.order import ORDER, Order
from fre_hpo.study.records import TrialRecord, record
from fre_hpo.study.sampler import DRAW, SeededTPE, distributions
from fre_hpo.study.spec import Spec

HOME = "home"
STORE = "checkpoints"
ENQUEUED = "fixed_params"
"""Optuna's name of the system attribute of a trial that was enqueued."""
TARGET = "target"
LIVE = "live"
FEWEST_FOR_IMPORTANCES = 4
CURVE_POINTS = 200
"""Points of a trial's curve that are stored; more slow every poll of a dashboard (design 3.8)."""

Number = int | float
P = ParamSpec("P")
T = TypeVar("T")


def of_study(method: Callable[Concatenate[Ledger, P], T]) -> Callable[Concatenate[Ledger, P], T]:
    """A call that reaches the storage, and raises StudyGone when the study was deleted from it."""

    @functools.wraps(method)
    def wrapped(ledger: Ledger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(ledger, *args, **kwargs)
        except KeyError as error:
            if ledger.gone:
                raise StudyGone(study=ledger.name) from error
            raise

    return reaching(wrapped)


def writing(
    method: Callable[Concatenate[Ledger, int, P], T],
) -> Callable[Concatenate[Ledger, int, P], T]:
    """A write to one trial: reaches the storage, and raises EndedElsewhere when somebody else, in
    the dashboard for example, has told the trial."""

    @functools.wraps(method)
    def wrapped(ledger: Ledger, number: int, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(ledger, number, *args, **kwargs)
        except UpdateFinishedTrialError as error:
            state = ledger.state(number)
            raise EndedElsewhere(number=number, state=state) from error

    return of_study(wrapped)


@dataclass(frozen=True)
class Asked:
    """A trial to be trained."""

    number: int
    parameters: dict[str, Number]
    seed: int
    attempts: int


class Ledger:
    """One study."""

    def __init__(self, connection: Connection, name: str, study: optuna.Study) -> None:
        self.url = connection.url
        self.shown = connection.shown
        self.name = name
        self._connection = connection
        self._generation: str | None = None
        self._identity: str | None = None
        self._read = 0
        self._study = study
        self._storage: optuna.storages.BaseStorage = study._storage
        self._study_id = study._study_id
        self.charter = Charter.from_plain(self._attribute(CHARTER))
        self._identity = self.charter.id
        self._study.sampler = SeededTPE(self.charter.spec)

    # --- opening --------------------------------------------------------------------------------

    @classmethod
    def open(cls, connection: Connection, name: str) -> Ledger:
        """An existing study; raises StudyNotFound with the nearest names."""
        if name not in study_names(connection):
            hint = instead_of(connection, name)
            raise StudyNotFound(study=name, storage=connection.shown, hint=hint)
        return cls(connection, name, load_study(connection, name))

    @classmethod
    def create(cls, connection: Connection, name: str, charter: Charter) -> Ledger:
        """A new study.  A row left by a creation that was cut short is completed; a study that
        somebody else made is refused with StorageNotOurs."""
        return cls(connection, name, create_study(connection, name, charter))

    @staticmethod
    def exists(connection: Connection, name: str) -> bool:
        return name in study_names(connection)

    @of_study
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

    @of_study
    def want(self, trials: int) -> None:
        self._study.set_user_attr(TARGET, trials)

    @of_study
    def set_live(self, live: dict[str, Any]) -> None:
        """Publish what is going on right now, for readers on any machine."""
        self._study.set_user_attr(LIVE, live)

    @property
    def live(self) -> dict[str, Any] | None:
        live: dict[str, Any] | None = self._attribute(LIVE)
        return live

    @property
    def home(self) -> str | None:
        """The home folder, with its host, that the study was run with last."""
        home: str | None = self._attribute(HOME)
        return home

    @of_study
    def set_home(self, home: str) -> None:
        self._study.set_user_attr(HOME, home)

    @property
    def store(self) -> str | None:
        """Where the study's checkpoints and results are besides; None where that is nowhere."""
        store: str | None = self._attribute(STORE)
        return store

    @of_study
    def set_store(self, root: str) -> None:
        self._study.set_user_attr(STORE, root)

    @property
    def order(self) -> Order:
        """What somebody asks of the coordinator, from anywhere."""
        return Order.from_plain(self._attribute(ORDER))

    @of_study
    def give(self, order: Order) -> None:
        self._study.set_user_attr(ORDER, order.to_plain())

    @of_study
    def _attribute(self, key: str) -> Any:
        attributes = self._storage.get_study_user_attrs(self._study_id)
        if self._is_another(attributes):
            raise StudyGone(study=self.name)
        return attributes.get(key)

    @property
    def gone(self) -> bool:
        """Whether the study was deleted since it was opened."""
        try:
            return self._is_another(self._storage.get_study_user_attrs(self._study_id))
        except KeyError:
            return True

    def _is_another(self, attributes: dict[str, Any]) -> bool:
        """SQLite gives the next study the number of one that was deleted."""
        return self._identity not in (None, attributes.get(CHARTER, {}).get("id"))

    # --- who may write --------------------------------------------------------------------------

    @of_study
    def take_over(self) -> None:
        """Make this process the study's coordinator, once it holds the lock: whoever was it before
        can write no more, even if it does not know yet (LockLost)."""
        count = int((self._attribute(GENERATION) or "0").rpartition("/")[2])
        generation = f"{self.charter.id}/{count + 1}"
        self._study.set_user_attr(GENERATION, generation)
        self._generation = generation
        Fence(self._connection.engine, self.name, self._study_id, generation)

    @property
    def in_charge(self) -> bool:
        """Whether nobody took over since this process did."""
        return bool(self._attribute(GENERATION) == self._generation)

    # --- trials ---------------------------------------------------------------------------------

    @of_study
    def records(self) -> list[TrialRecord]:
        """Every row, by number."""
        return [record(trial) for trial in self._trials()]

    def _trials(self) -> list[FrozenTrial]:
        with self._connection.without_running_curves():
            trials = self._study.get_trials(deepcopy=False)
        self._read = len(trials)
        return trials

    @of_study
    def record(self, number: int) -> TrialRecord:
        """One row."""
        return record(self._storage.get_trial(self._id(number)))

    @of_study
    def curves(self) -> dict[int, dict[int, float]]:
        """The stored points of every trial's curve: trial number -> epoch -> mIoU."""
        trials = self._study.get_trials(deepcopy=False)
        return {trial.number: dict(sorted(trial.intermediate_values.items())) for trial in trials}

    @of_study
    def importances(self) -> dict[str, float]:
        """How much each searched parameter matters for the mIoU, the shares adding up to 1; by PED-ANOVA
        (Watanabe et al., 2023).  Empty where too few trials are complete."""
        complete = [t for t in self._study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        if len(complete) < FEWEST_FOR_IMPORTANCES or not self.spec.searched:
            return {}
        return optuna.importance.get_param_importances(self._study)

    @of_study
    def state(self, number: int) -> str:
        """Optuna's name of a trial's state."""
        return self._storage.get_trial(self._id(number)).state.name

    @of_study
    def states(self) -> dict[int, str]:
        """Optuna's name of each trial's state, by number: one light query, where ``records`` reads all
        that there is of the trials that run."""
        query = f"SELECT number, state FROM trials WHERE study_id = {self._study_id:d}"
        with self._connection.engine.connect() as connection:
            return {row.number: row.state for row in connection.exec_driver_sql(query)}

    @of_study
    def ask(self) -> Asked:
        """A new trial, or the next enqueued one, with all its parameters in the storage."""
        trial = self._new_trial()
        fault.point("row-made")
        with self._connection.without_running_curves():
            asked = self._with_parameters(trial)
        fault.point("asked")
        return asked

    @writing
    def ask_again(self, number: int) -> Asked:
        """A trial that an earlier coordinator left running or waiting; a half-asked one is finished
        from its own draw, never with a value from another (design 3.5)."""
        if number >= self._read:  # Optuna's cache writes only to rows it has read
            self._trials()
        self._storage.set_trial_state_values(self._id(number), TrialState.RUNNING)
        with self._connection.without_running_curves():
            return self._with_parameters(Trial(self._study, self._id(number)))

    @of_study
    def enqueue(self, parameters: Mapping[str, Number]) -> None:
        """Have a known point tried before what TPE proposes; parameters not given are drawn."""
        self._study.enqueue_trial(dict(parameters), skip_if_exists=True)

    @of_study
    def enqueued(self) -> list[dict[str, Number]]:
        """The points that were enqueued, in the order of their trials."""
        trials = self._study.get_trials(deepcopy=False)
        found = (trial.system_attrs.get(ENQUEUED) for trial in trials)
        return [dict(point) for point in found if point]

    def _new_trial(self) -> Trial:
        """Optuna's own ask looks for enqueued trials among all, which it reads: only where there are."""
        if TrialState.WAITING.name in self.states().values():
            return self._study.ask()
        return Trial(self._study, self._storage.create_new_trial(self._study_id))

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

    @writing
    def begin_attempt(self, number: int, attempt: int) -> None:
        """Note an attempt before it is begun; the first one's time stays the trial's start."""
        trial = Trial(self._study, self._id(number))
        if records.STARTED_AT not in trial.user_attrs:
            trial.set_user_attr(records.STARTED_AT, records.now())
        trial.set_user_attr(records.ATTEMPTS, attempt)

    @writing
    def set_worker(self, number: int, worker: str) -> None:
        """Note who trains the trial now."""
        self._storage.set_trial_user_attr(self._id(number), records.WORKER, worker)

    @writing
    def report(self, number: int, epoch: int, miou: float) -> None:
        """One point of the curve; one that exists is overwritten, which ``Trial.report`` would not
        do."""
        if is_curve_point(epoch, self.spec.training.epochs):
            self._storage.set_trial_intermediate_value(self._id(number), epoch, miou)

    @writing
    def report_missing(self, number: int, curve: Mapping[int, float]) -> None:
        """The points of a curve (epoch -> mIoU) that the storage lacks, because it could not be
        reached when they came and their coordinator ended before it could be."""
        stored = self._storage.get_trial(self._id(number)).intermediate_values
        for epoch, miou in curve.items():
            if epoch not in stored:
                self.report(number, epoch, miou)

    @writing
    def put_back(self, number: int) -> None:
        """A trial that is not trained now and goes on at the next start."""
        self._storage.set_trial_state_values(self._id(number), TrialState.WAITING)

    @writing
    def complete(
        self,
        number: int,
        miou: float,
        best_epoch: int,
        epochs: int,
        class_iou: dict[str, float | None],
    ) -> None:
        """Tell a trial's value; what belongs to it is written before, for it is immutable after."""
        facts = {
            records.BEST_EPOCH: best_epoch,
            records.EPOCHS: epochs,
            records.CLASS_IOU: class_iou,
        }
        self._tell(number, facts, TrialState.COMPLETE, miou)

    @writing
    def fail(self, number: int, epoch: int | None, reason: str) -> None:
        facts = {records.REASON: reason, records.EPOCHS: epoch}
        self._tell(number, facts, TrialState.FAIL, None)

    def _tell(
        self, number: int, facts: dict[str, Any], state: TrialState, value: float | None
    ) -> None:
        if self._told(number, state, value):
            return
        for key, fact in {**facts, records.FINISHED_AT: records.now()}.items():
            self._storage.set_trial_user_attr(self._id(number), key, fact)
        fault.point("before-tell")
        values = None if value is None else [value]
        self._storage.set_trial_state_values(self._id(number), state, values)
        fault.point("told")

    def _told(self, number: int, state: TrialState, value: float | None) -> bool:
        """Whether the trial was told just this already, and only the answer was lost."""
        row = self._storage.get_trial(self._id(number))
        ours = records.FINISHED_AT in row.user_attrs
        return ours and row.state is state and (value is None or row.value == value)

    # --- after the search -----------------------------------------------------------------------

    @of_study
    def keep_measurement(self, number: int, found: Measurement) -> None:
        """What was measured of a trial's network when the test split was read."""
        measurement.save_measurement(self._storage, self._study_id, number, found)

    @of_study
    def measurements(self) -> dict[int, Measurement]:
        """By the trial's number."""
        return measurement.measurements(self._storage, self._study_id)

    # --- what the dashboard shows ---------------------------------------------------------------

    @of_study
    def publish_figure(self, name: str, figure: str) -> None:
        """A plotly figure, as JSON, for the study's page."""
        page.save_figure(self._storage, self._study_id, name, figure)

    @of_study
    def publish_note(self, body: str) -> None:
        """The study's note, Markdown."""
        page.save_note(self._storage, self._study_id, None, body)

    @of_study
    def note(self) -> str:
        """The study's note as it stands, with what people have written into it."""
        return page.note(self._storage.get_study_system_attrs(self._study_id), None)

    @writing
    def publish_trial_note(self, number: int, body: str) -> None:
        """A trial's note, Markdown."""
        page.save_note(self._storage, self._study_id, self._id(number), body)

    @writing
    def attach(self, number: int, name: str) -> None:
        """Show a file of the trial's folder (``artifacts.SHOWN``); before the trial is told."""
        page.attach(
            self._storage, self._id(number), artifact_id(self.charter.id, number, name), name
        )

    @of_study
    def artifact_path(self, number: int, name: str) -> str:
        """Where the dashboard serves a file that was attached."""
        artifact = artifact_id(self.charter.id, number, name)
        return page.artifact_path(self._study_id, self._id(number), artifact)

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
