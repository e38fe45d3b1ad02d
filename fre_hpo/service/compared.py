"""A comparison as the storage holds it: no data set, no trained network and no home folder is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fre_hpo.errors import (
    ComparisonIncomplete,
    ComparisonNotFound,
    UnlikeMeasurements,
    counted,
    nearest,
)
from fre_hpo.results.comparison.measured import (
    PRIMARY,
    Comparison,
    Confusions,
    Measured,
)
from fre_hpo.results.comparison.paper import tables_for
from fre_hpo.results.comparison.table import ComparisonTable, build
from fre_hpo.service.compare_request import in_order
from fre_hpo.service.members import search_study, seeds_of
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.creation import study_parts
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.measurement import SourceMatrices
from fre_hpo.study.part import Part
from fre_hpo.study.readings import Reading, readings
from fre_hpo.study.spec import NOT_COMPARED

OWN = ("method", "seed")
"""What the studies of a comparison may differ in, besides the parameters of their methods."""

Member = tuple[Ledger, Part]


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison whose test split was read.

    seeds: for each method its study of seeds.  searches: for each searched method the study that chose its
    parameters; points: which of its points they are, recommended or observed.  readings: all of this test
    split in the storage, the first one first.
    """

    name: str
    comparison: Comparison
    seeds: Mapping[str, str]
    searches: Mapping[str, str]
    points: Mapping[str, str]
    readings: tuple[Reading, ...]

    def table(self) -> ComparisonTable:
        return build(self.comparison)


def comparison_names(settings: Settings) -> list[str]:
    """The comparisons in a storage, begun ones too."""
    return _names(Connection(settings.storage, create=False))


def _names(connection: Connection) -> list[str]:
    parts = study_parts(connection).values()
    return sorted({part.of for part in parts if part.kind == "comparison"})


def compared(settings: Settings, name: str) -> Compared:
    """A stored comparison; raises ComparisonNotFound and ComparisonIncomplete."""
    return assembled(Connection(settings.storage, create=False), name)


def recipe_of(settings: Settings, name: str) -> str:
    """What ``--dataset`` was, of a comparison that is in the storage; raises ComparisonNotFound."""
    connection = Connection(settings.storage, create=False)
    found = seeds_of(connection, "comparison", name)
    if not found:
        raise _not_found(connection, name)
    ledger, _ = next(iter(found.values()))
    return ledger.charter.recipe


def assembled(
    connection: Connection, name: str, methods: Sequence[str] | None = None, seeds: int = 1
) -> Compared:
    """The same of some methods only.  seeds: which each of them must have at least."""
    found = seeds_of(connection, "comparison", name)
    if not found:
        raise _not_found(connection, name)
    chosen = in_order(tuple(methods or found))
    missing = [method for method in chosen if method not in found]
    if missing:
        raise ComparisonIncomplete(name=name, what=f"{missing[0]} was not begun")
    there = {method: found[method] for method in chosen}
    _refuse_unlike({method: ledger for method, (ledger, _) in there.items()})
    parts = {method: part for method, (_, part) in there.items()}
    searched = {m: p for m, p in parts.items() if p.search == search_study(name, m)}
    read = _readings(connection, there)
    return Compared(
        name=name,
        comparison=_comparison(name, there, seeds, read),
        seeds={method: ledger.name for method, (ledger, _) in there.items()},
        searches={method: str(part.search) for method, part in searched.items()},
        points={method: str(part.point) for method, part in searched.items()},
        readings=read,
    )


def lacking(ledgers: Sequence[Ledger]) -> list[tuple[Ledger, int]]:
    """The complete trials that were not measured on the test split yet, by number."""
    return [
        (ledger, record.number)
        for ledger in ledgers
        for measured in [ledger.measurements()]
        for record in ledger.records()
        if record.complete and record.number not in measured
    ]


def _not_found(connection: Connection, name: str) -> ComparisonNotFound:
    names = _names(connection)
    hint = nearest(name, names) if names else "`fre-hpo compare --dataset phantom` begins one"
    return ComparisonNotFound(name=name, storage=connection.shown, hint=hint)


def _readings(connection: Connection, there: Mapping[str, Member]) -> tuple[Reading, ...]:
    ledgers = (ledger for ledger, _ in there.values())
    found = (m for ledger in ledgers for m in ledger.measurements().values())
    first = next(found, None)
    if first is None:
        return ()
    return readings(connection, first.fingerprint)


# --- what it is made of ---------------------------------------------------------------------------


