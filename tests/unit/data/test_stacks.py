"""Stacks: neighbouring pages are near copies, so a random split must not divide them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import labs
from fre_hpo import data
from fre_hpo.data.pairs import Options

LABELS = {"background": 0, "membrane": 1, "nucleus": 2}


def draw_stacks(folder: Path, count: int, pages: int = 4) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        drawn = list(labs.cells(pages, 32, 40, seed=number))
        for part, chosen in zip(("images", "masks"), zip(*drawn, strict=True), strict=True):
            path = folder / part / f"embryo{number}.tif"
            tifffile.imwrite(path, np.stack(chosen), photometric="minisblack")
    return folder


def stacks_of(split: data.Split) -> set[str]:
    return {source.partition("[")[0] for source in split.sources}


@pytest.mark.parametrize("seed", range(5))
def test_a_random_split_divides_no_stack(tmp_path: Path, seed: int) -> None:
    folder = draw_stacks(tmp_path / "set", 6)
    found = data.load("pairs", folder, Options(labels=LABELS, split_seed=seed))
    seen = [stacks_of(split) for split in found.splits.values()]
    assert sum(map(len, seen)) == 6
    assert len(set.union(*seen)) == 6
    assert sum(map(len, found.splits.values())) == 24


def test_the_pages_of_one_stack_are_divided_in_order(tmp_path: Path) -> None:
    folder = draw_stacks(tmp_path / "set", 1, pages=12)
    found = data.load("pairs", folder, Options(labels=LABELS, split="order"))
    names = [source for split in found.splits.values() for source in split.sources]
    assert names == [f"embryo0.tif[{page}]" for page in range(1, 13)]
    assert found.remarks == ()


def test_dividing_one_stack_at_random_is_said_to_leak(tmp_path: Path) -> None:
    folder = draw_stacks(tmp_path / "set", 1, pages=12)
    (remark,) = data.load("pairs", folder, Options(labels=LABELS)).remarks
    assert 'set data.split = "order"' in remark
