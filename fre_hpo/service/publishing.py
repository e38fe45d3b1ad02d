"""The study's page in the dashboard: what the coordinator publishes when trials and the search end."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fre_hpo.data.dataset import Dataset
from fre_hpo.results.merging import merged
from fre_hpo.results.notes import study_note, trial_note
from fre_hpo.results.page_figures import page_figures
from fre_hpo.results.picture import Sample, trial_picture
from fre_hpo.service.resuming import resume_command
from fre_hpo.service.view import study_view
from fre_hpo.study.artifacts import SHOWN
from fre_hpo.study.folder import StudyFolder, TrialFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, best_of, params_text


class StudyPage:
    """A publisher (scheduling) of one study on its data set."""

    def __init__(self, ledger: Ledger, folder: StudyFolder, dataset: Dataset) -> None:
        self._ledger = ledger
        self._folder = folder
        self._validation = dataset.validation
        self._sizes = {name: len(split) for name, split in dataset.splits.items()}
        self._classes = ledger.charter.classes

    # --- trials ---------------------------------------------------------------------------------

    def trial_ends(self, trial: TrialRecord) -> None:
        """Draw the trial's picture, attach its files, write its note."""
        files = self._folder.trial(trial.number)
        samples = tuple(self._samples(files))
        if samples:
            files.save_picture(trial_picture(samples, self._classes, _title(trial)))
        urls: dict[str, str | None] = dict.fromkeys(SHOWN)
        for name in SHOWN:
            if (files.path / name).exists():
                self._ledger.attach(trial.number, name)
                urls[name] = self._ledger.artifact_path(trial.number, name)
        note = trial_note(
            trial,
            picture_url=urls["picture.png"],
            curve_url=urls["curve.csv"],
            classes=self._classes,
            study=self._ledger.name,
        )
        self._ledger.publish_trial_note(trial.number, note)

    def _samples(self, files: TrialFolder) -> Iterator[Sample]:
        split = self._validation
        for index, labels in files.load_predictions().items():
            name = split.sources[index]
            yield Sample(name, split.images[index], split.labels[index], labels)

    # --- the study ------------------------------------------------------------------------------

    def study_changed(self, state: str) -> None:
        """Renew figures and note."""
        view = study_view(self._ledger)
        for name, figure in page_figures(view).items():
            self._ledger.publish_figure(name, json.dumps(figure, separators=(",", ":")))
        best = best_of(view.records)
        note = study_note(
            view,
            self._ledger.charter,
            state=state,
            picture_url=self._picture(best),
            resume=resume_command(self._ledger, sum(record.counts for record in view.records)),
            splits=self._sizes,
        )
        self._ledger.publish_note(merged(note, self._ledger.note()))

    def _picture(self, trial: TrialRecord | None) -> str | None:
        if trial is None or not self._folder.trial(trial.number).picture.exists():
            return None
        return self._ledger.artifact_path(trial.number, "picture.png")


def _title(trial: TrialRecord) -> str:
    what = params_text(trial.params) if trial.params else f"seed {trial.seed}"
    return f"Trial {trial.number}: {what}, validation mIoU {trial.value:.4f}"
