"""The report of a comparison: all methods on the same data with the same seeds, judged on the test split."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fre_hpo import methods
from fre_hpo.errors import counted
from fre_hpo.results.comparison import render
from fre_hpo.results.comparison.measured import BASELINE, PRIMARY
from fre_hpo.results.comparison.table import ComparisonTable, Row
from fre_hpo.results.report import sections
from fre_hpo.results.report.blocks import (
    Block,
    Code,
    Figure,
    Grid,
    Listing,
    Mono,
    Picture,
    Report,
    Section,
    Strong,
    Words,
    words,
)
from fre_hpo.results.report.facts import DataFacts, StudyFacts, moment
from fre_hpo.results.report.recipe import recipe
from fre_hpo.study.readings import Reading
from fre_hpo.study.records import params_text


@dataclass(frozen=True)
class ComparisonFacts:
    """studies: all that belong to it, by name.  seeds, searches: of each method, the names of its studies;
    points: which point of a search is compared, recommended or observed.  seed: of the searches."""

    name: str
    table: ComparisonTable
    studies: Mapping[str, StudyFacts]
    seeds: Mapping[str, str]
    searches: Mapping[str, str]
    points: Mapping[str, str]
    readings: tuple[Reading, ...]
    pictures: tuple[Picture, ...]
    data: DataFacts
    seed: int
    remarks: tuple[str, ...] = ()

    @property
    def first(self) -> StudyFacts:
        """Whose settings, method aside, are those of all."""
        return self.studies[next(iter(self.seeds.values()))]


def comparison_recipe(facts: ComparisonFacts) -> str:
    """recipe.toml: the ranges of what was searched, the values of what was not."""
    names = {**facts.seeds, **facts.searches}.values()
    views = [facts.studies[name].view for name in names]
    return recipe(
        f"The comparison {facts.name}", [(view.spec, view.wanted) for view in views], facts.seed
    )


def comparison_report(facts: ComparisonFacts, made: str) -> Report:
    """made: by what and when, a sentence for the foot of the page."""
    charter = facts.first.charter
    studies = list(facts.studies.values())
    return Report(
        kind="report of a comparison",
        title=facts.name,
        subtitle=_question(facts),
        lead=tuple(_lead(facts)),
        headline=tuple(_headline(facts)),
        sections=(
            Section("Result", tuple(_result(facts))),
            Section("Figures", (*facts.pictures, *map(words, facts.remarks))),
            sections.data_section(charter, facts.data),
            Section("Test split", tuple(_test_split(facts))),
            Section("Methods", tuple(_methods(facts))),
            sections.course(studies),
            _again(facts),
            sections.specification(comparison_recipe(facts)),
        ),
        made=made,
    )


# --- the head -----------------------------------------------------------------------------------


def _question(facts: ComparisonFacts) -> str:
    name = sections.data_name(facts.first.charter)
    if PRIMARY in facts.seeds and BASELINE in facts.seeds:
        return f"Does Feature Random Enhancement help on {name}, by how much, beyond luck?"
    return f"Which method segments {name} best, beyond luck?"


def _lead(facts: ComparisonFacts) -> Iterator[Words]:
    if facts.table.answer:
        yield words(facts.table.answer)


def _headline(facts: ComparisonFacts) -> Iterator[Figure]:
    split = facts.table.compared_on
    for row in facts.table.rows:
        if row["method"] in (BASELINE, PRIMARY) and row[split]:
            found = row[split]["mIoU"]
            spread = "" if found["sd"] is None else f"± {found['sd']:.2f}, "
            more = f"{spread}{counted(row['seeds'], 'seed')}"
            yield Figure(f"{found['mean']:.2f} %", f"{row['method']}: {split} mIoU", more)
    difference = _of_primary(facts)
    if difference and difference["mean"] is not None:
        more = "no interval"
        if difference["low"] is not None:
            more = f"95 % interval {difference['low']:+.2f} to {difference['high']:+.2f}"
        yield Figure(f"{difference['mean']:+.2f}", "difference in points", more)


def _of_primary(facts: ComparisonFacts) -> Mapping[str, float | None] | None:
    rows = (row for row in facts.table.rows if row["method"] == PRIMARY)
    row: Row | None = next(rows, None)
    return row["difference"] if row else None


# --- the result ---------------------------------------------------------------------------------


def _result(facts: ComparisonFacts) -> Iterator[Block]:
    table = facts.table
    others = [sentence for sentence in table.sentences if sentence != table.answer]
    if others:
        yield Listing(tuple(words(sentence) for sentence in others))
    for section in render.sections(table):
        yield Grid(section.title, section.columns, section.rows, section.numeric)
    if table.footnotes:
        yield words(Strong("What a reader must know"))
        yield Listing(tuple(words(note) for note in table.footnotes))


def _test_split(facts: ComparisonFacts) -> Iterator[Block]:
    yield words(
        "No search and no training saw the test split. Every reading of it is recorded in the storage, over "
        "all studies, before anything is computed from it:"
    )
    rows = tuple(
        (str(number), moment(reading.time), reading.study, str(reading.networks))
        for number, reading in enumerate(facts.readings, 1)
    )
    columns = ("reading", "when", "for", "networks measured")
    if rows:
        yield Grid("", columns, rows, (True, False, False, True))
        yield words("Fingerprint of the test split: ", Mono(facts.readings[0].fingerprint), ".")
    else:
        yield words("It was not read.")


def _methods(facts: ComparisonFacts) -> Iterator[Block]:
    columns = ("method", "what it adds", "compared with", "chosen by")
    rows = tuple(_method(facts, name) for name in facts.seeds)
    yield Grid("", columns, rows, (False,) * len(columns))
    for method, study in facts.searches.items():
        space = sections.space(facts.studies[study].view.spec)
        if space:
            yield Grid(f"Search space of {method}", space.columns, space.rows, space.numeric)
    yield sections.network(facts.first.view.spec)
    yield sections.batch_norm(facts.first.view.spec)


def _method(facts: ComparisonFacts, name: str) -> tuple[str, str, str, str]:
    study = facts.studies[facts.seeds[name]]
    parameters = params_text(study.view.spec.fixed)
    return name, methods.get(name).summary, parameters, _chosen_by(facts, name)


def _chosen_by(facts: ComparisonFacts, name: str) -> str:
    if name not in facts.searches:
        part = facts.studies[facts.seeds[name]].charter.part
        return f"as chosen for {part.point}" if part and part.point == PRIMARY else "not searched"
    search = facts.studies[facts.searches[name]]
    return (
        f"{counted(len(search.complete), 'trial')} of {search.name}, the {facts.points[name]} point"
    )


# --- again --------------------------------------------------------------------------------------


def _again(facts: ComparisonFacts) -> Section:
    charter = facts.first.charter
    compare = ["fre-hpo", "compare", "--dataset", sections.RECIPE]
    if charter.data_folder:
        compare += ["--data-dir", charter.data_folder]
    seeds = max(row["seeds"] for row in facts.table.rows)
    compare += ["--methods", ",".join(facts.seeds), "--seeds", str(seeds), "--study", facts.name]
    commands = [
        shlex.join([*compare, "--parallel", "1"]),
        f"fre-hpo report {facts.name} --out again",
    ]
    blocks: list[Block] = [
        words(
            "With the versions below installed, in the folder that holds this file and under another ",
            Mono("--home"),
            " than the first time, because a comparison of this name goes on where it is found:",
        ),
        Code("\n".join(commands), "sh"),
        sections.versions([study.charter for study in facts.studies.values()]),
    ]
    return Section("Reproduce", tuple(blocks))
