"""What reports and checkpoints cost a trial, measured with a training that sleeps."""

from __future__ import annotations

from importlib import import_module

from fre_hpo.bench.measures import LeftOut, Part
from fre_hpo.bench.setup import Setup, product_problem

NAME = "search-overhead"
ABOUT = "a trial whose epochs sleep, through the product's whole search, against the sleep alone"


def measure(setup: Setup) -> Part:
    """Left out where the product's dependencies are missing."""
    if problem := product_problem():
        return Part(NAME, ABOUT, "%", left_out=(LeftOut(NAME, problem),))
    part: Part = import_module("fre_hpo.bench.sleeping").measure(setup, NAME, ABOUT)
    return part
