"""The server under the dashboard: its socket, its threads, its end."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import waitress  # type: ignore[import-untyped]

from fre_hpo.dashboard.site import Site
from fre_hpo.errors import CannotListen, PortTaken

DEFAULT_PORT = 8080
FURTHER_PORTS = 100
"""So many ports after the default one are tried."""
THREADS = 8
CONNECTIONS = 500
"""Open at once; a browser holds up to six, also while it asks for nothing."""
LARGEST_BODY = 1 << 20
"""Bytes of a request: notes are all that comes."""


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens; port None: the default one, or the next that is free; 0: any.

    Raises PortTaken and CannotListen.
    """
    if port is not None:
        return _bind(host, port)
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + FURTHER_PORTS):
        try:
            return _bind(host, candidate)
        except PortTaken:
            continue
    raise PortTaken(host=host, port=f"{DEFAULT_PORT} to {candidate}")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = _resolve(host, port)
        found = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host at all
        raise _cannot(host, port, error) from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":  # version 4 as well
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        found.bind(address)
        found.listen()
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host=host, port=port) from error
        raise _cannot(host, port, error) from error
    return found


def _resolve(host: str, port: int) -> tuple[Any, ...]:
    """Version 4 first, where a name has both: ``localhost`` is 127.0.0.1."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return min(found, key=lambda entry: entry[0] != socket.AF_INET)


def _cannot(host: str, port: int, error: OSError | UnicodeError) -> CannotListen:
    reason = getattr(error, "strerror", None) or error
    return CannotListen(host=host, port=port, reason=reason)


def serve(
    site: Site, listening: socket.socket, ready: Callable[[], None], *, verbose: bool = False
) -> None:
    """Answer requests until Ctrl-C or SIGTERM.  ready: called once both work.  verbose: leave what
    optuna-dashboard logs and Optuna warns of."""
    for name in ("waitress", "waitress.queue", *(() if verbose else ("optuna_dashboard",))):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said by the site
    _end_on_signals()
    server = waitress.create_server(
        site,
        sockets=[listening],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        ident=None,
        max_request_body_size=LARGEST_BODY,
        channel_timeout=60,
        asyncore_use_poll=True,
    )
    with warnings.catch_warnings():
        if not verbose:  # of importances of few trials, for example
            warnings.simplefilter("ignore")
        try:
            ready()
            server.run()
        finally:
            server.close()


def _end_on_signals() -> None:
    """waitress ends its threads on SystemExit.  Signals may have been held back by the parent."""
    if threading.current_thread() is not threading.main_thread():
        return
    ending = (signal.SIGINT, signal.SIGTERM)
    for number in ending:
        signal.signal(number, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
