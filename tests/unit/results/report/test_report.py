"""What a report says: the values of the records, for every method; nothing that is not so."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.methods import METHODS
from fre_hpo.results.comparison import render
from fre_hpo.results.report.blocks import Code, Facts, Grid, Listing, Report, Words
from fre_hpo.results.report.comparison import comparison_recipe, comparison_report
from fre_hpo.results.report.facts import DataFacts
from fre_hpo.results.report.page import page
from fre_hpo.results.report.recipe import recipe as recipe_text
from fre_hpo.results.report.study import study_recipe, study_report
from fre_hpo.results.report.text import markdown
from fre_hpo.study import recipe
from ledgers import CLASSES
from reported import comparison_facts, study_facts
from viewed import make_view, with_record

MADE = "Written by a test."


def blocks(report: Report, title: str, kind: type) -> list[Any]:
    (section,) = (section for section in report.sections if section.title == title)
    return [block for block in section.blocks if isinstance(block, kind)]


def plain(words: Words) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in words.parts)


def said(report: Report) -> str:
    """All running text."""
    found = [plain(lead) for lead in report.lead]
    for section in report.sections:
        for block in section.blocks:
            match block:
                case Words():
                    found.append(plain(block))
                case Listing(items):
                    found += map(plain, items)
                case Facts(rows):
                    found += [f"{name}: {plain(fact)}" for name, fact in rows]
                case _:
                    pass
    return "\n".join(found)


# --- a study ------------------------------------------------------------------------------------


def test_the_best_ten_trials_stand_with_their_values() -> None:
    facts = study_facts()
    table, classes = blocks(study_report(facts, MADE), "Result", Grid)
    ranked = sorted(facts.complete, key=lambda r: -(r.value or 0))[:10]
    assert [row[0] for row in table.rows] == [str(r.number) for r in ranked]
    assert [row[3] for row in table.rows] == [f"{r.value:.4f}" for r in ranked]
    assert table.columns == ("trial", "B", "X", "mIoU", "best epoch", *CLASSES)
    nucleus = [r.class_iou["nucleus"] or 0 for r in facts.complete]
    best = facts.best.class_iou["nucleus"]
    row = next(row for row in classes.rows if row[0] == "nucleus")
    assert row[1:3] == (f"{best:.4f}", f"{sum(nucleus) / len(nucleus):.4f}")
    assert row[4:] == (f"{min(nucleus):.4f}", f"{max(nucleus):.4f}")


def test_the_answer_names_best_and_recommended() -> None:
    facts = study_facts()
    report = study_report(facts, MADE)
    assert facts.recommended is not None
    lead = "\n".join(map(plain, report.lead))
    assert f"The best of 12 trials had B={facts.best.params['B']}" in lead
    assert f"Recommended is B={facts.recommended.params['B']}" in lead
    assert report.headline[0].value == f"{facts.best.value:.4f}"
    assert "the luckiest" in said(report)


def test_without_a_recommendation_it_says_why() -> None:
    facts = study_facts(view=make_view(complete=3), recommended=None)
    assert "Too few trials are complete for a recommendation" in said(study_report(facts, MADE))


def test_what_fresh_seeds_and_the_test_split_say_takes_the_place_of_the_advice() -> None:
    advice = said(study_report(study_facts(), MADE))
    assert "fre-hpo confirm" in advice
    assert "fre-hpo test" in advice
    facts = study_facts(confirmed=("No winner is shown.",), tested=("Trial 3 has 0.5.",))
    told = said(study_report(facts, MADE))
    assert told.index("trained again with fresh seeds:") < told.index("No winner is shown.")
    assert "Trial 3 has 0.5." in told
    assert "fre-hpo confirm" not in told
    assert "fre-hpo test" not in told


def test_a_study_that_is_not_finished_says_so() -> None:
    report = study_report(study_facts(state="running"), MADE)
    assert plain(report.lead[0]).startswith("This study is running: ")
    assert plain(study_report(study_facts(), MADE).lead[0]).startswith("The best")


def test_failures_events_and_machines_are_told() -> None:
    report = study_report(study_facts(), MADE)
    machines, failed = blocks(report, "How it ran", Grid)
    assert machines.rows == (("lab", "cpu", "float32", "13"),)
    assert failed.rows == (("mouse-fre", "12", "1", "the loss was nan"),)
    text = said(report)
    assert "workers lost: 2" in text
    assert "12 complete of 13 begun" in text
    assert "No trial failed." not in text


def test_the_data_are_counted_or_it_says_why_not() -> None:
    report = study_report(study_facts(), MADE)
    (splits,) = blocks(report, "Data", Grid)
    assert splits.rows[0] == ("train", "4", "2", "64 × 48", "70.0 %", "20.0 %", "10.0 %")
    assert "licence: CC BY 4.0" in said(report)
    assert "Remark: Two pictures are alike." in said(report)
    gone = study_report(study_facts(data=DataFacts({}, missing="The folder is gone.")), MADE)
    assert blocks(gone, "Data", Grid) == []
    assert "were not counted: The folder is gone." in said(gone)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("complete", [1, 2, 12])
def test_every_method_has_a_report(method: str, complete: int) -> None:
    view = make_view(method, complete=complete)
    report = study_report(study_facts(view=view, recommended=None), MADE)
    for text in (page(report), markdown(report)):
        assert method in text
        assert "None" not in text
        assert "nan" not in text.lower().replace("resonance", "")


def test_a_class_that_the_split_lacks_has_no_value() -> None:
    view = make_view(complete=2)
    for number in (0, 1):
        ious = view.records[number].class_iou | {"membrane": None}
        view = with_record(view, number, class_iou=ious)
    _, classes = blocks(study_report(study_facts(view=view), MADE), "Result", Grid)
    assert next(row for row in classes.rows if row[0] == "membrane")[1:] == ("-",) * 5


def test_the_commands_name_study_data_and_best_trial() -> None:
    facts = study_facts()
    charter = replace(facts.charter, data_folder="/data/my cells")
    report = study_report(replace(facts, charter=charter), MADE)
    again, alone = (block.text for block in blocks(report, "Reproduce", Code))
    start = "fre-hpo start --dataset recipe.toml --method fre --data-dir '/data/my cells'"
    assert again.startswith(f"{start} --study mouse-fre --trials 12 --parallel 1\n")
    best = facts.best
    assert f"--set B={best.params['B']} --set X={best.params['X']!r} --set seed=0" in alone


def test_points_that_were_given_by_hand_are_given_again() -> None:
    report = study_report(study_facts(enqueued=({"B": 8, "X": 100.0}, {"B": 1})), MADE)
    again, _ = (block.text for block in blocks(report, "Reproduce", Code))
    assert "--trials 12 --enqueue B=8,X=100.0 --enqueue B=1 --parallel 1" in again
    assert "2 points of the search had been given by hand." in said(report)
    assert "--enqueue" not in page(study_report(study_facts(), MADE))


# --- the recipe ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", recipe.shipped())
def test_the_recipe_gives_the_same_spec_again(name: str, method: str, tmp_path: Path) -> None:
    changes = {"training.trace": True, "model.norm": "group", "seed": 7}
    spec = recipe.resolve(recipe.find(name), method, changes).spec
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text('a "title" \x7f \\ 細胞', [(spec, 3)], spec.seed), encoding="utf-8")
    again = recipe.resolve(recipe.read(path), method, {})
    assert again.spec == spec
    assert again.trials == 3


def test_the_recipe_of_own_images_keeps_their_colours(tmp_path: Path) -> None:
    labels = {"back ground": "#000000", 'a"b': ["#ff0000", "#00ff00"]}
    own = recipe.Recipe("own", None, {"dataset": "pairs", "data": {"labels": labels}})
    spec = recipe.resolve(own, "fre", {"data.ignore": ["#ffffff"]}).spec
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text("own", [(spec, 3)], 0), encoding="utf-8")
    assert recipe.resolve(recipe.read(path), "fre", {}).spec == spec


def test_the_page_shows_the_recipe_that_lies_beside_it() -> None:
    facts = study_facts()
    (code,) = blocks(study_report(facts, MADE), "Specification", Code)
    assert code.text == study_recipe(facts)
    assert tomllib.loads(code.text)["methods"]["fre"]["B"] == "1..64:log"


# --- a comparison -------------------------------------------------------------------------------


def test_a_comparison_has_its_tables_sentences_and_notes() -> None:
    facts = comparison_facts()
    report = comparison_report(facts, MADE)
    assert [plain(lead) for lead in report.lead] == [facts.table.answer]
    tables = blocks(report, "Result", Grid)
    wanted = render.sections(facts.table)
    assert [(t.title, t.columns, t.rows) for t in tables] == [
        (s.title, s.columns, s.rows) for s in wanted
    ]
    text = said(report)
    assert all(sentence in text for sentence in facts.table.sentences)
    assert all(" ".join(note.split()) in " ".join(text.split()) for note in facts.table.footnotes)


def test_its_headline_is_fre_against_the_baseline() -> None:
    facts = comparison_facts()
    rows = {row["method"]: row for row in facts.table.rows}
    baseline, fre, difference = comparison_report(facts, MADE).headline
    assert baseline.value == f"{rows['baseline']['test']['mIoU']['mean']:.2f} %"
    assert fre.value == f"{rows['fre']['test']['mIoU']['mean']:.2f} %"
    found = rows["fre"]["difference"]
    assert difference.value == f"{found['mean']:+.2f}"
    assert difference.more == f"95 % interval {found['low']:+.2f} to {found['high']:+.2f}"


def test_every_reading_of_the_test_split_is_told() -> None:
    facts = comparison_facts()
    (readings,) = blocks(comparison_report(facts, MADE), "Test split", Grid)
    assert readings.rows == (("1", "2026-01-02 03:04 UTC", "lab", "18"),)
    unread = comparison_report(replace(facts, readings=()), MADE)
    assert blocks(unread, "Test split", Grid) == []
    assert "It was not read." in said(unread)


def test_methods_say_what_they_were_chosen_by() -> None:
    facts = comparison_facts()
    methods, *spaces = blocks(comparison_report(facts, MADE), "Methods", Grid)
    chosen = {row[0]: row[3] for row in methods.rows}
    assert chosen["fre"] == "12 trials of lab-fre, the recommended point"
    assert chosen["baseline"] == "not searched"
    assert [space.title for space in spaces] == [
        "Search space of fre",
        "Search space of supervision",
    ]


def test_its_recipe_has_every_method(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(comparison_recipe(comparison_facts()), encoding="utf-8")
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    assert document["methods"].keys() == METHODS.keys()
    assert document["methods"]["fre"] == {"trials": 12, "B": "1..64:log", "X": "1..1000:log"}
    assert recipe.resolve(recipe.read(path), "fre", {}).trials == 12


def test_a_comparison_without_fre_asks_which_is_best() -> None:
    facts = comparison_facts()
    seeds = {method: study for method, study in facts.seeds.items() if method != "fre"}
    report = comparison_report(replace(facts, seeds=seeds), MADE)
    assert report.subtitle.startswith("Which method segments phantom best")
