"""The verbs that look at studies, and delete."""

from __future__ import annotations

from typing import Any

import click

from fre_hpo.cli.options import as_format, common
from fre_hpo.errors import UsageError
from fre_hpo.settings import Settings, masked


@click.command("list", epilog="Example:  fre-hpo list -f json")
@as_format
@common
def list_(settings: Settings, form: str) -> None:
    """List the studies of the storage."""
    from fre_hpo.cli.tables import print_data
    from fre_hpo.service.read import list_studies

    found = list_studies(settings)
    if form != "table":
        print_data(found, form)
    elif found:
        _print_summaries(found)
    else:
        where = masked(settings.storage)
        hint = "`fre-hpo start --dataset phantom` runs a first one."
        click.echo(f"There is no study in {where} yet: {hint}", err=True)


@click.command(epilog="Example:  fre-hpo status phantom-fre")
@click.argument("study")
@as_format
@common
def status(settings: Settings, study: str, form: str) -> None:
    """Show how far a study is."""
    from fre_hpo.cli.tables import print_data
    from fre_hpo.service import read

    found = read.status(settings, study)
    if form == "table":
        _print_summaries([found])
    else:
        print_data(found, form)


def _print_summaries(found: list[dict[str, Any]]) -> None:
    from fre_hpo.cli.tables import Number, duration, four, print_table, size
    from fre_hpo.study.records import params_text

    columns = [
        "study",
        "state",
        "complete",
        "running",
        "waiting",
        "failed",
        "ETA",
        "best mIoU",
        "with",
        "disk",
    ]
    rows = [
        [
            s["study"],
            s["state"],
            Number(f"{s['complete']}/{s['wanted']}"),
            Number(s["running"]),
            Number(s["waiting"]),
            Number(s["failed"]),
            Number(duration(s["eta_seconds"])),
            four(s["best"] and s["best"]["value"]),
            params_text(s["best"]["params"]) if s["best"] else "-",
            Number(size(s["disk_bytes"])),
        ]
        for s in found
    ]
    print_table(columns, rows)
    for s in found:
        if s["message"]:
            click.echo(f"{s['study']}: {s['message']}", err=True)


@click.command(epilog="Example:  fre-hpo trials phantom-fre -f csv > trials.csv")
@click.argument("study")
@as_format
@common
def trials(settings: Settings, study: str, form: str) -> None:
    """List the trials of a study."""
    from fre_hpo.cli.tables import print_data
    from fre_hpo.service import read

    found = read.trials(settings, study)
    if form == "table":
        _print_trials(found)
    else:
        print_data(found, form)


def _print_trials(found: list[dict[str, Any]]) -> None:
    from fre_hpo.cli.tables import Number, four, print_table
    from fre_hpo.study.records import short

    names = list(dict.fromkeys(name for trial in found for name in trial["params"]))
    classes = list(dict.fromkeys(name for trial in found for name in trial["class_iou"]))
    columns = ["trial", "state", *names, "mIoU", "epoch", *classes, "tries", "seed", "worker"]
    rows = [
        [
            Number(t["number"]),
            t["state"].lower(),
            *(Number(short(t["params"][n]) if n in t["params"] else "-") for n in names),
            four(t["value"]),
            Number(t["best_epoch"] or "-"),
            *(four(t["class_iou"].get(c)) for c in classes),
            Number(t["attempts"]),
            Number("-" if t["seed"] is None else t["seed"]),
            t["worker"] or "-",
        ]
        for t in found
    ]
    print_table(columns, rows)


@click.command(epilog="Example:  fre-hpo best phantom-fre")
@click.argument("study")
@as_format
@common
def best(settings: Settings, study: str, form: str) -> None:
    """Show the best trial of a study, and the point that all its trials recommend.

    The best of many trials is a lucky one.  The recommended point is where a smooth model of all of them is
    highest; its mIoU is what a training there is expected to give, ± how uncertain that is.
    """
    from fre_hpo.cli.tables import print_data
    from fre_hpo.service import read

    found = read.best(settings, study)
    if form == "table":
        _print_points(found["observed"], found["recommended"])
        if found["recommended"] is None and found["observed"]["params"]:
            from fre_hpo.results.recommendation import FEWEST

            hint = f"A recommended point needs {FEWEST} complete trials."
            click.echo(hint, err=True)
    else:
        print_data(found if form == "json" else _as_rows(**found), form)


def _print_points(observed: dict[str, Any], recommended: dict[str, Any] | None) -> None:
    from fre_hpo.cli.tables import Number, four, print_table
    from fre_hpo.study.records import params_text

    number, with_ = Number(observed["number"]), params_text(observed["params"])
    rows = [["observed", number, four(observed["value"]), with_]]
    if recommended is not None:
        expected = Number(f"{recommended['mean']:.4f} ± {recommended['sd']:.4f}")
        rows.append(["recommended", Number("-"), expected, params_text(recommended["params"])])
    print_table(["point", "trial", "mIoU", "with"], rows)


def _as_rows(observed: dict[str, Any], recommended: dict[str, Any] | None) -> list[dict[str, Any]]:
    rows = [{"point": "observed", **observed, "sd": None}]
    if recommended is not None:
        value, sd = recommended["mean"], recommended["sd"]
        point = {"point": "recommended", "number": None, "value": value}
        rows.append({**point, "params": recommended["params"], "sd": sd})
    return rows


@click.command(epilog="Example:  fre-hpo delete phantom-fre --yes")
@click.argument("study")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def delete(settings: Settings, study: str, yes: bool) -> None:
    """Delete a study with all its trials and files."""
    from fre_hpo.service import read

    found = read.status(settings, study)
    if not yes:
        question = f"Delete {study} with {found['complete']} complete trials and all its files?"
        if not _confirmed(question):
            click.echo("Nothing was deleted.", err=True)
            return
    remark = read.delete(settings, study)
    click.echo(f"Deleted {study}.", err=True)
    if remark:
        click.echo(remark, err=True)


def _confirmed(question: str) -> bool:
    """Ask; without anybody to answer, say how to do without."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        problem = "Nothing was deleted: answer y, or add --yes to delete without being asked."
        raise UsageError(problem=problem) from None
