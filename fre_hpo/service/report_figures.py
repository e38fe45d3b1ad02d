"""The figures of a report: each as the command ``plot`` draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fre_hpo.data import Dataset
from fre_hpo.results.comparison.measured import BASELINE, PRIMARY
from fre_hpo.results.figures import sheet_printed
from fre_hpo.results.figures.classes import classes_figure
from fre_hpo.results.figures.curves import curves_figure
from fre_hpo.results.figures.description import DOUBLE, Figure
from fre_hpo.results.figures.enhancement import ENHANCING, enhancement_figure
from fre_hpo.results.figures.features import features_figure
from fre_hpo.results.figures.importance import importance_figure
from fre_hpo.results.figures.kinds import render
from fre_hpo.results.figures.predictions import predictions_figure
from fre_hpo.results.figures.search import search_figure
from fre_hpo.results.figures.sheet import Sheet
from fre_hpo.results.report.blocks import Picture
from fre_hpo.results.study_view import StudyView
from fre_hpo.results.traced import TracedTrial
from fre_hpo.service.kept import KeptStudy
from fre_hpo.service.plot import MARK
from fre_hpo.service.shown import shown
from fre_hpo.service.traces import is_traced, traced
from fre_hpo.service.view import study_view
from fre_hpo.study.folder import TrialFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, best_of

PALETTE = "paper"
ENLARGED = 1.4
"""On a page figures are so much larger than in a journal's column."""
FEATURES = (
    "Mean feature value at the end of the encoder (the paper's yellow layer) and at the skip connection that "
    "meets it in the decoder, over the training, of a few training images, before any multiplication (the "
    "paper's Fig. 2)."
)
ENHANCEMENT = (
    "Sum over the deepest feature maps during training (the paper's Fig. 9): the maps that are enhanced, and "
    "those that are not, before and after the multiplication."
)
BESIDE = " Beside them the same sum of the baseline, which is trained without FRE."


def study_pictures(ledger: Ledger, kept: KeptStudy | None) -> Iterator[Picture]:
    """kept: the study's files, None where they are not here."""
    view = study_view(ledger)
    yield search_picture(view)
    importances = ledger.importances()
    if importances:
        figure = importance_figure((view,), (importances,))
        caption = "How much each parameter matters for the mIoU (PED-ANOVA); shares add up to 1."
        yield _drawn("importance", figure, "Importance of the parameters", caption)
    caption = (
        "IoU of each class on the validation split, a dot for each trial; ringed: the best trial."
    )
    figure = classes_figure((view,), PALETTE)
    yield _drawn("classes", figure, "IoU of each class in every trial", caption)
    caption = (
        "Validation mIoU over the epochs, of the best trials; a dot marks the epoch that counts."
    )
    yield _drawn("curves", curves_figure((view,)), "Learning curves of the best trials", caption)
    if kept:
        yield from _best_trial(kept)
        yield from trace_pictures([traced(kept)] if kept.best_with(is_traced) else [])


def search_picture(view: StudyView, name: str = "search") -> Picture:
    match list(view.spec.searched):
        case []:
            caption = "Validation mIoU of each seed, and their mean."
        case [only]:
            caption = f"{only} and the validation mIoU of every trial; ringed: the best one."
        case [first, second, *_]:
            caption = (
                f"Every trial of the search: {first} upwards, {second} across, coloured by validation mIoU, "
                "blue low and red high (the paper's Figures 7 and 8); ringed: the best one."
            )
    figure = search_figure((view,), PALETTE)
    return _drawn(name, figure, f"The trials of {view.name}", caption)


def _best_trial(kept: KeptStudy) -> Iterator[Picture]:
    """The picture that was made when the trial ended."""
    best = best_of(kept.records)
    if best is None or not kept.files(best).picture.exists():
        return
    content = kept.files(best).picture.read_bytes()
    alt = f"Input, truth, prediction and errors of trial {best.number} on validation images"
    caption = (
        f"What the network of trial {best.number}, the best one, makes of validation images. The numbers are "
        "the IoU of the single image."
    )
    yield Picture("predictions", "png", content, alt, caption)


def trace_pictures(trials: Sequence[TracedTrial]) -> Iterator[Picture]:
    """Of traced trials; of none there is none."""
    compared = [trial for trial in trials if trial.spec.method in (BASELINE, PRIMARY)]
    if trials:
        figure = features_figure(compared or trials)
        yield _drawn("features", figure, "Feature values over training", FEATURES)
    enhanced = [trial for trial in trials if trial.spec.method in ENHANCING]
    baseline = next((trial for trial in trials if trial.spec.method == BASELINE), None)
    if enhanced:
        caption = ENHANCEMENT + (BESIDE if baseline else "")
        figure = enhancement_figure(baseline, enhanced)
        yield _drawn("enhancement", figure, "Sums of the feature maps over training", caption)


# --- a comparison -------------------------------------------------------------------------------


def comparison_pictures(studies: Sequence[KeptStudy], dataset: Dataset | None) -> Iterator[Picture]:
    """Of the networks of all methods.  studies: of seeds; dataset: None where the images are not here."""
    if dataset and studies:
        yield from _side_by_side(studies, dataset)
    methods = {BASELINE, *ENHANCING}
    shown_there = [kept for kept in studies if kept.ledger.spec.method in methods]
    seen = [kept for kept in shown_there if kept.best_with(is_traced)]
    _, pairs = _of_one_seed(seen, is_traced)
    yield from trace_pictures([traced(kept, record.number) for kept, record in pairs])


def _side_by_side(studies: Sequence[KeptStudy], dataset: Dataset) -> Iterator[Picture]:
    """The networks that were trained with one seed, on the same validation images."""
    seed, pairs = _of_one_seed(studies, lambda files: files.predictions.exists())
    if seed is None:
        return
    classes = studies[0].ledger.charter.classes
    caption = (
        f"Validation images with their truth, and what each method makes of them (seed {seed} for all); the "
        "paper's Figures 5 and 6. Above: mIoU of the whole validation split."
    )
    figure = predictions_figure(shown(pairs, dataset), classes)
    yield _drawn("predictions", figure, "Predictions of all methods side by side", caption)


def _of_one_seed(
    studies: Sequence[KeptStudy], has: Callable[[TrialFolder], bool]
) -> tuple[int | None, list[tuple[KeptStudy, TrialRecord]]]:
    """The lowest seed of which the folders of all studies have something, with its trials."""
    found = [
        {r.seed: r for r in kept.records if r.complete and has(kept.files(r))} for kept in studies
    ]
    first = found[0] if found else {}
    common = [seed for seed in first if seed is not None and all(seed in one for one in found)]
    if not common:
        return None, []
    seed = min(common)
    return seed, [(kept, one[seed]) for kept, one in zip(studies, found, strict=True)]


def _drawn(name: str, figure: Figure | Sheet, alt: str, caption: str) -> Picture:
    """alt: for those who cannot see it, and do not need the caption twice."""
    if isinstance(figure, Sheet):
        width = sheet_printed.width(figure)
    else:
        width = figure.width if figure.beside == 1 else DOUBLE
    content = render(figure, "svg", MARK)
    return Picture(name, "svg", content, alt, caption, round(width * ENLARGED, 1))
