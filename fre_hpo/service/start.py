"""``fre-hpo start``: from a request to a finished, stopped or refused search."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from fre_hpo.scheduling.cluster import connected
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Executor
from fre_hpo.scheduling.inline import InlineExecutor
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.placement import Machine, Placement, place, usable_cpus
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import Preparation, check, held
from fre_hpo.service.request import Request
from fre_hpo.service.signals import stop_on_signals
from fre_hpo.settings import Settings
from fre_hpo.study.charter import Charter
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import now
from fre_hpo.study.space import written
from fre_hpo.trial import StopFlag, TrainingData, accelerators

_RECORDED = ("fre-hpo", "optuna", "torch", "numpy", "ray")


@dataclass(frozen=True)
class Ended:
    """How a start ended.  complete of wanted: trials, over all starts."""

    study: str
    outcome: Outcome
    complete: int
    wanted: int


def start(request: Request, settings: Settings, observer: Observer) -> Ended:
    """Check a request and run it, as ``fre-hpo start`` does."""
    return run(check(request, settings), request, settings, observer)


def run(
    preparation: Preparation, request: Request, settings: Settings, observer: Observer
) -> Ended:
    """Run a checked request until its total of trials is complete, it is stopped, or its time is over.

    A study that exists goes on: only what is missing is run.  Raises a FreHpoError for everything that
    stands in the way.
    """
    wanted = preparation.progress.wanted
    if preparation.nothing_to_do:
        complete = preparation.progress.complete
        observer.say(f"All {complete} trials are complete already; a larger --trials adds more.")
        return Ended(preparation.name, Outcome.COMPLETE, complete, wanted)
    if preparation.inherited:
        observer.say(_inheritance_sentence(preparation))
    with _machine(request) as machine:
        placement = _placement(request, machine)
        connection = Connection(settings.storage, create=True)
        with held(connection, preparation.name) as lock:
            ledger = _open_or_create(connection, preparation)
            plan = _plan(request, preparation, ledger)
            folder = StudyFolder(settings.study_folder(ledger.name))
            observer.say(_placement_sentence(request, placement))
            executor = _executor(request, preparation, placement)
            stop = StopFlag()
            coordinator = Coordinator(
                ledger, folder, executor, lock, placement, plan, stop, observer
            )
            try:
                with stop_on_signals(stop):
                    outcome = coordinator.run()
            finally:
                executor.close()
            complete = sum(record.counts for record in ledger.records())
    return Ended(ledger.name, outcome, complete, wanted)


def _placement(request: Request, machine: Machine) -> Placement:
    return place(
        machine,
        request.device,
        request.parallel,
        request.gpus_per_trial,
        one_slot=request.executor == "inline",
    )


def _plan(request: Request, preparation: Preparation, ledger: Ledger) -> Plan:
    """What is asked for; the total and the enqueued points are written into the study."""
    wanted = preparation.progress.wanted
    ledger.want(wanted)
    for point in preparation.points:
        ledger.enqueue(point)
    seconds = request.hours * 3600 if request.hours else None
    return Plan(wanted, seconds, request.retries)


@contextmanager
def _machine(request: Request) -> Iterator[Machine]:
    """What there is to train on; with the Ray executor, Ray is connected within this block."""
    gpus, mps = accelerators()
    if request.executor == "ray":
        with connected(request.ray_address) as machine:
            local = request.ray_address is None
            yield Machine(machine.cpus, machine.gpus, mps=mps and local)
    else:
        yield Machine(usable_cpus(), gpus, mps)


def _open_or_create(connection: Connection, preparation: Preparation) -> Ledger:
    """The study, verified once more now that nobody else can write it."""
    if Ledger.exists(connection, preparation.name):
        ledger = Ledger.open(connection, preparation.name)
        ledger.charter.refuse_other_spec(preparation.name, preparation.spec)
        ledger.charter.refuse_other_data(preparation.name, preparation.dataset.fingerprint)
        return ledger
    return Ledger.create(connection, preparation.name, _charter(preparation))


def _charter(preparation: Preparation) -> Charter:
    source = preparation.recipe.source
    return Charter(
        spec=preparation.spec,
        overrides=preparation.overrides,
        fingerprint=preparation.dataset.fingerprint,
        classes=preparation.dataset.classes,
        recipe=str(source) if source else preparation.recipe.name,
        data_folder=str(preparation.folder) if preparation.folder else None,
        versions={"python": platform.python_version(), **{n: version(n) for n in _RECORDED}},
        created_at=now(),
    )


def _executor(request: Request, preparation: Preparation, placement: Placement) -> Executor:
    dataset = preparation.dataset
    visible = TrainingData(dataset.classes, dataset.train, dataset.validation)
    if request.executor == "inline":
        return InlineExecutor(visible)
    from fre_hpo.scheduling.ray_executor import RayExecutor  # Ray is loaded only where it is used

    return RayExecutor(visible, placement)


def _inheritance_sentence(preparation: Preparation) -> str:
    """Flags that are not repeated come from the study: nobody should be surprised by them."""
    kept = ", ".join(f"{key}={written(value)}" for key, value in preparation.inherited.items())
    return f"Study {preparation.name} goes on with the settings of its first start: {kept}."


def _placement_sentence(request: Request, placement: Placement) -> str:
    where = f" on the cluster at {request.ray_address}" if request.ray_address else ""
    return f"Training {placement}{where}."
