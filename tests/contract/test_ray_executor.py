"""What a Ray executor adds to the contract of the executors: room, alone, lost and cancelled workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from fre_hpo.errors import EXIT_UNREACHABLE, ClusterLost
from fre_hpo.scheduling.executor import Arrival, Lost
from fre_hpo.scheduling.placement import Machine, place
from fre_hpo.scheduling.ray_executor import RayExecutor
from fre_hpo.trial import Checkpoint, Epoch, Result, Started
from trials import drawn_data, small_job, small_spec

LONG = small_spec(settings={"training.epochs": 5000, "training.checkpoint_seconds": 0.0})
SHORT = small_spec()


@pytest.fixture
def executor(local_ray: None) -> Iterator[RayExecutor]:
    """On a Ray of two CPUs, one for each trial."""
    placement = place(Machine(2, 0), "cpu", None, None, one_slot=False)
    running = RayExecutor(drawn_data(SHORT), placement)
    yield running
    running.close()


def collect(executor: RayExecutor, until: Callable[[Arrival], bool]) -> list[Arrival]:
    """What arrives, up to the first for which this is true."""
    arrivals: list[Arrival] = []
    end = time.monotonic() + 60
    while not (arrivals and until(arrivals[-1])):
        assert time.monotonic() < end, arrivals
        for arrival in executor.poll(0.2):
            arrivals.append(arrival)
            if until(arrival):
                break
    return arrivals


def is_epoch(arrival: Arrival) -> bool:
    return isinstance(arrival.content, Epoch)


def is_last(arrival: Arrival) -> bool:
    return arrival.last


def test_a_trial_arrives_whole_and_in_order(executor: RayExecutor) -> None:
    executor.submit(small_job(SHORT))
    contents = [arrival.content for arrival in collect(executor, is_last)]
    assert isinstance(contents[0], Started)
    assert isinstance(contents[-1], Result)
    assert [c.row.epoch for c in contents if isinstance(c, Epoch)] == [1, 2, 3]


def test_it_has_room_for_as_many_as_fit(executor: RayExecutor) -> None:
    assert executor.capacity() == 2
    executor.submit(small_job(LONG))
    collect(executor, is_epoch)
    assert executor.capacity() == 2


def test_a_killed_worker_is_a_lost_trial(executor: RayExecutor) -> None:
    executor.submit(small_job(LONG))
    started = collect(executor, is_epoch)[0].content
    assert isinstance(started, Started)
    os.kill(started.pid, signal.SIGKILL)
    last = collect(executor, is_last)[-1]
    assert isinstance(last.content, Lost)
    assert last.content.reason.startswith("its process")
    assert executor.poll(0.1) == []


def test_a_cancelled_trial_ends_at_once_and_nothing_more_arrives(executor: RayExecutor) -> None:
    executor.submit(small_job(LONG, number=0))
    executor.submit(small_job(SHORT, number=1))
    epoch = collect(executor, lambda a: is_epoch(a) and a.number == 0)[-1].content
    assert isinstance(epoch, Epoch)
    executor.cancel(0)
    assert {a.number for _ in range(20) for a in executor.poll(0.1)} <= {1}
    assert ended(epoch.pid)


def ended(pid: int) -> bool:
    """Whether a process is gone within some seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_trial_alone_has_all_cpus_to_itself(executor: RayExecutor) -> None:
    executor.submit(small_job(LONG, number=0))
    collect(executor, is_epoch)
    executor.submit(small_job(SHORT, number=1), alone=True)
    quiet = [a for _ in range(20) for a in executor.poll(0.1)]
    assert {a.number for a in quiet} == {0}
    assert any(isinstance(a.content, Checkpoint) for a in quiet)
    executor.cancel(0)
    assert {a.number for a in collect(executor, is_last)} == {1}


def test_the_trials_of_a_node_that_is_gone_are_lost(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.submit(small_job(LONG))
    collect(executor, is_epoch)
    node = executor._watch.view.nodes[0].id
    executor._watch.close()
    monkeypatch.setattr(executor._watch, "lost", lambda: None)
    monkeypatch.setattr(executor._watch, "view", type(executor._watch.view)((), frozenset({node})))
    assert executor.poll(0.1) == [Arrival(0, 1, Lost("its node is gone"))]
    assert executor.capacity() == 0


def test_a_lost_cluster_is_said(executor: RayExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor._watch, "lost", lambda: "nobody answers")
    with pytest.raises(ClusterLost, match="was lost \\(nobody answers\\)") as caught:
        executor.poll(0.1)
    assert caught.value.exit_code == EXIT_UNREACHABLE
    executor.close()
