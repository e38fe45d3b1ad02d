"""Reading is fast to begin, changes nothing that others see, and may be done in many threads."""

import json
import logging
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from containers import every_sample, grey, tiff
from fre_hpo.data import pictures
from fre_hpo.data.pictures import PictureError
from fre_hpo.data.pictures.audit import strictly
from fre_hpo.data.pictures.error import Flaw

REPOSITORY = Path(__file__).resolve().parents[4]


def test_importing_loads_no_decoder() -> None:
    program = "import json, sys, fre_hpo.data.pictures; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert set(json.loads(result.stdout)).isdisjoint({"PIL", "tifffile", "imagecodecs"})


def test_programs_are_never_started_for_a_picture(tmp_path: Path) -> None:
    """PostScript would be handed to ghostscript."""
    path = tmp_path / "a.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(PictureError, match="looks like PostScript"):
        pictures.read_image(path)


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Whole files and cut ones at the same time: each gets its own answer."""
    samples = [sample for sample in every_sample() if sample.image is not None]
    for number, sample in enumerate(samples):
        (tmp_path / f"{number}.whole").write_bytes(sample.content)
        (tmp_path / f"{number}.cut").write_bytes(sample.content[: len(sample.content) // 2])

    def check(number: int) -> bool:
        image = samples[number].image
        assert image is not None
        with pytest.raises(PictureError, match=rf"{number}\.cut "):
            pictures.read_image(tmp_path / f"{number}.cut", "all")
        return np.array_equal(pictures.read_image(tmp_path / f"{number}.whole", "all"), image)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, [*range(len(samples))] * 4))
    assert threading.active_count() < 20


def test_complaints_of_tifffile_are_damage_and_go_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(Flaw, match=r"cannot be read \(invalid page offset 7\)"), strictly():
        logging.getLogger("tifffile").error("<tifffile.TiffPages @8> invalid page offset 7")
    assert caplog.records == []


def test_complaints_in_another_thread_are_not_ours(caplog: pytest.LogCaptureFixture) -> None:
    def complain() -> None:
        logging.getLogger("tifffile").error("corrupted")

    with strictly():
        thread = threading.Thread(target=complain)
        thread.start()
        thread.join()
    assert [record.getMessage() for record in caplog.records] == ["corrupted"]


@pytest.mark.parametrize(
    "tag",
    [
        (306, 2, 0, b"\x81\x8d\x90\x9d", True),
        (315, 2, 0, b"\x81\x8d\x90\x9d", True),
        (65000, 2, 0, b"\x81\x8d\x90\x9d", True),
        (296, 3, 1, 9, True),
        (42113, 2, 0, b"-9999", True),
    ],
    ids=["date", "artist", "private", "unit", "nodata"],
)
def test_complaints_of_what_decides_nothing_are_no_damage(
    tmp_path: Path, tag: tuple[object, ...]
) -> None:
    content = tiff(grey()[0, 0], metadata=None, extratags=[tag], resolutionunit=None)
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    np.testing.assert_array_equal(pictures.read_image(path), grey())


def test_nothing_global_is_changed(tmp_path: Path) -> None:
    def state() -> tuple[object, ...]:
        return (
            list(warnings.filters),
            dict(np.geterr()),
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            [list(logging.getLogger(name).handlers) for name in (None, "tifffile", "PIL")],
            list(logging.getLogger("tifffile").filters),
        )

    before = state()
    for sample in every_sample():
        path = tmp_path / "a"
        path.write_bytes(sample.content)
        pictures.read_image(path, "all")
    assert state() == before


def test_the_published_sections_are_read(shared_data: Path) -> None:
    """Files of ImageJ 1.47 as the group published them."""
    folder = shared_data / "drosophila" / "stack1"
    section = pictures.read_image(folder / "raw" / "00.tif")
    assert (section.shape, section.dtype) == ((1, 1, 1024, 1024), np.uint8)
    labels = pictures.read_numbers(folder / "labels" / "labels00000000.png")
    assert set(np.unique(labels)) <= {0, 32, 64, 96, 128, 159, 191, 223, 255}
    np.testing.assert_array_equal(section[0, 0], np.asarray(Image.open(folder / "raw" / "00.tif")))
