"""A search from its lock to its end: what trains, where, and the coordinator's run."""

from __future__ import annotations

import platform
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version

from fre_hpo.scheduling import cluster_token
from fre_hpo.scheduling.cluster import connected
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Executor
from fre_hpo.scheduling.inline import InlineExecutor
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.packing import Finding
from fre_hpo.scheduling.placement import Machine, Placement, Wanted, usable_cpus
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import Preparation
from fre_hpo.service.gpu_share import share_of_a_gpu
from fre_hpo.service.lifeline import replaces_a_crashed_one
from fre_hpo.service.publishing import StudyPage
from fre_hpo.service.request import Request
from fre_hpo.service.sharing import sharing
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
        machine = stack.enter_context(_machine(request, settings, observer))
        packed = share_of_a_gpu(preparation, request, settings, machine, observer.say)
        wanted = _wanted(request, machine, packed)
        placement = wanted.on(machine)
        ledger = _open_or_create(preparation, request, settings)
        folder = _folder(ledger, settings)
        shared = stack.enter_context(sharing(preparation.store, ledger, folder, observer.say))
        for remark in preparation.dataset.remarks:
            folder.log("data_warning", text=remark)
        observer.say(_placement_sentence(request, placement, packed))
        executor = _executor(request, preparation, placement, wanted)
        stack.callback(executor.close)
        stop = StopFlag()
        plan = _plan(request, preparation, ledger, placement)
        page = StudyPage(ledger, folder, preparation.dataset)
        coordinator = Coordinator(
            ledger, folder, executor, lock, plan, stop, observer, page, shared=shared
        )
        with stop_on_signals(stop):
            outcome = coordinator.run()
        return outcome, coordinator.complete


@contextmanager
def _machine(request: Request, settings: Settings, observer: Observer) -> Iterator[Machine]:
    """What there is to train on; with the Ray executor, Ray is connected within this block."""
    gpus, mps = accelerators()
    if request.executor == "inline":
        yield Machine(usable_cpus(), gpus, mps)
        return
    patience = request.cluster_patience if replaces_a_crashed_one() else request.wait
    token = cluster_token.find(request.token_file, settings.home)
    with connected(
        request.ray_address, token=token, patience=patience, say=observer.say
    ) as machine:
        local = request.ray_address is None
        yield Machine(machine.cpus, machine.gpus, mps=mps and local)


def _wanted(request: Request, machine: Machine, packed: Finding | None) -> Wanted:
    """On a cluster nodes may join later, so that a GPU is waited for."""
    share = request.gpus_per_trial
    if packed:
        share = 1 / packed.trials
    return Wanted(
        request.device,
        request.parallel,
        share,
        one_slot=request.executor == "inline",
        elastic=request.ray_address is not None,
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


def _executor(
    request: Request, preparation: Preparation, placement: Placement, wanted: Wanted
) -> Executor:
    visible = TrainingData.of(preparation.dataset)
    if request.executor == "inline":
        return InlineExecutor(visible, placement)
    from fre_hpo.scheduling.ray_executor import RayExecutor  # Ray is loaded only where it is used

    return RayExecutor(visible, placement, wanted, shared=request.ray_address is not None)


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
