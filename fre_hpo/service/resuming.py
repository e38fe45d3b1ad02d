"""How to go on with a study, as somebody would type it."""

from __future__ import annotations

import shlex

from fre_hpo.study.ledger import Ledger

MORE = 10


def resume_command(ledger: Ledger) -> str:
    """What to type to go on with a study, with more trials where all that were wanted are complete; all
    that is not said comes from the study itself."""
    charter = ledger.charter
    words = ["fre-hpo", "start", "--dataset", charter.recipe, "--method", charter.spec.method]
    wanted = ledger.wanted
    if sum(record.counts for record in ledger.records()) >= wanted:
        wanted += MORE
    return shlex.join([*words, "--study", ledger.name, "--trials", str(wanted)])