def _comparison(
    name: str, there: Mapping[str, Member], seeds: int, read: Sequence[Reading]
) -> Comparison:
    ledger, part = next(iter(there.values()))
    spec, classes = ledger.spec, ledger.charter.classes
    own = {m: p for m, (_, p) in there.items() if p.search == search_study(name, m)}
    return Comparison(
        dataset=spec.dataset,
        classes=classes,
        methods=tuple(_measured(name, m, ledger, seeds) for m, (ledger, _) in there.items()),
        budgets={method: part.trials for method, part in own.items()},
        eval_bn=spec.training.eval_bn,
        search_seed=part.seed if spec.training.seeds == "common" else None,
        paper=tables_for(spec.dataset, classes),
        failed={
            m: sum(r.state == "FAIL" for r in ledger.records()) for m, (ledger, _) in there.items()
        },
        remarks=tuple(_remarks(name, there, own, read)),
    )


def _measured(name: str, method: str, ledger: Ledger, seeds: int) -> Measured:
    records = [record for record in ledger.records() if record.complete]
    wanted = max(ledger.wanted, seeds)
    if len(records) < wanted:
        what = f"{len(records)} of {counted(wanted, 'seed')} of {method} are complete"
        raise ComparisonIncomplete(name=name, what=what)
    found = ledger.measurements()
    if any(record.number not in found for record in records):
        what = f"the test split was not read for all seeds of {method}"
        raise ComparisonIncomplete(name=name, what=what)
    of_seeds = [found[record.number] for record in records]
    return Measured(
        method=method,
        parameters=ledger.spec.fixed,
        seeds=tuple(int(record.seed or 0) for record in records),
        validation=_confusions([m.validation for m in of_seeds]),
        test=_confusions([m.test for m in of_seeds]),
    )


def _confusions(of_seeds: Sequence[SourceMatrices]) -> Confusions:
    counts = np.array([matrices.confusion for matrices in of_seeds], dtype=np.int64)
    return Confusions(of_seeds[0].sources, counts)


# --- studies that cannot stand in one table -------------------------------------------------------


def _refuse_unlike(ledgers: Mapping[str, Ledger]) -> None:
    """Raise UnlikeMeasurements unless all were trained on the same data by the same recipe."""
    (one, first), *others = ledgers.items()
    for other, ledger in others:
        if ledger.charter.fingerprint != first.charter.fingerprint:
            raise UnlikeMeasurements(one=one, other=other, what="data")
        unlike = [key for key, ours, theirs in _shared(first, ledger) if ours != theirs]
        if unlike:
            what = f"settings ({', '.join(unlike)})"
            raise UnlikeMeasurements(one=one, other=other, what=what)


def _shared(one: Ledger, other: Ledger) -> Iterator[tuple[str, object, object]]:
    ours, theirs = one.spec.flat(), other.spec.flat()
    for key in ours:
        if key in theirs and key not in OWN and key not in NOT_COMPARED:
            yield key, ours[key], theirs[key]


# --- what else a reader must know -----------------------------------------------------------------


def _remarks(
    name: str, there: Mapping[str, Member], searched: Mapping[str, Part], read: Sequence[Reading]
) -> Iterator[str]:
    if "dropout" in there and there["dropout"][1].point == PRIMARY:
        yield f"dropout has the B that was chosen for {PRIMARY}, as in the paper."
    for point in ("recommended", "observed"):
        names = [method for method, part in searched.items() if part.point == point]
        if names:
            yield f"Parameters of {' and '.join(names)}: {_POINTS[point]}"
    yield from _of_readings(name, read)


_POINTS = {
    "recommended": "where a smooth model of all trials of the search is highest on validation.",
    "observed": "those of the trial that was best on validation.",
}


def _of_readings(name: str, read: Sequence[Reading]) -> Iterator[str]:
    ours = next((index for index, reading in enumerate(read) if reading.study == name), None)
    if ours is None:
        return
    before, later = read[:ours], read[ours + 1 :]
    day = read[ours].time[:10]
    if not before:
        yield f"The test split was read here for the first time in this storage ({day})."
    else:
        who = ", ".join(f"{r.study} on {r.time[:10]}" for r in before[-3:])
        yield (
            f"The test split had been read {counted(len(before), 'time')} in this storage before it was read "
            f"here on {day}: by {who}; what was decided since may know it."
        )
    again = sum(reading.study == name for reading in later)
    if again:
        yield f"It was read {counted(again, 'more time')} for networks that were trained later."
