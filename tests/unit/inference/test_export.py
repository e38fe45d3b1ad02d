"""The exported folder: all of it or nothing, and a graph that computes what the network does."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fre_hpo.errors import FolderInTheWay, OnnxDiffers
from fre_hpo.inference import graph
from fre_hpo.inference.export import Exported, Origin, export
from fre_hpo.inference.network import load
from needs import require_or_skip
from networks import trained_network
from trials import drawn_data, small_spec

ORIGIN = Origin("cells-fre", 3, {"background": 0.9, "membrane": None}, "f" * 64, {"torch": "2"})
Graph = Any


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "NEEDED", ("no_such_package",))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The network of FRE with its graph, which takes seconds to write."""
    require_or_skip(not graph.missing(), "needs the extra export: pip install '.[export]'")
    real = list(drawn_data(small_spec()).validation.images[:2])
    folder = tmp_path_factory.mktemp("exported") / "network"
    return export(trained_network("fre"), ORIGIN, folder, real)


@pytest.fixture(scope="module")
def model(exported: Exported) -> Graph:
    return import_module("onnx").load(exported.folder / "model.onnx")


# --- the graph ----------------------------------------------------------------------------------


def test_the_graph_computes_what_the_network_does(exported: Exported) -> None:
    """On sizes and batches that it was not written for."""
    ort = import_module("onnxruntime")
    session = ort.InferenceSession(exported.folder / "model.onnx")
    live = trained_network("fre")
    for shape in ((1, 1, 32, 32), (2, 1, 4, 60), (5, 1, 100, 24)):
        images = torch.rand(shape)
        (found,) = session.run(None, {"image": images.numpy()})
        np.testing.assert_allclose(found, live.logits(images).numpy(), atol=1e-4)
    assert exported.onnx is not None
    assert 0 < exported.onnx < 1e-4


def test_the_graph_is_the_baselines(model: Graph) -> None:
    """Nothing of the method is in it: no random number, no step more than in the plain network."""
    content = graph.to_onnx(trained_network("baseline"))
    baseline = import_module("onnx").load_from_string(content)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == [node.op_type for node in baseline.graph.node]
    assert not {"RandomUniform", "RandomNormal", "Dropout"} & set(kinds)


def test_the_graph_tells_its_classes_and_nothing_of_this_machine(
    exported: Exported, model: Graph
) -> None:
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["classes"]) == ["background", "membrane", "nucleus"]
    content = (exported.folder / "model.onnx").read_bytes()
    assert str(Path.cwd()).encode() not in content
    assert os.sep.encode() + b"site-packages" not in content


def test_a_graph_that_differs_is_not_handed_on(
    tmp_path: Path, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (exported.folder / "model.onnx").read_bytes()
    monkeypatch.setattr(graph, "to_onnx", lambda network: content)
    with pytest.raises(OnnxDiffers, match=r"differs from the network by \d"):
        export(trained_network("fre", {"seed": 1}), ORIGIN, tmp_path / "network", [])
    assert list(tmp_path.iterdir()) == []


def test_a_difference_on_real_images_alone_is_found(exported: Exported) -> None:
    content = (exported.folder / "model.onnx").read_bytes()
    live = trained_network("fre")
    assert graph.check(live, content, []) < 1e-4
    with pytest.raises(OnnxDiffers):
        graph.check(live, content, [np.full((1, 32, 32), np.nan, np.float32)])


# --- the folder ---------------------------------------------------------------------------------


def test_a_colleague_finds_all_there_is_to_know(exported: Exported) -> None:
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        "README.md",
        "card.json",
        "model.onnx",
        "model.safetensors",
    ]
    card = json.loads((exported.folder / "card.json").read_text())
    assert card["colours"] == {"background": None, "membrane": "#e69f00", "nucleus": "#56b4e9"}
    assert (card["method"], card["parameters"]) == ("fre", {"B": 5, "X": 100.0})
    assert (card["widths"], card["norm"], card["upsample"]) == ([8, 8, 16], "batch", "transposed")
    assert (card["data"]["fingerprint"], card["trial"]) == ("f" * 64, 3)
    assert card["versions"]["study"] == {"torch": "2"}
    assert card["onnx"]["difference"] == exported.onnx
    readme = (exported.folder / "README.md").read_text()
    for words in ("| 1 | membrane | #e69f00 | - |", "trial 3 of the study cells-fre", "model.onnx"):
        assert words in readme


def test_the_five_lines_of_the_readme_run(exported: Exported, tmp_path: Path) -> None:
    """Both ways to use it, as they are printed, give one mask."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.tif")
    blocks = (exported.folder / "README.md").read_text().split("```python\n")[1:]
    masks = []
    for block in blocks:
        code = block.partition("```")[0].replace("FOLDER", str(exported.folder))
        code = code.replace('"model.onnx"', f'"{exported.folder / "model.onnx"}"')
        names: dict[str, Any] = {}
        exec(code.replace('"image.tif"', f'"{tmp_path / "image.tif"}"'), names)
        masks.append(names["labels"].reshape(32, 32))
    assert len(masks) == 2
    assert (masks[0] == masks[1]).all()
    assert len(np.unique(masks[0])) > 1


def test_without_the_extra_the_graph_is_left_out_and_that_is_said(
    tmp_path: Path, without_onnx: None
) -> None:
    done = export(trained_network(), ORIGIN, tmp_path / "network", [])
    assert done.onnx is None
    (remark,) = done.remarks
    assert remark.startswith("model.onnx was left out, because no_such_package is not installed: ")
    assert not (done.folder / "model.onnx").exists()
    readme = (done.folder / "README.md").read_text()
    assert "onnx" not in readme
    assert load(done.folder).card == trained_network().card


@pytest.mark.parametrize("there", ["a file", "a full folder"])
def test_nothing_is_replaced(tmp_path: Path, without_onnx: None, there: str) -> None:
    out = tmp_path / "network"
    if there == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FolderInTheWay, match="name a new folder with --out"):
        export(trained_network(), ORIGIN, out, [])
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled_and_what_a_crash_left_is_cleared(
    tmp_path: Path, without_onnx: None
) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / ".network.part").mkdir()
    (tmp_path / ".network.part" / "half").write_text("")
    done = export(trained_network(), ORIGIN, tmp_path / "network", [])
    assert [path.name for path in tmp_path.iterdir()] == ["network"]
    assert load(done.folder).card.epoch == trained_network().card.epoch


def test_an_error_on_the_way_leaves_nothing(
    tmp_path: Path, without_onnx: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(card: Any) -> str:
        raise RuntimeError("no words")

    monkeypatch.setattr("fre_hpo.inference.export.readme", fail)
    with pytest.raises(RuntimeError, match="no words"):
        export(trained_network(), ORIGIN, tmp_path / "network", [])
    assert list(tmp_path.iterdir()) == []
