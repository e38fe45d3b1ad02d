"""What ``fre-hpo compare`` does, step by step, and with which parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fre_hpo import methods
from fre_hpo.errors import FreHpoError, NothingComplete
from fre_hpo.results.comparison.measured import BASELINE, PRIMARY
from fre_hpo.service.choosing import Choice, choose
from fre_hpo.service.compare_request import SEEDS, CompareRequest, in_order
from fre_hpo.service.members import Members, Storage, qualified, search_study, seeds_study
from fre_hpo.service.members import members as find_members
from fre_hpo.service.request import Request
from fre_hpo.service.sequence import joined
from fre_hpo.settings import Settings
from fre_hpo.study import recipe
from fre_hpo.study.part import Part
from fre_hpo.study.spec import Spec

BARE = (PRIMARY, "supervision", *methods.METHODS)
"""Whose parameter a bare B, X or lambda is: first of all that of the method which is proposed."""


@dataclass(frozen=True)
class Step:
    """One study of a comparison.  searches: whether it looks for parameters, or repeats known ones."""

    method: str
    study: str
    searches: bool


class Plan:
    """What a comparison is made of, by its request and by what the storage holds of it."""

    def __init__(self, request: CompareRequest, settings: Settings) -> None:
        self.asked = request
        self.storage = Storage(settings)
        self._members: Members | None = None
        self.recipe = recipe.find(request.base.dataset)
        self.name = request.base.study or self.recipe.name
        begun = self.members
        self.methods = in_order(request.methods or begun.roles or tuple(methods.METHODS))
        self.seeds = request.seeds or max(
            [ledger.wanted for ledger, _ in begun.seeds.values()] or [SEEDS]
        )
        self.base = self._as_begun(begun)
        self.specs = self._resolved()

    def _as_begun(self, begun: Members) -> Request:
        """The flags of all studies, with what the first of them were started with."""
        base, folder = self.asked.base, begun.data_folder
        overrides = {**begun.overrides, **qualified(base.overrides, *BARE)}
        data_dir = base.data_dir or (Path(folder) if folder else None)
        return replace(base, overrides=overrides, data_dir=data_dir, enqueue=())

    # --- its studies ----------------------------------------------------------------------------

    def _resolved(self) -> dict[str, Spec]:
        """The spec of each method, as the recipe and the overrides say; raises all that is wrong with them
        and with the request."""
        found, mistakes = {}, {str(error): error for error in self.asked.mistakes()}
        for name in self.methods:
            try:
                found[name] = recipe.resolve(self.recipe, name, self._overrides(name)).spec
            except FreHpoError as error:
                mistakes[str(error)] = error
        if mistakes:
            raise joined(mistakes)
        return found

    def _overrides(self, method: str) -> dict[str, Any]:
        """Before anything was searched; the recipe's B of dropout may be none of this network."""
        taken = {"methods.dropout.B": 1} if self._takes_b(method) else {}
        return {**self.base.overrides, **taken}

    @cached_property
    def steps(self) -> list[Step]:
        """The searches, then the seeds; once a method's seeds are begun, its search is over."""
        begun = self.members.seeds
        searched = [name for name in self.methods if self._searches(name) and name not in begun]
        return [
            *(Step(name, search_study(self.name, name), True) for name in searched),
            *(Step(name, seeds_study(self.name, name), False) for name in self.methods),
        ]

    def _searches(self, method: str) -> bool:
        return bool(self.specs[method].searched) and not self._takes_b(method)

    def _takes_b(self, method: str) -> bool:
        """Dropout is compared at the rate of fre's choice (paper, Tables 1 and 2), unless it is given."""
        given = "methods.dropout.B" in self.base.overrides
        return method == "dropout" and PRIMARY in self.methods and not given

    def request(self, step: Step, *, checking: bool = False) -> Request:
        """What a step asks for.  checking: the searches need not be complete."""
        base = replace(self.base, method=step.method, study=step.study)
        if step.searches:
            return base
        choice = self.choice(step.method, checking=checking)
        chosen = {f"methods.{step.method}.{k}": v for k, v in choice.parameters.items()}
        overrides = {**self.base.overrides, **chosen, "seed": self._first_seed}
        part = self._part(step.method, choice)
        return replace(base, overrides=overrides, trials=self.seeds, part=part)

    def _part(self, method: str, choice: Choice) -> Part:
        return Part(
            kind="comparison",
            of=self.name,
            role=method,
            roles=self.methods,
            overrides=self.base.overrides,
            seed=self.specs[method].seed,
            search=choice.search,
            trials=choice.trials,
            point=choice.point,
        )

    @property
    def _first_seed(self) -> int:
        """The seeds are fresh ones, not those that the winners of the searches were chosen by; the same
        for all methods."""
        begun = self.members.seeds.values()
        if begun:
            return min(ledger.spec.seed for ledger, _ in begun)
        first = self.specs[BASELINE].seed + 1
        if self.specs[BASELINE].training.seeds == "common":
            return first
        return first + max([len(s.records()) for s in self.members.searches.values()] or [0])

    @property
    def members(self) -> Members:
        """Its studies, as they were found last."""
        if self._members is None:
            self._members = find_members(self.storage.connection, self.name)
        return self._members

    def refresh(self) -> None:
        """Look again for its studies: one was run."""
        self._members = None

    # --- what is compared -----------------------------------------------------------------------

    def choice(self, method: str, *, checking: bool = False) -> Choice:
        """The parameters of a method: as its seeds were begun, else as its search chose."""
        there, spec = self.members, self.specs[method]
        if method in there.seeds:
            ledger, part = there.seeds[method]
            return Choice.stored(ledger.spec, part)
        if self._takes_b(method):
            return self._with_b(spec, self.choice(PRIMARY, checking=checking))
        if not spec.searched:
            return Choice(spec.fixed)
        search = there.searches.get(method)
        if search is None or not any(record.complete for record in search.records()):
            if checking:
                return Choice.any_of(spec)
            raise NothingComplete(study=search_study(self.name, method))
        return choose(search, self.asked.point or "recommended")

    def chooses(self, part: Part) -> bool:
        """Whether the parameters of a method are still to be chosen as they were when its seeds were
        begun, and not given."""
        if self._takes_b(part.role):
            return part.point == PRIMARY
        return part.search is not None and bool(self.specs[part.role].searched)

    def is_known(self, method: str) -> bool:
        """Whether the parameters of a method are certain by now."""
        if method in self.members.seeds:
            return True
        if self._takes_b(method):
            return self.is_known(PRIMARY)
        return not self.specs[method].searched

    def _with_b(self, spec: Spec, chosen: Choice) -> Choice:
        """Dropout at the B of fre's choice; it was not searched for dropout."""
        parameters = {"B": chosen.parameters["B"]}
        remark = f"B={parameters['B']}, as chosen for {PRIMARY}"
        return Choice(parameters, point=PRIMARY, remark=remark)
