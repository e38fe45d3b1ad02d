"""A search's leading points on fresh seeds, as the storage holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fre_hpo.results.comparison.measured import BASELINE
from fre_hpo.service.members import seeds_of
from fre_hpo.service.read import open_ledger
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger

if TYPE_CHECKING:
    from fre_hpo.results.comparison.luck import Candidate, Confirmation, Figure

RECOMMENDED = "recommended"


@dataclass(frozen=True)
class Confirmed:
    """candidates: the leading trials, then the recommended point; all with the same ``seeds``."""

    study: str
    seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    baseline: Candidate
    confirmation: Confirmation

    def to_json(self) -> dict[str, Any]:
        found = self.confirmation
        return {
            "study": self.study,
            "seeds": list(self.seeds),
            "shown": found.shown,
            "winner": found.winner.name,
            "parameters": dict(found.winner.parameters),
            "figure": _figure(found.figure),
            "gain": _figure(found.gain),
            "luck": _figure(found.luck.luck) if found.luck else None,
            "candidates": [_candidate(c) for c in (*self.candidates, self.baseline)],
            "sentences": list(found.sentences),
        }


def confirmed(settings: Settings, study: str) -> Confirmed | None:
    """What is known of a search's leading points; raises StudyNotFound."""
    return confirmed_of(open_ledger(settings, study), Connection(settings.storage, create=False))


def confirmed_of(
    search: Ledger, connection: Connection, roles: tuple[str, ...] = ()
) -> Confirmed | None:
    """What is known of a search's leading points, on validation; None before their seeds are complete.

    roles: which of the points, without the baseline; by default all that were ever trained again.
    """
    found = seeds_of(connection, "confirmation", search.name)
    names = roles or tuple(name for name in found if name != BASELINE)
    if BASELINE not in found or not names or any(name not in found for name in names):
        return None
    ledgers = {name: found[name][0] for name in (*names, BASELINE)}
    values = {name: _by_seed(ledger) for name, ledger in ledgers.items()}
    if any(len(values[name]) < ledger.wanted for name, ledger in ledgers.items()):
        return None
    seeds = tuple(sorted(set.intersection(*(set(of_seeds) for of_seeds in values.values()))))
    if not seeds:
        return None
    from fre_hpo.results.comparison.luck import Candidate, confirm  # SciPy, only where it is used

    *candidates, baseline = (
        Candidate(
            name,
            ledgers[name].spec.fixed,
            found[name][1].value,
            tuple(values[name][seed] for seed in seeds),
        )
        for name in (*names, BASELINE)
    )
    observed = [record.value for record in search.records() if record.value is not None]
    confirmation = confirm(observed, candidates, baseline)
    return Confirmed(search.name, seeds, tuple(candidates), baseline, confirmation)


def _by_seed(ledger: Ledger) -> Mapping[int, float]:
    """Validation mIoU of the complete trainings."""
    return {
        int(record.seed or 0): record.value
        for record in ledger.records()
        if record.complete and record.value is not None
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "parameters": dict(candidate.parameters),
        "observed": candidate.observed,
        "validation": list(candidate.validation),
    }


def _figure(figure: Figure | None) -> dict[str, float | None] | None:
    if figure is None:
        return None
    low, high = (figure.interval.low, figure.interval.high) if figure.interval else (None, None)
    return {"mean": figure.mean, "low": low, "high": high}
