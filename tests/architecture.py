"""The rules of the house, checked on the source: who imports whom, where heavy libraries live.

Every import statement counts, also inside functions and under TYPE_CHECKING: what a module knows
about is what its text says, whenever it is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# A part imports only from the rows below its own. "__init__" is the package's own front: the
# Python API, which offers the verbs of `service`.
STAIRCASE: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli"}),
    frozenset({"bench"}),
    frozenset({"__init__"}),
    frozenset({"service"}),
    frozenset({"scheduling", "results", "dashboard"}),
    frozenset({"inference"}),
    frozenset({"trial"}),
    frozenset({"training", "study"}),
    frozenset({"methods"}),
    frozenset({"data", "model"}),
    frozenset({"settings"}),
    frozenset({"errors"}),
)

HOMES: Mapping[str, frozenset[str]] = {
    "click": frozenset({"cli"}),
    "fsspec": frozenset({"study"}),
    "matplotlib": frozenset({"results"}),
    "onnx": frozenset({"inference"}),
    "onnxruntime": frozenset({"inference"}),
    "optuna": frozenset({"bench", "dashboard", "study"}),
    "optuna_dashboard": frozenset({"bench", "dashboard", "study"}),
    "plotly": frozenset({"results"}),
    "psycopg2": frozenset({"bench", "dashboard", "study"}),
    "ray": frozenset({"bench", "scheduling"}),
    "rich": frozenset({"cli"}),
    "scipy": frozenset({"results"}),
    "safetensors": frozenset({"inference"}),
    "sqlalchemy": frozenset({"bench", "dashboard", "study"}),
    "torch": frozenset({"bench", "inference", "methods", "model", "training", "trial"}),
    "waitress": frozenset({"dashboard"}),
}

EMPTY_NAMES = frozenset({"common", "helper", "helpers", "misc", "util", "utils"})


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its syntax tree, and whether it is a package's __init__."""

    name: str
    tree: ast.Module
    is_package: bool

    @property
    def part(self) -> str:
        """The part of the house it belongs to: the first name below the package."""
        names = self.name.split(".")
        return names[1] if len(names) > 1 else "__init__"


@dataclass(frozen=True)
class House:
    """All modules of one package by dotted name."""

    package: str
    modules: Mapping[str, Module]

    def owner(self, target: str) -> str | None:
        """The module that defines a dotted name; None if the name is of another package."""
        names = target.split(".")
        prefixes = (".".join(names[:length]) for length in range(len(names), 0, -1))
        return next((prefix for prefix in prefixes if prefix in self.modules), None)


def read_house(folder: Path) -> House:
    """Parse every module below a package's folder."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        names = (folder.name, *path.relative_to(folder).with_suffix("").parts)
        is_package = path.stem == "__init__"
        name = ".".join(names[:-1] if is_package else names)
        modules[name] = Module(name, ast.parse(path.read_text(encoding="utf-8")), is_package)
    return House(folder.name, modules)


def imported_names(module: Module) -> Iterator[str]:
    """Absolute dotted names of all that a module imports, however deep in its text."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(names=names):
                source = _source(module, node)
                yield from (f"{source}.{alias.name}" for alias in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(target)), *_]):
                if ast.unparse(function) in {
                    "__import__",
                    "import_module",
                    "importlib.import_module",
                }:
                    yield target


def _source(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name behind `from SOURCE import ...`, relative ones resolved."""
    if node.level == 0:
        assert node.module is not None
        return node.module
    names = module.name.split(".")
    above = node.level - 1 if module.is_package else node.level
    base = names[: len(names) - above]
    return ".".join([*base, node.module] if node.module else base)


def row_violations(house: House) -> list[str]:
    """Parts that stand on no row, and imports that do not lead downwards."""
    rows = {part: row for row, parts in enumerate(STAIRCASE) for part in parts}
    strangers = sorted({module.part for module in house.modules.values()} - rows.keys())
    found = [f"{house.package}/{part}: put it in the staircase" for part in strangers]
    for module, target in _own_imports(house):
        below = target.part == module.part or (
            rows.get(target.part, len(rows)) > rows.get(module.part, -1)
        )
        if not below:
            found.append(f"{module.name} imports {target.name}, which is not on a lower row")
    return found


def home_violations(house: House) -> list[str]:
    """Imports of a heavy library outside its home."""
    return [
        f"{module.name} imports {library}, whose home is {', '.join(sorted(HOMES[library]))}"
        for module in house.modules.values()
        for library in sorted(
            {name.split(".")[0] for name in imported_names(module)} & HOMES.keys()
        )
        if module.part not in HOMES[library]
    ]


def import_cycles(house: House) -> list[str]:
    """Every set of modules that import one another, each as one line."""
    graph: dict[str, set[str]] = {name: set() for name in house.modules}
    for module, target in _own_imports(house):
        if target.name != module.name:
            graph[module.name].add(target.name)
    reach = {name: _reachable(graph, name) for name in graph}
    cycles = {
        tuple(sorted({name} | {other for other in reach[name] if name in reach[other]}))
        for name in graph
        if name in reach[name]
    }
    return [" <-> ".join(cycle) for cycle in sorted(cycles)]


def naming_violations(house: House) -> list[str]:
    """Modules that do not say what they are for: no docstring, or a name that says nothing."""
    silent = [
        f"{module.name} has no docstring"
        for module in house.modules.values()
        if not ast.get_docstring(module.tree)
    ]
    nameless = [
        f"{name}: name it after what it does"
        for name in house.modules
        if name.rsplit(".", 1)[-1] in EMPTY_NAMES
    ]
    return silent + nameless


def _own_imports(house: House) -> Iterator[tuple[Module, Module]]:
    """Pairs of a module and a module of the same package that it imports."""
    for module in house.modules.values():
        for name in imported_names(module):
            owner = house.owner(name)
            if owner is not None:
                yield module, house.modules[owner]


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """All that can be reached from `start` in one step or more."""
    found: set[str] = set()
    front = set(graph[start])
    while front:
        found |= front
        front = {after for name in front for after in graph[name]} - found
    return found
