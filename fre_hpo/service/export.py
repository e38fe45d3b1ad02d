"""``fre-hpo export``: a study's winner as a folder that stands for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fre_hpo import data
from fre_hpo.data.assembly import tiling
from fre_hpo.data.dataset import Split
from fre_hpo.errors import FreHpoError
from fre_hpo.inference import export as exporting
from fre_hpo.inference.export import Exported, Origin, refuse_occupied
from fre_hpo.inference.network import load
from fre_hpo.service.trained import trained
from fre_hpo.settings import Settings
from fre_hpo.study.charter import Charter
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord

REAL_IMAGES = 2
"""Validation pictures on which the graph is checked."""


@dataclass(frozen=True)
class ExportedTrial:
    """What was exported: the trial, and what was written."""

    trial: TrialRecord
    exported: Exported


def export(settings: Settings, study: str, out: Path, number: int | None = None) -> ExportedTrial:
    """Write the network of a study's best trial, or of the trial of that number, into a new folder.

    Raises FolderInTheWay, OnnxDiffers, BadCheckpoint and what ``trained`` raises.
    """
    folder = out.expanduser()
    refuse_occupied(folder)
    found = trained(settings, study, number)
    network = load(found.path)
    charter = found.ledger.charter
    real = [_padded(image, network.card.stride) for image in _validation(charter)]
    written = exporting.export(network, _origin(found.ledger, found.record), folder, real)
    remarks = tuple(filter(None, (found.remark, *written.remarks)))
    return ExportedTrial(found.record, replace(written, remarks=remarks))


def _origin(ledger: Ledger, record: TrialRecord) -> Origin:
    charter = ledger.charter
    return Origin(
        ledger.name, record.number, record.class_iou, charter.fingerprint, charter.versions
    )


def _validation(charter: Charter) -> list[NDArray[np.float32]]:
    """A few of the study's own pictures; none where the data set is not here any more, or another."""
    folder = Path(charter.data_folder) if charter.data_folder else None
    try:
        dataset = data.load(charter.spec.dataset, folder, charter.spec.options)
    except FreHpoError:
        return []
    if dataset.fingerprint != charter.fingerprint:
        return []
    return _first(dataset.validation)


def _first(split: Split) -> list[NDArray[np.float32]]:
    return list(split.images[:REAL_IMAGES])


def _padded(image: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    height, width = (-(-side // multiple) * multiple for side in image.shape[1:])
    return tiling.pad(image, (height, width))
