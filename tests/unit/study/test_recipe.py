"""Recipes: finding and reading them, what overrides what, and every refusal's sentence."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.data import DATASETS
from fre_hpo.errors import (
    BadValue,
    FolderNotRecipe,
    UnknownDataset,
    UnknownKey,
    UnknownMethod,
    UnreadableRecipe,
    UsageError,
    UsageProblems,
)
from fre_hpo.methods import METHODS
from fre_hpo.study import recipe
from fre_hpo.study.recipe import Recipe, Resolved, find, parse_set, resolve, shipped, table
from fre_hpo.study.space import Fixed, Range
from fre_hpo.study.spec import Spec, TrainingSpec

LOG_B = Range(1, 64, log=True, integer=True)
SMALL = "[model]\nwidths = [8, 16, 32, 64]\n"


def write(folder: Path, text: str, name: str = "mine.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def resolved(folder: Path, text: str, *items: str, method: str = "fre") -> Resolved:
    """The spec of a phantom recipe with so many more lines and ``--set`` items."""
    found = find(write(folder, f'dataset = "phantom"\n{text}'))
    return resolve(found, method, parse_set(items))


def problems(folder: Path, text: str, *items: str, method: str = "fre") -> list[str]:
    """What is wrong, with the recipe's own path left out."""
    with pytest.raises((UsageError, UsageProblems)) as caught:
        resolved(folder, text, *items, method=method)
    assert caught.value.exit_code == 2
    found = getattr(caught.value, "problems", [str(caught.value)])
    return [problem.replace(f"{folder}{os.sep}", "") for problem in found]


# --- the shipped recipes ------------------------------------------------------------------------


