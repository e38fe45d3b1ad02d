"""``fre-hpo start`` as a process of its own: a light parent supervises it, or it goes into the background.

Called within another program, as tests do, it is neither: the search then runs right there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from fre_hpo.errors import EXIT_DONE
from fre_hpo.service.detached import LOG, Announcement, Background, detach
from fre_hpo.service.lifeline import Lifeline
from fre_hpo.settings import STORAGE_VARIABLES, has_password

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


def hide_password(call: Call) -> None:
    """Where the storage was given with a password: begin again with it in the environment, so that no
    list of processes shows it for as long as the search runs."""
    storage = click.get_current_context().params["storage"]
    if storage and has_password(storage):
        sys.stderr.flush()
        environment = {**os.environ, STORAGE_VARIABLES[0]: storage}
        os.execve(sys.executable, command(_without_storage(call.arguments)), environment)


def _without_storage(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--storage":
            next(rest)
        elif not argument.startswith("--storage="):
            kept.append(argument)
    return kept


def forget_password() -> None:
    """Ray's workers inherit the environment, and need no storage."""
    for name in STORAGE_VARIABLES:
        os.environ.pop(name, None)


def supervise(call: Call) -> int:
    """Run the call as the child of this process; returns its exit code."""
    from fre_hpo.service.supervisor import Supervisor

    began = call.announcement.make if call.announcement else lambda: None
    return Supervisor(command(call.arguments), _say, began).run()


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def run_detached(call: Call, study: str, folder: Path, *, quiet: bool) -> int:
    """Run the call in the background; returns as soon as its search runs, or with its exit code."""
    background = detach(command(call.arguments), folder)
    if background.code is not None:
        return _ended(background, background.code)
    click.echo(f"{study} {background.pid}")
    if not quiet:
        _say(
            f"The search goes on in the background: `fre-hpo status {study}` and `fre-hpo logs {study}` "
            f"show it, `fre-hpo stop {study}` ends it; what it prints goes to {folder / LOG}."
        )
    return EXIT_DONE


def _ended(background: Background, code: int) -> int:
    for line in background.said.splitlines()[-SHOWN_LINES:]:
        _say(line)
    return code
