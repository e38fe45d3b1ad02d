"""From a recipe (TOML) and what the command line adds to the spec of one method.

A value comes from the first of these that has it: ``--set`` and flags; a preset named by ``--set``;
the recipe's own keys; a preset named in the recipe; the default.  Whatever is wrong with any of
them is told in one list.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fre_hpo import methods
from fre_hpo.data import DATASETS
from fre_hpo.data.finding.folder import recipe_name
from fre_hpo.errors import (
    BadValue,
    FolderNotRecipe,
    FreHpoError,
    UnknownDataset,
    UnknownKey,
    UnreadableRecipe,
    UsageError,
    nearest,
    together,
)
from fre_hpo.study.checks import (
    Given,
    check_options,
    check_parameters,
    check_settings,
    check_texts,
    check_trials,
)
from fre_hpo.study.keys import flat, known_keys, nearest_keys
from fre_hpo.study.space import written
from fre_hpo.study.spec import Spec

PRESETS: dict[str, dict[str, Any]] = {
    "ando2021": {
        "model.norm": "batch_renorm",
        "training.eval_bn": "running",
        "training.class_weights": "none",
        "sampler.multivariate": False,
        "sampler.constant_liar": False,
        "methods.fre.B": "1..maps",
        "methods.fre.X": "1..1000",
    }
}
"""ando2021: the paper as far as it is stated (design 3.11)."""

ELSEWHERE = {
    "dataset": "choose the data set with --dataset",
    "data.folder": "choose the folder with --data-dir",
    "title": "write it into the recipe",
}
"""Keys of a recipe that ``--set`` does not take, and what to do instead."""


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was written, not yet checked.

    source: its file; None for a data set of the registry that has no recipe, which then consists of
    defaults.  name: what a study is called after.
    """

    name: str
    source: Path | None
    document: dict[str, Any]

    @property
    def spoken(self) -> str:
        """What ``--dataset`` takes, from any folder: the name, or the file of a user's own."""
        is_users_own = self.source is not None and self.source not in shipped().values()
        return str(self.source.resolve()) if self.source and is_users_own else self.name

    @property
    def title(self) -> str:
        return str(self.document.get("title", ""))

    @property
    def folder(self) -> Path | None:
        """The recipe's own data folder, which is relative to the recipe."""
        table = self.document.get("data")
        folder = table.get("folder") if isinstance(table, dict) else None
        if not isinstance(folder, str) or self.source is None:
            return None
        return (self.source.parent / os.path.expanduser(folder)).resolve()  # noqa: PTH111


@dataclass(frozen=True)
class Resolved:
    """origins: for every dotted key that was given, by what; the others have their default."""

    spec: Spec
    trials: int
    origins: dict[str, str]


def shipped() -> dict[str, Path]:
    """The recipes that come with the product: inside the installed package, else beside it."""
    package = Path(__file__).parents[1]
    inside = package / "studies"
    folder = inside if inside.is_dir() else package.parent / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(dataset: str) -> Recipe:
    """The recipe of that name or file; raises UnknownDataset, FolderNotRecipe or
    UnreadableRecipe."""
    recipes = shipped()
    if dataset in recipes:
        return read(recipes[dataset])
    if dataset.endswith(".toml"):
        return read(Path(dataset))
    if dataset in DATASETS:
        return Recipe(dataset, None, {"dataset": dataset})
    if Path(dataset).expanduser().is_dir():
        raise FolderNotRecipe(folder=dataset)
    if os.sep in dataset:
        return read(Path(dataset))
    raise UnknownDataset(name=dataset, hint=nearest(dataset, {*recipes, *DATASETS}))


def read(path: Path) -> Recipe:
    """Read a recipe's file; raises UnreadableRecipe, with the line where one is to blame."""
    try:
        content = path.read_bytes()
        document = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        reason = f"{error.strerror or error}; the recipes shipped are {', '.join(shipped())}"
        raise UnreadableRecipe(path=path, reason=reason) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableRecipe(path=path, reason=f"line {line} is not UTF-8 text") from None
    except ValueError as error:
        raise UnreadableRecipe(path=path, reason=f"it is not TOML: {error}") from None
    except RecursionError:
        raise UnreadableRecipe(path=path, reason="its values are nested too deeply") from None
    return Recipe(recipe_name(path.stem), path, document)


