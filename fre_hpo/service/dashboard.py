"""The verb ``dashboard``: everything is checked, then the port is bound, then its address is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from fre_hpo.dashboard import hosts, server, token
from fre_hpo.dashboard.login import PARAMETER, Login
from fre_hpo.dashboard.opening import Opening
from fre_hpo.dashboard.site import Site
from fre_hpo.dashboard.studies import HOME, NAMED, Studies, study_page
from fre_hpo.errors import FreHpoError, StudyNotFound
from fre_hpo.service import read
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection


@dataclass(frozen=True)
class Showing:
    """What is asked for.  study: whose page the address leads to; None: the list of all.  awaited: it may
    be begun later.  port: None is the default one, or the next that is free; 0 is any.  logged: the address
    goes into a log, which does not get a token that is kept elsewhere."""

    study: str | None = None
    awaited: bool = False
    host: str = "127.0.0.1"
    port: int | None = None
    allow_hosts: tuple[str, ...] = ()
    allow_changes: bool = False
    token_file: Path | None = None
    logged: bool = False


def show(
    showing: Showing,
    settings: Settings,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    warn: Callable[[str], None],
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve the pages until Ctrl-C or SIGTERM.

    announce: gets the address, as a rule with its token, once requests to it are answered.  warn: gets what
    somebody should know.  say: gets a line for each request.  Raises UnusableToken, PortTaken,
    CannotListen and, unless it is awaited, StudyNotFound.
    """
    secret = token.choose(showing.token_file, environ.get(token.VARIABLE))
    path = _path(showing, settings)
    listening = server.listen(showing.host, showing.port)
    port = int(listening.getsockname()[1])
    studies = Studies(
        Opening(settings.storage, settings.home / "studies"),
        partial(read.delete, settings),
        allow_changes=showing.allow_changes,
    )
    known = hosts.known_hosts(showing.host, showing.allow_hosts)
    site = Site(known, Login(secret, port), studies, say, warn)
    if not hosts.is_loopback(showing.host):
        warn(exposure(showing))
    kept = showing.token_file is not None or bool(environ.get(token.VARIABLE))
    query = "" if showing.logged and kept else f"?{urlencode({PARAMETER: secret})}"
    address = f"http://{hosts.shown_name(showing.host)}:{port}{path}{query}"
    with listening:
        server.serve(site, listening, partial(announce, address), verbose=say is not None)


def _path(showing: Showing, settings: Settings) -> str:
    """Of the page that the address leads to.  A study that is not there yet is found by its name."""
    if showing.study is None:
        return HOME
    try:
        return study_page(_number(showing.study, settings))
    except FreHpoError:
        if showing.awaited:
            return NAMED + quote(showing.study)
        raise


def _number(study: str, settings: Settings) -> int:
    """In the storage; raises StudyNotFound with the nearest names."""
    connection = Connection(settings.storage, create=False)
    read.open_ledger(settings, study)
    if connection.storage is None:  # deleted just now
        raise StudyNotFound(study=study, storage=connection.shown, hint="it was deleted")
    return connection.storage.get_study_id_from_name(study)


def exposure(showing: Showing) -> str:
    """What listening to the network means."""
    can = (
        "write notes, fail running trials and delete studies"
        if showing.allow_changes
        else "see every study of this storage and change nothing"
    )
    return (
        f"Warning: the dashboard listens to the network ({showing.host}). Whoever has the token can {can}; "
        "it travels over plain HTTP, where anyone on the way can read it: use it in a network that you "
        "trust, or put a proxy with TLS in front."
    )
