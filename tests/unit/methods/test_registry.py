"""The registry of methods: what the command line reads, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fre_hpo.errors import UnknownMethod
from fre_hpo.methods import MAPS, METHODS, Parameter, get
from trials import PARAMETERS

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_papers_six_methods() -> None:
    assert set(METHODS) == set(PARAMETERS)
    assert {name: [p.name for p in method.parameters] for name, method in METHODS.items()} == {
        "baseline": [],
        "without-deep-layers": [],
        "supervision": ["lambda"],
        "dropout": ["B"],
        "fre": ["B", "X"],
        "fre-fixed": ["B", "X"],
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_method_is_found_by_its_name(name: str) -> None:
    assert get(name).name == name
    assert get(name).summary


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fre-fix", "did you mean fre-fixed"), ("xyz", "known are baseline, dropout")],
)
def test_an_unknown_method_is_refused_with_names(name: str, hint: str) -> None:
    with pytest.raises(UnknownMethod, match=hint):
        get(name)


def test_an_upper_bound_maps_is_the_networks_number_of_maps() -> None:
    assert Parameter("B", "int", 1, MAPS, 10, "").upper(512) == 512
    assert Parameter("X", "float", 1, 1e6, 10, "").upper(512) == 1e6


def test_only_the_method_without_deep_layers_cuts_the_network() -> None:
    cut = {name for name, method in METHODS.items() if method.widths((4, 8, 16)) != (4, 8, 16)}
    assert cut == {"without-deep-layers"}
    assert METHODS["without-deep-layers"].widths((4, 8, 16)) == (4, 8)


def test_the_registry_loads_no_torch() -> None:
    program = "import sys, fre_hpo.methods; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "False"
