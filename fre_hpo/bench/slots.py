"""What a search loses of its workers' time between two trials: the whole product with trials that sleep."""

from __future__ import annotations

from statistics import median

from fre_hpo.bench.driving import OURS, Drive, Order, drive
from fre_hpo.bench.measures import Figure, LeftOut, Part
from fre_hpo.bench.setup import Setup, product_problem
from fre_hpo.bench.sleeping import CHECKPOINT_SECONDS, WIDTHS
from fre_hpo.bench.stamps import Slots, account, read

WORKERS, TRIALS = 8, 64
TINY_WORKERS, TINY_TRIALS = 2, 4
GOAL = "under 2 for trials of 60 s"


def measure(setup: Setup) -> Part:
    """Trials of as many seconds as a comparison is timed, with an epoch a second."""
    order = _order(setup)
    length = order.epochs * order.epoch_seconds
    about = (
        f"{order.trials} trials of {length:g} s on {order.parallel} workers of this machine, an epoch "
        f"a second, widths {order.widths}: from a slot's last epoch to its next first one"
    )
    if problem := product_problem():
        return Part("slots", about, "%", left_out=(LeftOut("slots", problem),))
    found = drive(OURS, order)
    if found.told is None:
        return Part("slots", about, "%", left_out=(LeftOut("slots", found.said),))
    slots = account(read(order.stamps), order.parallel)
    return Part("slots", about, "%", figures=_figures(found, order, slots))


def _figures(found: Drive, order: Order, slots: Slots) -> tuple[Figure, ...]:
    assert found.told is not None
    epochs = order.trials * order.epochs
    return (
        Figure("lost, of the trials' time", 100 * slots.overhead, "%", GOAL),
        Figure("median between two trials of a slot", median(slots.lost), "s"),
        Figure("longest", max(slots.lost), "s"),
        Figure("the whole search, with the start of 8 workers", found.seconds, "s"),
        Figure("CPU of the coordinator", found.told["cpu_seconds"], "s"),
        Figure("of it for each epoch", 1000 * found.told["cpu_seconds"] / epochs, "ms"),
    )


def _order(setup: Setup) -> Order:
    seconds = 0.2 if setup.tiny else 1.0
    length = max(setup.seconds, 1.0)
    return Order(
        folder=str(setup.folder / "slots"),
        trials=TINY_TRIALS if setup.tiny else TRIALS,
        epochs=max(round(length / seconds), 2),
        epoch_seconds=seconds,
        parallel=TINY_WORKERS if setup.tiny else WORKERS,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        widths=setup.shape.widths if setup.tiny else WIDTHS,
    )
