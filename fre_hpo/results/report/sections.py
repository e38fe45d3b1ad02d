"""The sections that a report of a study and of a comparison have in common."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fre_hpo import methods
from fre_hpo.errors import counted
from fre_hpo.results.comparison.footnotes import BATCH_NORM
from fre_hpo.results.comparison.paper import SOURCE
from fre_hpo.results.numbers import duration
from fre_hpo.results.report.blocks import (
    Block,
    Code,
    Facts,
    Grid,
    Inline,
    Mono,
    Section,
    Words,
    grid,
    words,
)
from fre_hpo.results.report.facts import DataFacts, SplitFacts, StudyFacts, moment
from fre_hpo.study.charter import Charter
from fre_hpo.study.space import Range, written
from fre_hpo.study.spec import Spec

RECIPE = "recipe.toml"
SENTENCES = {"none": "plain cross-entropy", "sqrt": "cross-entropy, rare classes weighted up"}


# --- data ---------------------------------------------------------------------------------------


def data_section(charter: Charter, data: DataFacts) -> Section:
    rows: list[tuple[str, Words]] = [
        ("data set", words(data_name(charter))),
        ("classes", words(", ".join(charter.classes))),
        (
            "folder",
            words(Mono(charter.data_folder)) if charter.data_folder else words("none: drawn"),
        ),
        ("fingerprint", words(Mono(charter.fingerprint))),
    ]
    if data.licence:
        rows.append(("licence", words(data.licence)))
    blocks: list[Block] = [Facts(tuple(rows))]
    if data.splits:
        blocks.append(_splits(charter.classes, data.splits))
    if data.missing:
        blocks.append(words(f"The images were not counted: {data.missing}"))
    blocks += [words(f"Remark: {remark}") for remark in data.remarks]
    blocks.append(
        words(
            "The fingerprint is a SHA-256 of all pixels, labels and the split: whoever gets the same one has "
            "the same data. The validation split chose epochs and parameters; no search sees the test split."
        )
    )
    return Section("Data", tuple(blocks))


def data_name(charter: Charter) -> str:
    """What people call their data: the recipe, for their own images are all of one kind."""
    name, kind = Path(charter.recipe).stem, charter.spec.dataset
    return name if name == kind else f"{name} ({kind})"


def _splits(classes: Sequence[str], splits: Mapping[str, SplitFacts]) -> Grid:
    """Images of each split, and how much of them each class has."""
    rows = [
        (
            name,
            str(split.images),
            str(split.sources),
            f"{split.height} × {split.width}",
            *(f"{100 * split.shares[c]:.1f} %" if c in split.shares else "-" for c in classes),
        )
        for name, split in splits.items()
    ]
    columns = ("split", "images", "from sources", "pixels", *classes)
    return grid("Images, and the share of each class in the labelled pixels", columns, rows)


# --- methods ------------------------------------------------------------------------------------


def network(spec: Spec) -> Words:
    """The network and its training, in words."""
    model, training = spec.model, spec.training
    widths = "-".join(map(str, model.widths))
    return words(
        f"An SE-U-Net of widths {widths} ({model.norm.replace('_', ' ')} normalisation, {model.upsample} "
        f"up-steps), trained for {counted(training.epochs, 'epoch')} by Adam (learning rate "
        f"{written(training.learning_rate)}, batches of {training.batch_size}, "
        f"{SENTENCES[training.class_weights]}). The epoch with the best validation mIoU counts; mIoU is the "
        "mean over the classes of one confusion matrix of the whole split. The network and the method are "
        f"those of {SOURCE}."
    )


def batch_norm(spec: Spec) -> Words:
    return words(BATCH_NORM[spec.training.eval_bn])


def space(spec: Spec) -> Grid | None:
    """What the method takes; None where it takes nothing."""
    known = {p.name: p for p in methods.get(spec.method).parameters}
    rows = [(name, known[name].meaning, _spoken(s)) for name, s in spec.parameters.items()]
    columns = ("parameter", "meaning", "search space")
    return Grid("", columns, tuple(rows), (False, False, False)) if rows else None


def _spoken(space: object) -> str:
    """1 to 512, log scale."""
    if not isinstance(space, Range):
        return f"{space}, not searched"
    scale = "log scale" if space.log else "linear scale"
    return f"{written(space.low)} to {written(space.high)}, {scale}"


# --- how it was made ----------------------------------------------------------------------------


def course(facts: Sequence[StudyFacts]) -> Section:
    """When, where, how long, with which seeds, and what went wrong; of one study or several."""
    blocks: list[Block] = [_course_facts(facts), *_machines(facts), *_failures(facts)]
    return Section("How it ran", tuple(blocks))


def _course_facts(facts: Sequence[StudyFacts]) -> Facts:
    records = [record for one in facts for record in one.view.records]
    complete = [record for one in facts for record in one.complete]
    seconds = sorted(value for one in facts for value in one.trial_seconds)
    rows = [
        ("from", words(moment(min((f.begun for f in facts if f.begun), default=None)))),
        ("to", words(moment(max((f.ended for f in facts if f.ended), default=None)))),
        ("trials", words(f"{len(complete)} complete of {len(records)} begun")),
        ("seeds", words(*_seeds(facts))),
    ]
    if seconds:
        middle = duration(statistics.median(seconds))
        rows.append(
            (
                "time of a trial",
                words(f"{middle} (median), {duration(seconds[0])} to {duration(seconds[-1])}"),
            )
        )
        rows.append(("time of all trials", words(f"{duration(sum(seconds))}, added up")))
    happened = {name: 0 for one in facts for name in one.events}
    for one in facts:
        for name, count in one.events.items():
            happened[name] += count
    rows += [(name, words(str(count))) for name, count in happened.items()]
    return Facts(tuple(rows))


def _seeds(facts: Sequence[StudyFacts]) -> Iterator[Inline]:
    seeds = sorted({seed for one in facts for seed in one.seeds})
    yield ", ".join(map(str, seeds)) or "none"
    if len(facts) == 1 and len(seeds) == 1 and facts[0].view.spec.searched:
        yield " (initialisation and order of the data are common to all trials)"


def _machines(facts: Sequence[StudyFacts]) -> Iterator[Grid]:
    """Hosts, devices and engines, with the trials that were begun there."""
    counts: dict[tuple[str, str, str], int] = {}
    for machine in (m for one in facts for m in one.machines):
        key = machine.host, machine.device, machine.engine
        counts[key] = counts.get(key, 0) + machine.trials
    rows = [(*key, str(count)) for key, count in sorted(counts.items())]
    if rows:
        columns = ("machine", "device", "computed in", "trials begun")
        yield grid("Hardware", columns, rows, left=3)


def _failures(facts: Sequence[StudyFacts]) -> Iterator[Block]:
    rows = [
        (one.name, str(record.number), str(record.attempts), record.reason or "not recorded")
        for one in facts
        for record in one.failed
    ]
    if not rows:
        yield words("No trial failed.")
        return
    columns = ("study", "trial", "attempts", "reason")
    yield Grid("Failed trials", columns, tuple(rows), (False, True, True, False))


def versions(charters: Sequence[Charter]) -> Grid:
    """Of the libraries, as each study was created with them; studies that agree share a column."""
    columns: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for charter in charters:
        columns.setdefault(tuple(charter.versions.items()), []).append(charter.created_at[:10])
    names = list(dict.fromkeys(name for versions in columns for name, _ in versions))
    rows = [(name, *(dict(versions).get(name, "-") for versions in columns)) for name in names]
    heads = (f"studies of {days[0]}" for days in columns.values())
    return Grid("Versions", ("library", *heads), tuple(rows), (False,) * (1 + len(columns)))


# --- again --------------------------------------------------------------------------------------


def specification(recipe: str) -> Section:
    text = words(
        "Every setting, also those that have their defaults, as a recipe; it lies beside this file as ",
        Mono(RECIPE),
        ".",
    )
    return Section("Specification", (text, Code(recipe, "toml")))
