"""What a reader must know before believing a table: seeds, tuning, images, rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fre_hpo.errors import counted
from fre_hpo.results.comparison.measured import (
    BASELINE,
    PRIMARY,
    Comparison,
    Split,
    shared_seeds,
)
from fre_hpo.results.comparison.paper import SOURCE
from fre_hpo.results.comparison.scores import single_source_classes
from fre_hpo.results.comparison.verdict import Verdict

BATCH_NORM: Mapping[str, str] = {
    "recalibrate": "In evaluation the batch-norm statistics are estimated anew on un-augmented training "
    "images without any enhancement (eval_bn = recalibrate); that is our addition to the paper.",
    "running": "In evaluation the batch-norm statistics are the running ones of the training, learned with "
    "the enhancement on (eval_bn = running), as in the paper.",
}


def footnotes(comparison: Comparison, verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    """In the order in which a reader meets the columns."""
    found = (
        note
        for part in (_seeds, _failures, _splits, _tuning, _images, _batch_norm, _paper)
        for note in part(comparison)
    )
    return (*found, *_intervals(comparison, verdicts), *comparison.remarks)


def _seeds(comparison: Comparison) -> Iterator[str]:
    numbers = sorted({len(measured.seeds) for measured in comparison.methods})
    if numbers == [1]:
        yield "One seed: there is no standard deviation and no interval."
    elif numbers:
        text = " to ".join(map(str, {numbers[0]: 0, numbers[-1]: 0}))
        yield (
            f"Mean ± standard deviation over {text} seeds; a seed gives every method the same "
            "initialisation and order of the data, so methods are compared in pairs of one seed."
        )
    baseline = comparison.baseline
    for measured in comparison.methods if baseline else ():
        shared = shared_seeds(measured, baseline) if baseline else ()
        if len(shared) < len(measured.seeds):
            yield (
                f"{measured.method} shares {len(shared)} of its {len(measured.seeds)} seeds with the "
                "baseline; only those are compared."
            )
    if any(comparison.search_seed in measured.seeds for measured in comparison.methods):
        yield (
            f"Seed {comparison.search_seed} is also the one that the searches trained with: what they chose "
            "may fit it by luck."
        )


def _failures(comparison: Comparison) -> Iterator[str]:
    for method, number in comparison.failed.items():
        if number:
            yield (
                f"{counted(number, 'training')} of {method} came to no result and gave way to other seeds: "
                "its numbers are of those that did."
            )


def _splits(comparison: Comparison) -> Iterator[str]:
    yield (
        "Validation is optimistic: the best epoch, and the parameters of searched methods, were chosen on "
        "it."
    )
    if comparison.judged_on == "validation":
        yield "The test split was not read for all methods, so they are compared on validation."


def _tuning(comparison: Comparison) -> Iterator[str]:
    budgets = {m.method: comparison.budgets.get(m.method, 0) for m in comparison.methods}
    if len(set(budgets.values())) < 2:
        return
    searched = [f"{name} with {number} trials" for name, number in budgets.items() if number]
    plain = [name for name, number in budgets.items() if not number]
    text = f"Unequal tuning: searched were {_listed(searched)}"
    yield text + (f"; {_listed(plain)} not at all." if plain else ".")


def _images(comparison: Comparison) -> Iterator[str]:
    split = comparison.judged_on
    found = next((m.on(split) for m in comparison.methods), None)
    if found is None:
        return
    number = len(found.sources)
    if comparison.dataset == "drosophila":
        yield (
            f"All {number} {split} images are sections of one volume of one animal: the claim reaches no "
            "further."
        )
    elif number < 10:
        yield f"There are {number} {split} images only, which bounds the claim."
    yield from _rare_classes(comparison, split)


def _rare_classes(comparison: Comparison, split: Split) -> Iterator[str]:
    confusions = comparison.methods[0].on(split)
    if confusions is None:
        return
    rare = single_source_classes(confusions.counts)
    if rare and len(confusions.sources) > 1:
        names = _listed([comparison.classes[index] for index in rare])
        yield (
            f"Only one {split} image holds {names}: how that varies between images is in no interval."
        )


def _batch_norm(comparison: Comparison) -> Iterator[str]:
    if comparison.eval_bn in BATCH_NORM:
        yield BATCH_NORM[comparison.eval_bn]


def _paper(comparison: Comparison) -> Iterator[str]:
    if not comparison.paper:
        return
    tables = _listed([f"Table {table.number}" for table in comparison.paper])
    yield (
        f"paper: {tables} of {SOURCE}; single runs on test images, on a split that it does not "
        "state."
    )
    yield from (table.note for table in comparison.paper if table.note)


def _intervals(comparison: Comparison, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    if not any(verdict.paired.interval for verdict in verdicts.values()):
        return
    yield (
        "difference: to the baseline in points of mIoU, with Student's 95 % interval for other seeds on the "
        "same images; over images: the same for other images like these too, by a jackknife over seeds "
        "and images."
    )
    if len([name for name in verdicts if name != PRIMARY]) > 1:
        yield (
            f"p: of {PRIMARY} against {BASELINE}, the primary question, as it is; of the others adjusted "
            "for being many (Holm), while their intervals are not."
        )


def _listed(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
