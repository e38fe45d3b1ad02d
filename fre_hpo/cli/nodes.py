"""``fre-hpo head``, ``fre-hpo worker``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from fre_hpo.cli.options import common
from fre_hpo.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])
_COUNT = click.IntRange(min=0)
_SECONDS = click.FloatRange(min=0)


def _of_a_node(function: Function) -> Function:
    """What both verbs take; the function gets ``share`` and ``token_file``."""

    @functools.wraps(function)
    def wrapped(
        host: str | None, cpus: int | None, gpus: int | None, ports: str, **rest: Any
    ) -> Any:
        from fre_hpo.service.nodes import Share

        return function(share=Share(cpus, gpus, host, ports), **rest)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


_OPTIONS = (
    click.option(
        "--host",
        metavar="IP",
        help="This machine's address in the cluster's network [the one that its network knows].",
    ),
    click.option(
        "--cpus",
        type=_COUNT,
        metavar="N",
        help="CPUs for trials [all that are usable].",
    ),
    click.option(
        "--gpus",
        type=_COUNT,
        metavar="N",
        help="GPUs for trials [all that CUDA_VISIBLE_DEVICES leaves].",
    ),
    click.option(
        "--ports",
        default="6380-6979",
        metavar="FIRST-LAST",
        help="The node listens on the first hundred of these that are free [6380-6979].",
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Lets machines into the cluster [FRE_HPO_TOKEN_FILE; cluster-token in the home].",
    ),
)


@click.command(epilog="Example:  fre-hpo head --host 10.0.0.1")
@click.option(
    "--port",
    type=click.IntRange(1024, 65535),
    default=6379,
    metavar="N",
    help="Port at which others join [6379].",
)
@_of_a_node
@common
def head(settings: Settings, quiet: bool, port: int, share: Any, token_file: Path | None) -> int:
    """Make this machine the head of a cluster, and a node of it.

    Writes the cluster's token where there is none: machines that have a copy may join.  Starts again
    whatever of it falls; Ctrl-C or SIGTERM ends it, and searches wait for it to come back.
    """
    from fre_hpo.service.nodes import stand_as_head

    return stand_as_head(port, share, token_file, settings, _silence if quiet else _tell)


@click.command(epilog="Example:  fre-hpo worker --address 10.0.0.1:6379")
@click.option(
    "--address",
    required=True,
    envvar="RAY_ADDRESS",
    show_envvar=True,
    metavar="HOST:PORT",
    help="The cluster's head.",
)
@_of_a_node
@click.option(
    "--grace",
    type=_SECONDS,
    default=60,
    metavar="SECONDS",
    help="How long trials may take to hand over their checkpoints when it is told to leave [60].",
)
@click.option(
    "--wait",
    type=_SECONDS,
    default=0,
    metavar="SECONDS",
    help="How long to try to reach a head that is not there yet [0].",
)
@common
def worker(
    settings: Settings,
    quiet: bool,
    address: str,
    share: Any,
    token_file: Path | None,
    grace: float,
    wait: float,
) -> int:
    """Lend this machine to a cluster: searches train on it.

    Joins again by itself after a cut of the network or a restart of the head.  Ctrl-C or SIGTERM drains it:
    its trials go on elsewhere from where they are.  A second one leaves at once.
    """
    from fre_hpo.service.nodes import stand_as_worker

    say = _silence if quiet else _tell
    return stand_as_worker(address, share, token_file, settings, say, grace=grace, wait=wait)


def _tell(sentence: str) -> None:
    click.echo(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {sentence}", err=True)


def _silence(sentence: str) -> None:
    pass
