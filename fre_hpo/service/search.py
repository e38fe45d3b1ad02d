"""A search from its lock to its end: what trains, where, and the coordinator's run."""

from __future__ import annotations

import platform
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version

from fre_hpo.scheduling.cluster import connected
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Executor
from fre_hpo.scheduling.inline import InlineExecutor
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.packing import Finding, Workload, remembered
from fre_hpo.scheduling.placement import Machine, Placement, place, usable_cpus
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import Preparation
from fre_hpo.service.publishing import StudyPage
from fre_hpo.service.request import Request
from fre_hpo.service.signals import stop_on_signals
from fre_hpo.settings import Settings
from fre_hpo.study.charter import Charter
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import CoordinatorLock
from fre_hpo.study.records import now
from fre_hpo.trial import StopFlag, TrainingData, accelerators

_RECORDED = ("fre-hpo", "optuna", "torch", "numpy", "ray")


def search(
    preparation: Preparation,
    request: Request,
    settings: Settings,
    observer: Observer,
    lock: CoordinatorLock,
) -> tuple[Outcome, int]:
    """Train until the outcome; returns it with the number of complete trials.

    A new study is created only when there is somewhere to train and nothing can be refused any more.
    """
    with ExitStack() as stack:
        machine = stack.enter_context(_machine(request))
        packed = _packed(preparation, request, settings)
        placement = _placement(request, machine, packed)
        ledger = _open_or_create(preparation, request, settings)
        folder = _folder(ledger, settings)
        for remark in preparation.dataset.remarks:
            folder.log("data_warning", text=remark)
        observer.say(_placement_sentence(request, placement, packed))
        executor = _executor(request, preparation, placement)
        stack.callback(executor.close)
        stop = StopFlag()
        plan = _plan(request, preparation, ledger, placement)
        page = StudyPage(ledger, folder, preparation.dataset)
        coordinator = Coordinator(
            ledger, folder, executor, lock, placement, plan, stop, observer, page
        )
        with stop_on_signals(stop):
            outcome = coordinator.run()
        return outcome, coordinator.complete


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


def _packed(preparation: Preparation, request: Request, settings: Settings) -> Finding | None:
    """What was measured for such trials on this machine's GPUs; a flag or a cluster goes before it."""
    if request.gpus_per_trial or request.ray_address or request.executor == "inline":
        return None
    spec, images = preparation.spec, preparation.dataset.train.images
    size = images.shape[-2:]
    workload = Workload(spec.model.widths, size[0], size[1], spec.training.batch_size)
    return remembered(settings.home, workload)


def _placement(request: Request, machine: Machine, packed: Finding | None) -> Placement:
    share = request.gpus_per_trial
    if packed and machine.gpus and request.device in ("auto", "cuda"):
        share = 1 / packed.trials
    return place(
        machine,
        request.device,
        request.parallel,
        share,
        one_slot=request.executor == "inline",
    )


def _open_or_create(preparation: Preparation, request: Request, settings: Settings) -> Ledger:
    """The study, verified once more now that nobody else can write it, and taken over."""
    connection = Connection(settings.storage, create=True)
    if Ledger.exists(connection, preparation.name):
        ledger = Ledger.open(connection, preparation.name)
        ledger.charter.refuse_other_spec(preparation.name, preparation.spec)
        ledger.charter.refuse_other_data(preparation.name, preparation.dataset.fingerprint)
    else:
        ledger = Ledger.create(connection, preparation.name, _charter(preparation, request))
    ledger.take_over()
    return ledger


def _folder(ledger: Ledger, settings: Settings) -> StudyFolder:
    """The study's folder; folder and study each record where the other lies (design 3.18)."""
    folder = StudyFolder(settings.study_folder(ledger.name))
    folder.identify(ledger.charter.id, ledger.shown)
    ledger.set_home(f"{socket.gethostname()}:{settings.home}")
    return folder


def _charter(preparation: Preparation, request: Request) -> Charter:
    return Charter(
        id=uuid.uuid4().hex,
        spec=preparation.spec,
        overrides=preparation.overrides,
        fingerprint=preparation.dataset.fingerprint,
        classes=preparation.dataset.classes,
        recipe=preparation.recipe.spoken,
        data_folder=str(preparation.folder) if preparation.folder else None,
        versions={"python": platform.python_version(), **{n: version(n) for n in _RECORDED}},
        created_at=now(),
        part=request.part,
    )


def _executor(request: Request, preparation: Preparation, placement: Placement) -> Executor:
    visible = TrainingData.of(preparation.dataset)
    if request.executor == "inline":
        return InlineExecutor(visible)
    from fre_hpo.scheduling.ray_executor import RayExecutor  # Ray is loaded only where it is used

    return RayExecutor(visible, placement)


def _plan(request: Request, preparation: Preparation, ledger: Ledger, placement: Placement) -> Plan:
    """What is asked for; the total and the enqueued points are written into the study."""
    wanted = preparation.progress.wanted
    ledger.want(wanted)
    for point in preparation.points:
        ledger.enqueue(point)
    return Plan(
        wanted=wanted,
        seconds=request.hours * 3600 if request.hours else None,
        retries=request.retries,
        patience=request.storage_patience,
        parallel=placement.limit,
    )


def _placement_sentence(request: Request, placement: Placement, packed: Finding | None) -> str:
    where = f" on the cluster at {request.ray_address}" if request.ray_address else ""
    why = f", {packed}" if packed and placement.gpus_per_trial else ""
    return f"Training {placement}{where}{why}."
