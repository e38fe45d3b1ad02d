"""The keys of a recipe: which there are, what they mean, and what a misspelt one may have meant."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_origin

from fre_hpo.data import DATASETS
from fre_hpo.methods import METHODS
from fre_hpo.study.spec import TABLES, Spec

_RECIPE_ONLY = {
    "title": "a line of text about the recipe, for people",
    "preset": "values named together: ando2021 is the paper as far as it is stated",
    "data.folder": "where the images lie, relative to the recipe",
}
WHOLE = {
    f"data.{name}"
    for source in DATASETS.values()
    for name, field in source.options.model_fields.items()
    if get_origin(field.annotation) is dict
}
"""Keys whose value is a table."""

_TRIALS = "trials wanted in all; the number of seeds where nothing is searched"


def known_keys(dataset: str | None) -> dict[str, str]:
    """Every dotted key with its meaning; the options of an unknown data set are left out."""
    described = dict(TABLES) if dataset not in DATASETS else _tables(dataset)
    keys = {
        name: str(Spec.model_fields[name].description) for name in ("dataset", "method", "seed")
    }
    for table, model in described.items():
        fields = model.model_fields.items()
        keys |= {f"{table}.{name}": str(field.description) for name, field in fields}
    for method in METHODS.values():
        keys |= {f"methods.{method.name}.{p.name}": p.meaning for p in method.parameters}
        keys[f"methods.{method.name}.trials"] = _TRIALS
    return keys | _RECIPE_ONLY


def _tables(dataset: str) -> dict[str, Any]:
    return {"data": DATASETS[dataset].options, **TABLES}


def flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of dotted key and value; an empty table comes as itself, and so does one that is a value."""
    for name, value in document.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and key not in WHOLE:
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def nearest_keys(key: str, method: str, known: Iterable[str]) -> str:
    """The hint behind an unknown key: keys that end in it, else of that last name, else similar."""
    candidates = [k for k in known if not k.startswith("methods.") or _mentions(k, method, key)]
    word = _last(key)
    found = (
        [k for k in known if "." in key and k.endswith(f".{key}")]
        or [k for k in candidates if _last(k) == word]
        or ("." in key and _similar(key.lower(), {k.lower(): k for k in candidates}))
        or _similar(word, {_last(k): k for k in candidates})
    )
    if not found:
        return "`fre-hpo start --dry-run` prints all keys"
    return f"did you mean {' or '.join(found[:2])}?"


def _mentions(candidate: str, method: str, key: str) -> bool:
    """Keys of other methods are suggested only to those who write methods themselves."""
    return key.startswith("methods.") or candidate.startswith(f"methods.{method}.")


def _last(key: str) -> str:
    return key.rpartition(".")[2].lower()


def _similar(word: str, known: Mapping[str, str]) -> list[str]:
    return [known[match] for match in difflib.get_close_matches(word, known, n=2, cutoff=0.6)]
