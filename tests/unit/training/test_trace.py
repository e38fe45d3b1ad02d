"""The traces behind Figures 2 and 9: what they hold, and that they change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.methods.gain import draw_maps
from fre_hpo.scheduling.archive import Archive
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.spec import differences
from fre_hpo.training.trace import COLUMNS, POINTS, is_traced
from fre_hpo.trial import Result
from trials import drawn_data, prepared, reports, result, small_spec, stopped_after

TRACED = {"training.trace": True}


def traces(method: str, **settings: Any) -> list[dict[str, float]]:
    curve = result(small_spec(method, {**TRACED, **settings})).curve
    return [dict(zip(COLUMNS, row.trace, strict=True)) for row in curve if row.trace]


@pytest.mark.parametrize("method", ["baseline", "fre", "fre-fixed", "without-deep-layers"])
@pytest.mark.parametrize("rule", ["recalibrate", "running"])
def test_tracing_changes_nothing_of_a_trial(method: str, rule: str) -> None:
    settings = {"training.eval_bn": rule}
    traced = result(small_spec(method, {**TRACED, **settings}))
    plain = result(small_spec(method, settings))
    untraced = [replace(row, trace=None, seconds=0.0) for row in traced.curve]
    assert untraced == [replace(row, seconds=0.0) for row in plain.curve]
    assert traced.confusion == plain.confusion
    assert all(row.trace is None for row in plain.curve)
    assert all(row.trace is not None for row in traced.curve)


def test_a_study_may_be_traced_or_not() -> None:
    assert differences(small_spec("fre", TRACED), small_spec("fre")) == []


def test_the_enhanced_maps_are_the_epochs_and_scaled_by_x() -> None:
    for trace in traces("fre"):
        assert trace["enhanced"] == 5
        assert trace["enhanced_after"] == pytest.approx(100 * trace["enhanced_sum"], rel=1e-5)
        parts = trace["enhanced_sum"] + trace["rest_sum"]
        assert trace["all_sum"] == pytest.approx(parts, rel=1e-5)
        assert trace["all_sum"] > trace["enhanced_sum"] > 0


def test_without_enhancement_all_maps_are_the_rest() -> None:
    for trace in traces("baseline"):
        assert trace["rest_sum"] == trace["all_sum"] > 0
        assert trace["enhanced"] == trace["enhanced_sum"] == trace["enhanced_after"] == 0


def test_the_values_are_those_of_the_network_that_is_evaluated() -> None:
    """Computed again with hooks on its layers, after the last epoch."""
    spec = small_spec("fre", {**TRACED, "training.eval_bn": "running"})
    training = prepared(spec)
    *_, last = training.run()
    assert last.trace is not None
    trace = dict(zip(COLUMNS, last.trace, strict=True))
    seen: list[torch.Tensor] = []
    for block in training.network.encoder[-2:]:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    images = torch.tensor(drawn_data(spec).train.images)
    with torch.no_grad():
        training.network.eval()(images[:2])
    skip, deepest = seen
    assert trace["deepest_mean"] == pytest.approx(deepest.mean().item(), rel=1e-5)
    assert trace["skip_mean"] == pytest.approx(skip.mean().item(), rel=1e-5)
    sums = deepest.sum(dim=(2, 3)).mean(dim=0)
    chosen = draw_maps(16, 5, spec.seed, epoch=3)
    assert trace["enhanced_sum"] == pytest.approx(sums[chosen].sum().item(), rel=1e-5)


def test_a_trial_that_was_stopped_keeps_what_was_traced() -> None:
    spec = small_spec("fre", TRACED)
    whole = result(spec)
    *_, gone_on = reports(spec, stopped_after(spec, 2))
    assert isinstance(gone_on, Result)
    assert [row.trace for row in gone_on.curve] == [row.trace for row in whole.curve]


@given(st.integers(1, 10**6))
def test_the_first_and_the_last_epoch_are_traced_and_few_between(epochs: int) -> None:
    assert is_traced(1, epochs)
    assert is_traced(epochs, epochs)
    step = -(-epochs // (POINTS - 1))
    assert len({1, epochs, *range(step, epochs + 1, step)}) <= POINTS + 1
    assert is_traced(step, epochs)


def test_the_traces_are_a_file_of_the_trial(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    archive = Archive(folder, drawn_data(small_spec()).classes)
    archive.keep(0, result(small_spec("fre", TRACED)))
    archive.keep(1, result(small_spec("fre")))
    header, *lines = folder.trial(0).trace.read_text().splitlines()
    assert header == ",".join(["epoch", *COLUMNS])
    assert [line.split(",")[0] for line in lines] == ["1", "2", "3"]
    assert not folder.trial(1).trace.exists()
