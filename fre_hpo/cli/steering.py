"""The verbs that steer a running search, and its log."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import click

from fre_hpo.cli.options import as_format, common
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.study.order import Wish


@click.command(epilog="Example:  fre-hpo pause mouse-fre")
@click.argument("study")
@common
def pause(settings: Settings, study: str) -> None:
    """Begin no more trials; those that run go on to their end."""
    from fre_hpo.study.order import Wish

    _order(
        settings,
        study,
        Wish.PAUSE,
        f"{study} begins no more trials until `fre-hpo resume {study}`.",
        f"{study} is not running: nothing was paused; `fre-hpo start` goes on with it.",
    )


@click.command(epilog="Example:  fre-hpo resume mouse-fre")
@click.argument("study")
@common
def resume(settings: Settings, study: str) -> None:
    """Go on after a pause."""
    from fre_hpo.study.order import Wish

    _order(
        settings,
        study,
        Wish.RUN,
        f"{study} goes on.",
        f"{study} is not running: `fre-hpo start` with its data set goes on with it.",
    )


def _order(settings: Settings, study: str, wish: Wish, heard: str, unheard: str) -> None:
    """Give an order and say whether somebody was there to hear it."""
    from fre_hpo.service.control import give_order

    click.echo(heard if give_order(settings, study, wish) else unheard, err=True)


@click.command(epilog="Example:  fre-hpo stop mouse-fre")
@click.argument("study")
@click.option("--now", is_flag=True, help="Do not wait for the running epochs to end.")
@common
def stop(settings: Settings, study: str, now: bool) -> None:
    """Stop a search; running trials finish their epoch, and `start` goes on from there.

    Returns when it has stopped.
    """
    from fre_hpo.service import control
    from fre_hpo.study.order import Wish

    heard = control.give_order(settings, study, Wish.STOP_NOW if now else Wish.STOP)
    if not heard:
        click.echo(f"{study} is not running.", err=True)
        return
    found = control.wait_until_ended(settings, study)
    click.echo(
        f"{study} is {found['state']}: {found['complete']} of {found['wanted']} trials are complete.",
        err=True,
    )


@click.command(epilog="Example:  fre-hpo logs mouse-fre --trial 17 --follow")
@click.argument("study")
@click.option("--trial", type=click.IntRange(min=0), help="Only what concerns this trial.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="The last so many events; 0 is all.",
)
@click.option("--follow", is_flag=True, help="Go on and print what happens, until Ctrl-C.")
@as_format
@common
def logs(
    settings: Settings,
    study: str,
    trial: int | None,
    lines: int,
    follow: bool,
    form: str,
    verbose: bool,
) -> None:
    """Show what happened in a study: who trained what, what failed and why.

    The events of every epoch are shown with -v or for one --trial.
    """
    from fre_hpo.cli.tables import print_data
    from fre_hpo.service import events

    which: dict[str, Any] = {"trial": trial, "frequent": verbose or trial is not None}
    log = events.log_file(settings, study)
    every, end = events.read_events(log, **which)
    found = list(deque(every, maxlen=lines or None))
    if form != "table":
        print_data(found, form)
    else:
        for event in found:
            click.echo(_line(event))
    if follow:
        for event in events.follow(log, end, **which):
            click.echo(_line(event))


_SHOWN_FIRST = ("time", "event", "trial", "attempt", "worker", "pid", "traceback")


def _line(event: dict[str, Any]) -> str:
    """One event in one line; a traceback below it."""
    from fre_hpo.cli.tables import local_time

    head = [local_time(event["time"]), event["event"].replace("_", " ")]
    if "trial" in event:
        head.append(f"{event['trial']}.{event.get('attempt', 0)}")
    facts = [f"{name}={_fact(event[name])}" for name in event if name not in _SHOWN_FIRST]
    if event.get("worker"):
        facts.append(f"on {event['worker']}")
    line = f"{head[0]}  {head[1]:<15} {head[2] if len(head) > 2 else '':<6} {'  '.join(facts)}"
    trace = str(event.get("traceback", "")).rstrip().splitlines()
    return "\n".join([line.rstrip(), *(f"    {text}" for text in trace)])


def _fact(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ",".join(f"{name}={_fact(part)}" for name, part in value.items())
    return str(value)
