"""Everything that is checked before a start creates anything.  Loads neither torch nor Ray: whoever
mistyped something is answered at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from fre_hpo import data
from fre_hpo.data import DataOptions, Dataset
from fre_hpo.errors import (
    BadValue,
    FreHpoError,
    OtherHome,
    OtherStorage,
    StoreUnreachable,
    StudyHeld,
    UsageError,
    UsageProblems,
    nearest,
    together,
)
from fre_hpo.scheduling.live import Live
from fre_hpo.service.datasets import folder_of
from fre_hpo.service.request import DEFAULT_METHOD, Request
from fre_hpo.service.stores import Store, find_store
from fre_hpo.service.webhook import Receiver
from fre_hpo.settings import Settings
from fre_hpo.study import recipe
from fre_hpo.study.charter import Charter
from fre_hpo.study.connection import Connection, parse_url
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import CoordinatorLock, Holder, coordinator_lock
from fre_hpo.study.recipe import Recipe, Resolved
from fre_hpo.study.space import Fixed
from fre_hpo.study.spec import Spec

T = TypeVar("T")

Load = Callable[[str, Path | None, DataOptions], Dataset]
"""Reads a data set, as ``data.load`` does."""

STUDY_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,64}")  # a folder of that name: neither . nor ..


@dataclass(frozen=True)
class Preparation:
    """A start that can go ahead.  resolved: spec and number of trials; overrides: all that led to it,
    those of the stored study included; points: the enqueued ones, checked; inherited: the overrides of
    earlier starts that this one did not repeat; exists: whether the study is in the storage; receiver:
    to whom messages are sent; store: where workers write checkpoints."""

    name: str
    recipe: Recipe
    resolved: Resolved
    overrides: dict[str, Any]
    folder: Path | None
    dataset: Dataset
    points: tuple[dict[str, int | float], ...]
    progress: Progress
    inherited: dict[str, Any]
    exists: bool
    receiver: Receiver | None = None
    store: Store | None = None

    @property
    def spec(self) -> Spec:
        return self.resolved.spec

    @property
    def nothing_to_do(self) -> bool:
        return self.progress.complete >= self.progress.wanted and not self.points


@dataclass(frozen=True)
class Progress:
    """Complete trials, of the total that is asked for now, else stored, else the recipe's."""

    complete: int
    wanted: int


@dataclass(frozen=True)
class Stored:
    """What a study that exists already says: wanted is the total that was asked for last; home the
    folder, with its host, that it was run with; begun whether it has trials; store where its files are
    besides; fetchable whether they were found there."""

    charter: Charter
    complete: int
    wanted: int
    home: str | None
    begun: bool
    store: str | None = None
    fetchable: bool = False


def check(request: Request, settings: Settings, load: Load | None = None) -> Preparation:
    """All checks of a start, as ``--dry-run`` does them; creates nothing.  load: instead of ``data.load``.

    Raises every error that recipes, data sets, storages and stores raise; StudyHeld when a coordinator
    runs the study, DifferentStudy and NotTheStudysData when it was started otherwise.
    """
    found = recipe.find(request.dataset)
    name = study_name(request, found)
    stored = _stored(settings, name)
    wrong: list[FreHpoError] = []
    receiver = _unless_wrong(wrong, lambda: Receiver.named(request.notify))
    store = _unless_wrong(wrong, lambda: _store(request, name, stored))
    if stored:
        stored = replace(stored, fetchable=bool(wrong) or (store is not None and store.holds))
    if wrong:
        raise _with_others(wrong, request, found, name, stored, settings, load)
    preparation = prepare(request, found, name, stored, settings, load)
    return replace(preparation, receiver=receiver, store=store)


def _unless_wrong(wrong: list[FreHpoError], find: Callable[[], T]) -> T | None:
    """What is found; what is wrong with it is noted, so that the rest is looked at as well."""
    try:
        return find()
    except (UsageError, StoreUnreachable) as error:
        wrong.append(error)
        return None


def _store(request: Request, name: str, stored: Stored | None) -> Store | None:
    recorded, study_id = (stored.store, stored.charter.id) if stored else (None, None)
    return find_store(request.checkpoints, recorded, name, study_id, new_home=request.new_home)


def _with_others(wrong: Sequence[FreHpoError], *start: Any) -> FreHpoError:
    """A wrong receiver or store, together with what else was mistyped."""
    try:
        prepare(*start)
    except UsageProblems as problems:
        return UsageProblems([*map(str, wrong), *problems.problems])
    except UsageError as other:
        return together([*wrong, other])
    return together(wrong)


def live_of(ledger: Ledger) -> Live | None:
    """What the study's last coordinator published."""
    plain = ledger.live
    return None if plain is None else Live.from_plain(plain)


