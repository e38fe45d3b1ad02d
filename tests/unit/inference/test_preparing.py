"""An image is prepared as the data set prepared its own, and refused where it is of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from fre_hpo import data
from fre_hpo.data import pictures
from fre_hpo.inference.card import Card
from fre_hpo.inference.preparing import prepare, problems, read_pages
from fre_hpo.study.recipe import Recipe, resolve


def card_of(channels: int = 1, depths: tuple[str, ...] = (), **options: Any) -> Card:
    changes = {"data.labels": {"a": 0, "b": 1}}
    changes |= {f"data.{key}": value for key, value in options.items()}
    spec = resolve(Recipe("any", None, {"dataset": "pairs"}), "baseline", changes).spec
    return Card(spec, ("a", "b"), channels, {}, 1, 0.5, depths=depths)


WAYS: dict[str, tuple[dict[str, Any], np.dtype[Any], int]] = {
    "8 bits": ({}, np.dtype(np.uint8), 0),
    "16 bits by percentiles": ({"percentiles": [5, 95]}, np.dtype(np.uint16), 0),
    "fractions": ({"normalise": "percentile"}, np.dtype(np.float32), 0),
    "colours as grey": ({"normalise": "percentile"}, np.dtype(np.uint8), 3),
    "all channels, shrunk": ({"channel": "all", "scale": 0.5}, np.dtype(np.uint8), 3),
    "the second channel, tiled": ({"channel": 2, "tile": 16}, np.dtype(np.uint8), 3),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_value_is_that_of_the_data_sets_array(tmp_path: Path, way: str) -> None:
    options, dtype, colours = WAYS[way]
    folder = tmp_path / "set"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(6):
        shape = (33, 47, colours) if colours else (33, 47)
        pixels = rng.integers(0, 4000 if dtype != np.uint8 else 256, shape).astype(dtype)
        kind = "rgb" if colours else "minisblack"
        tifffile.imwrite(folder / "images" / f"{number}.tif", pixels, photometric=kind)
        mask = rng.integers(0, 2, (33, 47)).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    card = card_of(3 if options.get("channel") == "all" else 1, **options)
    dataset = data.load("pairs", folder, card.spec.options)
    sources = dataset.train.sources
    for name in dict.fromkeys(sources):
        page = prepare(read_pages(folder / "images" / name, card)[0], card)
        height, width = page.shape[1:]
        tiles = dataset.train.images[[s == name for s in sources]]
        assert page.shape[0] == card.channels
        if "tile" in options:
            assert len(tiles) == 9
            assert (tiles[0] == page[:, :16, :16]).all()
            assert (tiles[4] == page[:, 16:32, 16:32]).all()
        else:
            assert (tiles[0, :, :height, :width] == page).all()


def test_images_of_another_kind_are_refused_in_a_sentence(tmp_path: Path) -> None:
    grey, rgb = tmp_path / "grey.tif", tmp_path / "rgb.png"
    two, fractions = tmp_path / "two.tif", tmp_path / "fractions.tif"
    tifffile.imwrite(grey, np.zeros((8, 9), np.uint16), photometric="minisblack")
    Image.new("RGB", (9, 8)).save(rgb)
    tifffile.imwrite(two, np.zeros((2, 8, 9), np.uint8), imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(fractions, np.zeros((8, 9), np.float32), photometric="minisblack")

    def found(path: Path, card: Card) -> list[str]:
        return list(problems(path, pictures.look(path), card))

    assert found(rgb, card_of()) == found(grey, card_of()) == []
    assert found(two, card_of(channel=2)) == found(rgb, card_of(3, channel="all")) == []
    cases = [
        (two, card_of(), "two.tif has 2 channels, and the network was trained on grey images"),
        (
            two,
            card_of(3, channel="all"),
            "has 2 channels, and the network was trained on images of 3",
        ),
        (grey, card_of(channel=2), "has 1 channel, and the network was trained on channel 2"),
        (fractions, card_of(normalise="full-scale"), "pixels of type float32"),
        (grey, card_of(depths=("uint8",)), "uint16, and the network was trained on uint8"),
    ]
    for path, card, words in cases:
        (sentence,) = found(path, card)
        assert sentence.startswith(str(path))
        assert words in sentence
        assert ": save " in sentence