def test_shipped_recipes() -> None:
    assert set(shipped()) == {"drosophila", "drosophila-quick", "mouse", "phantom"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_serves_every_method(name: str, method: str) -> None:
    found = find(name)
    assert found.name == name
    assert found.title
    for overrides in ({}, {"preset": "ando2021"}):
        answer = resolve(found, method, overrides)
        assert answer.trials >= 1
        assert answer.spec.dataset in DATASETS
        assert Spec.from_json(answer.spec.to_json()) == answer.spec


def test_the_papers_numbers() -> None:
    mouse = {method: resolve(find("mouse"), method, {}) for method in METHODS}
    assert {method: answer.trials for method, answer in mouse.items()} == {
        "baseline": 1,
        "without-deep-layers": 1,
        "supervision": 15,
        "dropout": 1,
        "fre": 50,
        "fre-fixed": 1,
    }
    assert mouse["fre"].spec.searched == {
        "B": Range(1, 512, log=True, integer=True),
        "X": Range(1.0, 1000.0, log=True, integer=False),
    }
    assert mouse["dropout"].spec.fixed == {"B": 162}
    assert mouse["fre-fixed"].spec.fixed == {"B": 10, "X": 10_000.0}
    assert mouse["fre"].spec.training == TrainingSpec(class_weights="sqrt")
    assert mouse["fre"].spec.data == {
        "normalise": "percentile",
        "scale": 1.0,
        "test": 10,
        "tile": 0,
        "train": 35,
        "validation": 5,
    }
    assert resolve(find("drosophila"), "dropout", {}).spec.fixed == {"B": 8}


def test_a_full_recipe_repeats_the_defaults() -> None:
    """Its tags speak of the defaults, too: no other value may stray from them unnoticed."""
    for name, own in (("mouse", {"training.class_weights": "sqrt"}), ("drosophila", {})):
        bare = Recipe(name, None, {"dataset": name})
        for method in sorted(METHODS.keys() - {"dropout"}):
            assert resolve(find(name), method, {}).spec == resolve(bare, method, own).spec


def test_the_installed_package_brings_its_own_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("fre_hpo/study", "fre_hpo/studies", "studies"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path / "studies", "", "beside.toml")
    monkeypatch.setattr(recipe, "__file__", str(tmp_path / "fre_hpo" / "study" / "recipe.py"))
    write(tmp_path / "fre_hpo/studies", "", "inside.toml")
    assert list(shipped()) == ["inside"]
    (tmp_path / "fre_hpo/studies/inside.toml").unlink()
    (tmp_path / "fre_hpo/studies").rmdir()
    assert list(shipped()) == ["beside"]


def test_reading_a_recipe_loads_no_heavy_library() -> None:
    code = (
        "import sys; from fre_hpo.study import recipe;"
        "recipe.resolve(recipe.find('mouse'), 'fre', {});"
        "print({'torch', 'optuna', 'ray', 'sqlalchemy'} & set(sys.modules))"
    )
    root, command = Path(recipe.__file__).parents[2], [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "set()"


# --- finding and reading ------------------------------------------------------------------------


def test_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UnknownDataset, match=r"'mouze': did you mean mouse\?"):
        find("mouze")


def test_a_data_set_without_a_recipe_consists_of_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "shipped", dict)
    found = find("phantom")
    assert found.source is None
    assert resolve(found, "fre", {}).spec.training.epochs == 2000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"dataset = mouse\n", r"it is not TOML: .*\(at line 1, column 11\)"),
        (b"[data]\n\n[data]\n", r"it is not TOML: .*line 3"),
        (b'dataset = "mouse"\ntitle = "caf\xe9"\n', "line 2 is not UTF-8 text"),
        (b"x = " + 5000 * b"[", "nested too deeply|it is not TOML"),
    ],
)
def test_unreadable_recipes_say_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableRecipe, match=reason) as caught:
        find(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(FolderNotRecipe, match=f"`fre-hpo data init {tmp_path}` writes a recipe"):
        find(str(tmp_path))
    with pytest.raises(FolderNotRecipe):
        find(f"{tmp_path}{os.sep}")


def test_names_fit_into_a_studys_name(tmp_path: Path) -> None:
    assert find(write(tmp_path, "", "my cells (2).toml")).name == "my-cells-2-"


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbfdataset = 'phantom'\n")
    assert find(str(tmp_path / "mine.toml")).document == {"dataset": "phantom"}


def test_the_data_folder_is_relative_to_the_recipe(tmp_path: Path) -> None:
    text = 'dataset = "phantom"\n[data]\nfolder = "../images"\n'
    (tmp_path / "recipes").mkdir()
    found = find(write(tmp_path / "recipes", text))
    assert found.folder == tmp_path.resolve() / "images"
    assert "folder" not in resolve(found, "fre", {}).spec.data
    assert find("mouse").folder is None


# --- overrides ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("training.batch_size=4", 4),
        ("training.learning_rate=1e-4", 1e-4),
        ("model.widths=8,16,32,64", [8, 16, 32, 64]),
        ("model.widths=[8, 16]", [8, 16]),
        ("model.norm=batch_renorm", "batch_renorm"),
        ('model.norm="group"', "group"),
        ("sampler.multivariate=false", False),
        ("training.augment=flips,quarter-turns", ["flips", "quarter-turns"]),
        ("X=1..100:log", "1..100:log"),
        ("data.train=0,2,5-7", [0, 2, "5-7"]),
        ("model.norm=", ""),
        ("model.norm=a=b", "a=b"),
        ("model.norm=a\nseed = 3", "a\nseed = 3"),
        (" seed = 3 ", 3),
    ],
)
def test_set_values(item: str, value: Any) -> None:
    assert list(parse_set([item]).values()) == [value]


def test_the_last_of_two_counts() -> None:
    assert parse_set(["seed=1", "seed=2"]) == {"seed": 2}


def test_set_without_value_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--set takes KEY=VALUE.*not 'seed'"):
        parse_set(["seed"])
    with pytest.raises(UsageProblems, match="2 problems"):
        parse_set(["seed", "=3"])


def test_overrides_beat_the_recipe(tmp_path: Path) -> None:
    answer = resolved(
        tmp_path,
        f"seed = 1\n[training]\nepochs = 5\nbatch_size = 2\n{SMALL}",
        *("training.epochs=7", "methods.fre.trials=3", "data.size=96", "training.augment=flips"),
    )
    assert answer.trials == 3
    assert answer.spec.seed == 1
    assert answer.spec.data["size"] == 96
    assert answer.spec.training == TrainingSpec(epochs=7, batch_size=2, augment=("flips",))


def test_the_bare_name_of_a_parameter_is_the_chosen_methods(tmp_path: Path) -> None:
    assert resolved(tmp_path, SMALL, "B=1..16", "X=100").spec.parameters == {
        "B": Range(1, 16, log=False, integer=True),
        "X": Fixed(100.0),
    }
    answer = resolved(tmp_path, SMALL, "lambda=0.3", method="supervision")
    assert answer.spec.parameters == {"lambda": Fixed(0.3)}


