"""Studies and comparisons as a report tells of them, drawn without a storage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fre_hpo.results.comparison.table import build
from fre_hpo.results.recommendation import recommend
from fre_hpo.results.report.blocks import Picture
from fre_hpo.results.report.comparison import ComparisonFacts
from fre_hpo.results.report.facts import DataFacts, Machine, SplitFacts, StudyFacts
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.readings import Reading
from ledgers import CLASSES, make_charter
from measuring import simulated
from viewed import make_view

SHARES = dict(zip(CLASSES, (0.7, 0.2, 0.1), strict=True))
DATA = DataFacts(
    {name: SplitFacts(4, 2, 64, 48, 1, SHARES) for name in ("train", "validation", "test")},
    remarks=("Two pictures are alike.",),
    licence="CC BY 4.0",
)
SEARCHED = ("fre", "supervision")


def a_picture(name: str = "search", kind: Any = "svg") -> Picture:
    return Picture(name, kind, b"<svg/>", f"the figure {name}", f"What {name} shows.", 100.0)


def study_facts(
    method: str = "fre", view: StudyView | None = None, name: str = "", **changes: Any
) -> StudyFacts:
    """Of a study with twelve complete trials and one that failed; changes: of the facts."""
    view = view or make_view(method, complete=12, failed=1, name=name)
    view = replace(view, wanted=12)
    facts = StudyFacts(
        view=view,
        charter=make_charter(view.spec),
        state="finished",
        recommended=recommend(view.records, view.spec.parameters),
        machines=(Machine("lab", "cpu", "float32", 13),),
        events={"workers lost": 2},
        pictures=(a_picture(), a_picture("predictions", "png")),
        data=DATA,
    )
    return replace(facts, **changes)


def comparison_facts(**changes: Any) -> ComparisonFacts:
    """Of all six methods, fre better by ten points; changes: of the facts."""
    table = build(simulated("mouse"))
    methods = [row["method"] for row in table.rows]
    seeds = {method: f"lab-{method}-seeds" for method in methods}
    searches = {method: f"lab-{method}" for method in SEARCHED}
    names = {**{s: m for m, s in seeds.items()}, **{s: m for m, s in searches.items()}}
    facts = ComparisonFacts(
        name="lab",
        table=table,
        studies={name: study_facts(method, name=name) for name, method in names.items()},
        seeds=seeds,
        searches=searches,
        points=dict.fromkeys(searches, "recommended"),
        readings=(Reading("a" * 64, "lab", 18, "2026-01-02T03:04:05.678+00:00"),),
        pictures=(a_picture("predictions"),),
        data=DATA,
        seed=0,
    )
    return replace(facts, **changes)
