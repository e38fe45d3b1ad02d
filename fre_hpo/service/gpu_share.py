"""``--gpus-per-trial auto``: how many trials of a search are to share a GPU.

What was found for such trials before is used; otherwise a probe looks, where a search is long enough for
it, and its finding is remembered in the home folder.
"""

from __future__ import annotations

from collections.abc import Callable

from fre_hpo.scheduling.packing import Extent, Finding, Notes, Workload
from fre_hpo.scheduling.placement import Machine
from fre_hpo.service.check import Preparation
from fre_hpo.service.request import Request
from fre_hpo.settings import Settings
from fre_hpo.study.space import Fixed
from fre_hpo.study.spec import Spec
from fre_hpo.trial import Job, TrainingData

TOO_SHORT = (
    "The search is too short to probe how many trials share a GPU best: each has one to itself."
)


def share_of_a_gpu(
    preparation: Preparation,
    request: Request,
    settings: Settings,
    machine: Machine,
    say: Callable[[str], None],
) -> Finding | None:
    """What is known of trials that share a GPU; None where each has one to itself, or none is used.

    Ray is connected.  A flag goes before all that was found.
    """
    automatic = not request.gpus_per_trial and request.device in ("auto", "cuda")
    if not automatic or not machine.gpus or request.executor == "inline":
        return None
    workload = workload_of(preparation)
    if request.ray_address:
        notes = Notes(settings.home, workload, place="")
        return _probed(preparation, request, machine, notes, say)
    notes = Notes(settings.home, workload)
    return notes.read() or _probed(preparation, request, machine, notes, say)


def workload_of(preparation: Preparation) -> Workload:
    spec, images = preparation.spec, preparation.dataset.train.images
    height, width = images.shape[-2:]
    precision = "" if spec.engine.precision == "auto" else spec.engine.precision
    compiled = "compiled" if spec.engine.compile else ""
    engine = " ".join(filter(None, [precision, compiled]))
    return Workload(spec.model.widths, height, width, spec.training.batch_size, engine)


def _probed(
    preparation: Preparation,
    request: Request,
    machine: Machine,
    notes: Notes,
    say: Callable[[str], None],
) -> Finding | None:
    extent = _extent(preparation, request, machine)
    if extent.most < 2:
        return None
    if extent.is_too_short:
        say(TOO_SHORT)
        return None
    from fre_hpo.scheduling.probe import probe  # Ray is loaded only where it is used

    data = TrainingData.of(preparation.dataset)
    return probe(_job(preparation.spec, machine), data, extent, notes, say)


def _extent(preparation: Preparation, request: Request, machine: Machine) -> Extent:
    progress = preparation.progress
    return Extent(
        trials=progress.wanted - progress.complete,
        epochs=preparation.spec.training.epochs,
        seconds=request.hours * 3600 if request.hours else None,
        parallel=request.parallel,
        gpus=machine.gpus,
    )


def _job(spec: Spec, machine: Machine) -> Job:
    """A trial of the study; what its parameters are costs nothing, so the lowest are taken."""
    parameters = {
        name: found.value if isinstance(found, Fixed) else found.low
        for name, found in spec.parameters.items()
    }
    return Job(0, 0, spec, parameters, spec.seed, "cuda", max(machine.cpus // machine.gpus, 1))
