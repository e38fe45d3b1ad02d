"""The network as an ONNX graph, for programs that have no torch; checked before anybody gets it."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fre_hpo.errors import OnnxDiffers
from fre_hpo.inference.card import Card
from fre_hpo.inference.network import TrainedNetwork
from fre_hpo.model.unet import SEUNet
from fre_hpo.training.engine import PLAIN
from fre_hpo.trial import build_network

NEEDED = ("onnx", "onnxruntime", "onnxscript")
"""What torch needs to write a graph, and we to check it; the extra ``export`` holds it."""
TOLERANCE = 1e-4
"""The largest difference to torch, as a share of the largest logit where that is above 1."""
OPSET = 18
INPUT, OUTPUT = "image", "logits"


def missing() -> list[str]:
    """The needed packages that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def to_onnx(network: TrainedNetwork) -> bytes:
    """The plain network in float32: "image" (batch, channels, height, width), of any batch and of heights
    and widths that are multiples of the stride, to "logits" (batch, classes, height, width)."""
    card, stride = network.card, network.card.stride
    example = torch.zeros(2, card.channels, 4 * stride, 6 * stride)
    sides = {axis: stride * torch.export.Dim(name, min=1) for axis, name in ((2, "h"), (3, "w"))}
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            _plain(network),
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1), **sides},),
            external_data=False,
        )
    assert program is not None
    return _described(program.model_proto, card)


def check(network: TrainedNetwork, content: bytes, real: Iterable[NDArray[np.float32]]) -> float:
    """The largest difference between the graph and torch, on random input of several sizes and on real
    images (channels, height, width); raises OnnxDiffers where it is above TOLERANCE."""
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    module, largest = _plain(network), 0.0
    for images in (*_random(network.card), *(image[None] for image in real)):
        (found,) = session.run(None, {INPUT: images})
        with torch.no_grad():
            wanted = PLAIN.forward(module, torch.from_numpy(images)).numpy()
        scale = max(1.0, float(np.abs(wanted).max()))
        difference = float(np.abs(found - wanted).max()) / scale
        if not difference <= TOLERANCE:
            raise OnnxDiffers(difference=f"{difference:.1e}", tolerance=TOLERANCE)
        largest = max(largest, difference)
    return largest


def _random(card: Card) -> Iterator[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    height, width = card.tile
    for batch, *sides in ((1, height, width), (3, 2 * card.stride, card.stride)):
        yield rng.random((batch, card.channels, *sides), dtype=np.float32)


def _plain(network: TrainedNetwork) -> SEUNet:
    """The network on the CPU, in the memory format that the graph has."""
    card = network.card
    module = build_network(card.spec, card.channels, len(card.classes), seed=0)
    module.load_state_dict(network.module.state_dict())
    PLAIN.place(module.eval().requires_grad_(False), torch.device("cpu"))
    return module


def _described(model: Any, card: Card) -> bytes:
    """The graph with the classes' names, and without the places in this machine's files that torch notes
    at every node."""
    onnx: Any = import_module("onnx")
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
    onnx.helper.set_model_props(model, {"classes": json.dumps(card.classes)})
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def _quietly() -> Iterator[None]:
    """torch warns of its own insides and of packages that no graph of ours needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
