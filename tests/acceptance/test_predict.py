"""A trained network in other hands: exported, put to images of any kind, refused where it must be."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from fre_hpo.cli.main import run
from fre_hpo.data import phantom, pictures
from fre_hpo.inference import graph
from fre_hpo.inference.network import TrainedNetwork, load
from fre_hpo.inference.predict import masks, probabilities, receptive_radius
from fre_hpo.inference.preparing import prepare, read_pages
from fre_hpo.inference.tiles import plan
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder
from needs import require_or_skip
from searching import as_flags, fre_hpo, run_search

STUDY = "phantom-fre"
CHANGES = {
    "engine.precision": "float32",
    "training.learning_rate": 0.02,
    "training.epochs": 20,
    "training.checkpoint_seconds": 60.0,
    "data.train": 12,
    "X": "1..10:log",
}
"""Enough to find all three classes."""
Captured = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Lab:
    """A home with a finished search, its winner exported, and ten images of another size."""

    home: Path
    exported: Path
    images: Path

    @property
    def live(self) -> TrainedNetwork:
        best = json.loads((self.exported / "card.json").read_text())["trial"]
        folder = StudyFolder(self.home / "studies" / STUDY)
        return load(folder.trial(best).best)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("lab")
    home, exported, images = folder / "home", folder / "network", folder / "images"
    run_search(Settings(home, f"sqlite:///{home}/fre-hpo.db"), overrides=CHANGES)
    images.mkdir()
    for number in range(10):
        drawn, _ = drawn_cells(40 + 8 * number, number)
        Image.fromarray(drawn[: 37 + 8 * number]).save(images / f"cell{number}.png")
    done = fre_hpo("export", STUDY, "--out", str(exported), home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{exported}\n"
    return Lab(home, exported, images)


def drawn_cells(size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    side = -(-size // 8) * 8
    return phantom.draw(np.random.default_rng(seed), phantom.Options(size=max(side, 32)))


def predict(home: Path, *arguments: object) -> int:
    return run(["predict", *map(str, arguments), "--home", str(home), "--device", "cpu"])


def areas(out: Path) -> list[dict[str, str]]:
    with (out / "areas.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- round trips --------------------------------------------------------------------------------


def test_study_and_exported_folder_give_the_live_networks_masks(lab: Lab, tmp_path: Path) -> None:
    assert predict(lab.home, STUDY, lab.images, "--out", tmp_path / "study") == 0
    assert (
        predict(tmp_path / "nowhere", lab.exported, lab.images, "--out", tmp_path / "folder") == 0
    )
    live, seen = lab.live, np.zeros(3)
    for path in sorted(lab.images.iterdir()):
        expected = masks(live, path)[0]
        for out in ("study", "folder"):
            found = pictures.read_numbers(tmp_path / out / "masks" / path.name)[0]
            assert (found == expected).all()
        seen += np.bincount(expected.ravel(), minlength=3)
    assert (seen / seen.sum() > 0.05).all()
    assert len(list((tmp_path / "study" / "overlays").iterdir())) == 10


def test_the_graph_gives_the_live_networks_masks(lab: Lab) -> None:
    require_or_skip(not graph.missing(), "needs the extra export: pip install '.[export]'")
    session = import_module("onnxruntime").InferenceSession(lab.exported / "model.onnx")
    live = lab.live
    for path in sorted(lab.images.iterdir()):
        image = prepare(read_pages(path, live.card)[0], live.card)
        stride = live.card.stride
        image = image[:, : image.shape[1] // stride * stride, : image.shape[2] // stride * stride]
        (found,) = session.run(None, {"image": image[None]})
        expected = live.logits(torch.from_numpy(image[None])).argmax(1)[0].numpy()
        assert (found[0].argmax(axis=0) == expected).all()


# --- a section ----------------------------------------------------------------------------------


def check_section(lab: Lab, path: Path, out: Path) -> None:
    """The mask has the image's size; away from the seams it is the tiles' own, and across them the
    probabilities change no more than elsewhere."""
    assert predict(lab.home, STUDY, path, "--out", out, "--no-overlay") == 0
    (mask,) = pictures.read_numbers(out / "masks" / f"{path.stem}.png")
    live = lab.live
    image = prepare(read_pages(path, live.card)[0], live.card)
    assert mask.shape == image.shape[1:] == (1024, 1024)
    tile, stride = live.card.tile[0], live.card.stride
    axis = plan(1024, tile, stride, receptive_radius(live.module))
    own = np.full(mask.shape, 255, np.uint8)
    for row in range(len(axis.starts)):
        rows = image[:, axis.pixels(row)]
        tiles = np.stack([rows[:, :, axis.pixels(n)] for n in range(len(axis.starts))])
        found = live.logits(torch.from_numpy(tiles)).argmax(1).numpy()
        down, y = axis.inside(row)
        for column, labels in enumerate(found):
            across, x = axis.inside(column)
            alone = np.outer(axis.weights[row] == 1, axis.weights[column] == 1)[down, across]
            own[y, x][alone] = labels[down, across][alone]
    assert (own != 255).mean() > 0.05
    assert (own == mask)[own != 255].all()
    shares = torch.cat(list(probabilities(live, image)), 1).numpy()
    assert (shares.argmax(axis=0) == mask).all()
    jumps = np.abs(np.diff(shares, axis=2)).sum(axis=0).mean(axis=0)
    borders = [b - 1 for s in axis.starts for b in (s, s + tile) if 0 < b < 1024]
    assert jumps[borders].mean() < 1.1 * np.delete(jumps, borders).mean()


def test_a_drawn_section(lab: Lab, tmp_path: Path) -> None:
    quarter, _ = phantom.draw(np.random.default_rng(5), phantom.Options(size=512, cells=40))
    section = np.pad(quarter, ((0, 512), (0, 512)), mode="symmetric")
    tifffile.imwrite(tmp_path / "section.tif", section)
    check_section(lab, tmp_path / "section.tif", tmp_path / "out")


def test_a_real_section(lab: Lab, tmp_path: Path, shared_data: Path) -> None:
    section = shared_data / "drosophila" / "stack1" / "raw" / "05.tif"  # of the validation split
    check_section(lab, section, tmp_path / "out")


# --- stacks, depths, areas ----------------------------------------------------------------------


def test_a_hyperstack_becomes_one_with_areas_in_micrometres(lab: Lab, tmp_path: Path) -> None:
    pages = np.stack([drawn_cells(40, seed)[0] for seed in range(6)]).reshape(2, 3, 40, 40)
    metadata = {"axes": "TZYX", "unit": "micron"}
    path, out = tmp_path / "film.tif", tmp_path / "out"
    tifffile.imwrite(path, pages, imagej=True, metadata=metadata, resolution=(2, 4))
    assert predict(lab.home, STUDY, path, "--out", out) == 0
    assert (pictures.read_numbers(out / "masks" / "film.tif") == masks(lab.live, path)).all()
    for part in ("masks", "overlays"):
        with tifffile.TiffFile(out / part / "film.tif") as file:
            assert file.series[0].axes.removesuffix("S") == "TZYX"
            assert file.series[0].shape[:4] == (2, 3, 40, 40)
    rows = areas(out)
    assert [row["page"] for row in rows] == [str(n) for n in range(1, 7) for _ in range(3)]
    for row in rows:
        assert float(row["area_um2"]) == pytest.approx(int(row["pixels"]) / 8)
        assert float(row["share"]) == int(row["pixels"]) / 1600


@pytest.mark.parametrize(("form", "ending"), [("png", "png"), ("tiff", "tif")])
def test_the_forms_of_a_mask(lab: Lab, tmp_path: Path, form: str, ending: str) -> None:
    image = lab.images / "cell3.png"
    assert predict(lab.home, STUDY, image, "--out", tmp_path, "--format", form, "--no-overlay") == 0
    assert [path.name for path in (tmp_path / "masks").iterdir()] == [f"cell3.{ending}"]
    assert not (tmp_path / "overlays").exists()
    found = pictures.read_numbers(tmp_path / "masks" / f"cell3.{ending}")
    assert (found == masks(lab.live, image)).all()


def test_sixteen_bits_and_half_the_resolution(tmp_path: Path, capsys: Captured) -> None:
    """A search on one's own data, whose recipe shrinks pictures and scales them by percentiles."""
    folder = tmp_path / "set"
    for number in range(8):
        pixels, labels = drawn_cells(64, number)
        for part, array in (("images", pixels.astype(np.uint16) * 13), ("masks", labels)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / part / f"{number}.tif", array, photometric="minisblack")
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        'dataset = "pairs"\n[data]\nfolder = "set"\nscale = 0.5\nsplit = "order"\nvalidation = 0.25\n'
        "test = 0.25\nlabels = { background = 0, membrane = 1, nucleus = 2 }\n"
    )
    flags = as_flags({"model.widths": [4, 8], "training.epochs": 2, "training.batch_size": 2})
    start = ["start", "--dataset", str(recipe), "--trials", "1", "--executor", "inline", *flags]
    assert run(start) == 0
    capsys.readouterr()
    image = tmp_path / "odd.tif"
    tifffile.imwrite(image, drawn_cells(72, 9)[0][:61, :70].astype(np.uint16) * 13)
    assert run(["predict", "own-fre", str(image), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'out'}\n"
    assert err.startswith("1 image: background ")
    assert pictures.read_numbers(tmp_path / "out" / "masks" / "odd.png").shape == (1, 61, 70)


# --- what is refused ----------------------------------------------------------------------------


def refused(capsys: Captured, code: int, *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "Traceback" not in err
    return err.removeprefix("Error: ")


def test_all_that_is_wrong_with_the_images_is_told_at_once(
    lab: Lab, tmp_path: Path, capsys: Captured
) -> None:
    cells, other = tmp_path / "cells", tmp_path / "other"
    cells.mkdir()
    other.mkdir()
    shutil.copy(lab.images / "cell0.png", cells / "a.png")
    shutil.copy(lab.images / "cell0.png", other / "A.png")
    (cells / "torn.png").write_bytes((lab.images / "cell1.png").read_bytes()[:-40])
    (cells / "notes.txt").write_text("no image")
    tifffile.imwrite(cells / "deep.tif", np.zeros((8, 9), np.uint16))
    tifffile.imwrite(
        cells / "two.tif", np.zeros((2, 8, 9), np.uint8), imagej=True, metadata={"axes": "CYX"}
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "areas.csv").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    error = refused(
        capsys, 1, "predict", STUDY, cells, other, tmp_path / "gone.png", f"{tmp_path}/*.jpg",
        "--out", tmp_path / "out", "--home", lab.home,
    )  # fmt: skip
    expected = [
        "gone.png is not there: name an image",
        "*.jpg matches no image",
        "deep.tif has pixels of type uint16, and the network was trained on uint8",
        "torn.png cannot be read",
        "two.tif has 2 channels, and the network was trained on grey images",
        "would both become A",
        "areas.csv is there already",
    ]
    assert error.startswith(f"{len(expected)} problems were found")
    for words in expected:
        assert words in error
    assert sorted(tmp_path.rglob("*")) == before


def test_damage_inside_the_pixels_is_found_before_anything_is_computed(
    lab: Lab, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    Image.fromarray(drawn_cells(40, 1)[0]).save(folder / "a.png")
    torn = bytearray((folder / "a.png").read_bytes())
    torn[len(torn) // 2] ^= 255
    (folder / "torn.png").write_bytes(torn)
    out = tmp_path / "out"
    error = refused(capsys, 1, "predict", STUDY, folder, "--out", out, "--home", lab.home)
    assert "torn.png cannot be read (the checksum of IDAT" in error
    assert not out.exists()


def test_an_empty_folder_holds_no_image(lab: Lab, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "empty").mkdir()
    call = ("predict", STUDY, tmp_path / "empty", "--out", tmp_path / "out", "--home", lab.home)
    assert "empty holds no image (png, tif" in refused(capsys, 1, *call)


def test_names_that_stand_for_no_network(lab: Lab, tmp_path: Path, capsys: Captured) -> None:
    image, home = lab.images / "cell0.png", ("--out", tmp_path / "out", "--home", lab.home)
    assert "did you mean phantom-fre?" in refused(capsys, 4, "predict", "phantom-fer", image, *home)
    assert "it has no card.json" in refused(capsys, 1, "predict", lab.images, image, *home)
    assert "did you mean phantom-fre?" in refused(capsys, 4, "export", "phantom-fer", *home)
    told = refused(capsys, 2, "export", STUDY, "--trial", 99, *home)
    assert told.startswith("Study 'phantom-fre' has no trial 99: it has those from 0 to 2.")
    assert not (tmp_path / "out").exists()


def test_a_full_folder_is_not_exported_into(lab: Lab, capsys: Captured) -> None:
    told = refused(capsys, 2, "export", STUDY, "--out", lab.images, "--home", lab.home)
    assert "holds cell" in told
    assert "name a new folder with --out" in told


def test_networks_on_another_machine(lab: Lab, tmp_path: Path, capsys: Captured) -> None:
    storage = f"sqlite:///{lab.home}/fre-hpo.db"
    elsewhere = ("--out", tmp_path / "out", "--home", tmp_path / "other", "--storage", storage)
    told = refused(capsys, 4, "export", STUDY, *elsewhere)
    assert "are not in this home folder but in" in told
    assert str(lab.home) in told


def test_networks_that_were_not_kept(lab: Lab, tmp_path: Path, capsys: Captured) -> None:
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    folder = StudyFolder(home / "studies" / STUDY)
    best = json.loads((lab.exported / "card.json").read_text())["trial"]
    folder.trial(best).drop_network()
    others = sorted({0, 1, 2} - {best})
    where = ("--out", tmp_path / "out", "--home", home)
    told = refused(capsys, 4, "export", STUDY, "--trial", best, *where)
    assert f"There is no trained network of trial {best} of study 'phantom-fre'" in told
    assert f"here those of {others[0]}, {others[1]}." in told
    assert run(["export", STUDY, *map(str, where)]) == 0
    assert f"The network of trial {best}, the best one, is not in" in capsys.readouterr().err
    for number in others:
        folder.trial(number).drop_network()
    told = refused(capsys, 4, "predict", STUDY, lab.images, "--out", tmp_path / "m", "--home", home)
    assert "There is no trained network of study 'phantom-fre'" in told


def test_a_study_without_complete_trials(
    lab: Lab, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.study.ledger.Ledger.records", lambda ledger: [])
    told = refused(capsys, 1, "export", STUDY, "--out", tmp_path / "out", "--home", lab.home)
    assert told.startswith("Study 'phantom-fre' has no complete trial yet")


def test_a_device_that_is_not_there(
    lab: Lab, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.service.predict.accelerators", lambda: (0, False))
    image, where = lab.images / "cell0.png", ("--out", tmp_path / "out", "--home", lab.home)
    told = refused(capsys, 2, "predict", STUDY, image, "--device", "cuda", *where)
    assert "use --device auto" in told


def test_too_little_memory(
    lab: Lab, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.data.assembly.memory.available", lambda: 1000)
    image, where = lab.images / "cell0.png", ("--out", tmp_path / "out", "--home", lab.home)
    told = refused(capsys, 1, "predict", STUDY, image, *where)
    assert "GB that there is room for: cut it into smaller images" in told

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    monkeypatch.undo()
    monkeypatch.setattr(TrainedNetwork, "logits", full)
    told = refused(
        capsys, 1, "predict", STUDY, image, "--home", lab.home, "--out", tmp_path / "out"
    )
    assert "does not hold a tile of" in told


# --- which files are meant ----------------------------------------------------------------------


def test_files_folders_and_globs_are_taken_once_each(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    named = (lab.images / "cell2.png", f"{lab.images}/cell[01].png", lab.images)
    assert predict(lab.home, STUDY, *named, "--out", out, "--no-overlay", "-q") == 0
    rows = areas(out)
    order = list(dict.fromkeys(Path(row["image"]).name for row in rows))
    assert order == [f"cell{n}.png" for n in (2, 0, 1, 3, 4, 5, 6, 7, 8, 9)]
    assert len(rows) == 30


def test_the_tile_can_be_named(lab: Lab, tmp_path: Path) -> None:
    image = lab.images / "cell9.png"
    found = {}
    for tile in (16, 32, 512):
        out = tmp_path / str(tile)
        assert predict(lab.home, STUDY, image, "--out", out, "--tile", tile) == 0
        found[tile] = pictures.read_numbers(out / "masks" / "cell9.png")
    assert (found[32] == masks(lab.live, image)).all()
    assert (found[16] != found[32]).any()
    assert (found[32] != found[512]).any()
