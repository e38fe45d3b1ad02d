"""Which device, how many threads, how many trials at once."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.errors import EXIT_USAGE, NoResources
from fre_hpo.scheduling.placement import Machine, Placement, place, usable_cpus

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
    expected = Placement("cpu", threads, reserved, 0, trials)
    assert placed(Machine(cpus, 0), parallel=parallel) == expected


@given(cpus=st.integers(1, 256), parallel=st.none() | st.integers(1, 64))
def test_all_trials_fit_at_once(cpus: int, parallel: int | None) -> None:
    for device in ("cpu", "mps"):
        placement = placed(Machine(cpus, 0, mps=True), device, parallel)
        assert placement.parallel * placement.cpus_per_trial <= cpus * (1 + 1e-9)
        assert placement.threads >= 1
        assert parallel in (None, placement.parallel)


def test_mps_takes_one_trial_unless_more_are_asked_for() -> None:
    assert placed(MAC) == Placement("mps", 8, 8, 0, 1)
    assert placed(MAC, parallel=2) == Placement("mps", 4, 4, 0, 2)


def test_the_inline_executor_has_one_slot_and_the_whole_machine() -> None:
    assert placed(LAPTOP, one_slot=True) == Placement("cpu", 8, 8, 0, 1)
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
    assert placed(SERVER, parallel=2) == Placement("cuda", 16, 1, 1, 2)


def test_gpus_that_are_not_there_are_refused() -> None:
    with pytest.raises(NoResources, match="more GPUs than there are"):
        placed(Machine(8, 1), share=2)
    with pytest.raises(NoResources, match="part of one GPU"):
        placed(SERVER, share=1.5)
    with pytest.raises(NoResources, match="--gpus-per-trial needs a GPU"):
        placed(LAPTOP, share=0.5)
    with pytest.raises(NoResources, match="--gpus-per-trial needs a GPU"):
        placed(SERVER, "cpu", share=1)


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
