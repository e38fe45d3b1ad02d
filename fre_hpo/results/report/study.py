"""The report of one study: a search, or one setting with several seeds."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterator, Sequence

from fre_hpo import methods
from fre_hpo.errors import counted
from fre_hpo.results.numbers import NOTHING, four
from fre_hpo.results.report import sections
from fre_hpo.results.report.blocks import (
    Block,
    Code,
    Facts,
    Figure,
    Grid,
    Inline,
    Mono,
    Report,
    Section,
    Strong,
    Words,
    grid,
    words,
)
from fre_hpo.results.report.facts import StudyFacts
from fre_hpo.results.report.recipe import recipe
from fre_hpo.study.records import TrialRecord, params_text, short

BEST = 10
WIDE = 8
"""Classes that a table of trials has room for."""
ORDER = ("search", "importance", "classes", "curves", "predictions", "features", "enhancement")
"""The order of the figures."""


def study_recipe(facts: StudyFacts) -> str:
    """recipe.toml."""
    spec, wanted = facts.view.spec, facts.view.wanted
    return recipe(f"The study {facts.name}", [(spec, wanted)], spec.seed)


def study_report(facts: StudyFacts, made: str) -> Report:
    """made: by what and when, a sentence for the foot of the page.  There must be a complete trial."""
    charter = facts.charter
    return Report(
        kind="report of a study",
        title=facts.name,
        subtitle=_question(facts),
        lead=tuple(_lead(facts)),
        headline=tuple(_headline(facts)),
        sections=(
            Section("Result", tuple(_result(facts))),
            Section("Figures", _figures(facts)),
            sections.data_section(charter, facts.data),
            Section("Method", tuple(_method(facts))),
            sections.course([facts]),
            _again(facts),
            sections.specification(study_recipe(facts)),
        ),
        made=made,
    )


# --- the head -----------------------------------------------------------------------------------


def _question(facts: StudyFacts) -> str:
    spec, name = facts.view.spec, sections.data_name(facts.charter)
    if not spec.searched:
        return f"How well does {spec.method} segment {name}, with one setting and several seeds?"
    searched = " and ".join(spec.searched)
    verb = "gives" if len(spec.searched) == 1 else "give"
    return (
        f"Which {searched} of the method {spec.method} {verb} the best validation mIoU on {name}?"
    )


def _lead(facts: StudyFacts) -> Iterator[Words]:
    if facts.state != "finished":
        yield words(
            Strong(f"This study is {facts.state}"), ": what follows is how far it has come."
        )
    if facts.view.spec.searched:
        yield from _lead_of_search(facts)
    else:
        yield _lead_of_seeds(facts)


def _lead_of_search(facts: StudyFacts) -> Iterator[Words]:
    best, count = facts.best, len(facts.complete)
    yield words(
        "The best of ",
        counted(count, "trial"),
        " had ",
        Strong(params_text(best.params)),
        " and a validation mIoU of ",
        Strong(four(best.value)),
        f" at epoch {best.best_epoch}.",
    )
    found = facts.recommended
    if found is None:
        yield words("Too few trials are complete for a recommendation that allows for luck.")
        return
    yield words(
        "Recommended is ",
        Strong(params_text(found.params)),
        f", where a smooth model of all trials expects {four(found.mean)} (standard deviation "
        f"{four(found.sd)}).",
    )


def _lead_of_seeds(facts: StudyFacts) -> Words:
    values = [record.value or 0.0 for record in facts.complete]
    if len(values) == 1:
        return words("One seed gave a validation mIoU of ", Strong(four(values[0])), ".")
    spread = f" (standard deviation {four(statistics.stdev(values))})"
    count = counted(len(values), "seed")
    mean = Strong(four(statistics.fmean(values)))
    return words(f"{count} gave a mean validation mIoU of ", mean, spread, ".")


def _headline(facts: StudyFacts) -> Iterator[Figure]:
    best = facts.best
    what = params_text(best.params) if best.params else f"seed {best.seed}"
    yield Figure(four(best.value), "best validation mIoU", f"trial {best.number}: {what}")
    found = facts.recommended
    if found is not None:
        more = f"expected {four(found.mean)} ± {four(found.sd)}"
        yield Figure(params_text(found.params), "recommended", more)
    total = f"of {facts.view.wanted} wanted"
    yield Figure(str(len(facts.complete)), "complete trials", total)


# --- the result ---------------------------------------------------------------------------------


def _result(facts: StudyFacts) -> Iterator[Block]:
    yield _best_trials(facts)
    yield _classes(facts)
    if facts.view.spec.searched:
        yield _of_luck(facts)
    yield from map(words, facts.confirmed)
    chosen = (
        "All values are of the validation split, on which the epoch and the trial were chosen, so that new "
        "images may come out lower."
    )
    if facts.tested:
        yield words(chosen.replace("All values", "All values above"))
        yield from map(words, facts.tested)
    else:
        test = Mono(f"fre-hpo test {facts.name}")
        yield words(f"{chosen} The test split is for ", test, ".")


def _of_luck(facts: StudyFacts) -> Words:
    text = (
        f"The best of {len(facts.complete)} noisy trials is also the luckiest, and its value overstates what "
        "the same setting gives with another seed. "
    )
    model = (
        "The recommended point is the maximum of a Gaussian process's mean over all complete trials, which "
        "uses the neighbours of each trial to tell luck from worth. "
        if facts.recommended
        else ""
    )
    if facts.confirmed:
        return words(text, model, "The leading points were trained again with fresh seeds:")
    confirm = Mono(f"fre-hpo confirm {facts.name}")
    return words(text, model, confirm, " trains the leading points again with fresh seeds.")


def _best_trials(facts: StudyFacts) -> Grid:
    names = list(facts.view.spec.searched)
    classes = facts.view.classes if len(facts.view.classes) <= WIDE else ()
    rows = [_row(record, names, classes) for record in facts.complete[:BEST]]
    columns = ("trial", *(names or ["seed"]), "mIoU", "best epoch", *classes)
    count = len(facts.complete)
    title = f"The best {len(rows)} of {count} trials" if count > len(rows) else "The trials"
    return grid(f"{title}, by validation mIoU", columns, rows, left=0, marked=frozenset({0}))


def _row(record: TrialRecord, names: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    params = [short(record.params[n]) if n in record.params else NOTHING for n in names]
    return (
        str(record.number),
        *(params if names else [NOTHING if record.seed is None else str(record.seed)]),
        four(record.value),
        NOTHING if record.best_epoch is None else str(record.best_epoch),
        *(four(record.class_iou.get(name)) for name in classes),
    )


def _classes(facts: StudyFacts) -> Grid:
    """Each class: in the best trial, and over all of them."""
    rows = []
    for name in facts.view.classes:
        found = [r.class_iou.get(name) for r in facts.complete]
        known = [value for value in found if value is not None]
        spread = statistics.stdev(known) if len(known) > 1 else None
        mean = statistics.fmean(known) if known else None
        ends = (min(known, default=None), max(known, default=None))
        rows.append((name, *map(four, (facts.best.class_iou.get(name), mean, spread, *ends))))
    columns = ("class", "best trial", "mean of trials", "sd", "lowest", "highest")
    return grid("IoU of each class on validation", columns, rows)


def _figures(facts: StudyFacts) -> tuple[Block, ...]:
    order = {name: place for place, name in enumerate(ORDER)}
    pictures = sorted(facts.pictures, key=lambda p: order.get(p.name, len(order)))
    return (*pictures, *(words(remark) for remark in facts.remarks))


# --- method and course --------------------------------------------------------------------------


def _method(facts: StudyFacts) -> Iterator[Block]:
    spec = facts.view.spec
    summary = methods.get(spec.method).summary
    yield words(Strong(spec.method), f": {summary}.")
    space = sections.space(spec)
    if space:
        yield space
    if spec.searched:
        yield words(*_sampler(facts))
    yield sections.network(spec)
    yield sections.batch_norm(spec)


def _sampler(facts: StudyFacts) -> Iterator[Inline]:
    sampler = facts.view.spec.sampler
    model = "joint" if sampler.multivariate else "independent"
    liar = "with" if sampler.constant_liar else "without"
    yield (
        f"Trials were proposed by Optuna's TPE ({model} model of the parameters, {liar} the constant liar), "
        f"the first {sampler.startup_trials} drawn at random."
    )
    if facts.enqueued:
        yield f" {counted(len(facts.enqueued), 'point')} of the search had been given by hand."


def _again(facts: StudyFacts) -> Section:
    charter, name = facts.charter, facts.name
    start = ["fre-hpo", "start", "--dataset", sections.RECIPE, "--method", charter.spec.method]
    if charter.data_folder:
        start += ["--data-dir", charter.data_folder]
    start += ["--study", name, "--trials", str(facts.view.wanted)]
    best = facts.best
    commands = [shlex.join([*start, *_points(facts), "--parallel", "1"])]
    commands += [f"fre-hpo report {name} --out again"]
    blocks: list[Block] = [
        words(
            "With the versions below installed, in the folder that holds this file and under another ",
            Mono("--home"),
            " than the first time, because a study of this name goes on where it is found:",
        ),
        Code("\n".join(commands), "sh"),
        *_one_trial(best, start),
        words(
            "One trial after the other (",
            Mono("--parallel 1"),
            ") is proposed the same again; of several at once, who ends first decides what TPE knows. A "
            "training repeats every bit on the same kind of CPU with the same number of threads, and on one "
            "kind of GPU with ",
            Mono("engine.deterministic = true"),
            ".",
        ),
        sections.versions([charter]),
        Facts(_identity(facts)),
    ]
    return Section("Reproduce", tuple(blocks))


def _points(facts: StudyFacts) -> Iterator[str]:
    """What was given by hand, as flags."""
    for point in facts.enqueued:
        yield "--enqueue"
        yield ",".join(f"{name}={value!r}" for name, value in point.items())


def _one_trial(best: TrialRecord, start: Sequence[str]) -> Iterator[Block]:
    """The best trial alone."""
    if not best.params:
        return
    values = {**best.params, "seed": best.seed}
    sets = [f"{name}={value!r}" for name, value in values.items()]
    command = shlex.join([*start[:-4], "--study", "best-again", "--trials", "1"])
    flags = " ".join(f"--set {text}" for text in sets)
    yield words("The best trial alone:")
    yield Code(f"{command} {flags}", "sh")


def _identity(facts: StudyFacts) -> tuple[tuple[str, Words], ...]:
    charter = facts.charter
    return (
        ("study", words(Mono(charter.id))),
        ("recipe", words(Mono(charter.recipe))),
        ("seed of the search", words(str(charter.spec.seed))),
    )