def test_the_upper_bound_follows_the_widths(tmp_path: Path) -> None:
    assert resolved(tmp_path, SMALL).spec.parameters["B"] == LOG_B
    assert resolved(tmp_path, SMALL, "model.widths=4,8").spec.searched["B"].high == 8


def test_text_options_take_what_looks_like_a_list() -> None:
    overrides = parse_set(["data.train=0,2,5-7", "data.validation=3", "data.test=4,8-19"])
    spec = resolve(find("drosophila"), "fre", overrides).spec
    assert [spec.data[name] for name in ("train", "validation", "test")] == [
        "0,2,5-7",
        "3",
        "4,8-19",
    ]


def test_an_empty_table_is_no_problem(tmp_path: Path) -> None:
    assert resolved(tmp_path, "[training]\n[methods.fre]\n").spec.training == TrainingSpec()


def test_trials_default_to_the_papers(tmp_path: Path) -> None:
    wanted = {method: resolved(tmp_path, SMALL, method=method).trials for method in METHODS}
    assert wanted.pop("fre") == 50
    assert wanted.pop("supervision") == 15
    assert set(wanted.values()) == {1}


def test_the_order_of_presets(tmp_path: Path) -> None:
    plain = resolved(tmp_path, SMALL + 'norm = "group"').spec
    in_recipe = resolved(tmp_path, f'preset = "ando2021"\n{SMALL}norm = "group"').spec
    by_set = resolved(tmp_path, SMALL + 'norm = "group"', "preset=ando2021").spec
    beaten = resolved(tmp_path, SMALL, "preset=ando2021", "B=1..8:log", "model.norm=group").spec
    norms = [spec.model.norm for spec in (plain, in_recipe, by_set, beaten)]
    assert norms == ["group", "group", "batch_renorm", "group"]
    rules = [spec.training.eval_bn for spec in (plain, in_recipe, by_set, beaten)]
    assert rules == ["recalibrate", "running", "running", "running"]
    assert not by_set.sampler.multivariate
    assert not by_set.sampler.constant_liar
    assert by_set.parameters == {
        "B": Range(1, 64, log=False, integer=True),
        "X": Range(1.0, 1000.0, log=False, integer=False),
    }
    assert beaten.searched["B"] == Range(1, 8, log=True, integer=True)


# --- refusals -----------------------------------------------------------------------------------


def test_unknown_method() -> None:
    with pytest.raises(UnknownMethod, match=r"'freee': did you mean fre\?"):
        resolve(find("phantom"), "freee", {})


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("training.epoch", "did you mean training.epochs or training.warmup_epochs?"),
        ("batch_size", "did you mean training.batch_size?"),
        ("batchsize", "did you mean training.batch_size or data.size?"),
        ("x", "did you mean methods.fre.X?"),
        ("dropout.B", "did you mean methods.dropout.B?"),
        ("methods.foo.B", "did you mean methods.dropout.B or methods.fre.B?"),
        ("qqqq", "`fre-hpo start --dry-run` prints all keys"),
    ],
)
def test_unknown_keys_are_told_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(UnknownKey) as caught:
        resolve(find("phantom"), "fre", {key: 1})
    assert str(caught.value) == f"The key {key!r} is not known: {hint}"


