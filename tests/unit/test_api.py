"""The Python API: the command line's words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fre_hpo
from fre_hpo.errors import StudyNotFound, UnknownKey
from searching import TINY


def test_a_search_by_hand(tmp_path: Path) -> None:
    ended = fre_hpo.start(
        "phantom", home=tmp_path, settings=TINY, trials=2, executor="inline", parallel=1
    )
    study = fre_hpo.open_study("phantom-fre", home=tmp_path)
    assert (ended.study, ended.complete) == ("phantom-fre", 2)
    assert study.status()["state"] == "finished"
    assert study.best()["observed"]["value"] == max(t["value"] for t in study.trials())
    Image.fromarray(np.full((20, 30), 99, np.uint8)).save(tmp_path / "cells.png")
    done = study.predict([tmp_path / "cells.png"], tmp_path / "masks", device="cpu")
    assert (done["images"], sum(done["shares"].values())) == (1, pytest.approx(1))
    exported = study.export(tmp_path / "network", trial=study.best()["observed"]["number"])
    assert (exported["folder"] / "model.safetensors").is_file()
    study.delete()
    with pytest.raises(StudyNotFound):
        fre_hpo.open_study("phantom-fre", home=tmp_path)


def test_errors_are_those_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownKey, match=r"training\.epochs"):
        fre_hpo.start("phantom", home=tmp_path, settings={"training.epoch": 3})
    assert not list(tmp_path.iterdir())
