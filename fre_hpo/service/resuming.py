"""How to go on with a study, as somebody would type it."""

from __future__ import annotations

import shlex

from fre_hpo.study.ledger import Ledger


def resume_command(ledger: Ledger) -> str:
    """What to type to go on with a study; all that is not said comes from the study itself."""
    charter = ledger.charter
    words = ["fre-hpo", "start", "--dataset", charter.recipe, "--method", charter.spec.method]
    return shlex.join([*words, "--study", ledger.name, "--trials", str(ledger.wanted)])