def test_a_parameter_of_another_method_is_unknown() -> None:
    with pytest.raises(UnknownKey, match="'B'"):
        resolve(find("phantom"), "baseline", {"B": 3})


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (
            "B=600",
            "B = 600 cannot be used: the network has 64 feature maps at the end of its encoder",
        ),
        ("training.epochs=0", "training.epochs = 0 cannot be used: it must be greater than or"),
        ("training.epochs=1.5", "training.epochs = 1.5 cannot be used: it must be a whole number"),
        ("training.epochs=2024-01-01", "training.epochs = 2024-01-01 cannot be used: it must be"),
        ("training.epochs=", 'training.epochs = "" cannot be used: it must be a whole number'),
        ("training.learning_rate=nan", "training.learning_rate = nan cannot be used: it must be"),
        (
            "training.learning_rate=1e-4..1e-2:log",
            "training.learning_rate = 1e-4..1e-2:log cannot be used: it takes one value; "
            "only the parameters of a method are searched",
        ),
        (
            "model.norm=layer",
            "model.norm = layer cannot be used: it must be 'batch', 'batch_renorm'",
        ),
        ("model.widths=64", "model.widths = 64 cannot be used: it must have at least 2 items"),
        ("model.widths=8,x,y", "model.widths = 8,x,y cannot be used: it must be a whole number"),
        ("sampler.multivariate=1", "sampler.multivariate = 1 cannot be used: it must be true or"),
        ("seed=-1", "seed = -1 cannot be used: it must be greater than or equal to 0"),
        ("preset=ando", "preset = ando cannot be used: known are ando2021"),
        ("preset=[1]", "preset = 1 cannot be used: known are ando2021"),
        (
            "methods.fre.trials=0",
            "methods.fre.trials = 0 cannot be used: it must be a whole number",
        ),
        ("methods.dropout.B=x", "methods.dropout.B = x cannot be used: write one number"),
        ("dataset=mouse", "--set does not take dataset: choose the data set with --dataset."),
        ("data.folder=x", "--set does not take data.folder: choose the folder with --data-dir."),
        ("data.size=33", "33"),
        ("model.norm=\udc80", "model.norm = ? cannot be used: it must be 'batch', 'batch_renorm'"),
        ("X={}", "X = {} cannot be used: write one number"),
        ("training={epochs = 0}", "training.epochs = 0 cannot be used"),
    ],
)
def test_bad_values_say_why(item: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(find("phantom"), "fre", parse_set([item]))
    assert sentence in str(caught.value)
    assert "phantom.toml" not in str(caught.value)


def test_another_methods_maps_do_not_matter() -> None:
    """mouse.toml gives Dropout a B of 162; a smaller network must still be able to run FRE."""
    overrides = {"model.widths": [8, 16, 32, 64]}
    assert resolve(find("mouse"), "fre", overrides).spec.maps == 64
    with pytest.raises(BadValue, match=r"^B = 162 .* 64 feature maps .*mouse\.toml\)$"):
        resolve(find("mouse"), "dropout", overrides)


def test_problems_inside_a_recipe_name_its_file(tmp_path: Path) -> None:
    text = "seed = -1\n[training]\nepoch = 3\n[data]\nsize = 33\n[methods.fre]\nB = '9..3'\n"
    found = problems(tmp_path, text)
    assert len(found) == 4
    assert all("mine.toml)" in problem for problem in found)


def test_all_problems_come_in_one_list(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        'title = 3\n[training]\nepochs = 0\n[model]\nnorm = "layer"\n',
        *("lr=3", "X=3..1", "methods.dropout.trials=x"),
    )
    assert found == [
        "The key 'lr' is not known: `fre-hpo start --dry-run` prints all keys",
        "title = 3 cannot be used: it must be text (in mine.toml)",
        "model.norm = layer cannot be used: "
        "it must be 'batch', 'batch_renorm' or 'group' (in mine.toml)",
        "training.epochs = 0 cannot be used: it must be greater than or equal to 1 (in mine.toml)",
        "X = 3..1 cannot be used: the lower bound 3 is above the upper bound 1",
        "methods.dropout.trials = x cannot be used: it must be a whole number from 1 on",
    ]


def test_b_is_checked_although_something_else_is_wrong(tmp_path: Path) -> None:
    found = problems(tmp_path, SMALL, "B=65", "training.epochs=0")
    assert [problem.partition(" cannot")[0] for problem in found] == [
        "training.epochs = 0",
        "B = 65",
    ]


def test_widths_that_cannot_be_used_say_nothing_about_b(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, SMALL, "model.widths=8,x", "B=600")
    assert found.startswith("model.widths = 8,x")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not name its data set: add a line such as dataset ="),
        ('dataset = "mice"', "No data set or recipe is called 'mice'"),
        ("dataset = 3", "No data set or recipe is called 3"),
        ('dataset = "mouse"\nmodel = 5', "The key 'model' is not known"),
        ('dataset = "mouse"\n[trainig]', "The key 'trainig' is not known"),
        ('dataset = "mouse"\n[[model]]\nnorm = 5', "The key 'model' is not known"),
        ('dataset = "mouse"\nmethod = "fre"', "The key 'method' is not known"),
    ],
)
def test_misshapen_recipes(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(find(write(tmp_path, text)), "fre", {})
    assert sentence in str(caught.value)


# --- the table of --dry-run ---------------------------------------------------------------------


def test_the_table_tells_every_key_its_value_origin_and_meaning(tmp_path: Path) -> None:
    answer = resolved(tmp_path, f"[training]\nepochs = 5\n{SMALL}", "X=7", "preset=ando2021")
    rows = {key: (value, origin) for key, value, origin, _ in table(answer.spec, answer.origins)}
    assert rows["training.epochs"] == ("5", "recipe mine")
    assert rows["training.batch_size"] == ("16", "default")
    assert rows["model.widths"] == ("8,16,32,64", "recipe mine")
    assert rows["model.norm"] == ("batch_renorm", "preset ando2021")
    assert rows["methods.fre.X"] == ("7", "command line")
    assert rows["data.size"] == ("64", "default")
    assert all(meaning for *_, meaning in table(answer.spec))


def test_the_table_can_be_typed_in_again(tmp_path: Path) -> None:
    spec = resolved(tmp_path, SMALL, "X=1..50:log", "training.augment=[]").spec
    untyped = {"dataset", "method"}
    items = [f"{key}={value}" for key, value, *_ in table(spec) if key not in untyped]
    bare = Recipe("phantom", None, {"dataset": "phantom"})
    assert resolve(bare, "fre", parse_set(items)).spec == spec


def test_a_table_is_a_value_where_an_option_takes_one(tmp_path: Path) -> None:
    text = 'dataset = "pairs"\n[data.labels]\nnucleus = [1, 2]\nbackground = 0\n'
    found = find(write(tmp_path, text))
    spec = resolve(found, "fre", {}).spec
    assert spec.data["labels"] == {"nucleus": [1, 2], "background": 0}
    again = Spec.from_json(spec.to_json())
    assert list(again.data["labels"]) == ["nucleus", "background"]  # type: ignore[arg-type]
    shown = {key: value for key, value, *_ in table(spec)}["data.labels"]
    assert shown == "{nucleus = [1, 2], background = 0}"
    assert resolve(found, "fre", parse_set([f"data.labels={shown}"])).spec == spec


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("validation = 1.5", "data.validation = 1.5 cannot be used: it must be a share from 0 to "),
        ("test = [3]", "data.test = 3 cannot be used: it must be a share from 0 to below 1, or a "),
        ("labels = { a = 0, b = [0.5] }", "cannot be used: it must be a whole number, a colour"),
        ("labels = { a = 0 }", "data.labels = {a = 0} cannot be used: name at least two classes"),
        ("labels = { a = 0, b = 0 }", "cannot be used: 0 stands for two classes"),
        ("percentiles = [1]", "data.percentiles = 1 cannot be used: it must be two numbers"),
        (
            'channel = "red"',
            "data.channel = red cannot be used: it must be grey, all, or a channel's",
        ),
        (
            "ignore = [true]",
            "data.ignore = true cannot be used: it must be a whole number, a colour",
        ),
    ],
)
def test_values_of_several_kinds_are_refused_in_one_sentence(
    tmp_path: Path, line: str, sentence: str
) -> None:
    path = write(tmp_path, f'dataset = "pairs"\n[data]\n{line}\n')
    with pytest.raises(BadValue) as caught:
        resolve(find(path), "fre", {})
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(f"(in {path})")


def test_a_group_alone_is_a_list_of_one(tmp_path: Path) -> None:
    text = 'dataset = "pairs"\n[data]\nvalidation = "m3"\nlabels = { a = 0, b = 1 }\n'
    assert resolve(find(write(tmp_path, text)), "fre", {}).spec.data["validation"] == ["m3"]


def test_a_recipe_is_named_so_that_any_folder_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cells.toml").write_text('dataset = "phantom"\n')
    monkeypatch.chdir(tmp_path)
    own = find("cells.toml").spoken
    assert own == str(tmp_path / "cells.toml")
    assert [find(name).spoken for name in ("mouse", "phantom")] == ["mouse", "phantom"]
    monkeypatch.chdir("/")
    assert find(own).name == "cells"
