"""What the README says exists, and what exists is in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploying import FLAG, verbs
from fre_hpo.data import DATASETS
from fre_hpo.methods import METHODS
from fre_hpo.study import recipe
from fre_hpo.study.keys import known_keys

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_key_is_documented(dataset: str) -> None:
    for key in known_keys(dataset):
        if not key.startswith("methods.") and key != "method":
            name = f"`{key}` ({dataset})" if key in _options(dataset) else f"`{key}`"
            assert name in README, f"the README does not document {name}"


def _options(dataset: str) -> set[str]:
    return {f"data.{name}" for name in DATASETS[dataset].options.model_fields}


def test_every_method_recipe_and_verb_is_named() -> None:
    for name in METHODS:
        assert f"`{name}`" in README
    for name in [*recipe.shipped(), *DATASETS]:
        assert name in README
    for verb in ("start", "status", "trials", "best"):
        assert f"fre-hpo {verb}" in README


def test_every_flag_it_mentions_exists() -> None:
    known = {flag for _, verb in verbs() for parameter in verb.params for flag in parameter.opts}
    others = (".venv/bin/pytest", "tests/benchmarks/")
    ours = [line for line in README.splitlines() if not any(other in line for other in others)]
    assert set(FLAG.findall("\n".join(ours))) <= known


def test_its_links_and_pictures_are_there() -> None:
    root = Path(__file__).parents[1]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (root / target).exists(), target
