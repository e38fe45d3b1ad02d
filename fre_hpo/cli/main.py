"""The entry point: finds the verb, turns every error into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from fre_hpo import __version__
from fre_hpo.cli.archive import archive
from fre_hpo.cli.bench import bench
from fre_hpo.cli.compare import compare
from fre_hpo.cli.confirm import confirm
from fre_hpo.cli.dashboard import dashboard
from fre_hpo.cli.datasets import data
from fre_hpo.cli.doctor import doctor
from fre_hpo.cli.export import export
from fre_hpo.cli.fetch import fetch
from fre_hpo.cli.launching import Call
from fre_hpo.cli.nodes import head, worker
from fre_hpo.cli.plot import plot
from fre_hpo.cli.predict import predict
from fre_hpo.cli.reading import best, delete, list_, status, trials
from fre_hpo.cli.report import report
from fre_hpo.cli.starting import start
from fre_hpo.cli.steering import logs, pause, resume, stop
from fre_hpo.cli.testing import test
from fre_hpo.cli.verbs import Verbs
from fre_hpo.cli.watch import watch
from fre_hpo.errors import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE, FreHpoError


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example:  fre-hpo start --dataset phantom",
)
@click.version_option(__version__, prog_name="fre-hpo")
def cli() -> None:
    """Search B and X of the Feature Random Enhancement module on your cell images.

    Optuna's TPE proposes how many of the deepest feature maps of an SE-U-Net are enhanced in training
    (B) and by which factor (X); every trial trains for the full schedule; validation mIoU decides.
    """


for verb in (
    data,
    start,
    list_,
    status,
    trials,
    best,
    watch,
    plot,
    report,
    export,
    predict,
    archive,
    fetch,
    compare,
    confirm,
    test,
    logs,
    pause,
    resume,
    stop,
    delete,
    dashboard,
    head,
    worker,
    doctor,
    bench,
):
    cli.add_command(verb)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line as a process of its own and exit with the contract's code."""
    call = Call.of_command(sys.argv[1:] if arguments is None else arguments)
    code = run(call.arguments, call)
    if call.lifeline:
        call.lifeline.end(code)
    sys.exit(code)


def run(arguments: Sequence[str], call: Call | None = None) -> int:
    """Run the command line, within another program unless ``call`` says otherwise; returns the exit
    code."""
    given = list(arguments)
    call = call or Call(tuple(given))
    try:
        code: Any = cli.main(given, prog_name="fre-hpo", standalone_mode=False, obj=call)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return EXIT_USAGE
    except click.ClickException as error:
        _complain(error.format_message(), _usage_hint(error))
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain("Interrupted.")
        return EXIT_INTERRUPTED
    except FreHpoError as error:
        _show_trace(given)
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_ERROR
    except Exception as error:
        _show_trace(given)
        kind = type(error).__name__
        _complain(f"Unexpected {kind}: {error}", "--debug shows where; please report it.")
        return EXIT_ERROR
    return code if isinstance(code, int) else EXIT_DONE


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` shows the flags." if context else ""


def _show_trace(arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()


def _complain(sentence: str, hint: str = "") -> None:
    head = click.style("Error:", fg=None if os.environ.get("NO_COLOR") else "red", bold=True)
    click.echo(" ".join(filter(None, (head, sentence, hint))), err=True)
