"""The engine: every fast path against its plain twin, which machine gets which, and what is compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fre_hpo.methods import METHODS
from fre_hpo.model import unet
from fre_hpo.model.norm import Norm
from fre_hpo.study.spec import Spec
from fre_hpo.training import engine as engines
from fre_hpo.training.engine import PLAIN, Engine, choose, computes_bfloat16
from fre_hpo.training.loop import Training
from fre_hpo.trial import Started, choose_engine, prepare
from needs import require_or_skip
from trials import drawn_data, reports, small_job, small_spec

REPOSITORY = Path(__file__).resolve().parents[2]
CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
NORMS: tuple[Norm, ...] = ("batch", "batch_renorm", "group")
TWINS = {
    "channels_last": replace(PLAIN, channels_last=True),
    "fused": replace(PLAIN, fused=True),
    "both": Engine("float32"),
}
BFLOAT16 = Engine("bfloat16")
# As many pictures as a batch has: all batches are of one shape.
ONE_SHAPE = {"data.train": 4, "training.batch_size": 2}


class Decisions:
    """Which units the ReLUs let pass and which pixels the poolings take: recorded, then repeated.

    Rounding turns over the few that are nearly undecided, and each one moves the gradient by a step.  With
    the same decisions two engines differ by their arithmetic alone.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[Tensor] = []
        self.given: Iterator[Tensor] | None = None
        monkeypatch.setattr(nn.ReLU, "forward", lambda layer, x: self._rectify(x))
        ours = SimpleNamespace(max_pool2d=self._pool, interpolate=F.interpolate)
        monkeypatch.setattr(unet, "F", ours)

    def repeat(self) -> None:
        """From here on the recorded ones, from the first to the last."""
        self.given = iter(self.taken)

    def _rectify(self, x: Tensor) -> Tensor:
        return x * self._decided(lambda: x.detach() > 0)

    def _pool(self, x: Tensor, kernel_size: int) -> Tensor:
        index = self._decided(lambda: F.max_pool2d(x.detach(), kernel_size, return_indices=True)[1])
        return x.flatten(2).gather(2, index.flatten(2)).view(index.shape)

    def _decided(self, decide: Callable[[], Tensor]) -> Tensor:
        if self.given is not None:
            return next(self.given)
        self.taken.append(decide())
        return self.taken[-1]


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> Decisions:
    return Decisions(monkeypatch)


@pytest.fixture(autouse=True)
def process_wide_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an engine sets for its process is as before."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic)


def prepared_with(engine: Engine, spec: Spec) -> Training:
    return prepare(small_job(spec), drawn_data(spec), engine)


def loss_and_gradient(training: Training, images: int = 4) -> tuple[float, Tensor]:
    """Of a fixed batch in epoch 1, the gradient as one vector."""
    training.network.train()
    if training.slots.start_epoch:
        training.slots.start_epoch(1)
    torch.manual_seed(7)
    training.network.zero_grad()
    loss = training._loss(training.train.images[:images], training.train.labels[:images])
    loss.backward()
    return loss.item(), vector(p.grad for p in training.network.parameters())


def vector(tensors: Any) -> Tensor:
    return torch.cat([tensor.detach().contiguous().flatten() for tensor in tensors]).double()


def moments(training: Training) -> Tensor:
    """Adam's running means of the gradients."""
    return vector(state["exp_avg"] for state in training.optimizer.state.values())


def error(found: Tensor, expected: Tensor) -> float:
    """Relative to the norm."""
    found, expected = found.detach(), expected.detach()
    return float((found - expected).norm() / expected.norm())


