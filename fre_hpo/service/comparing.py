"""``fre-hpo compare``: the paper's experiment as one command that can be resumed.

A comparison is a row of studies: a search for each method that searches something, then for each method
a study of seeds, with the parameters that its search chose.  Each is started as ``fre-hpo start`` does,
which adds only what is missing; so whatever a comparison had done when it was cut short is kept, and
the same command goes on.  The test split is read once all of them are complete.
"""

from __future__ import annotations

from collections.abc import Iterator

from fre_hpo.errors import (
    ComparisonIncomplete,
    ComparisonNotFound,
    DifferentStudy,
    FreHpoError,
    UsageError,
)
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import STUDY_NAME, Preparation, bad_name
from fre_hpo.service.choosing import had_to_be_observed
from fre_hpo.service.compare_request import CompareRequest
from fre_hpo.service.compared import Compared, assembled, lacking
from fre_hpo.service.comparison_plan import Plan, Step
from fre_hpo.service.members import search_study
from fre_hpo.service.sequence import Sequence, holding, joined
from fre_hpo.service.start import Ended
from fre_hpo.settings import Settings
from fre_hpo.study import recipe
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.part import Part
from fre_hpo.study.spec import differences


class Comparing:
    """One run of a comparison."""

    def __init__(self, request: CompareRequest, settings: Settings) -> None:
        self.plan = Plan(request, settings)
        self.name = self.plan.name
        self._settings = settings
        done = [search_study(self.name, method) for method in self.plan.members.seeds]
        self.sequence = Sequence(settings, request.base.hours, done)

    # --- what is refused ------------------------------------------------------------------------

    def check(self) -> list[Preparation]:
        """Check every setting and the data, before anything is created; raises all that is wrong."""
        self._refuse_mistakes()
        return self.sequence.check(
            self.plan.request(step, checking=True) for step in self.plan.steps
        )

    def _refuse_mistakes(self) -> None:
        mistakes = {str(error): error for error in self._mistakes()}
        if mistakes:
            raise joined(mistakes)

    def _mistakes(self) -> Iterator[FreHpoError]:
        there = self.plan.members
        for step in self.plan.steps:
            if not STUDY_NAME.fullmatch(step.study):
                yield bad_name(step.study)
            elif not step.searches and step.method not in there.seeds and self._exists(step.study):
                yield UsageError(
                    problem=f"Study {step.study!r} is there already and does not belong to this comparison: "
                    "give the comparison another name with --study."
                )
        begun = {m: there.seeds[m] for m in self.plan.methods if m in there.seeds}
        changes = (
            change
            for method, (ledger, part) in begun.items()
            for change in self._changes(ledger, part, there.searches.get(method))
        )
        found = "; ".join(dict.fromkeys(changes))
        if found:
            yield DifferentStudy(study=self.name, differences=found)
        for method, (_, part) in begun.items():
            if part.search and (self.plan.base.trials or 0) > part.trials:
                yield UsageError(
                    problem=f"The seeds of {method} were begun with what {part.trials} trials of "
                    f"{part.search} have chosen: for a longer search, give a new comparison a name with "
                    "--study."
                )

    def _changes(self, seeds: Ledger, part: Part, search: Ledger | None) -> Iterator[str]:
        """What is asked for otherwise than a method's seeds were begun."""
        spec, point = self.plan.specs[part.role], self.plan.asked.point
        if spec.seed != part.seed:
            yield f"seed is {part.seed} there and {spec.seed} here"
        if not self.plan.chooses(part):
            same_seed = spec.model_copy(update={"seed": seeds.spec.seed})
            yield from differences(seeds.spec, same_seed)
        elif search is not None and part.search == search.name:
            yield from differences(search.spec, spec)
        if point and part.search and point != part.point and not had_to_be_observed(part):
            yield f"point is {part.point} there and {point} here"

    def _exists(self, study: str) -> bool:
        return Ledger.exists(self.plan.storage.connection, study)

    # --- running --------------------------------------------------------------------------------

    def run(self, observer: Observer) -> Ended:
        """Run what is missing, one study after the other, then read the test split; how it all ended.

        It was checked.  Nothing follows a study that did not become complete.
        """
        with holding(self._settings, f"{self.name}.comparison", self.name):
            for index, step in enumerate(self.plan.steps, 1):
                request = self.plan.request(step)
                self._announce(index, step, observer)
                ended = self.sequence.run(request, observer)
                self.plan.refresh()
                if ended.outcome is not Outcome.COMPLETE:
                    return self._ended(ended.outcome)
            self._measure(observer)
        return self._ended(Outcome.COMPLETE)

    def _announce(self, index: int, step: Step, observer: Observer) -> None:
        progress = self.sequence.progress(step.study)
        if progress.complete >= progress.wanted:
            return
        what = "search" if step.searches else f"{self.plan.seeds} seeds"
        remark = "" if step.searches else self.plan.choice(step.method).remark
        detail = f" ({remark})" if remark else ""
        observer.say(f"{index} of {len(self.plan.steps)}: {step.method}, {what}{detail}.")

    def _ended(self, outcome: Outcome) -> Ended:
        return Ended(self.name, outcome, self.sequence.complete, self.sequence.wanted)

    def _measure(self, observer: Observer) -> None:
        from fre_hpo.service.testing import measure_all  # torch is loaded only where it is used

        seeds = self.plan.members.seeds
        pending = lacking([seeds[method][0] for method in self.plan.methods])
        if pending:
            measure_all(
                self._settings,
                self.name,
                pending,
                self.sequence.dataset,
                self.plan.base.device,
                observer.say,
            )

    def finished(self) -> bool:
        """Whether all of it is in the storage: then neither images nor networks are needed.

        Raises what is wrong with the request.
        """
        try:
            self.result()
        except (ComparisonNotFound, ComparisonIncomplete):
            return False
        self._refuse_mistakes()
        for step in self.plan.steps:
            asked = recipe.resolve(
                self.plan.recipe, step.method, self.plan.request(step).overrides
            ).spec
            self.plan.members.seeds[step.method][0].charter.refuse_other_spec(step.study, asked)
        return True

    def result(self) -> Compared:
        """What is stored of it; raises ComparisonNotFound and ComparisonIncomplete."""
        connection = self.plan.storage.connection
        return assembled(connection, self.name, self.plan.methods, self.plan.seeds)
