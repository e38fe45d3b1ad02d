"""How to go on with a study, as somebody would type it."""

from __future__ import annotations

import shlex

from fre_hpo.study.ledger import Ledger

MORE = 10
"""Trials that are proposed to somebody whose study is complete."""


def resume_command(ledger: Ledger, complete: int) -> str:
    """What to type to go on with a study of so many complete trials, with more trials where these are all
    that were wanted; what is not said comes from the study itself."""
    charter, wanted = ledger.charter, ledger.wanted
    words = ["fre-hpo", "start", "--dataset", charter.recipe, "--method", charter.spec.method]
    trials = wanted + MORE if complete >= wanted else wanted
    return shlex.join([*words, "--study", ledger.name, "--trials", str(trials)])