def parse_set(
    items: Sequence[str], flag: str = "--set", example: str = "training.epochs=40"
) -> dict[str, Any]:
    """Read ``KEY=VALUE`` items: TOML values, bare commas make a list, any other bare word is text.

    Of a key given twice the last value counts.  Raises UsageError or UsageProblems.
    """
    readable = [item.encode(errors="replace").decode() for item in items]  # may be no UTF-8
    pairs = [(item, *item.partition("=")) for item in readable]
    problems = [
        UsageError(problem=f"{flag} takes KEY=VALUE, such as {example}, and not {item!r}.")
        for item, key, equals, _ in pairs
        if not (key.strip() and equals)
    ]
    if problems:
        raise together(problems)
    return {key.strip(): _value(text.strip()) for _, key, _, text in pairs}


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        document = {}
    if document.keys() == {"value"}:
        return document["value"]
    if "," in text:
        return [_value(part.strip()) for part in text.split(",")]
    return text


def resolve(recipe: Recipe, method: str, overrides: Mapping[str, Any]) -> Resolved:
    """The spec of one method, and the trials that are wanted of it.

    overrides: as ``parse_set`` gives them; the bare name of one of the method's parameters will do.
    Raises UnknownMethod, or the UsageError of the only problem, or UsageProblems with all of them.
    """
    methods.get(method)
    problems: list[FreHpoError] = []
    dataset = _dataset(recipe, problems)
    given = _merge(recipe, dataset, method, overrides, problems)
    problems += check_texts(given)
    settings = check_settings(given, problems)
    options = check_options(dataset, given, problems) if dataset else {}
    parameters = check_parameters(method, given, problems)
    trials = check_trials(method, given, problems)
    if settings is None or dataset is None or problems:
        raise together(problems)
    spec = Spec(
        **dict(settings), dataset=dataset, data=options, method=method, parameters=parameters
    )
    return Resolved(spec, trials, {key: value.origin for key, value in given.items()})


def table(spec: Spec, origins: Mapping[str, str] | None = None) -> list[tuple[str, str, str, str]]:
    """Key, value, origin and meaning of everything in a spec, for people to read."""
    meanings = known_keys(spec.dataset)
    return [
        (key, written(value), (origins or {}).get(key, "default"), meanings[key])
        for key, value in spec.flat().items()
    ]


def _dataset(recipe: Recipe, problems: list[FreHpoError]) -> str | None:
    name = recipe.document.get("dataset")
    if name is None:
        hint = f'add a line such as dataset = "{next(iter(DATASETS))}"'
        problems.append(
            UsageError(problem=f"The recipe {recipe.source} does not name its data set: {hint}.")
        )
    elif not isinstance(name, str) or name not in DATASETS:
        problems.append(UnknownDataset(name=name, hint=nearest(str(name), DATASETS)))
    else:
        return name
    return None


def _merge(
    recipe: Recipe,
    dataset: str | None,
    method: str,
    overrides: Mapping[str, Any],
    problems: list[FreHpoError],
) -> dict[str, Given]:
    """Every known key that was given, each value from the strongest layer that has it."""
    where = f" (in {recipe.source})"
    own = {k: Given(v, f"recipe {recipe.name}", where) for k, v in flat(recipe.document)}
    asked = {k: Given(v, "command line") for k, v in flat(_full(overrides, method))}
    known = known_keys(dataset)
    del known["method"]  # chosen by its flag: a recipe serves all methods
    if dataset is None:
        known |= {key: "" for key in [*own, *asked] if key.startswith("data.")}
    for key, given in [*own.items(), *asked.items()]:
        if key not in known and not _is_empty_table(key, given.value, known):
            hint = nearest_keys(key, method, known) + given.where
            problems.append(UnknownKey(key=key, hint=hint))
    problems += [
        UsageError(problem=f"--set does not take {key}: {hint}.")
        for key, hint in ELSEWHERE.items()
        if key in asked
    ]
    layers = (_preset(own, problems), own, _preset(asked, problems), asked)
    return {key: value for layer in layers for key, value in layer.items() if key in known}


def _is_empty_table(key: str, value: object, known: Iterable[str]) -> bool:
    return value == {} and any(name.startswith(f"{key}.") for name in known)


def _full(overrides: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The bare name of one of the method's parameters stands for its full key."""
    bare = {parameter.name for parameter in methods.get(method).parameters}
    return {
        f"methods.{method}.{key}" if key in bare else key: value for key, value in overrides.items()
    }


def _preset(layer: Mapping[str, Given], problems: list[FreHpoError]) -> dict[str, Given]:
    """The values of the preset that a layer names, if it names one."""
    if "preset" not in layer:
        return {}
    name, where = layer["preset"].value, layer["preset"].where
    if not isinstance(name, str) or name not in PRESETS:
        reason = f"known are {', '.join(PRESETS)}{where}"
        problems.append(BadValue(key="preset", value=written(name), reason=reason))
        return {}
    return {key: Given(value, f"preset {name}") for key, value in PRESETS[name].items()}
