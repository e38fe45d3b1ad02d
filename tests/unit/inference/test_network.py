"""A network and its card, from best.pt and from an exported folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fre_hpo.errors import BadCheckpoint, BadExport
from fre_hpo.inference.card import Card
from fre_hpo.inference.export import Origin, export
from fre_hpo.inference.network import CARD, TENSORS, from_bytes, load
from fre_hpo.study.recipe import Recipe, resolve
from fre_hpo.training import checkpoint
from networks import trained_network
from trials import result, small_spec, stopped_after

ORIGIN = Origin("cells-fre", 3, {"background": 0.9, "membrane": None, "nucleus": 0.7}, "f" * 64, {})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An exported network, without a graph."""
    monkeypatch.setattr("fre_hpo.inference.graph.NEEDED", ("no_such_package",))
    return export(trained_network(), ORIGIN, tmp_path / "network", []).folder


def test_a_card_says_what_was_trained() -> None:
    card, outcome = trained_network().card, result(small_spec("fre"))
    assert card.classes == ("background", "membrane", "nucleus")
    assert (card.channels, card.parameters) == (1, {"B": 5, "X": 100.0})
    assert (card.epoch, card.miou) == (outcome.best_epoch, outcome.miou)
    assert (card.widths, card.stride, card.tile) == ((8, 8, 16), 4, (32, 32))
    assert trained_network("without-deep-layers").card.stride == 2


def test_a_network_is_ready_to_be_used_and_no_more() -> None:
    network = trained_network("supervision")
    assert not network.module.training
    assert network.module.side_head is None
    assert isinstance(trained_network("fre").module.bottleneck, torch.nn.Identity)
    assert not any(parameter.requires_grad for parameter in network.module.parameters())


@pytest.mark.parametrize("norm", ["batch", "batch_renorm", "group"])
@pytest.mark.parametrize("method", ["fre", "without-deep-layers", "dropout"])
def test_an_exported_network_is_the_same_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, norm: str
) -> None:
    monkeypatch.setattr("fre_hpo.inference.graph.NEEDED", ("no_such_package",))
    live = trained_network(method, {"model.norm": norm, "engine.precision": "auto"})
    again = load(export(live, ORIGIN, tmp_path / "network", []).folder)
    assert again.card == live.card
    assert again.engine == live.engine
    images = torch.rand(2, 1, 32, 40)
    assert torch.equal(live.logits(images), again.logits(images))


def test_a_card_survives_json() -> None:
    card = Card(small_spec(), ("a", "b"), 2, {"B": 3}, 7, 0.5, (32, 48), ("uint16",))
    assert Card.from_plain(json.loads(json.dumps(card.to_plain()))) == card


def test_a_checkpoint_of_a_training_is_no_trained_network() -> None:
    with pytest.raises(BadCheckpoint, match="it holds no trained network"):
        from_bytes(stopped_after(small_spec(), 1), "checkpoint.pt")


def test_a_damaged_network_is_refused_with_its_name() -> None:
    with pytest.raises(BadCheckpoint, match=r"here/best\.pt is damaged"):
        from_bytes(result(small_spec()).network[:-1] + b"?", "here/best.pt")


def test_a_network_of_another_shape_is_refused() -> None:
    kept = checkpoint.from_bytes(result(small_spec()).network, "best.pt")
    del kept["state"]["head.bias"]
    with pytest.raises(BadCheckpoint, match="it holds no trained network"):
        from_bytes(checkpoint.to_bytes(kept), "best.pt")


def break_tensors(folder: Path) -> None:
    content = bytearray((folder / TENSORS).read_bytes())
    content[-1] ^= 1
    (folder / TENSORS).write_bytes(content)


def break_card(folder: Path, **changes: Any) -> None:
    plain = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**plain, **changes}))


DAMAGE = {
    "no card": (lambda f: (f / CARD).unlink(), "card.json: No such file"),
    "no tensors": (lambda f: (f / TENSORS).unlink(), "model.safetensors: No such file"),
    "other tensors": (break_tensors, "is not the one that card.json names"),
    "half a card": (lambda f: (f / CARD).write_text("{"), "card.json does not describe it"),
    "another card": (lambda f: break_card(f, classes=["one"]), "card.json does not describe it"),
    "no parameters": (lambda f: break_card(f, parameters=7), "card.json does not describe it"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_refused(folder: Path, damage: str) -> None:
    broken, words = DAMAGE[damage]
    broken(folder)
    with pytest.raises(BadExport) as caught:
        load(folder)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


# --- how images are prepared, by what the spec says --------------------------------------------


def card_of(dataset: str, **options: Any) -> Card:
    changes = {f"data.{key}": value for key, value in options.items()}
    spec = resolve(Recipe("any", None, {"dataset": dataset}), "baseline", changes).spec
    return Card(spec, ("a", "b"), 1, {}, 1, 0.5)


def test_the_reading_is_that_of_the_data_set() -> None:
    labels = {"a": 0, "b": 1}
    card = card_of("pairs", labels=labels, channel=2, percentiles=[2, 90], scale=0.5)
    reading = card.reading
    assert (reading.channel, reading.percentiles, reading.factor) == (2, (2.0, 90.0), 2)
    assert card_of("phantom").reading.normalise == "full-scale"
    assert card_of("mouse").reading.normalise == "percentile"


def test_tiles_are_as_large_as_the_pictures_of_the_training() -> None:
    assert card_of("drosophila", scale=0.5).tile == (128, 128)
    assert card_of("phantom", size=96).tile == (96, 96)
    assert card_of("mouse").tile == (256, 256)  # whole pictures; nothing tells how large
    told = Card(small_spec(), ("a", "b"), 1, {}, 1, 0.5, shape=(30, 41))
    assert told.tile == (32, 44)


@pytest.mark.parametrize(
    ("dataset", "normalise", "trained_on", "accepted"),
    [
        ("mouse", "percentile", ("uint8",), {"uint8", "uint16", "float32"}),
        ("mouse", "full-scale", ("uint8",), {"uint8"}),
        ("mouse", "full-scale", (), {"uint8", "uint16", "float32"}),  # not recorded
        ("mouse", "auto", ("uint8",), {"uint8"}),
        ("mouse", "auto", ("uint16",), {"uint16", "float32"}),
        ("mouse", "auto", ("uint8", "uint16"), {"uint8", "uint16", "float32"}),
    ],
)
def test_an_image_of_another_depth_is_told_apart(
    dataset: str, normalise: str, trained_on: tuple[str, ...], accepted: set[str]
) -> None:
    spec = card_of(dataset, normalise=normalise).spec
    card = Card(spec, ("a", "b"), 1, {}, 1, 0.5, depths=trained_on)
    assert {d for d in ("uint8", "uint16", "float32") if card.accepts(np.dtype(d))} == accepted


def test_drawn_cells_have_8_bits() -> None:
    card = card_of("phantom")
    assert card.accepts(np.dtype(np.uint8))
    assert not card.accepts(np.dtype(np.uint16))
