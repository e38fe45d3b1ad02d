"""How many trials share a GPU: what is decided from what was measured, and what is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fre_hpo.scheduling.packing import (
    FILE,
    MOST,
    WINDOWS,
    WORTH,
    Extent,
    Finding,
    Notes,
    Workload,
    gains,
    has_room,
    probe_seconds,
    remember,
    remembered,
)

MOUSE = Workload((64, 128, 256, 512), 256, 256, 16)
SMALL = Workload((16, 32), 64, 64, 16)
TWO = Finding(2, "NVIDIA X", "2026-11-23")


def test_a_finding_is_remembered_for_its_workload_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert remembered(home, MOUSE) is None
    remember(home, MOUSE, TWO)
    remember(home, SMALL, Finding(4, "NVIDIA X", "2026-11-24"))
    assert remembered(home, MOUSE) == TWO
    assert remembered(home, Workload((64, 128, 256, 512), 256, 256, 8)) is None
    remember(home, MOUSE, Finding(1, "NVIDIA Y", "2026-11-25"))
    assert remembered(home, MOUSE) == Finding(1, "NVIDIA Y", "2026-11-25")
    assert [path.name for path in home.iterdir()] == [FILE]


def test_another_machines_finding_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home folder may lie on a disk that several machines share."""
    remember(tmp_path, MOUSE, TWO)
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert remembered(tmp_path, MOUSE) is None


@pytest.mark.parametrize("text", ["", "{", "\x00", "[]", "7"])
def test_a_damaged_file_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert remembered(tmp_path, MOUSE) is None
    remember(tmp_path, MOUSE, TWO)
    assert remembered(tmp_path, MOUSE) == TWO


def test_a_finding_of_a_cluster_belongs_to_a_kind_of_gpu(tmp_path: Path) -> None:
    cluster = Notes(tmp_path, MOUSE, place="")
    found = Finding(3, "NVIDIA X", "2026-11-25", "a probe")
    cluster.of("NVIDIA X").write(found)
    assert cluster.of("NVIDIA X").read() == found
    assert cluster.of("NVIDIA Y").read() is None
    assert remembered(tmp_path, MOUSE) is None
    assert str(found) == "as a probe found on 2026-11-25 (NVIDIA X)"


def test_a_finding_of_an_older_version_is_bench_packs(tmp_path: Path) -> None:
    remember(tmp_path, MOUSE, TWO)
    path = tmp_path / FILE
    path.write_text(path.read_text().replace(',\n    "by": "`fre-hpo bench pack`"', ""))
    assert '"by"' not in path.read_text()
    assert remembered(tmp_path, MOUSE) == TWO


def test_an_engine_that_was_asked_for_is_another_workload(tmp_path: Path) -> None:
    remember(tmp_path, MOUSE, TWO)
    assert remembered(tmp_path, replace(MOUSE, engine="float32")) is None


# --- deciding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fewer", "more", "gained"),
    [
        ((1.0, 1.0, 1.0), (1.2, 1.3, 1.2), True),
        ((1.0, 1.0, 1.0), (1.01, 1.02, 1.01), False),  # faster, but by too little
        ((1.0, 1.3, 1.0), (1.2, 1.3, 1.2), False),  # within the noise
        ((1.0, 1.0, 1.0), (0.9, 0.8, 0.9), False),
        ((1.0, 1.0, 1.0), (1.05, 1.05, 1.05), True),
    ],
)
def test_company_must_pay(fewer: tuple[float, ...], more: tuple[float, ...], gained: bool) -> None:
    assert gains(fewer, more) is gained


def test_noise_alone_rarely_passes_for_a_gain() -> None:
    """Two numbers of trials that are equally fast, with windows that scatter by a fifth."""
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(0, 0.2, size=(4000, 2, WINDOWS))
    passed = np.mean([gains(list(fewer), list(more)) for fewer, more in drawn])
    assert 0.02 < passed < 0.06


GB = 1 << 30


@pytest.mark.parametrize(
    ("taken", "free", "before", "fits"),
    [
        (5 * GB, 18 * GB, None, True),
        (5 * GB, 8 * GB, 13 * GB, True),
        (5 * GB, 6 * GB, 12 * GB, False),  # nothing would be left over
        (20 * GB, 3 * GB, None, False),
        (5 * GB, 7 * GB, None, False),  # somebody else has much of it
        (3 * GB, 6 * GB, None, False),  # a context of its own is needed, too
        (3 * GB, 6 * GB, 9 * GB, True),  # the last one came with it, and took no more
    ],
)
def test_one_more_must_fit_with_room_to_spare(
    taken: int, free: int, before: int | None, fits: bool
) -> None:
    assert has_room(taken, free, 24 * GB, before) is fits


def extent(**changes: Any) -> Extent:
    mouse = Extent(trials=50, epochs=2000, seconds=None, parallel=None, gpus=1)
    return replace(mouse, **changes)


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({}, MOST),
        ({"parallel": 2}, 2),
        ({"parallel": 1}, 1),
        ({"gpus": 4, "parallel": 4}, 1),
        ({"gpus": 4, "parallel": 6}, 2),
        ({"trials": 3}, 3),
        ({"trials": 3, "gpus": 8}, 1),
    ],
)
def test_no_more_are_tried_than_may_come_to_share_a_gpu(changes: dict[str, Any], most: int) -> None:
    assert extent(**changes).most == most


def test_a_search_of_few_epochs_is_too_short_however_long_they_take() -> None:
    fewest = MOST * (1 + WINDOWS) * WORTH
    assert extent(trials=1 + MOST, epochs=fewest // (1 + MOST) - 1).is_too_short
    assert not extent(trials=10, epochs=fewest // 10).is_too_short
    assert extent(trials=10, epochs=fewest // 10, gpus=2).is_too_short


def test_how_long_a_search_lasts() -> None:
    assert extent().lasts(rate=10) == 10_000
    assert extent(gpus=4).lasts(rate=10) == 2_500
    assert extent(seconds=3600.0).lasts(rate=10) == 3_600


def test_how_long_a_whole_probe_takes() -> None:
    """12 s alone, and for 2, 3 and 4 at once 5 s to be warm and three windows, of an epoch at least."""
    assert probe_seconds(spent=12, prepared=5, window=2, rate=10, most=4) == 12 + 3 * (5 + 6)
    assert probe_seconds(spent=12, prepared=5, window=2, rate=0.5, most=3) == 12 + 5 + 12 + 5 + 18
