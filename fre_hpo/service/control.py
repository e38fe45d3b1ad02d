"""The verbs that steer a running search, from any machine that reaches its storage."""

from __future__ import annotations

import getpass
import socket
import time
from typing import Any

from fre_hpo.service.check import live_of
from fre_hpo.service.read import open_ledger, summary
from fre_hpo.settings import Settings
from fre_hpo.study.order import Order, Wish

POLL_SECONDS = 0.5


def give_order(settings: Settings, study: str, wish: Wish) -> bool:
    """Ask the study's coordinator for something; it looks every second.  False when none runs now,
    as far as is known here.  Raises StudyNotFound."""
    ledger = open_ledger(settings, study)
    ledger.give(Order.by(f"{_user()}@{socket.gethostname()}", wish))
    live = live_of(ledger)
    return live is not None and live.coordinator_alive()


def wait_until_ended(settings: Settings, study: str) -> dict[str, Any]:
    """The study's status once no coordinator runs it any more."""
    ledger = open_ledger(settings, study)
    while True:
        live = live_of(ledger)
        if live is None or not live.coordinator_alive():
            return summary(settings, ledger)
        time.sleep(POLL_SECONDS)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"
