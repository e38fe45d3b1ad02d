"""The spec: frozen, complete as JSON, comparable."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fre_hpo import data
from fre_hpo.data import DATASETS
from fre_hpo.errors import UsageError
from fre_hpo.methods import METHODS
from fre_hpo.study.space import Fixed, Range, parse
from fre_hpo.study.spec import (
    ModelSpec,
    SamplerSpec,
    Spec,
    TrainingSpec,
    differences,
    plain_options,
)

SMALL = ModelSpec(widths=(8, 16, 32, 64))


def make_spec(method: str = "fre", dataset: str = "phantom", **changes: Any) -> Spec:
    """A spec of defaults on the small network."""
    parameters = {p.name: parse(p.default, p, maps=64) for p in METHODS[method].parameters}
    options = plain_options(DATASETS[dataset].options())
    values = {"model": SMALL, "parameters": parameters, "data": options, **changes}
    return Spec(dataset=dataset, method=method, **values)


def test_defaults_are_the_papers_schedule() -> None:
    spec = make_spec(model=ModelSpec())
    assert spec.maps == 512
    assert spec.training.epochs == 2000
    assert spec.training.batch_size == 16
    assert spec.training.augment == ("flips", "quarter-turns")


def test_maps_are_those_of_the_network_that_is_built() -> None:
    assert make_spec("fre").maps == 64
    assert make_spec("without-deep-layers").maps == 32


def test_searched_and_fixed() -> None:
    spec = make_spec(parameters={"B": Range(1, 64, log=True, integer=True), "X": Fixed(100.0)})
    assert spec.searched == {"B": Range(1, 64, log=True, integer=True)}
    assert spec.fixed == {"X": 100.0}


def test_options_are_what_the_data_set_loads() -> None:
    spec = make_spec(data={**make_spec().data, "train": 3, "validation": 1, "test": 1})
    assert len(data.load(spec.dataset, None, spec.options).train.images) == 3


def test_nothing_can_be_changed() -> None:
    spec = make_spec()
    with pytest.raises(ValidationError, match="frozen"):
        spec.seed = 3
    with pytest.raises(ValidationError, match="frozen"):
        spec.training.epochs = 3


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"epochs": 10**7},
        {"epochs": 2.0},
        {"epochs": True},
        {"epochs": "40"},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"augment": ("shear",)},
        {"optimizer": "sgd"},
        {"patience": 3},
    ],
)
def test_bad_training_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec(**values)


def test_augmentations_have_one_order() -> None:
    turned = TrainingSpec(augment=("quarter-turns", "flips"))
    assert turned == TrainingSpec(augment=("flips", "quarter-turns"))


def test_group_norm_needs_widths_it_can_divide() -> None:
    assert ModelSpec(norm="group", widths=(4, 8, 16)).widths == (4, 8, 16)
    with pytest.raises(ValidationError, match="multiples of 8, not 12"):
        ModelSpec(norm="group", widths=(8, 12, 16))


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any spec: every method on every data set, every kind of value changed."""
    method = draw(st.sampled_from(sorted(METHODS)))
    rate = st.floats(1e-9, 10, allow_nan=False)
    training = st.builds(
        TrainingSpec,
        epochs=st.integers(1, 10**6),
        batch_size=st.integers(1, 512),
        learning_rate=rate,
        augment=st.lists(st.sampled_from(["flips", "quarter-turns"])).map(tuple),
        eval_bn=st.sampled_from(["recalibrate", "running"]),
        seeds=st.sampled_from(["common", "per-trial"]),
        checkpoint_seconds=st.floats(0, 1e6),
        lr_decay=st.sampled_from(["none", "cosine"]),
        gradient_clip=rate,
    )
    widths = st.lists(st.integers(1, 2048), min_size=2, max_size=5).map(tuple)
    norms = st.sampled_from(["batch", "batch_renorm"])
    number = st.integers(1, 1000) | rate
    spaces = number.map(Fixed) | st.builds(
        Range, low=number, high=number, log=st.booleans(), integer=st.booleans()
    )
    return make_spec(
        method,
        draw(st.sampled_from(sorted(DATASETS))),
        model=draw(st.builds(ModelSpec, widths=widths, norm=norms)),
        training=draw(training),
        sampler=draw(st.builds(SamplerSpec, multivariate=st.booleans())),
        seed=draw(st.integers(0, 2**32 - 1)),
        parameters={p.name: draw(spaces) for p in METHODS[method].parameters},
    )


@settings(max_examples=60, deadline=None)
@given(specs())
def test_json_holds_everything(spec: Spec) -> None:
    again = Spec.from_json(spec.to_json())
    assert again == spec
    assert again.to_json() == spec.to_json()
    assert differences(spec, again) == []
    assert list(again.parameters) == list(spec.parameters)


def test_keys_that_an_older_version_did_not_store_take_their_defaults() -> None:
    spec = make_spec()
    stored = json.loads(spec.to_json())
    del stored["training"]["warmup_epochs"], stored["sampler"], stored["data"]["noise"]
    assert Spec.from_json(json.dumps(stored)) == spec


def test_keys_of_a_newer_version_are_refused_by_name() -> None:
    stored = json.loads(make_spec().to_json())
    stored["training"]["patience"] = 3
    with pytest.raises(UsageError, match=r"another version of fre-hpo \(training\.patience: "):
        Spec.from_json(json.dumps(stored))


def test_differences_are_named() -> None:
    stored = make_spec(training=TrainingSpec(epochs=40))
    asked = make_spec(
        training=TrainingSpec(epochs=60, augment=()),
        data={**stored.data, "noise": 2.0},
        parameters={"B": stored.parameters["B"], "X": Range(1.0, 100.0, log=False, integer=False)},
        seed=1,
    )
    assert differences(stored, asked) == [
        "data.noise is 1 there and 2 here",
        "training.epochs is 40 there and 60 here",
        "training.augment is flips,quarter-turns there and [] here",
        "X is 1..1000:log there and 1..100 here",
        "seed is 0 there and 1 here",
    ]


def test_only_the_time_between_checkpoints_may_differ() -> None:
    stored = make_spec()
    asked = make_spec(training=TrainingSpec(checkpoint_seconds=1.0))
    assert stored != asked
    assert differences(stored, asked) == []


def test_another_method_or_data_set_is_one_difference() -> None:
    assert differences(make_spec("fre"), make_spec("dropout")) == [
        "method is fre there and dropout here"
    ]
    assert "dataset is phantom there and mouse here" in differences(
        make_spec(), make_spec(dataset="mouse")
    )


def test_every_key_has_a_description_of_one_line() -> None:
    models = [ModelSpec, TrainingSpec, SamplerSpec, *(s.options for s in DATASETS.values())]
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert "\n" not in field.description
