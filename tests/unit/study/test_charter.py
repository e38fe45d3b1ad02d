"""What a study is: stored as plain values, compared when it is started again."""

import dataclasses
import json

import pytest

from fre_hpo.errors import EXIT_USAGE, DifferentStudy, NotTheStudysData
from fre_hpo.study.charter import Charter
from fre_hpo.study.space import Fixed
from fre_hpo.study.spec import TrainingSpec
from ledgers import make_charter, make_spec


def test_a_charter_survives_json() -> None:
    charter = dataclasses.replace(make_charter(), data_folder="data/mouse")
    assert Charter.from_plain(json.loads(json.dumps(charter.to_plain()))) == charter


def test_the_same_spec_and_data_are_accepted() -> None:
    charter = make_charter()
    charter.refuse_other_spec("s", make_spec())
    charter.refuse_other_data("s", charter.fingerprint)


def test_what_changes_no_result_may_differ() -> None:
    make_charter().refuse_other_spec("s", make_spec(training=TrainingSpec(checkpoint_seconds=0.0)))


def test_every_difference_is_named() -> None:
    parameters = {**make_spec().parameters, "B": Fixed(8)}
    asked = make_spec(seed=3, training=TrainingSpec(epochs=40), parameters=parameters)
    with pytest.raises(DifferentStudy) as caught:
        make_charter().refuse_other_spec("mouse-fre", asked)
    sentence = str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE
    assert "'mouse-fre'" in sentence
    assert "training.epochs is 2000 there and 40 here" in sentence
    assert "B is 1..64:log there and 8 here" in sentence
    assert "seed is 0 there and 3 here" in sentence


def test_another_method_is_refused() -> None:
    with pytest.raises(DifferentStudy, match="method is fre there and dropout here"):
        make_charter().refuse_other_spec("s", make_spec("dropout"))


def test_other_data_are_refused_by_the_beginning_of_their_fingerprints() -> None:
    with pytest.raises(NotTheStudysData, match=f"{'f' * 12} there, {'0' * 12} here"):
        make_charter().refuse_other_data("s", "0" * 64)
