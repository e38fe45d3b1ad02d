"""How long reading and checking takes, and how much memory: a table, no test.

    python tests/benchmarks/reading.py --data ../shared/data

Each row is a process of its own, so that its peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fre_hpo import data
from fre_hpo.data import pairs, pictures

REPOSITORY = Path(__file__).resolve().parents[2]
LABELS = {
    "membrane": (0, 32, 64, 96, 128),
    "cytoplasm": (255, 159),
    "mitochondria": 191,
    "synapse": 223,
}


def main() -> None:
    """Run every row in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--pairs", type=int, default=1000, help="drawn pairs of 256x256")
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(ROWS[options.row](options)))
        return
    print(f"{'':34}{'seconds':>9}{'arrays MB':>11}{'peak MB':>9}{'ratio':>7}")
    for row in ROWS:
        found = _in_a_process(row, options)
        peak, arrays = found["peak"] / 1e6, found["arrays"] / 1e6
        print(f"{row:34}{found['seconds']:9.2f}{arrays:11.0f}{peak:9.0f}{peak / arrays:7.2f}")


def _in_a_process(row: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--row", row, "--data", str(options.data)]
    result = subprocess.run(
        [*command, "--pairs", str(options.pairs)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"{row}: {result.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(result.stdout))


def _measured(work: Callable[[], int]) -> dict[str, float]:
    """Seconds, bytes of the arrays that `work` returns, and the rise of the peak memory."""
    before = _peak()
    began = time.perf_counter()
    arrays = work()
    return {
        "seconds": time.perf_counter() - began,
        "arrays": arrays,
        "peak": _peak() - before,
    }


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _size(dataset: data.Dataset) -> int:
    splits = (dataset.train, dataset.validation, dataset.test)
    return sum(split.images.nbytes + split.labels.nbytes for split in splits)


def decoded_sections(options: argparse.Namespace) -> dict[str, float]:
    """The decoders alone: 20 sections of 1024x1024 and their labels."""
    folder = options.data / "drosophila" / "stack1"

    def work() -> int:
        images = [pictures.read_image(path) for path in sorted((folder / "raw").iterdir())]
        masks = [pictures.read_numbers(path) for path in sorted((folder / "labels").iterdir())]
        return sum(array.nbytes for array in (*images, *masks))

    return _measured(work)


def loaded_sections(options: argparse.Namespace) -> dict[str, float]:
    """The same as a data set: checked, split, normalised."""
    recipe = pairs.Options(
        images="stack1/raw/{id}.tif",
        masks="stack1/labels/labels{id}.png",
        labels=LABELS,
        split="order",
    )
    return _measured(lambda: _size(data.load("pairs", options.data / "drosophila", recipe)))


def loaded_pairs(options: argparse.Namespace) -> dict[str, float]:
    """Drawn pairs of 256x256, PNG."""
    with tempfile.TemporaryDirectory() as folder:
        draw_pairs(Path(folder), options.pairs)
        recipe = pairs.Options(labels={"background": 0, "cell": 255})
        return _measured(lambda: _size(data.load("pairs", Path(folder), recipe)))


def draw_pairs(folder: Path, count: int) -> None:
    """images/ and masks/ of noise with a blob each."""
    from PIL import Image

    rows, columns = np.mgrid[:256, :256]
    for number in range(count):
        rng = np.random.default_rng(number)
        row, column = rng.integers(64, 192, 2)
        mask = (rows - row) ** 2 + (columns - column) ** 2 < rng.integers(900, 3600)
        image = rng.integers(0, 100, (256, 256)) + 100 * mask
        for name, pixels in (("images", image), ("masks", mask * 255)):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:04}.png")


ROWS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "20 sections, decoded": decoded_sections,
    "20 sections with labels, loaded": loaded_sections,
    "drawn pairs, loaded and checked": loaded_pairs,
}


if __name__ == "__main__":
    main()
