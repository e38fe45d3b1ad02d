"""A search attended to: drawn on the terminal, told to whoever asked, its supervisor kept informed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fre_hpo.cli.launching import Call

if TYPE_CHECKING:
    from fre_hpo.cli.progress import SearchDisplay
    from fre_hpo.scheduling.observer import Observer
    from fre_hpo.service.notifier import Notifier
    from fre_hpo.service.start import Ended


def attend(
    run: Callable[[Observer], Ended],
    study: str,
    display: SearchDisplay,
    notifier: Notifier,
    call: Call,
) -> Ended:
    """Run a search, or several as one, with everybody who watches it.  study: the one that a supervisor
    names when the coordinator is gone."""
    from fre_hpo.scheduling.observer import Together

    observers: list[Observer] = [display, notifier]
    if call.lifeline:
        call.lifeline.study = study
        call.lifeline.told = display.show
        observers.append(call.lifeline)
    with display:
        ended = run(Together(*observers))
    notifier.ended(ended.outcome, ended.complete, ended.wanted)
    return ended


def why_incomplete(ended: Ended, trainings: str, reasons: str) -> str:
    """Why not all that was wanted is complete.  trainings: what they are called here; reasons: the commands
    that tell why they fail."""
    done = f"{ended.complete} of {ended.wanted} {trainings} are complete"
    again = "the same command goes on from here"
    if ended.outcome.value == "stopped":
        return f"Stopped: {done}; {again}."
    if ended.outcome.value == "out of time":
        return f"The hours are used up: {done}; {again} when --hours is larger."
    return f"Trials keep failing: {done}; {reasons}."