# --- float32 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("method", METHODS)
def test_channels_last_changes_rounding_only(method: str, norm: Norm, decisions: Decisions) -> None:
    spec = small_spec(method, {"model.norm": norm})
    plain = loss_and_gradient(prepared_with(PLAIN, spec))
    decisions.repeat()
    fast = loss_and_gradient(prepared_with(TWINS["channels_last"], spec))
    assert fast[0] == pytest.approx(plain[0], rel=1e-6)
    assert error(fast[1], plain[1]) < 1e-5


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("method", ["fre", "supervision", "dropout"])
def test_a_training_in_float32_is_the_plain_one(
    method: str, norm: Norm, twin: str, decisions: Decisions
) -> None:
    """Two epochs of three steps; the twins' statistics, parameters and Adam's own state."""
    settings = {"model.norm": norm, "training.epochs": 2, "training.learning_rate": 0.001}
    plain = prepared_with(PLAIN, small_spec(method, settings))
    expected = [row.loss for row in plain.run()]
    decisions.repeat()
    fast = prepared_with(TWINS[twin], small_spec(method, settings))
    assert [row.loss for row in fast.run()] == pytest.approx(expected, rel=1e-6)
    assert error(vector(fast.network.parameters()), vector(plain.network.parameters())) < 1e-5
    assert error(moments(fast), moments(plain)) < 1e-5
    if norm != "group":
        assert error(vector(fast.network.buffers()), vector(plain.network.buffers())) < 1e-5


@pytest.mark.parametrize("norm", NORMS)
def test_the_forward_pass_of_the_fast_kernels_is_the_plain_one(norm: Norm) -> None:
    """With torch's own ReLU and pooling."""
    spec = small_spec("fre", {"model.norm": norm})
    plain, fast = prepared_with(PLAIN, spec), prepared_with(Engine("float32"), spec)
    for ours in (False, True):
        plain.network.train(ours)
        fast.network.train(ours)
        expected = plain.engine.forward(plain.network, plain.train.images)
        found = fast.engine.forward(fast.network, fast.train.images)
        assert error(found.flatten(), expected.flatten()) < 1e-5


def test_a_network_lies_in_its_engines_memory_format() -> None:
    for engine, layout in (
        (PLAIN, torch.contiguous_format),
        (Engine("float32"), torch.channels_last),
    ):
        training = prepared_with(engine, small_spec("supervision"))
        for parameter in training.network.parameters():
            assert parameter.dim() != 4 or parameter.is_contiguous(memory_format=layout)
        assert training.optimizer.defaults["fused"] == engine.fused


# --- bfloat16 -----------------------------------------------------------------------------------

# Measured: 0.4 to 0.9 % for baseline and FRE, 0.6 to 1.4 % for Dropout and SuperVision, alike from widths
# 8, 8, 16 at 32x32 to 32..256 at 64x64 (one seed of FRE at widths 8..64: 1.7 %).  With decisions of its own
# bfloat16 turns over so many ReLUs of a network of 64x64 pixels that it is 1.0 to 12.8 %, most in the
# deepest blocks; it falls with the number of pixels and with training.
WIDE = {"model.widths": [16, 32, 64, 128], "model.se_reduction": 16, "data.size": 64}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("method", ["baseline", "fre", "dropout", "supervision"])
def test_gradients_in_bfloat16_are_within_two_per_cent(
    method: str, norm: Norm, decisions: Decisions
) -> None:
    spec = small_spec(method, {**WIDE, "model.norm": norm})
    plain = loss_and_gradient(prepared_with(PLAIN, spec))
    decisions.repeat()
    fast = loss_and_gradient(prepared_with(BFLOAT16, spec))
    assert fast[0] == pytest.approx(plain[0], rel=1e-3)
    assert 1e-4 < error(fast[1], plain[1]) < 0.02


def test_gradients_of_a_network_in_training_are_too_with_decisions_of_their_own() -> None:
    """Measured: 0.7 to 1.0 % for baseline and FRE; 1.2 to 1.4 % for Dropout, 2.2 to 3.0 % for SuperVision."""
    settings = {**WIDE, "data.size": 128, "data.cells": 32, "training.batch_size": 4}
    spec = small_spec("fre", {**settings, "training.learning_rate": 0.001})
    training = prepared_with(Engine("float32"), spec)
    list(training.run())
    plain = loss_and_gradient(training)
    training.engine = BFLOAT16
    assert error(loss_and_gradient(training)[1], plain[1]) < 0.02


@pytest.mark.parametrize("norm", NORMS)
def test_what_lasts_stays_float32(norm: Norm) -> None:
    training = prepared_with(BFLOAT16, small_spec("supervision", {"model.norm": norm}))
    rows = list(training.run())
    assert rows[-1].loss < rows[0].loss
    assert training.best is not None
    kept = [*training.network.state_dict().values(), *training.best.state.values()]
    kept += [value for s in training.optimizer.state.values() for value in s.values()]
    kept += training.statistics.state_dict()["statistics"]
    assert {value.dtype for value in kept if value.is_floating_point()} == {torch.float32}


