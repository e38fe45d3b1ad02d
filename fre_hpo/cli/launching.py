"""``fre-hpo start`` as a process of its own: a light parent supervises it, or it goes into the background.

Called within another program, as tests do, it is neither: the search then runs right there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from fre_hpo.errors import EXIT_DONE, UsageError
from fre_hpo.service.detached import Announcement, Background, detach
from fre_hpo.service.lifeline import Lifeline
from fre_hpo.settings import NOTIFY_VARIABLE, STORAGE_VARIABLES, Settings, has_password

if TYPE_CHECKING:
    from fre_hpo.service.supervisor import Unsaid
    from fre_hpo.service.webhook import Receiver

SHOWN_LINES = 20


@dataclass(frozen=True)
class Call:
    """How the command line was called.

    arguments: as given.  is_command: the process is this command's own.  lifeline: in a coordinator that
    is supervised.  announcement: in a supervisor that was detached.
    """

    arguments: tuple[str, ...]
    is_command: bool = False
    lifeline: Lifeline | None = None
    announcement: Announcement | None = None

    @classmethod
    def of_command(cls, arguments: Sequence[str]) -> Call:
        """The call of a command, with what its parent left to it."""
        return cls(tuple(arguments), True, Lifeline.inherited(), Announcement.inherited())

    @property
    def is_detached(self) -> bool:
        return self.lifeline is not None or self.announcement is not None


def current_call() -> Call:
    call = click.get_current_context().obj
    assert isinstance(call, Call)
    return call


def command(arguments: Sequence[str]) -> list[str]:
    """Run these arguments in another process, which finds modules where this one does: only
    ``python -m`` looks into the folder that it is called in."""
    here = {"", str(Path.cwd())} & set(sys.path)
    return [sys.executable, *([] if here else ["-P"]), "-m", "fre_hpo", *arguments]


def hide_secrets(call: Call, *, quiet: bool) -> None:
    """Where a secret was given on the command line, a storage with its password or where to send
    messages: begin again with it in the environment, so that no list of processes shows it for as long
    as the search runs."""
    context = click.get_current_context()
    secrets = {}
    storage = context.params["storage"]
    if storage and has_password(storage):
        secrets["--storage"] = (STORAGE_VARIABLES[0], storage)
    notify = context.params.get("notify")
    given = context.get_parameter_source("notify") is ParameterSource.COMMANDLINE
    if given and notify and not notify.startswith("@"):
        secrets["--notify"] = (NOTIFY_VARIABLE, notify)
        if not quiet:
            _say(_PUBLIC_URL)
    if secrets:
        sys.stderr.flush()
        arguments = _without(secrets, call.arguments)
        os.execve(sys.executable, command(arguments), {**os.environ, **dict(secrets.values())})


_PUBLIC_URL = (
    "Warning: other users of this machine can read a command line, and whoever knows the URL can send "
    "there: use FRE_HPO_NOTIFY or --notify @FILE."
)


def _without(flags: Collection[str], arguments: Sequence[str]) -> list[str]:
    """The arguments without these flags and their values."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in flags:
            next(rest)
        elif argument.partition("=")[0] not in flags:
            kept.append(argument)
    return kept


def forget_secrets() -> None:
    """Ray's workers inherit the environment, and need neither storage nor receiver."""
    for name in (*STORAGE_VARIABLES, NOTIFY_VARIABLE):
        os.environ.pop(name, None)


def launch(
    call: Call,
    settings: Settings,
    run: Callable[[], int],
    detach: Callable[[], int] | None,
    *,
    quiet: bool,
    notify: str | None,
    dashboard: bool = False,
) -> int:
    """Run a verb that trains: right here, as the child of a supervisor, or in the background.

    run: does it in this process.  detach: begins it in the background, where that was asked for.
    """
    if call.lifeline:
        forget_secrets()
        with call.lifeline:
            return run()
    if call.is_command:
        hide_secrets(call, quiet=quiet)
    if detach and not call.is_detached:
        return detach()
    if call.is_command:
        return supervise(call, settings, notify=notify, dashboard=dashboard)
    return run()


def supervise(call: Call, settings: Settings, *, notify: str | None, dashboard: bool) -> int:
    """Run the call as the child of this process; returns its exit code.  A dashboard stands beside the
    search from its beginning to its end, whatever becomes of its coordinators."""
    from fre_hpo.service.supervisor import Supervisor

    with ExitStack() as beside:
        began = partial(_began, call, settings, beside if dashboard else None)
        ended = partial(_tell_end, _receiver(notify))
        return Supervisor(command(call.arguments), _say, began, ended=ended).run()


def _began(call: Call, settings: Settings, beside: ExitStack | None, study: str) -> str:
    """What there is to show, unless whoever detached the search was told."""
    line = open_dashboard(study, settings, beside) if beside else ""
    if call.announcement is None:
        return line
    call.announcement.make(line)
    return ""


def open_dashboard(study: str, settings: Settings, beside: ExitStack) -> str:
    """Start a dashboard that ends with the block; returns the line that shows its address."""
    from fre_hpo.service.beside import DashboardBeside

    verb = command(["dashboard", study, "--home", str(settings.home)])
    dashboard = beside.enter_context(DashboardBeside(verb, settings.storage))
    address = dashboard.url()
    if address is None:
        return f"The dashboard did not start; `fre-hpo dashboard {study}` tells why."
    return f"dashboard: {address}"


def _receiver(notify: str | None) -> Receiver | None:
    """A wrong one is none here: the coordinator refuses it, together with what else is wrong."""
    from fre_hpo.service.webhook import Receiver

    try:
        return Receiver.named(notify)
    except UsageError:
        return None


def _tell_end(receiver: Receiver | None, unsaid: Unsaid) -> None:
    """Send the message that no coordinator can send any more."""
    from fre_hpo.service.notify import Outbox, Standing, compose

    if receiver is None:
        return
    outbox = Outbox(receiver)
    standing = Standing(**unsaid.standing)
    outbox.put(compose(unsaid.event, unsaid.study, standing, unsaid.sentence))
    outbox.close()
    for delivery in outbox.deliveries():
        if delivery.problem:
            _say(delivery.sentence)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def run_detached(call: Call, name: str, folder: Path, tell: Callable[[int], None]) -> int:
    """Run the call in the background; returns as soon as its search runs, or with its exit code.

    tell: says how to go on with it; gets the process that supervises it.
    """
    background = detach(command(call.arguments), folder)
    if background.code is not None:
        return _ended(background, background.code)
    click.echo(f"{name} {background.pid}")
    tell(background.pid)
    if background.told:
        click.echo(background.told)
    return EXIT_DONE


def _ended(background: Background, code: int) -> int:
    for line in background.said.splitlines()[-SHOWN_LINES:]:
        _say(line)
    return code
