"""Arms by turns, the sections of an epoch, the union of a GPU's spans."""

from __future__ import annotations

import time

import pytest
import torch

from fre_hpo.bench.fixed import Watch, busy_seconds, covered
from fre_hpo.bench.timing import Work, interleave

CPU = torch.device("cpu")


def works(names: str, runs: list[str], seconds: float = 0.03) -> list[Work]:
    def work(name: str) -> Work:
        def run() -> None:
            runs.append(name)
            time.sleep(seconds)

        return Work(name, run)

    return [work(name) for name in names]


def test_every_round_runs_every_arm_once_in_an_order_that_rotates() -> None:
    runs: list[str] = []
    timings = interleave(works("abc", runs), CPU, seconds=0, least=3)
    assert "".join(runs[6:]) == "abc" + "bca" + "cab"
    assert [t.name for t in timings] == ["a", "b", "c"]
    assert all(len(t.rounds) == 3 and t.median > 0.025 for t in timings)


def test_the_warm_up_is_timed_apart() -> None:
    slow_start = iter([0.2])
    work = Work("compiles", lambda: time.sleep(next(slow_start, 0.03)))
    (timing,) = interleave([work], CPU, seconds=0, least=3)
    assert timing.warmup is not None
    assert timing.warmup > 0.15
    assert max(timing.rounds) < 0.15


def test_short_work_is_repeated_within_a_round() -> None:
    runs: list[str] = []
    (timing,) = interleave(works("a", runs, seconds=0.002), CPU, seconds=0, least=2)
    assert len(runs) > 6
    assert timing.median < 0.02


def test_there_are_no_more_rounds_than_asked_for() -> None:
    (timing,) = interleave(works("a", []), CPU, seconds=60, least=2, most=4)
    assert len(timing.rounds) == 4


def test_what_holds_for_the_process_is_set_before_every_timing() -> None:
    set_up: list[str] = []
    both = [Work(n, lambda: time.sleep(0.03), lambda n=n: set_up.append(n)) for n in "ab"]
    interleave(both, CPU, seconds=0, least=2)
    assert "".join(set_up) == "ab" + "ab" + "ab" + "ba"


def test_a_section_within_another_counts_as_the_other() -> None:
    watch = Watch()
    with watch.section("evaluation", CPU), watch.section("re-estimation", CPU):
        time.sleep(0.01)
    with watch.section("re-estimation", CPU):
        time.sleep(0.02)
    assert watch.seconds["evaluation"] == pytest.approx(0.01, abs=0.009)
    assert watch.seconds["re-estimation"] >= 0.02


def test_spans_that_overlap_count_once() -> None:
    assert covered([(0, 2), (1, 3), (5, 6), (5.5, 5.7)]) == 4


@pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning")
def test_without_a_gpu_none_is_busy() -> None:
    assert busy_seconds(lambda: torch.ones(8).sum(), CPU) == 0
