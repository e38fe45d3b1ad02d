"""The references learn what ours learns, from the same pictures: only the engineering differs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from fre_hpo.bench import ours
from fre_hpo.bench.array import Convolution, convolutions
from fre_hpo.bench.fixed import LEARNING, STATISTICS, TimedEngine, TimedTraining
from fre_hpo.bench.reference import R0, Reference, Style
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.shapes import SHAPES, SPLITS, draw, load
from fre_hpo.bench.step import flops_of_step
from fre_hpo.training.engine import PLAIN, choose

CPU = torch.device("cpu")
TINY = SHAPES["tiny"]
EPOCHS = 6

# DataLoader forks its workers, as a user's script does; Python 3.12 warns of threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw(TINY, folder)
    return folder


def reference(style: Style, pictures: Path, out: Path) -> Reference:
    out.mkdir()
    return Reference(TINY, style, CPU, pictures, out)


def test_pictures_are_drawn_as_the_shape_says(pictures: Path) -> None:
    for split in SPLITS:
        drawn = load(pictures, split)
        assert len(drawn) == getattr(TINY, split)
        assert drawn.images.shape[1:] == (TINY.channels, TINY.height, TINY.width)
        assert 0 <= drawn.images.min() < drawn.images.max() <= 1
    assert set(np.unique(load(pictures, "train").labels)) == set(range(TINY.classes))


def test_the_reference_learns_what_ours_learns(pictures: Path, tmp_path: Path) -> None:
    """Compared by running statistics: the reference has no others."""
    torch.manual_seed(0)
    theirs = reference(R0, pictures, tmp_path / "out")
    found = [theirs.epoch() for _ in range(EPOCHS)]
    theirs.close()
    rows = list(ours.training(TINY, pictures, choose("auto", CPU), CPU, epochs=EPOCHS).run())
    losses = [row.loss for row in rows]
    assert losses[-1] < 0.85 * losses[0]
    assert [loss for loss, _ in found] == pytest.approx(losses, abs=0.05)
    assert found[-1][1] == pytest.approx(rows[-1].miou_running, abs=0.15)


def test_a_user_saves_the_best_weights_and_reports_each_epoch(
    pictures: Path, tmp_path: Path
) -> None:
    theirs = reference(R0, pictures, tmp_path / "out")
    miou = max(theirs.epoch()[1] for _ in range(2))
    theirs.close()
    with closing(sqlite3.connect(tmp_path / "out" / "reports.db")) as database:
        rows = database.execute("SELECT epoch, miou FROM report").fetchall()
    assert [epoch for epoch, _ in rows] == [1, 2]
    assert max(miou for _, miou in rows) == miou
    saved = torch.load(tmp_path / "out" / "best.pt", weights_only=True)
    assert saved.keys() == theirs.network.state_dict().keys()


def test_a_step_of_all_arms_is_the_same_step(pictures: Path, tmp_path: Path) -> None:
    """In float32 the losses agree; the tuned reference differs by its number format."""
    images, labels = ours.batch(TINY, CPU)
    plain = ours.Step(TINY, PLAIN, CPU)
    losses = []
    for name, style in {"R0": R0, "tuned": Style("tuned", tuned=True, compiled=False)}.items():
        theirs = reference(style, pictures, tmp_path / name)
        theirs.network.bottleneck.load_state_dict(plain.network.bottleneck.state_dict())
        theirs.slots.start_epoch(1)
        losses.append([theirs.step(images, labels).item() for _ in range(2)])
        theirs.close()
    own = [plain().item() for _ in range(2)]
    assert losses[0] == pytest.approx(own, rel=1e-5)
    assert losses[1] == pytest.approx(own, rel=0.05)


def test_timing_an_epoch_changes_nothing_of_it(pictures: Path) -> None:
    engine = TimedEngine.of(PLAIN)
    timed = ours.training(TINY, pictures, engine, CPU, epochs=2, kind=TimedTraining)
    untimed = ours.training(TINY, pictures, PLAIN, CPU, epochs=2)
    seconds = sum(row.seconds for row in timed.run())
    assert [row.loss for row in timed.curve] == [row.loss for row in untimed.run()]
    assert set(engine.watch.seconds) == {LEARNING, STATISTICS, "evaluation"}
    assert 0.3 * seconds < sum(engine.watch.seconds.values()) < seconds


def test_the_convolutions_of_the_array_form_are_the_networks() -> None:
    found = convolutions(TINY)
    assert found[Convolution(1, 8, 3, 64, 64)] == 1
    assert found[Convolution(32, 32, 3, 16, 16)] == 1
    assert found[Convolution(8, 8, 3, 64, 64)] == 2
    assert found.total() == 10


def test_the_operations_of_a_step_are_three_forward_passes(tmp_path: Path) -> None:
    """Backward computes two gradients for each layer; the first layer needs none of its input."""
    setup = Setup(TINY, CPU, "", 1.0, True, tmp_path)
    forward = (
        2
        * TINY.batch
        * sum(
            count * c.inputs * c.outputs * c.kernel**2 * c.height * c.width
            for c, count in convolutions(TINY).items()
        )
    )
    assert 2.5 * forward < flops_of_step(setup) < 3.5 * forward
