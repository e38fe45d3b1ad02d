"""What ``compare`` and ``confirm`` have in common with ``start``: its flags, a supervisor, the background."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

import click

from fre_hpo.cli.attending import attend, why_incomplete
from fre_hpo.cli.launching import Call, current_call, run_detached
from fre_hpo.cli.launching import launch as launch_call
from fre_hpo.cli.starting import start
from fre_hpo.cli.telling import say
from fre_hpo.errors import EXIT_DONE, EXIT_INCOMPLETE, EXIT_STOPPED
from fre_hpo.service.detached import LOG
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
    "token_file",
    "wait",
    "cluster_patience",
    "gpus_per_trial",
    "retries",
    "storage_patience",
    "checkpoints",
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

    def detach() -> int:
        code = _detach(begin, settings, call, quiet=quiet)
        return run() if code is None else code

    return launch_call(
        call, settings, run, detach if detached else None, quiet=quiet, notify=notify
    )


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
            say(why_incomplete(ended, "trainings", _REASONS))
            return EXIT_STOPPED if ended.outcome.value == "stopped" else EXIT_INCOMPLETE
    shown(whole)
    return EXIT_DONE


_REASONS = "`fre-hpo list` and `fre-hpo trials STUDY -f json` tell more"


def _watched(whole: Whole, settings: Settings, call: Call, *, quiet: bool, verbose: bool) -> Ended:
    from fre_hpo.cli.progress import SearchDisplay
    from fre_hpo.service.notifier import Notifier

    display = SearchDisplay(quiet=quiet, verbose=verbose)
    receiver, supervised = whole.sequence.receiver, call.lifeline is not None
    with Notifier(whole.name, settings, receiver, display.say, supervised=supervised) as notifier:
        study = whole.sequence.first or whole.name
        return attend(whole.run, study, display, notifier, call)


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

    def tell(pid: int) -> None:
        if not quiet:
            say(
                "It goes on in the background: `fre-hpo list` shows how far it is, "
                f"`kill {pid}` stops it, and the same command goes on; what it prints goes to "
                f"{folder / LOG}."
            )

    return run_detached(call, whole.name, folder, tell)