def test_logits_in_bfloat16_are_handed_over_in_float32() -> None:
    training = prepared_with(BFLOAT16, small_spec("supervision"))
    network, images = training.network, training.train.images
    main, side = BFLOAT16.forward_both(network, images)
    assert side is not None
    in_evaluation = BFLOAT16.forward(network.eval(), images)
    assert {t.dtype for t in (main, side, in_evaluation)} == {torch.float32}
    exact = Engine("float32").forward(network, images)
    assert 1e-4 < error(in_evaluation.flatten(), exact.flatten()) < 0.02


# --- which machine gets which -------------------------------------------------------------------


def processor(monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, cuda: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return cuda or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)


@pytest.mark.parametrize(
    ("device", "avx512", "amx", "cuda", "expected"),
    [
        (CPU, True, False, False, "bfloat16"),
        (CPU, False, True, False, "bfloat16"),
        (CPU, False, False, True, "float32"),
        (CUDA, False, False, True, "bfloat16"),
        (CUDA, True, True, False, "float32"),
        (MPS, True, True, True, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_device_computes_with_it(
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
    avx512: bool,
    amx: bool,
    cuda: bool,
    expected: str,
) -> None:
    processor(monkeypatch, avx512, amx, cuda)
    assert computes_bfloat16(device) == (expected == "bfloat16")
    assert choose("auto", device).precision == expected
    assert choose("float32", device).precision == "float32"
    assert choose("bfloat16", device).precision == "bfloat16"


def test_an_engine_is_fast_by_default_and_plain_where_asked() -> None:
    assert choose("float32", CPU) == Engine("float32", channels_last=True, fused=True)
    assert choose("float32", CUDA).fused
    assert not choose("float32", MPS).fused
    chosen = choose("bfloat16", CPU, compiled=True, deterministic=True)
    assert chosen == Engine("bfloat16", compiled=True, deterministic=True)


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_a_spec_asks_for_its_engine(monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool) -> None:
    processor(monkeypatch, avx512=has_bfloat16, amx=False, cuda=False)
    automatic = Engine("bfloat16" if has_bfloat16 else "float32")
    assert choose_engine(small_spec(settings={"engine.precision": "auto"}), CPU) == automatic
    spec = small_spec(settings={"engine.compile": True, "engine.deterministic": True})
    expected = Engine("float32", compiled=True, deterministic=True)
    assert choose_engine(spec, CPU) == expected


def test_an_engine_in_words() -> None:
    assert str(PLAIN) == str(Engine("float32")) == "float32"
    words = "bfloat16, compiled, deterministic"
    assert str(Engine("bfloat16", compiled=True, deterministic=True)) == words


def test_a_worker_tells_its_engine() -> None:
    settings = {"engine.precision": "bfloat16", "engine.deterministic": True}
    started = reports(small_spec("fre", settings))[0]
    assert isinstance(started, Started)
    assert started.engine == "bfloat16, deterministic"


# --- deterministic ------------------------------------------------------------------------------


def test_torchs_switches_are_set_and_taken_back() -> None:
    for deterministic in (True, False, True):
        Engine("float32", deterministic=deterministic).set_up()
        assert torch.are_deterministic_algorithms_enabled() == deterministic
        assert torch.backends.cudnn.benchmark == (not deterministic)


def same_bits(device: str, method: str, precision: str) -> bool:
    """Whether two trainings leave the same curve and the same network."""
    settings = {"engine.deterministic": True, "engine.precision": precision}
    job = replace(small_job(small_spec(method, settings)), device=device)
    states, losses = [], []
    for _ in range(2):
        training = prepare(job, drawn_data(job.spec))
        losses.append([row.loss for row in training.run()])
        states.append(training.network.state_dict())
    equal = (torch.equal(value, states[1][name]) for name, value in states[0].items())
    return losses[0] == losses[1] and all(equal)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_a_deterministic_training_repeats_every_bit(method: str, precision: str) -> None:
    assert same_bits("cpu", method, precision)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_a_deterministic_training_repeats_every_bit_on_a_gpu(method: str, precision: str) -> None:
    assert same_bits("cuda", method, precision)


PROGRAM = """
import sys
from trials import reports, small_spec
reports(small_spec("fre"))
assert "torch._dynamo" not in sys.modules
"""


def test_a_trial_that_asks_for_neither_loads_no_compiler() -> None:
    """It would cost every process that trains more than a second."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)


# --- compiled -----------------------------------------------------------------------------------

compiles = pytest.mark.filterwarnings(
    "ignore:The .grad attribute:UserWarning", "ignore::DeprecationWarning:torch"
)
"""torch's compiler warns of what it does itself."""


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """Nothing is compiled yet, and nothing of this test stays compiled."""
    engines._compiled.cache_clear()
    yield
    engines._compiled.cache_clear()
    torch._dynamo.reset()


class Compiler:
    """Captures graphs as torch.compile does and executes them uncompiled."""

    def __init__(self) -> None:
        self.graphs = 0
        self.calls = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1

        def call(*arguments: Any) -> Any:
            self.calls += 1
            return graph(*arguments)

        return call


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, fresh_compiler: None) -> Compiler:
    counting = Compiler()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counting))
    return counting


