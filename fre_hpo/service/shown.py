"""What networks make of validation images, for figures and reports: predictions and the images again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from fre_hpo import data
from fre_hpo.data import Dataset
from fre_hpo.errors import FreHpoError, NoPredictions, OtherPictures, UnlikeMeasurements
from fre_hpo.results.figures.predictions import Shown
from fre_hpo.results.panels import Sample
from fre_hpo.service.kept import KeptStudy
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord


def dataset_of(ledger: Ledger, data_dir: Path | None = None) -> Dataset:
    """The images of a study, from where they were or from a folder that is named.

    Raises OtherPictures where they are not the study's any more, and all that data sets raise.
    """
    charter = ledger.charter
    stored = Path(charter.data_folder) if charter.data_folder else None
    folder = data_dir.expanduser().absolute() if data_dir else stored
    if not data.find(charter.spec.dataset).needs_folder:
        folder = None
    found = data.load(charter.spec.dataset, folder, charter.spec.options)
    if found.fingerprint != charter.fingerprint:
        raise OtherPictures(
            folder=folder, study=ledger.name, stored=charter.fingerprint, found=found.fingerprint
        )
    return found


def predicted(kept: KeptStudy, number: int | None = None) -> TrialRecord:
    """The best trial with predictions, or that of a number; raises NoPredictions and UnknownTrial."""
    record = kept.best_with(lambda files: files.predictions.exists(), number)
    if record is None:
        raise NoPredictions(what=kept.spoken(number), folder=kept.folder.path)
    return record


def refusals(studies: Sequence[KeptStudy]) -> list[FreHpoError]:
    """Pairs of studies whose images are not the same."""
    return [
        UnlikeMeasurements(one=one.spoken(None), other=other.spoken(None), what="data or splits")
        for one, other in pairwise(studies)
        if one.ledger.charter.fingerprint != other.ledger.charter.fingerprint
    ]


def shown(studies: Sequence[tuple[KeptStudy, TrialRecord]], dataset: Dataset) -> list[Shown]:
    """The images that all these trials have predicted, by each of them; raises NoPredictions."""
    stored = [kept.files(record).load_predictions() for kept, record in studies]
    common = [index for index in stored[0] if all(index in other for other in stored)]
    if not common:
        what = "an image that all these trials have in common"
        raise NoPredictions(what=what, folder=studies[0][0].folder.path)
    split = dataset.validation
    return [
        Shown(
            kept.name,
            kept.ledger.spec.method,
            record,
            tuple(
                Sample(
                    split.sources[index],
                    split.images[index],
                    split.labels[index],
                    np.asarray(labels[index]),
                )
                for index in common
            ),
        )
        for (kept, record), labels in zip(studies, stored, strict=True)
    ]
