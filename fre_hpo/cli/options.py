"""Flags that every verb takes, and the words in which values are read."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fre_hpo.settings import has_password, load

Function = TypeVar("Function", bound=Callable[..., Any])


def common(function: Function) -> Function:
    """--storage, --home, -q, -v, --debug after a verb; the function gets ``settings`` instead."""

    @functools.wraps(function)
    def wrapped(
        storage: str | None, home: str | None, quiet: bool, verbose: bool, debug: bool, **rest: Any
    ) -> Any:
        settings = load(home=home, storage=storage)
        if storage and has_password(storage) and not quiet:
            _warn_of_password()
        return function(
            settings=settings, **_wanted(function, quiet=quiet, verbose=verbose), **rest
        )

    for option in reversed(_COMMON):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def _wanted(function: Callable[..., Any], **offered: Any) -> dict[str, Any]:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return {name: value for name, value in offered.items() if name in names}


def _warn_of_password() -> None:
    click.echo(
        "Warning: other users of this machine can read a password on the command line: use "
        "FRE_HPO_STORAGE, --storage @FILE or PGPASSFILE.",
        err=True,
    )


_COMMON = (
    click.option(
        "--storage",
        metavar="URL|@FILE",
        help="Database of the studies [FRE_HPO_STORAGE, OPTUNA_STORAGE; default: SQLite in the home].",
    ),
    click.option("--home", metavar="DIR", help="Folder of studies and data sets [FRE_HPO_HOME]."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but results and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Say every epoch."),
    click.option("--debug", is_flag=True, help="Show a traceback with an error."),
)

as_format = click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How to print it.",
)


def interactive() -> bool:
    """Whether somebody watches stderr on a terminal."""
    return sys.stderr.isatty()


class AutoNumber(click.ParamType[int | float | None]):
    """A number above zero, or "auto" (None)."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind
        self.name = "auto|N" if kind is int else "auto|F"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float | None:
        if value == "auto":
            return None
        try:
            number = self.kind(value)
        except ValueError:
            number = self.kind(0)
        if not number > 0:
            self.fail(f"{value!r} is neither a number above 0 nor auto.", param, ctx)
        return number


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
