"""Whether a coordinator lives, judged from a machine with another clock."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.scheduling.live import Live
from fre_hpo.service.pulse import Pulse

LIVE = Live("running", wanted=4, complete=0, failed=0, slots=2, elapsed=0.0, epochs=100)


class Clocks:
    """Ours; a coordinator's that differs by ``off`` seconds."""

    def __init__(self, off: float = 0.0) -> None:
        self.now = 1000.0
        self.off = off

    def pulse(self) -> Pulse:
        return Pulse(lambda: self.now, lambda: 1e9 + self.now)

    def published(self, age: float = 0.0, **changes: object) -> Live:
        """By a coordinator on another machine, so many seconds ago."""
        at = 1e9 + self.now + self.off - age
        return replace(LIVE, host="elsewhere.lab", time=at, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("off", [-7200.0, -3.0, 0.0, 3.0, 7200.0])
def test_one_that_goes_on_publishing_lives_whatever_its_clock_shows(off: float) -> None:
    clocks = Clocks(off)
    pulse = clocks.pulse()
    pulse.see(clocks.published())
    for _ in range(100):
        assert not pulse.is_over
        clocks.now += 2.0
        pulse.see(clocks.published())
        assert pulse.beats
        assert pulse.silence == pulse.age == 0.0
        assert pulse.skew == (-off if abs(off) > 5 else 0.0)


@pytest.mark.parametrize("off", [-7200.0, 0.0, 7200.0])
def test_one_that_falls_silent_is_given_up_after_a_minute(off: float) -> None:
    clocks = Clocks(off)
    pulse = clocks.pulse()
    pulse.see(clocks.published())
    clocks.now += 2
    last = clocks.published()
    pulse.see(last)
    for expected in (20.0, 40.0):
        clocks.now = 1002 + expected
        pulse.see(last)
        assert (pulse.beats, pulse.is_over, pulse.silence) == (True, False, expected)
    clocks.now += 21
    pulse.see(last)
    assert (pulse.beats, pulse.is_over) == (False, True)


def test_one_that_seems_long_gone_is_looked_at_for_some_seconds_first() -> None:
    clocks = Clocks()
    pulse = clocks.pulse()
    last = clocks.published(age=3000.0)
    pulse.see(last)
    assert (pulse.beats, pulse.is_over) == (False, False)
    clocks.now += 7
    pulse.see(last)
    assert pulse.is_over


def test_one_of_last_week_is_not() -> None:
    clocks = Clocks()
    pulse = clocks.pulse()
    pulse.see(clocks.published(age=7 * 86_400.0))
    assert pulse.is_over


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_one_that_says_it_has_ended_is_believed(state: str) -> None:
    clocks = Clocks()
    pulse = clocks.pulse()
    pulse.see(clocks.published(state=state))
    assert (pulse.beats, pulse.is_over) == (False, True)


def test_a_crash_on_this_machine_is_seen_at_once_and_its_restart_waited_for() -> None:
    clocks = Clocks()
    pulse = clocks.pulse()
    ours = replace(LIVE, time=1e9 + clocks.now)
    assert ours.pid == os.getpid()
    pulse.see(ours)
    assert pulse.beats
    crashed = replace(ours, born="another", time=ours.time + 1)
    pulse.see(crashed)
    assert (pulse.beats, pulse.is_over) == (False, False)
    clocks.now += 30
    pulse.see(crashed)
    assert not pulse.is_over
    pulse.see(replace(ours, time=ours.time + 31))
    assert pulse.beats
    pulse.see(replace(crashed, time=ours.time + 32))
    clocks.now += 61
    assert pulse.is_over


def test_what_could_not_be_read_is_not_taken_for_silence() -> None:
    clocks = Clocks()
    pulse = clocks.pulse()
    last = clocks.published()
    pulse.see(last)
    clocks.now += 600
    pulse.was_out_of_sight()
    pulse.see(last)
    assert pulse.beats
    assert not pulse.is_over


def test_a_study_without_a_coordinator_is_given_a_minute() -> None:
    clocks = Clocks()
    pulse = clocks.pulse()
    pulse.see(None)
    assert (pulse.beats, pulse.is_over) == (False, False)
    clocks.now += 61
    pulse.see(None)
    assert pulse.is_over


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300), st.booleans()), max_size=10),
)
def test_ages_are_never_negative(off: float, steps: list[tuple[float, float, bool]]) -> None:
    clocks = Clocks(off)
    pulse = clocks.pulse()
    for seconds, age, unseen in steps:
        clocks.now += seconds
        if unseen:
            pulse.was_out_of_sight()
        pulse.see(clocks.published(age))
        assert pulse.silence >= 0
        assert pulse.age >= 0
