"""What a report tells of a study, gathered from the storage, from the study's folder and from its images.

The storage is enough; what the folder and the images would add is left out where they are not here, and
the report says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fre_hpo.data import Dataset
from fre_hpo.data.fetching.fetch import PUBLICATIONS
from fre_hpo.data.showing.shares import shares
from fre_hpo.errors import counted
from fre_hpo.results.numbers import four
from fre_hpo.results.report.blocks import Picture
from fre_hpo.results.report.facts import DataFacts, Machine, SplitFacts, StudyFacts
from fre_hpo.service.confirmed import confirmed
from fre_hpo.service.events import read_events
from fre_hpo.service.read import own_folder, summary
from fre_hpo.service.testing import measured_winner
from fre_hpo.service.view import study_view
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord

WORTH_TELLING = {
    "trial_lost": "workers lost",
    "out_of_memory": "out of memory",
    "checkpoint_damaged": "damaged checkpoints",
    "trial_stopped": "trials stopped and gone on with",
}
"""Events of the log, and what a report calls them."""


def study_facts(
    settings: Settings,
    ledger: Ledger,
    data: DataFacts,
    pictures: Sequence[Picture] = (),
    remarks: Sequence[str] = (),
) -> StudyFacts:
    """Of a study with a complete trial."""
    from fre_hpo.results.recommendation import recommend  # SciPy is loaded only where it is used

    view = study_view(ledger)
    events = _events(settings, ledger)
    counts = Counter(event["event"] for event in events)
    return StudyFacts(
        view=view,
        charter=ledger.charter,
        state=summary(settings, ledger)["state"],
        recommended=recommend(view.records, view.spec.parameters),
        machines=tuple(_machines(events) or _workers(view.records)),
        events={words: counts[name] for name, words in WORTH_TELLING.items() if counts[name]},
        pictures=tuple(pictures),
        data=data,
        remarks=tuple(remarks),
        enqueued=tuple(ledger.enqueued()),
    )


def confirmed_words(settings: Settings, study: str) -> tuple[str, ...]:
    """What fresh seeds said of a search's leading points; nothing before they were trained."""
    found = confirmed(settings, study)
    return found.confirmation.sentences if found else ()


def tested_words(settings: Settings, study: str) -> Iterator[str]:
    """What the test split said of the best trial, and whether it was fresh."""
    found = measured_winner(settings, study)
    if found is None:
        return
    classes = ", ".join(f"{name} {four(iou)}" for name, iou in found.class_iou.items())
    yield (
        f"On the test split, trial {found.trial} has a mIoU of {four(found.miou)} ({classes}), against "
        f"{four(found.validation)} on validation."
    )
    day, before = found.time[:10], len(found.earlier)
    if before:
        yield (
            f"The test split was read for it on {day}, after {counted(before, 'other reading')} in this "
            "storage: what was decided since the first may know it."
        )
    else:
        yield f"The test split was read for it on {day}, for the first time in this storage."


def _events(settings: Settings, ledger: Ledger) -> list[dict[str, Any]]:
    """The study's log, where it is here."""
    folder = StudyFolder(settings.study_folder(ledger.name))
    if not own_folder(folder, ledger) or not folder.events.exists():
        return []
    found, _ = read_events(folder.events, trial=None, frequent=False)
    return found


def _machines(events: Sequence[dict[str, Any]]) -> list[Machine]:
    counts = Counter(
        (_host(event.get("worker")), str(event.get("device", "")), str(event.get("engine", "")))
        for event in events
        if event["event"] == "trial_started"
    )
    return [Machine(*place, count) for place, count in sorted(counts.items())]


def _workers(records: Sequence[TrialRecord]) -> list[Machine]:
    """What the storage alone knows."""
    counts = Counter(_host(record.worker) for record in records if record.worker)
    return [Machine(host, "not known here", "", count) for host, count in sorted(counts.items())]


def _host(worker: object) -> str:
    """Of host:process."""
    return str(worker or "").rpartition(":")[0] or "not known"


def data_facts(name: str, dataset: Dataset | None, missing: str) -> DataFacts:
    """name: of the data set in the registry; missing: why its images are not here."""
    publication = PUBLICATIONS.get(name)
    licence = publication().licence if publication else ""
    if name == "phantom":
        licence = "none needed: the cells are drawn"
    if dataset is None:
        return DataFacts({}, licence=licence, missing=missing)
    return DataFacts(_splits(dataset), dataset.remarks, licence)


def _splits(dataset: Dataset) -> dict[str, SplitFacts]:
    found = {}
    for name, split in dataset.splits.items():
        if not len(split):
            continue
        _, channels, height, width = split.images.shape
        of_classes = shares(split, dataset.classes).classes
        sources = len(set(split.sources))
        found[name] = SplitFacts(len(split), sources, height, width, channels, of_classes)
    return found
