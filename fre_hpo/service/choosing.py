"""Which parameters a search has chosen, by validation alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fre_hpo.study.ledger import Ledger
from fre_hpo.study.part import Part
from fre_hpo.study.records import best_of, params_text
from fre_hpo.study.space import Fixed, Number
from fre_hpo.study.spec import Spec


@dataclass(frozen=True)
class Choice:
    """parameters: of a method, all of them.  search, trials, point: as ``Part`` has them.  remark: what a
    person should know of it; empty where there is nothing."""

    parameters: Mapping[str, Number] = field(default_factory=dict)
    search: str | None = None
    trials: int = 0
    point: str | None = None
    remark: str = ""

    @classmethod
    def stored(cls, spec: Spec, part: Part) -> Choice:
        """As a study of seeds was begun."""
        return cls(spec.fixed, part.search, part.trials, part.point)

    @classmethod
    def any_of(cls, spec: Spec) -> Choice:
        """Some valid parameters, to check with before a search has chosen."""
        spaces = spec.parameters.items()
        return cls({name: s.value if isinstance(s, Fixed) else s.low for name, s in spaces})


def had_to_be_observed(part: Part) -> bool:
    """Whether the best observed trial was taken because there were too few to recommend a point."""
    from fre_hpo.results.recommendation import FEWEST

    return part.point == "observed" and part.trials < FEWEST


def choose(ledger: Ledger, wanted: str) -> Choice:
    """The recommended point of a search, or its best observed one; that as well where there are too few
    trials to recommend.  The search has a complete trial."""
    from fre_hpo.results.recommendation import FEWEST, recommend  # SciPy, only where it is used

    records = ledger.records()
    best = best_of(records)
    assert best is not None
    complete = sum(record.complete for record in records)
    observed = Choice(
        {**ledger.spec.fixed, **best.params},
        ledger.name,
        complete,
        "observed",
        f"the best of {complete} trials, mIoU {best.value:.4f}: {params_text(best.params)}",
    )
    if wanted == "observed":
        return observed
    recommended = recommend(records, ledger.spec.parameters)
    if recommended is None:
        few = f"a recommended point needs {FEWEST}"
        return Choice(**{**vars(observed), "remark": f"{observed.remark} ({few})"})
    expected = f"mIoU {recommended.mean:.4f} ± {recommended.sd:.4f} expected"
    remark = f"recommended from {complete} trials, {expected}: {params_text(recommended.params)}"
    return Choice(recommended.params, ledger.name, complete, "recommended", remark)
