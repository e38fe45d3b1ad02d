"""What ``compare`` and ``confirm`` have in common with ``start``: its flags, a supervisor, the background."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click

from fre_hpo.cli.launching import (
    SHOWN_LINES,
    Call,
    command,
    current_call,
    forget_secrets,
    hide_secrets,
    supervise,
)
from fre_hpo.cli.starting import start
from fre_hpo.cli.telling import say
from fre_hpo.errors import EXIT_DONE, EXIT_INCOMPLETE, EXIT_STOPPED
from fre_hpo.service.detached import LOG, detach
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.scheduling.observer import Observer
    from fre_hpo.service.sequence import Sequence
    from fre_hpo.service.start import Ended

HOW = (
    "hours",
    "data_dir",
    "parallel",
    "device",
    "executor",
    "ray_address",
    "gpus_per_trial",
    "retries",
    "storage_patience",
    "new_home",
    "notify",
    "detach",
)
"""Flags of ``start`` that say how and where to train."""
WHAT = ("epochs", "seed", "deterministic", "trace", "assignments")
"""Those that say what is trained."""


def with_flags_of_start(*names: str) -> Callable[[click.Command], click.Command]:
    """Give a verb some flags of ``start``, with their words and defaults, before those of every verb."""
    theirs = [parameter for parameter in start.params if parameter.name in names]

    def add(verb: click.Command) -> click.Command:
        own = [p for p in verb.params if p.name not in _EVERYWHERE]
        verb.params = [*own, *theirs, *(p for p in verb.params if p.name in _EVERYWHERE)]
        return verb

    return add


_EVERYWHERE = ("storage", "home", "quiet", "verbose", "debug")


class Whole(Protocol):
    """A comparison or a confirmation."""

    name: str
    sequence: Sequence

    def finished(self) -> bool:
        """Whether all of it is in the storage already."""

    def check(self) -> object:
        """Raises all that is wrong, before anything is created."""

    def run(self, observer: Observer) -> Ended:
        """Run what is missing; it was checked."""


def overrides_of(
    assignments: tuple[str, ...],
    epochs: int | None,
    seed: int | None,
    *,
    deterministic: bool,
    trace: bool,
) -> dict[str, Any]:
    """``--set``, and the flags that stand for a key."""
    from fre_hpo.study.recipe import parse_set

    found = parse_set(assignments)
    short = {
        "training.epochs": epochs,
        "seed": seed,
        "engine.deterministic": deterministic or None,
        "training.trace": trace or None,
    }
    return found | {key: value for key, value in short.items() if value is not None}


def launch(
    begin: Callable[[], Whole],
    settings: Settings,
    shown: Callable[[Whole], None],
    *,
    quiet: bool,
    verbose: bool,
    detached: bool,
    notify: str | None,
) -> int:
    """Run a whole as ``start`` runs a search: supervised, in the background, or right here.

    begin: makes it.  shown: prints what came of it.
    """
    call = current_call()
    run = partial(_run, begin, settings, shown, call, quiet=quiet, verbose=verbose)
    if call.lifeline:
        forget_secrets()
        with call.lifeline:
            return run()
    if call.is_command:
        hide_secrets(call, quiet=quiet)
    if detached and not call.is_detached:
        code = _detach(begin, settings, call, quiet=quiet)
        return run() if code is None else code
    if call.is_command:
        return supervise(call, settings, notify=notify, dashboard=False)
    return run()


def _run(
    begin: Callable[[], Whole],
    settings: Settings,
    shown: Callable[[Whole], None],
    call: Call,
    *,
    quiet: bool,
    verbose: bool,
) -> int:
    """The whole itself, in this process."""
    whole = begin()
    if not whole.finished():
        whole.check()
        ended = _watched(whole, settings, call, quiet=quiet, verbose=verbose)
        if ended.outcome.value != "complete":
            say(_why(ended))
            return EXIT_STOPPED if ended.outcome.value == "stopped" else EXIT_INCOMPLETE
    shown(whole)
    return EXIT_DONE


def _watched(whole: Whole, settings: Settings, call: Call, *, quiet: bool, verbose: bool) -> Ended:
    from fre_hpo.cli.progress import SearchDisplay
    from fre_hpo.scheduling.observer import Together
    from fre_hpo.service.notifier import Notifier

    display = SearchDisplay(quiet=quiet, verbose=verbose)
    receiver, supervised = whole.sequence.receiver, call.lifeline is not None
    with Notifier(whole.name, settings, receiver, display.say, supervised=supervised) as notifier:
        observers: list[Observer] = [display, notifier]
        if call.lifeline:
            call.lifeline.study = whole.sequence.first or whole.name
            call.lifeline.told = display.show
            observers.append(call.lifeline)
        with display:
            ended = whole.run(Together(*observers))
        notifier.ended(ended.outcome, ended.complete, ended.wanted)
    return ended


def _why(ended: Ended) -> str:
    done = f"{ended.complete} of {ended.wanted} trainings are complete"
    again = "the same command goes on from here"
    if ended.outcome.value == "stopped":
        return f"Stopped: {done}; {again}."
    if ended.outcome.value == "out of time":
        return f"The hours are used up: {done}; {again} when --hours is larger."
    return (
        f"Trials keep failing: {done}; `fre-hpo list` and `fre-hpo trials STUDY -f json` tell more."
    )


def _detach(
    begin: Callable[[], Whole], settings: Settings, call: Call, *, quiet: bool
) -> int | None:
    """What is refused is refused here and now, before anything goes into the background; None where there
    is nothing to do."""
    whole = begin()
    if whole.finished():
        return None
    whole.check()
    folder = settings.study_folder(whole.sequence.first or whole.name)
    background = detach(command(call.arguments), folder)
    if background.code is not None:
        for line in background.said.splitlines()[-SHOWN_LINES:]:
            click.echo(line, err=True)
        return background.code
    click.echo(f"{whole.name} {background.pid}")
    if not quiet:
        say(
            "It goes on in the background: `fre-hpo list` shows how far it is, "
            f"`kill {background.pid}` stops it, and the same command goes on; what it prints goes to "
            f"{folder / LOG}."
        )
    return EXIT_DONE
