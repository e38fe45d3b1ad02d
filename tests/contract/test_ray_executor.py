"""What a Ray executor adds to the contract of the executors: room, alone, lost and cancelled workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from fre_hpo.errors import EXIT_UNREACHABLE, ClusterLost
from fre_hpo.scheduling.cluster_watch import View
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory
from fre_hpo.scheduling.placement import Machine, Node, Wanted
from fre_hpo.scheduling.ray_executor import RayExecutor
from fre_hpo.trial import Checkpoint, Epoch, Result, Started, Stopped
from trials import drawn_data, small_job, small_spec

LONG = small_spec(settings={"training.epochs": 5000, "training.checkpoint_seconds": 0.0})
SHORT = small_spec()


@pytest.fixture
def executor(local_ray: None) -> Iterator[RayExecutor]:
    """On a Ray of two CPUs, one for each trial."""
    wanted = Wanted("cpu")
    running = RayExecutor(drawn_data(SHORT), wanted.on(Machine(2, 0)), wanted)
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
    assert executor.capacity(9) == 2
    executor.submit(small_job(LONG))
    collect(executor, is_epoch)
    assert executor.capacity(9) == 2


def test_a_killed_worker_is_a_lost_trial(executor: RayExecutor) -> None:
    executor.submit(small_job(LONG))
    started = collect(executor, is_epoch)[0].content
    assert isinstance(started, Started)
    os.kill(started.pid, signal.SIGKILL)
    last = collect(executor, is_last)[-1]
    assert isinstance(last.content, Lost)
    assert last.content.reason.startswith("its process")
    assert executor.poll(0.1) == []


def test_trials_that_run_out_of_memory_share_a_gpu_with_fewer(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On CPUs that play a GPU: what is reserved is left to them."""
    executor.placement = replace(executor.placement, gpus_per_trial=1 / 3)
    monkeypatch.setattr(executor, "_options", lambda node, alone: {"num_cpus": 0.3, "num_gpus": 0})
    monkeypatch.setattr(
        "fre_hpo.scheduling.ray_executor._item",
        lambda stream: OutOfMemory("CUDA out of memory"),
    )
    for number in range(3):
        executor.submit(small_job(LONG, number=number))
    ended: dict[int, object] = {}
    while len(ended) < 3:
        ended |= {a.number: a.content for a in executor.poll(0.2)}
    assert list(ended.values()) == [OutOfMemory("CUDA out of memory", 3, 2)] * 3
    assert executor.placement.gpus_per_trial == 1 / 2
    executor.submit(small_job(LONG, number=3))
    (last,) = collect(executor, is_last)
    assert last.content == OutOfMemory("CUDA out of memory", 2, 1)
    assert executor.placement.gpus_per_trial == 1
    executor.submit(small_job(LONG, number=4))
    (alone,) = collect(executor, is_last)
    assert alone.content == OutOfMemory("CUDA out of memory")


def test_a_worker_that_reserves_too_little_takes_no_other_trial(executor: RayExecutor) -> None:
    executor.submit(small_job(SHORT))
    collect(executor, is_last)
    (idle,) = executor._idle
    assert executor._take_idle(Node(idle.node or "", 2, 0)) is idle.actor
    executor._idle.append(replace(idle, sharing=3))
    assert executor._take_idle(Node(idle.node or "", 2, 0)) is None
    executor.poll(0)
    assert executor._idle == []


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
    monkeypatch.setattr(executor._watch, "view", View((), gone=frozenset({node})))
    assert executor.poll(0.1) == [Arrival(0, 1, Lost("its node is gone"))]
    assert executor.capacity(9) == 0


def test_a_lost_cluster_is_said(executor: RayExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor._watch, "lost", lambda: "nobody answers")
    with pytest.raises(ClusterLost, match="was lost \\(nobody answers\\)") as caught:
        executor.poll(0.1)
    assert caught.value.exit_code == EXIT_UNREACHABLE
    executor.close()


def see(executor: RayExecutor, monkeypatch: pytest.MonkeyPatch, view: View) -> None:
    """Have the executor see another cluster from now on."""
    executor._watch.close()
    monkeypatch.setattr(executor._watch, "lost", lambda: None)
    monkeypatch.setattr(executor._watch, "view", view)


def test_the_trials_of_a_node_that_leaves_hand_over_their_checkpoints(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.submit(small_job(LONG))
    collect(executor, is_epoch)
    (node,) = executor._watch.view.nodes
    assert executor.displaced() == frozenset()
    see(executor, monkeypatch, View((), leaving=frozenset({node.id})))
    assert executor.displaced() == {0}
    assert executor.capacity(9) == 0
    executor.stop(0)
    *_, checkpoint, last = collect(executor, is_last)
    assert isinstance(checkpoint.content, Checkpoint)
    assert last.content == Stopped(checkpoint.content.epoch)


def test_what_had_not_begun_is_given_back_at_once(executor: RayExecutor) -> None:
    for number in range(3):  # one more than there is room for
        executor.submit(small_job(LONG, number=number))
    executor.stop(2)
    assert executor.poll(0.1) == [Arrival(2, 1, Stopped(None))]


def test_gpus_that_join_take_the_trials_from_the_cpus(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor._wanted = Wanted(elastic=True)
    executor.submit(small_job(LONG))
    (node,) = executor._watch.view.nodes
    see(executor, monkeypatch, View((node, Node("other", 8, 1))))
    assert executor.capacity(9) == 1
    assert executor.placement.device == "cuda"
    assert executor.displaced() == {0}
    assert executor.news() == ["Nodes joined: training one trial at a time on cuda."]
    assert executor.news() == []


def test_a_node_of_another_version_is_told_of_once(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(executor, monkeypatch, View(executor._watch.view.nodes, strangers={"old": "0.1"}))
    executor.capacity(9)
    executor.capacity(9)
    (sentence,) = executor.news()
    assert sentence.startswith("old gets no trials: it runs fre-hpo 0.1, this search ")


def test_data_that_arrives_damaged_is_a_lost_worker(
    executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_fingerprint", "of other data")
    executor.submit(small_job(SHORT))
    last = collect(executor, is_last)[-1].content
    assert isinstance(last, Lost)
    assert last.reason.startswith("The data set arrived damaged on ")