@contextmanager
def held(settings: Settings, name: str) -> Iterator[CoordinatorLock]:
    """The study's lock; raises StudyHeld, which names the holder."""
    lock = coordinator_lock(parse_url(settings.storage), name)
    if not lock.acquire():
        raise _held_error(name, lock.holder() or Holder.unknown())
    try:
        yield lock
    finally:
        lock.release()


def _held_error(name: str, holder: Holder) -> StudyHeld:
    return StudyHeld(study=name, host=holder.host, pid=holder.pid or "unknown")


def _stored(settings: Settings, name: str) -> Stored | None:
    """The study if there is one already."""
    connection = Connection(settings.storage, create=False)
    holder = coordinator_lock(connection.url, name).holder()
    if holder is not None:
        raise _held_error(name, holder)
    if not Ledger.exists(connection, name):
        return None
    ledger = Ledger.open(connection, name)
    records = ledger.records()
    complete = sum(record.counts for record in records)
    begun = any(record.begun for record in records)
    return Stored(ledger.charter, complete, ledger.wanted, ledger.home, begun, ledger.store)


def _refuse_strange_folder(
    request: Request, name: str, stored: Stored | None, settings: Settings
) -> None:
    """Home and storage belong together (design 3.18): raises OtherStorage and OtherHome."""
    folder = StudyFolder(settings.study_folder(name))
    identity = folder.identity
    if identity is None:
        if stored and stored.begun and not stored.fetchable and not request.new_home:
            raise OtherHome(study=name, theirs=stored.home, ours=settings.home)
    elif stored is None or identity["id"] != stored.charter.id:
        raise OtherStorage(folder=folder.path, theirs=identity["storage"])


def study_name(request: Request, found: Recipe) -> str:
    """``<dataset>-<method>`` unless it is given."""
    name = request.study
    if name is None:
        name = f"{found.name}-{request.method or DEFAULT_METHOD}"
    if not STUDY_NAME.fullmatch(name):
        raise bad_name(name)
    return name


def bad_name(name: str) -> BadValue:
    reason = "a name has 1 to 64 letters, digits, dots, dashes or underscores, not dots alone"
    return BadValue(key="--study", value=name, reason=reason)


def prepare(
    request: Request,
    found: Recipe,
    name: str,
    stored: Stored | None,
    settings: Settings,
    load: Load | None = None,
) -> Preparation:
    """Resolve and check a request; ``stored``: the study if it exists already.

    Raises DifferentStudy, NotTheStudysData and everything that recipes and data sets raise.
    """
    _refuse_strange_folder(request, name, stored, settings)
    charter = stored.charter if stored else None
    method = request.method or (charter.spec.method if charter else DEFAULT_METHOD)
    earlier = charter.overrides if charter else {}
    overrides = {**earlier, **request.overrides}
    resolved = recipe.resolve(found, method, overrides)
    if charter:
        charter.refuse_other_spec(name, resolved.spec)
    points = tuple(_points(request.enqueue, resolved.spec))
    stored_folder = charter.data_folder if charter else None
    folder = folder_of(found, resolved.spec, settings, request.data_dir, stored_folder)
    dataset = (load or data.load)(resolved.spec.dataset, folder, resolved.spec.options)
    if charter:
        charter.refuse_other_data(name, dataset.fingerprint)
    complete, wanted = (stored.complete, stored.wanted) if stored else (0, 0)
    return Preparation(
        name=name,
        recipe=found,
        resolved=resolved,
        overrides=overrides,
        folder=folder,
        dataset=dataset,
        points=points,
        progress=Progress(complete, request.trials or wanted or resolved.trials),
        inherited={k: v for k, v in earlier.items() if k not in request.overrides},
        exists=stored is not None,
    )


def _points(points: Sequence[Mapping[str, Any]], spec: Spec) -> list[dict[str, int | float]]:
    """The enqueued points; raises with every value that the search could not have proposed."""
    problems: list[FreHpoError] = []
    checked = [_point(point, spec, problems) for point in points]
    if problems:
        raise together(problems)
    return checked


def _point(
    point: Mapping[str, Any], spec: Spec, problems: list[FreHpoError]
) -> dict[str, int | float]:
    checked = {}
    for name, value in point.items():
        space = spec.parameters.get(name)
        if space is None:
            hint = nearest(name, spec.parameters) if spec.parameters else "it searches nothing"
            text = f"--enqueue {name}: the method {spec.method} has no such parameter ({hint})."
            problems.append(UsageError(problem=text))
            continue
        low, high = (space.value,) * 2 if isinstance(space, Fixed) else (space.low, space.high)
        fits_kind = isinstance(value, int if isinstance(low, int) else int | float)
        if isinstance(value, bool) or not fits_kind or not low <= value <= high:
            reason = f"the search goes over {space}"
            problems.append(BadValue(key=f"--enqueue {name}", value=value, reason=reason))
            continue
        checked[name] = type(low)(value)
    return checked
