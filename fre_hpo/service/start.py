"""``fre-hpo start``: from a request to a finished, stopped or refused search.

The study is locked before anything heavy is loaded: whoever comes second learns it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from fre_hpo.scheduling.observer import Observer, Together
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import Preparation, check, held, live_of
from fre_hpo.service.fetching import bring
from fre_hpo.service.lifeline import replaces_a_crashed_one
from fre_hpo.service.notifier import Notifier
from fre_hpo.service.request import Request
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.order import Order, Wish
from fre_hpo.study.space import written
from fre_hpo.study.spec import unheeded


@dataclass(frozen=True)
class Ended:
    """How a start ended.  complete of wanted: trials, over all starts."""

    study: str
    outcome: Outcome
    complete: int
    wanted: int


def start(request: Request, settings: Settings, observer: Observer) -> Ended:
    """Check a request and run it, as ``fre-hpo start`` does."""
    preparation = check(request, settings)
    with Notifier(preparation.name, settings, preparation.receiver, observer.say) as notifier:
        ended = run(preparation, request, settings, Together(observer, notifier))
        notifier.ended(ended.outcome, ended.complete, ended.wanted)
    return ended


def run(
    preparation: Preparation, request: Request, settings: Settings, observer: Observer
) -> Ended:
    """Run a checked request until its total of trials is complete, it is stopped, or its time is over.

    A study that exists goes on: only what is missing is run.  Raises a FreHpoError for everything that
    stands in the way.
    """
    name, wanted = preparation.name, preparation.progress.wanted
    if preparation.nothing_to_do:
        complete = preparation.progress.complete
        settle(settings, name, complete)
        bring(preparation.store, settings, name)
        observer.say(f"All {complete} trials are complete already; a larger --trials adds more.")
        return Ended(name, Outcome.COMPLETE, complete, wanted)
    if preparation.inherited:
        observer.say(_inheritance_sentence(preparation))
    for remark in preparation.dataset.remarks:
        observer.say(f"Warning: {remark}")
    with held(settings, name) as lock:
        if preparation.exists:
            ledger = Ledger.open(Connection(settings.storage, create=True), name)
            for key, value in unheeded(ledger.spec, preparation.spec).items():
                observer.say(f"{key} stays {written(value)}, as study {name} was begun.")
            _take_up(ledger)
        from fre_hpo.service.search import search  # torch is loaded only where something is trained

        outcome, complete = search(preparation, request, settings, observer, lock)
    return Ended(name, outcome, complete, wanted)


def settle(settings: Settings, name: str, complete: int) -> None:
    """Who asks for no more than there is says that the search is over, whatever was asked for before."""
    if Ledger.open(Connection(settings.storage, create=False), name).wanted <= complete:
        return
    with held(settings, name):
        Ledger.open(Connection(settings.storage, create=True), name).want(complete)


def _take_up(ledger: Ledger) -> None:
    """Say who coordinates a study from now on; a start means that it goes on."""
    if not replaces_a_crashed_one():
        ledger.give(Order.by("start", Wish.RUN))
    last = live_of(ledger)
    if last is not None:
        state = "paused" if ledger.order.wish is Wish.PAUSE else "running"
        ledger.set_live(last.taken_over(state).to_plain())


def _inheritance_sentence(preparation: Preparation) -> str:
    """Flags that are not repeated come from the study: nobody should be surprised by them."""
    kept = ", ".join(f"{key}={written(value)}" for key, value in preparation.inherited.items())
    return f"Study {preparation.name} goes on with the settings of its first start: {kept}."
