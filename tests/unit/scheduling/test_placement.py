"""Which device, how many threads, how many trials at once."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.errors import EXIT_USAGE, NoResources
from fre_hpo.scheduling.placement import (
    MOST_AT_ONCE,
    Machine,
    Node,
    Placement,
    Wanted,
    place,
    usable_cpus,
)

LAPTOP = Machine(cpus=8, gpus=0)
MAC = Machine(cpus=8, gpus=0, mps=True)
SERVER = Machine(cpus=32, gpus=4)


def placed(
    machine: Machine,
    device: str = "auto",
    parallel: int | None = None,
    share: float | None = None,
    *,
    one_slot: bool = False,
) -> Placement:
    return place(machine, device, parallel, share, one_slot=one_slot)


@pytest.mark.parametrize(("machine", "device"), [(LAPTOP, "cpu"), (MAC, "mps"), (SERVER, "cuda")])
def test_the_best_device_there_is(machine: Machine, device: str) -> None:
    assert placed(machine).device == device
    assert placed(machine, "cpu").device == "cpu"


@pytest.mark.parametrize(
    ("machine", "device"), [(LAPTOP, "cuda"), (LAPTOP, "mps"), (MAC, "cuda"), (SERVER, "mps")]
)
def test_a_device_that_is_not_there_is_refused(machine: Machine, device: str) -> None:
    with pytest.raises(NoResources, match=f"--device {device} .* use --device auto") as caught:
        placed(machine, device)
    assert caught.value.exit_code == EXIT_USAGE


# --- CPU -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpus", "parallel", "trials", "threads", "reserved"),
    [
        (8, None, 4, 2, 2),
        (2, None, 2, 1, 1),
        (3, None, 3, 1, 1),
        (64, None, 4, 16, 16),
        (1, None, 1, 1, 1),
        (8, 2, 2, 4, 4),
        (8, 3, 3, 2, 2),
        (2, 4, 4, 1, 0.5),
    ],
)
def test_cores_are_shared_by_the_trials(
    cpus: int, parallel: int | None, trials: int, threads: int, reserved: float
) -> None:
    expected = Placement("cpu", threads, reserved, 0, trials, parallel)
    assert placed(Machine(cpus, 0), parallel=parallel) == expected


@given(cpus=st.integers(1, 256), parallel=st.none() | st.integers(1, 64))
def test_all_trials_fit_at_once(cpus: int, parallel: int | None) -> None:
    for device in ("cpu", "mps"):
        placement = placed(Machine(cpus, 0, mps=True), device, parallel)
        assert placement.parallel * placement.cpus_per_trial <= cpus * (1 + 1e-9)
        assert placement.threads >= 1
        assert parallel in (None, placement.parallel)


def test_mps_takes_one_trial_unless_more_are_asked_for() -> None:
    assert placed(MAC) == Placement("mps", 8, 8, 0, 1, 1)
    assert placed(MAC, parallel=2) == Placement("mps", 4, 4, 0, 2, 2)


def test_the_inline_executor_has_one_slot_and_the_whole_machine() -> None:
    assert placed(LAPTOP, one_slot=True) == Placement("cpu", 8, 8, 0, 1, 1)
    assert placed(LAPTOP, parallel=1, one_slot=True).parallel == 1
    assert placed(SERVER, one_slot=True).parallel == 1
    assert placed(MAC, one_slot=True).parallel == 1
    with pytest.raises(NoResources, match="--executor ray"):
        placed(LAPTOP, parallel=2, one_slot=True)


# --- GPUs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "share", "trials"),
    [(4, None, 4), (1, None, 1), (1, 0.5, 2), (2, 0.4, 4), (2, 0.1, 20), (1, 1 / 3, 3), (4, 2, 2)],
)
def test_a_trial_takes_a_gpu_or_its_share_of_one(
    gpus: int, share: float | None, trials: int
) -> None:
    placement = placed(Machine(32, gpus), share=share)
    assert (placement.device, placement.parallel) == ("cuda", trials)
    assert placement.gpus_per_trial == (share or 1)
    assert placement.parallel * placement.cpus_per_trial <= 32
    assert placement.threads == max(32 // trials, 1)


def test_fewer_trials_than_there_is_room_for() -> None:
    assert placed(SERVER, parallel=2) == Placement("cuda", 16, 1, 1, 2, 2)


def test_more_trials_than_there_is_room_for_begin_when_gpus_join() -> None:
    placement = placed(SERVER, parallel=9)
    assert (placement.parallel, placement.limit) == (4, 9)
    assert placement.cpus_per_trial == 1
    assert str(placement) == "4 trials at a time on cuda; up to 9 when GPUs join"


def test_gpus_that_are_not_there_are_refused() -> None:
    with pytest.raises(NoResources, match="more GPUs than there are"):
        placed(Machine(8, 1), share=2)
    with pytest.raises(NoResources, match="part of one GPU"):
        placed(SERVER, share=1.5)
    with pytest.raises(NoResources, match="--gpus-per-trial needs a GPU"):
        placed(LAPTOP, share=0.5)
    with pytest.raises(NoResources, match="--gpus-per-trial needs a GPU"):
        placed(SERVER, "cpu", share=1)


@pytest.mark.parametrize(
    ("share", "sharing", "fewer"),
    [(None, 1, 1), (2, 1, 1), (0.5, 2, 1), (1 / 3, 3, 2), (0.2, 5, 4)],
)
def test_out_of_memory_backs_off_by_one(share: float | None, sharing: int, fewer: int) -> None:
    placement = placed(SERVER, share=share)
    backed_off = placement.backed_off()
    assert (placement.sharing, backed_off.sharing) == (sharing, fewer)
    assert (backed_off is placement) is (sharing == 1)
    if sharing > 1:
        there = node(32, 4)
        assert backed_off.room(there) == backed_off.parallel == 4 * fewer
        assert backed_off.backed_off().room(there) == 4 * max(fewer - 1, 1)


def test_on_cpus_there_is_nothing_to_share() -> None:
    placement = placed(LAPTOP)
    assert placement.backed_off() is placement


# --- nodes ---------------------------------------------------------------------------------------


def node(cpus: float, gpus: float = 0, name: str = "a") -> Node:
    return Node(name, cpus, gpus)


@pytest.mark.parametrize(
    ("placement", "there", "room"),
    [
        (placed(Machine(2, 0)), node(2), 2),
        (placed(Machine(2, 0)), node(64), MOST_AT_ONCE),
        (placed(Machine(8, 0), parallel=8), node(64), 64),
        (placed(Machine(64, 0)), node(2), 1),
        (placed(Machine(2, 0), parallel=3), node(2), 3),
        (placed(Machine(2, 0)), node(0), 0),
        (placed(Machine(0, 0)), node(3), 3),
        (placed(SERVER), node(32, 4), 4),
        (placed(SERVER), node(32), 0),
        (placed(SERVER), node(2, 4), 2),
        (placed(SERVER, share=0.5), node(32, 2), 4),
        (placed(SERVER, share=0.4), node(32, 1), 2),
        (placed(SERVER, share=1 / 3), node(32, 1), 3),
        (placed(SERVER, share=2), node(32, 3), 1),
    ],
)
def test_so_many_trials_fit_on_a_node(placement: Placement, there: Node, room: int) -> None:
    assert placement.room(there) == room


@given(cpus=st.integers(1, 256), parallel=st.none() | st.integers(1, 64), gpus=st.integers(0, 8))
def test_there_is_room_for_what_was_planned(cpus: int, parallel: int | None, gpus: int) -> None:
    placement = placed(Machine(cpus, gpus), parallel=parallel)
    assert placement.room(node(cpus, gpus)) >= placement.parallel


def test_a_cluster_without_cpus_is_waited_for() -> None:
    placement = placed(Machine(0, 0))
    assert placement == Placement("cpu", 1, 1, 0, 0)
    assert "when nodes join" in str(placement)
    assert placed(Machine(0, 0), parallel=3).limit == 3


def test_the_next_trial_goes_where_most_room_is_left() -> None:
    placement = placed(Machine(2, 0))
    nodes = [node(4, name="a"), node(2, name="b"), node(0, name="head")]
    assert placement.roomiest(nodes, {"a": 1}) == nodes[0]
    assert placement.roomiest(nodes, {"a": 3}) == nodes[1]
    assert placement.roomiest(nodes, {"a": 4, "b": 2}) in nodes[:2]
    assert placement.roomiest([nodes[2]], {}) is None
    assert placement.roomiest([], {}) is None


def test_a_trial_alone_goes_to_the_largest_node() -> None:
    nodes = [node(4, name="a"), node(8, name="b"), node(2, 1, name="c")]
    assert placed(LAPTOP).largest(nodes[:2]) == nodes[1]
    assert placed(SERVER).largest(nodes) == nodes[2]
    assert placed(LAPTOP).largest([node(0)]) is None


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        (placed(Machine(2, 0), parallel=1), "one trial at a time on the CPU, 2 threads each"),
        (placed(Machine(2, 0)), "2 trials at a time on the CPU, 1 thread each"),
        (placed(SERVER), "4 trials at a time on cuda"),
        (placed(Machine(8, 1)), "one trial at a time on cuda"),
        (placed(Machine(8, 1), share=0.25), "4 trials at a time on cuda, 0.25 of a GPU each"),
        (placed(SERVER, share=2), "2 trials at a time on cuda, 2 GPUs each"),
        (placed(MAC), "one trial at a time on mps"),
    ],
)
def test_it_is_said_what_was_chosen(placement: Placement, words: str) -> None:
    assert str(placement) == words


def test_a_container_may_allow_fewer_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert usable_cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus() == 1


# --- a cluster that grows ------------------------------------------------------------------------


def test_on_a_cluster_gpus_that_are_not_there_yet_are_waited_for() -> None:
    for wanted in (Wanted("cuda", elastic=True), Wanted("auto", gpus_per_trial=0.5, elastic=True)):
        now = wanted.on(LAPTOP)
        assert (now.device, now.parallel) == ("cuda", 0)
        assert str(now).startswith("nothing yet, for there is no GPU")
        assert wanted.again(now, LAPTOP) is now
        assert wanted.again(now, SERVER) == wanted.on(SERVER)
    with pytest.raises(NoResources):
        Wanted("cuda").on(LAPTOP)


def test_more_gpus_for_a_trial_than_there_are_yet_are_waited_for() -> None:
    wanted = Wanted("cuda", gpus_per_trial=8, elastic=True)
    now = wanted.on(SERVER)
    assert now.parallel == 0
    assert wanted.again(now, Machine(64, 8)).parallel == 1


def test_the_first_gpus_that_join_take_the_search_from_the_cpus() -> None:
    wanted = Wanted(elastic=True)
    now = wanted.on(LAPTOP)
    assert now.device == "cpu"
    assert wanted.again(now, Machine(40, 4)).device == "cuda"
    assert Wanted("cpu", elastic=True).again(now, Machine(40, 4)) is now


def test_a_search_on_gpus_stays_there_when_they_leave() -> None:
    wanted = Wanted(elastic=True)
    assert wanted.again(wanted.on(SERVER), LAPTOP).device == "cuda"


def test_a_trial_has_no_more_threads_than_its_node_gives_it() -> None:
    placement = place(Machine(64, 0), "cpu", None, None, one_slot=False)
    assert placement.threads_on(Node("big", 64, 0)) == 16
    assert placement.threads_on(Node("small", 2, 0)) == 2
