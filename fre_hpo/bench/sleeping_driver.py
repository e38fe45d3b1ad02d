"""A search whose trials sleep, on a Ray of its own; a process that is told whose search, and how large."""

from __future__ import annotations

import sys
from importlib import import_module

from fre_hpo.bench.driving import Order
from fre_hpo.scheduling.cluster import connected


def main() -> None:
    """Search, or go on where a search was killed.  Ray is set up before any module imports it."""
    order = Order.given()
    with connected(None) as machine:
        import_module(sys.argv[2]).search(order, machine.cpus)


if __name__ == "__main__":
    main()
