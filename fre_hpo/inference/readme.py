"""The words that go with an exported network: for a colleague who has never heard of this program."""

from __future__ import annotations

from typing import Any

from fre_hpo.inference.card import Card

PYTHON = """\
from pathlib import Path
from fre_hpo.inference.network import load
from fre_hpo.inference.predict import masks

network = load(Path("FOLDER"))  # device="cuda" on a GPU
labels = masks(network, Path("image.tif"))  # (pages, height, width), class indices
"""

ONNX = """\
import numpy as np, onnxruntime
from PIL import Image

image = np.asarray(Image.open("image.tif"))
{scale}
shown = np.clip((image - low) / (high - low), -1, 4).astype(np.float32)
session = onnxruntime.InferenceSession("model.onnx")
logits = session.run(None, {{"image": shown[None, None]}})[0]
labels = logits[0].argmax(axis=0)
"""


def prepared(card: Card) -> list[str]:
    """How an image becomes the network's input, a sentence for each step."""
    reading, (height, width) = card.reading, card.tile
    steps = [_CHANNELS.get(str(reading.channel), f"Channel {reading.channel} of the image.")]
    if reading.factor > 1:
        steps.append(
            f"Shrunk to 1/{reading.factor} by averaging areas of {reading.factor}x{reading.factor} "
            "pixels; the probabilities are enlarged again, linearly."
        )
    return [
        *steps,
        *_scaling(card),
        f"Heights and widths must be multiples of {card.stride}: what is missing is mirrored at the right "
        "and below, and cut off again.",
        f"The network was trained on pictures of {height}x{width} (height x width) and averages over all "
        "that it is given: larger images should be cut into overlapping tiles of that size.",
    ]


_CHANNELS = {
    "grey": "One channel; of a colour image its luminance (0.299 R + 0.587 G + 0.114 B).",
    "all": "All channels of the image, in their order.",
}


def _scaling(card: Card) -> list[str]:
    reading = card.reading
    low, high = reading.percentiles
    full = "Divided by the full scale: 255 for 8 bits, 65535 for 16 bits"
    own = (
        f"the percentiles {low:g} and {high:g} of each channel (values that occur) become 0 and 1, "
        "what lies beyond is kept from -1 to 4"
    )
    return {
        "full-scale": [f"{full}."],
        "percentile": [f"Scaled: {own}."],
        "auto": [
            f"{full.split(':', maxsplit=1)[0]} where it has 8 bits (255); else scaled: {own}."
        ],
    }[reading.normalise]


def readme(card: dict[str, Any]) -> str:
    """README.md, from what card.json holds."""
    described = Card.from_plain(card)
    return "\n".join(
        [
            f"# {', '.join(card['classes'])}: a trained network",
            "",
            f"An SE-U-Net that gives every pixel of a microscope image one of {len(card['classes'])} "
            f"classes. Trained by fre-hpo on the data set {card['data']['name']}, method "
            f"{card['method']}{_parameters(card)}: trial {card['trial']} of the study {card['study']}, "
            f"epoch {card['epoch']}. What the method adds acts in training only; this is the plain network.",
            "",
            *_classes(card),
            "",
            f"Mean IoU on validation: {card['miou']:.4f}. Epoch and trial were chosen by it, so that new "
            "images may come out lower.",
            "",
            "## Use",
            "",
            "```sh",
            "fre-hpo predict FOLDER image.tif --out results",
            "```",
            "",
            "or in Python, with fre-hpo installed:",
            "",
            "```python",
            PYTHON.rstrip(),
            "```",
            "",
            *_onnx(card, described),
            "## How an image is prepared",
            "",
            *(f"{number}. {step}" for number, step in enumerate(card["prepare"], 1)),
            "",
            "## Files",
            "",
            "- `model.safetensors`: the weights, float32",
            "- `card.json`: all of the above for programs, with the whole specification of the training",
            *(["- `model.onnx`: the same network as a graph"] if card["onnx"] else []),
            "",
            f"Licence of the data it was trained on: {_licence(card)}.",
            "",
        ]
    )


def _parameters(card: dict[str, Any]) -> str:
    named = [f"{name} = {value:.4g}" for name, value in card["parameters"].items()]
    return f" ({', '.join(named)})" if named else ""


def _classes(card: dict[str, Any]) -> list[str]:
    rows = [
        "| value in the mask | class | colour | IoU on validation |",
        "| --- | --- | --- | --- |",
    ]
    for index, name in enumerate(card["classes"]):
        iou = card["class_iou"].get(name)
        shown = "-" if iou is None else f"{iou:.4f}"
        rows.append(f"| {index} | {name} | {card['colours'][name] or 'none'} | {shown} |")
    return rows


def _onnx(card: dict[str, Any], described: Card) -> list[str]:
    """An example without fre-hpo, for what a few lines can prepare."""
    reading = described.reading
    if not card["onnx"] or reading.channel == "all" or reading.factor > 1:
        return []
    low, high = reading.percentiles
    scale = f'low, high = np.percentile(image, [{low:g}, {high:g}], method="nearest")'
    if reading.normalise == "full-scale":
        scale = "low, high = 0, np.iinfo(image.dtype).max"
    elif reading.normalise == "auto":
        scale = f"low, high = 0, 255  # of more than 8 bits: {scale.partition(' = ')[2]}"
    return [
        "or without it, for a grey image whose sides are multiples of "
        f"{described.stride} (`pip install onnxruntime pillow`):",
        "",
        "```python",
        ONNX.format(scale=scale).rstrip(),
        "```",
        "",
    ]


def _licence(card: dict[str, Any]) -> str:
    if card["data"]["name"] == "phantom":
        return "none needed, it is drawn"
    return card["data"]["licence"] or "not known here; ask whoever owns it"
