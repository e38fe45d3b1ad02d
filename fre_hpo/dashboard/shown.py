"""What a browser gets of optuna-dashboard's replies, made fit for people that look at our studies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fre_hpo.study.charter import CHARTER
from fre_hpo.study.fence import GENERATION
from fre_hpo.study.ledger import HOME, LIVE, TARGET
from fre_hpo.study.order import ORDER
from fre_hpo.study.sampler import DRAW

OURS = frozenset({CHARTER, GENERATION, HOME, LIVE, ORDER, TARGET})
"""Attributes by which our processes talk; what people want to know of them stands in the study's note."""

_PLOT = '> * > * > [id^="user-defined-plot:"]'
_FIGURE = f".MuiGrid-root:has({_PLOT})"
_GRID = f".MuiGrid-container:has(> .MuiGrid-root {_PLOT})"
_COLUMN = f".MuiBox-root:has(> .MuiGrid-container > .MuiGrid-root {_PLOT})"
_FIGURES_FIRST = (
    ".MuiBox-root{min-width:0}"  # a wide picture shrinks, and not the page beside it
    f"{_COLUMN}{{flex-flow:row wrap}}"
    f"{_COLUMN}>*{{flex:0 0 100%;order:1}}"
    f"{_COLUMN}>fieldset{{order:-3}}"
    f"{_COLUMN}>.MuiCard-root{{order:-1;flex:1 1 60%;margin:16px 8px 0}}"
    f"{_GRID}{{display:contents}}"
    f"{_GRID}>*{{box-sizing:border-box;padding:16px 8px 0!important}}"
    f"{_FIGURE}{{order:-2;flex:1 1 40%;max-width:none}}"
    f"@media(max-width:1100px){{{_FIGURE}{{flex-basis:100%}}}}"
)
"""The page is a column of switches, history, a grid of figures, and files: here the grid's figures flow in
it, ours before the history, two in a row where there is room."""
_NEVER_OFFERED = (
    '[aria-label="rename study"]',
    '[aria-label="delete artifact"]',
    'button:has([data-testid="AddBoxIcon"])',
    'button:has([data-testid="UploadFileIcon"])',
    '.MuiCard-root:has(> .MuiCardActionArea-root > .MuiCardContent-root > input[type="file"])',
)
_CHANGES = (
    '[aria-label="delete study"]',
    'button:has([data-testid="StopCircleIcon"])',
    'button:has([data-testid="EditIcon"])',
)


def with_style(page: bytes, *, allow_changes: bool) -> bytes:
    """optuna-dashboard's page with the figures of the search before its own, and without the buttons of
    what cannot be done here.  Where a later version's page differs, all of it is shown."""
    hidden = _NEVER_OFFERED if allow_changes else _NEVER_OFFERED + _CHANGES
    style = f"<style>{_FIGURES_FIRST}{','.join(hidden)}{{display:none!important}}</style></head>"
    return page.replace(b"</head>", style.encode(), 1)


def polished(content: dict[str, Any]) -> dict[str, Any]:
    """A reply of /api/studies or /api/studies/<id>; changed in place."""
    for study in (content, *content.get("study_summaries", ())):
        _hide(study, "user_attrs", OURS)
    for trial in (*content.get("trials", ()), *content.get("best_trials", ())):
        _hide(trial, "user_attrs", {DRAW})
    _hide(content, "union_user_attrs", {DRAW})
    if (
        "plotly_graph_objects" in content
    ):  # a set in optuna-dashboard: the page would reshuffle them
        content["plotly_graph_objects"].sort(key=lambda figure: str(figure["id"]))
    return content


def _hide(owner: dict[str, Any], name: str, keys: Iterable[str]) -> None:
    if name in owner:
        owner[name] = [entry for entry in owner[name] if entry["key"] not in keys]
