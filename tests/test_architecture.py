"""The package keeps the rules of the house - and the checker notices when it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from architecture import (
    HOMES,
    STAIRCASE,
    House,
    home_violations,
    import_cycles,
    naming_violations,
    read_house,
    row_violations,
)

PACKAGE = Path(__file__).resolve().parents[1] / "fre_hpo"


@pytest.fixture(scope="module")
def house() -> House:
    return read_house(PACKAGE)


def test_every_module_is_read(house: House) -> None:
    assert len(house.modules) == len(list(PACKAGE.rglob("*.py"))) > 10


def test_a_part_imports_only_lower_rows(house: House) -> None:
    assert row_violations(house) == []


def test_heavy_libraries_stay_in_their_homes(house: House) -> None:
    assert home_violations(house) == []


def test_no_modules_import_one_another(house: House) -> None:
    assert import_cycles(house) == []


def test_every_module_says_what_it_is_for(house: House) -> None:
    assert naming_violations(house) == []


def test_the_command_line_loads_no_heavy_library() -> None:
    """`fre-hpo --help` answers at once; torch alone takes seconds to load."""
    assert (PACKAGE / "cli.py").is_file() or (PACKAGE / "cli").is_dir(), "fre_hpo.cli is missing"
    program = "import json, sys, fre_hpo.cli; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert set(json.loads(result.stdout)).isdisjoint({"optuna", "ray", "torch"})


def test_homes_are_parts_of_the_house() -> None:
    parts = frozenset().union(*STAIRCASE)
    assert sum(len(row) for row in STAIRCASE) == len(parts)
    assert frozenset().union(*HOMES.values()) <= parts


def build(folder: Path, sources: dict[str, str]) -> House:
    """A small package `tree`; keys are dotted names below it, values the modules' text.

    A name that stands before another one's dot is a package.
    """
    for name, source in {"": "", **sources}.items():
        is_package = any(other.startswith(f"{name}.") for other in sources) or not name
        parts = [part for part in name.split(".") if part]
        base = folder.joinpath("tree", *parts)
        path = base / "__init__.py" if is_package else base.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""Doc."""\n{source}\n', encoding="utf-8")
    return read_house(folder / "tree")


IMPORTS_OF_STUDY = [
    "import tree.study",
    "import tree.study.recipe as recipe",
    "from tree import study",
    "from tree.study import Recipe",
    "from tree.study.recipe import Recipe",
    "from . import study",
    "from .study import Recipe",
    "from .study.recipe import Recipe",
    "def later():\n    from tree.study import Recipe",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tree.study import Recipe",
    "import importlib\nimportlib.import_module('tree.study')",
]


@pytest.mark.parametrize("statement", IMPORTS_OF_STUDY)
def test_an_import_upwards_is_found_in_every_form(tmp_path: Path, statement: str) -> None:
    house = build(tmp_path, {"study.recipe": "", "study": "", "settings": statement})
    (found,) = row_violations(house)
    assert found.startswith("tree.settings imports tree.study")


@pytest.mark.parametrize("statement", IMPORTS_OF_STUDY)
def test_an_import_downwards_is_allowed_in_every_form(tmp_path: Path, statement: str) -> None:
    house = build(tmp_path, {"study.recipe": "", "study": "", "trial": statement})
    assert row_violations(house) == []


def test_relative_imports_are_followed_out_of_a_package(tmp_path: Path) -> None:
    house = build(tmp_path, {"trial": "", "data": "from ..trial import Job", "data.mouse": ""})
    assert row_violations(house) == ["tree.data imports tree.trial, which is not on a lower row"]
    house = build(tmp_path, {"trial": "", "data": "", "data.mouse": "from .. import trial"})
    assert row_violations(house) == [
        "tree.data.mouse imports tree.trial, which is not on a lower row"
    ]


def test_parts_of_one_row_do_not_import_one_another(tmp_path: Path) -> None:
    house = build(tmp_path, {"data": "", "model": "import tree.data"})
    assert row_violations(house) == ["tree.model imports tree.data, which is not on a lower row"]


def test_modules_of_one_part_may_import_one_another(tmp_path: Path) -> None:
    house = build(tmp_path, {"data": "", "data.mouse": "from tree.data import images"})
    assert row_violations(house) == []


def test_lower_parts_do_not_import_the_front_of_the_package(tmp_path: Path) -> None:
    house = build(tmp_path, {"study": "from tree import __version__"})
    assert row_violations(house) == ["tree.study imports tree, which is not on a lower row"]


def test_an_unknown_part_is_refused_whatever_it_imports(tmp_path: Path) -> None:
    house = build(tmp_path, {"plugins": "", "plugins.first": "", "errors": "import tree.plugins"})
    assert row_violations(house) == ["tree/plugins: put it in the staircase"]


@pytest.mark.parametrize(
    "statement",
    [
        "import torch",
        "import torch.nn as nn",
        "from torch.nn import functional as F",
        "def later():\n    import torch",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor",
        "from importlib import import_module\nimport_module('torch')",
    ],
)
def test_a_heavy_library_away_from_home_is_found(tmp_path: Path, statement: str) -> None:
    house = build(tmp_path, {"data": "", "data.mouse": statement, "model": statement})
    (found,) = home_violations(house)
    assert found.startswith("tree.data.mouse imports torch, whose home is bench, inference")


def test_a_module_named_like_a_library_is_no_library(tmp_path: Path) -> None:
    assert home_violations(build(tmp_path, {"data": "from . import torch", "data.torch": ""})) == []


def test_cycles_are_found_also_over_three_modules_and_inside_functions(tmp_path: Path) -> None:
    house = build(
        tmp_path,
        {
            "study.a": "from tree.study import b",
            "study.b": "from .c import name",
            "study.c": "def later():\n    import tree.study.a",
            "study.d": "import tree.study.a",
        },
    )
    assert import_cycles(house) == ["tree.study.a <-> tree.study.b <-> tree.study.c"]


def test_a_package_that_offers_its_modules_names_is_no_cycle(tmp_path: Path) -> None:
    house = build(
        tmp_path,
        {
            "study": "from tree.study.a import name",
            "study.a": "from tree.study import b",
            "study.b": "",
        },
    )
    assert import_cycles(house) == []


def test_a_module_that_imports_its_own_package_back_is_a_cycle(tmp_path: Path) -> None:
    house = build(
        tmp_path,
        {"study": "from tree.study.a import name", "study.a": "from tree.study import other"},
    )
    assert import_cycles(house) == ["tree.study <-> tree.study.a"]


def test_a_missing_docstring_and_an_empty_name_are_found(tmp_path: Path) -> None:
    house = build(tmp_path, {"data": "", "data.utils": ""})
    (tmp_path / "tree" / "errors.py").write_text("x = 1\n")
    house = read_house(tmp_path / "tree")
    assert naming_violations(house) == [
        "tree.errors has no docstring",
        "tree.data.utils: name it after what it does",
    ]
