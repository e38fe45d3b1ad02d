"""A study read from its ledger for whoever draws it."""

from fre_hpo.results.study_view import StudyView
from fre_hpo.study.ledger import Ledger


def study_view(ledger: Ledger) -> StudyView:
    return StudyView(
        name=ledger.name,
        spec=ledger.spec,
        classes=ledger.charter.classes,
        records=tuple(ledger.records()),
        curves=ledger.curves(),
        wanted=ledger.wanted,
    )