def trained_compiled(method: str, settings: dict[str, Any]) -> list[float]:
    spec = small_spec(method, {**ONE_SHAPE, "engine.compile": True, **settings})
    training = prepare(small_job(spec), drawn_data(spec))
    return [row.loss for row in training.run()]


@compiles
@pytest.mark.parametrize("norm", NORMS)
def test_a_methods_network_is_compiled_once_for_all_trials_of_a_process(
    compiler: Compiler, norm: Norm
) -> None:
    """FRE's gain changes with every epoch, Dropout's rate and lambda with every trial."""
    trials: list[tuple[str, dict[str, Any], int]] = [
        ("fre", {}, 1),
        ("fre", {"B": 2, "X": 7.0, "seed": 1}, 1),
        ("fre-fixed", {}, 1),
        ("dropout", {"B": 3}, 2),
        ("dropout", {"B": 9}, 2),
        ("supervision", {"lambda": 0.1}, 3),
        ("supervision", {"lambda": 0.9}, 3),
        ("baseline", {"training.learning_rate": 0.1}, 4),
        ("baseline", {"seed": 5}, 4),
    ]
    losses = []
    for method, settings, graphs in trials:
        losses.append(trained_compiled(method, {**settings, "model.norm": norm}))
        assert compiler.graphs == graphs, method
    assert len({tuple(values) for values in losses}) == len(trials)


@compiles
def test_only_training_steps_are_compiled(compiler: Compiler) -> None:
    """Three epochs of two batches."""
    trained_compiled("fre", {})
    assert compiler.calls == 3 * 2


@compiles
def test_what_is_compiled_computes_the_same_training(compiler: Compiler) -> None:
    for method in ("fre", "supervision", "dropout"):
        plain = small_spec(method, ONE_SHAPE)
        expected = [row.loss for row in prepare(small_job(plain), drawn_data(plain)).run()]
        assert trained_compiled(method, {}) == pytest.approx(expected, rel=1e-6)
    assert compiler.graphs == 3


@compiles
@pytest.mark.slow
def test_compiled_kernels_compute_what_the_plain_ones_do(fresh_compiler: None) -> None:
    """Dropout aside: compiled random numbers are others."""
    found = next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
    require_or_skip(found, "torch.compile needs a C++ compiler")
    for method in ("fre", "supervision"):
        spec = small_spec(method, {"model.widths": [8, 16]})
        plain = loss_and_gradient(prepared_with(PLAIN, spec))
        fast = loss_and_gradient(prepared_with(Engine("float32", compiled=True), spec))
        assert fast[0] == pytest.approx(plain[0], rel=1e-6)
        assert error(fast[1], plain[1]) < 1e-5


def test_pictures_at_rest_in_bfloat16_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first convolution rounds them to it anyway."""
    spec = small_spec("fre", {"engine.precision": "bfloat16"})
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        monkeypatch.setattr(Engine, "picture_dtype", dtype)
        training = prepare(small_job(spec), drawn_data(spec), BFLOAT16)
        found.append([row.loss for row in training.run()])
    assert found[0] == found[1]
