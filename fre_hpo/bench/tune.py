"""Side by side with Ray Tune and OptunaSearch: slots that stand idle, and what a killed driver costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.util import find_spec

from fre_hpo.bench.driving import OURS, TUNE, Drive, Order, drive
from fre_hpo.bench.measures import Figure, LeftOut, Part
from fre_hpo.bench.setup import Setup, product_problem
from fre_hpo.bench.sleeping import WIDTHS
from fre_hpo.bench.stamps import Slots, Stamp, account, read, trained_again

NEEDED = ("pandas", "pyarrow", "tensorboardX")
"""What ``ray[tune]`` adds to Ray."""
NAMES = {OURS: "ours", TUNE: "Ray Tune"}
WORKERS, TRIALS = 4, 16
TINY_WORKERS, TINY_TRIALS = 2, 4
QUIET_SECONDS = 5.0
"""So long no worker writes after its driver was killed, and all have ended."""


@dataclass(frozen=True)
class Side:
    """What became of one search: unbroken, and killed in its middle and started again."""

    name: str
    unbroken: Drive
    slots: Slots
    before: int
    again: Drive
    stamps: list[Stamp]


def measure(setup: Setup) -> Part:
    """The same trials, epochs, checkpoints, sampler and resources for both."""
    order = _order(setup)
    about = (
        f"{order.trials} trials of {order.epochs} epochs of {order.epoch_seconds:g} s on "
        f"{order.parallel} workers of this machine, widths {order.widths}, a checkpoint every "
        f"{order.checkpoint_seconds:g} s; unbroken, and with the driver killed (SIGKILL) in the middle "
        "and started again"
    )
    missing = [name for name in NEEDED if find_spec(name) is None]
    problem = product_problem() or (f"needs {', '.join(missing)}: pip install 'ray[tune]'")
    if product_problem() or missing:
        return Part("tune", about, "s", left_out=(LeftOut("tune", problem),))
    sides = [_side(order, whose) for whose in (OURS, TUNE)]
    figures = [figure for side in sides for figure in _figures(side, order)]
    notes = [note for side in sides for note in _notes(side)]
    return Part("tune", about, "s", figures=tuple(figures), notes=tuple(notes))


def _side(order: Order, whose: str) -> Side:
    whole = replace(order, folder=f"{order.folder}-{NAMES[whose].split()[-1]}")
    unbroken = drive(whose, whole)
    slots = account(read(whole.stamps), order.parallel)
    broken = replace(whole, folder=f"{whole.folder}-killed")
    half = order.trials * order.epochs // 2
    drive(whose, broken, until=lambda: len(read(broken.stamps)) >= half)
    before = _settled(broken)
    again = drive(whose, replace(broken, again=True))
    return Side(NAMES[whose], unbroken, slots, before, again, read(broken.stamps))


def _settled(order: Order) -> int:
    """Epochs that were trained when the last worker ended."""
    count = -1
    while count != len(read(order.stamps)):
        count = len(read(order.stamps))
        time.sleep(QUIET_SECONDS)
    return count


def _figures(side: Side, order: Order) -> list[Figure]:
    complete = (side.again.told or {"states": {}})["states"].get("COMPLETE", 0)
    each = len(side.slots.lost)
    return [
        Figure(f"{side.name}: the whole search", side.unbroken.seconds, "s"),
        Figure(f"{side.name}: slot-seconds lost a trial", sum(side.slots.lost) / max(each, 1), "s"),
        Figure(f"{side.name}: killed after so many epochs", side.before, "epochs"),
        Figure(f"{side.name}: restored", int(side.again.told is not None), "yes = 1"),
        Figure(f"{side.name}: complete in the end", complete, f"trials of {order.trials}"),
        Figure(f"{side.name}: trained again", trained_again(side.stamps), "epochs"),
        Figure(
            f"{side.name}: trained in all",
            len(side.stamps),
            f"epochs for {order.trials * order.epochs}",
        ),
    ]


def _notes(side: Side) -> list[str]:
    """Why a search did not come to its end."""
    drives = {"unbroken": side.unbroken, "started again": side.again}
    return [
        f"{side.name}, {how}, ended with code {ended.code}: {ended.said}"
        for how, ended in drives.items()
        if ended.told is None
    ]


def _order(setup: Setup) -> Order:
    length = max(setup.seconds, 1.0)
    seconds = 0.2 if setup.tiny else 0.5
    return Order(
        folder=str(setup.folder / "tune"),
        trials=TINY_TRIALS if setup.tiny else TRIALS,
        epochs=max(round(length / seconds), 4),
        epoch_seconds=seconds,
        parallel=TINY_WORKERS if setup.tiny else WORKERS,
        checkpoint_seconds=length / 4,
        widths=setup.shape.widths if setup.tiny else WIDTHS,
    )
