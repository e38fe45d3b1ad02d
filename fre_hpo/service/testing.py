"""``fre-hpo test`` and the end of a comparison: the locked test split, after the search has ended.

What training and the choice of a trial never saw is read here and nowhere else.  Every reading is
recorded before it is made (``study.readings``); what was measured stays in the study, so that no network
needs a second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fre_hpo.data import Dataset
from fre_hpo.data.dataset import fingerprint
from fre_hpo.errors import NoNetwork, TestLocked, counted
from fre_hpo.results.comparison import scores
from fre_hpo.service.check import live_of
from fre_hpo.service.read import open_ledger
from fre_hpo.service.shown import dataset_of
from fre_hpo.service.trained import Trained, trained_of
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import TrialFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.measurement import Measurement, SourceMatrices
from fre_hpo.study.readings import Reading, readings, record_reading
from fre_hpo.study.records import TrialRecord, best_of


@dataclass(frozen=True)
class Tested:
    """One network on the test split.  validation: the value that chose it.  time: when its test split was
    read.  earlier, later: the other readings of the same split in the storage.  read_now: whether this
    call read it, or shows what an earlier one measured."""

    study: str
    trial: int
    params: dict[str, int | float]
    validation: float
    miou: float
    class_iou: dict[str, float | None]
    time: str
    earlier: tuple[Reading, ...]
    later: tuple[Reading, ...]
    read_now: bool
    remark: str = ""

    def to_json(self) -> dict[str, Any]:
        readings = {name: [_plain(r) for r in getattr(self, name)] for name in ("earlier", "later")}
        return {**vars(self), "first_reading": not self.earlier, **readings}


def measure_winner(
    settings: Settings,
    study: str,
    number: int | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda sentence: None,
) -> Tested:
    """Measure a study's best network, or that of one trial, on the test split; one that was measured
    before is not measured again.

    Raises TestLocked while the search has not ended, OtherPictures, and what ``trained`` raises.
    """
    ledger = open_ledger(settings, study)
    refuse_unfinished(ledger)
    known = measured_winner(settings, study, number)
    if known is not None:
        return known
    found = trained_of(settings, ledger, number)
    known = _told(settings, ledger, found.record, now=False, remark=found.remark)
    if known is not None:
        return known
    _measure(settings, study, [found], dataset_of(ledger, data_dir), device, say)
    made = _told(settings, ledger, found.record, now=True, remark=found.remark)
    assert made is not None
    return made


def measured_winner(settings: Settings, study: str, number: int | None = None) -> Tested | None:
    """What is stored of a study's best trial, or of that number; None where it was not measured."""
    ledger = open_ledger(settings, study)
    records = [r for r in ledger.records() if r.complete and number in (None, r.number)]
    best = best_of(records)
    return None if best is None else _told(settings, ledger, best, now=False)


def _told(
    settings: Settings, ledger: Ledger, record: TrialRecord, *, now: bool, remark: str = ""
) -> Tested | None:
    found = ledger.measurements().get(record.number)
    if found is None:
        return None
    import numpy as np

    counts = np.array(found.test.confusion, dtype=np.int64)
    of_classes = scores.optional(scores.class_iou(counts))
    connection = Connection(settings.storage, create=False)
    all_readings = readings(connection, found.fingerprint)
    before = [reading for reading in all_readings if reading.time <= found.time]
    return Tested(
        study=ledger.name,
        trial=record.number,
        params=record.params,
        validation=record.value or 0.0,
        miou=float(scores.mean_iou(counts)),
        class_iou=dict(zip(ledger.charter.classes, of_classes, strict=True)),
        time=found.time,
        earlier=tuple(before[:-1]),
        later=tuple(all_readings[len(before) :]),
        read_now=now,
        remark=remark,
    )


def refuse_unfinished(ledger: Ledger) -> None:
    """Raise TestLocked while a search may still choose by what is not to be seen."""
    live = live_of(ledger)
    complete = sum(record.counts for record in ledger.records())
    if (live is not None and live.coordinator_alive()) or complete < ledger.wanted:
        enough = f", and a start with --trials {complete} says that these were all"
        raise TestLocked(
            study=ledger.name,
            complete=complete,
            wanted=ledger.wanted,
            hint=enough if complete else "",
        )


# --- reading the split ----------------------------------------------------------------------------


def measure_all(
    settings: Settings,
    name: str,
    pending: Sequence[tuple[Ledger, int]],
    dataset: Dataset,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Measure trials of several studies in one reading, which is recorded under a name.

    Their networks lie in this home: the coordinator keeps them all where nothing is searched.  Raises what
    ``trained`` raises, before the split is read.
    """
    found = [trained_of(settings, ledger, number) for ledger, number in pending]
    _measure(settings, name, found, dataset, device, say)


def _measure(
    settings: Settings,
    name: str,
    networks: Sequence[Trained],
    dataset: Dataset,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Record the reading, then measure one network after the other and keep what was found."""
    from fre_hpo.inference.evaluate import evaluate
    from fre_hpo.inference.network import load, use_threads
    from fre_hpo.scheduling.placement import Machine, place, usable_cpus
    from fre_hpo.trial import accelerators

    placed = place(Machine(usable_cpus(), *accelerators()), device, None, None, one_slot=True)
    use_threads(placed.threads)
    validation = [_validation(network) for network in networks]
    connection = Connection(settings.storage, create=True)
    digest = fingerprint(dataset.classes, {"test": dataset.test})
    record_reading(connection, digest, name, len(networks))
    say(f"The test split is read, with {counted(len(networks), 'network')}.")
    for network, chosen_by in zip(networks, validation, strict=True):
        found = evaluate(load(network.path, placed.device).repeatable(), dataset.test)
        told = SourceMatrices(found.sources, found.confusion.tolist())
        network.ledger.keep_measurement(
            network.record.number, Measurement.made_now(chosen_by, told, digest)
        )


def _validation(network: Trained) -> SourceMatrices:
    """As its training measured it; raises NoNetwork where that is not here."""
    found = TrialFolder(network.path.parent).load_confusion()
    if found is None:
        what = f"trial {network.record.number} of study {network.ledger.name!r}"
        raise NoNetwork(
            what=what, folder=network.path.parent, hint="its confusion.json is missing, too"
        )
    return SourceMatrices(*found)


def _plain(reading: Reading) -> dict[str, Any]:
    return {"study": reading.study, "time": reading.time, "networks": reading.networks}
