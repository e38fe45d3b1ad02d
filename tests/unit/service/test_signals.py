"""What Ctrl-C, SIGTERM and a closed terminal do to a search."""

from __future__ import annotations

import os
import signal
import time

import pytest

from fre_hpo.service.signals import ECHO_SECONDS, stop_on_signals
from fre_hpo.trial import StopFlag


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_to_stop_and_the_second_ends_at_once(number: int) -> None:
    stop = StopFlag()
    before = signal.getsignal(number)
    with stop_on_signals(stop):
        os.kill(os.getpid(), number)
        assert stop.raised
        time.sleep(ECHO_SECONDS + 0.1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_an_echo_of_the_first_is_not_a_second_one() -> None:
    stop = StopFlag()
    with stop_on_signals(stop):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
    assert stop.raised


def test_a_hangup_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopFlag()
    try:
        with stop_on_signals(stop):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not stop.raised
