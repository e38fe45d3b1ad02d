"""What an exported network costs against the plain baseline's; no test.

    python tests/benchmarks/inference.py --widths 64,128,256,512 --size 256

A network trained with FRE is exported and loaded again; the baseline is built and never saw an export.  Both
are timed by turns, by the same engine on the same images.  A ratio of 1 is the claim: within 3 %.  The ONNX
graph, where its packages are installed, is timed beside them, against the baseline in its own float32.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from fre_hpo.bench.measures import Timing, compare
from fre_hpo.bench.timing import Work, interleave
from fre_hpo.inference import graph
from fre_hpo.inference.export import Origin, export
from fre_hpo.inference.network import TrainedNetwork, from_bytes, load
from fre_hpo.study.recipe import Recipe, resolve
from fre_hpo.study.spec import Spec
from fre_hpo.training import checkpoint
from fre_hpo.training.engine import Engine
from fre_hpo.trial import build_network

CLASSES = ["background", "membrane", "mitochondria", "synapse"]
ORIGIN = Origin("benchmark", 0, {}, "", {})


def main() -> None:
    """Time all arms and print their medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", default="64,128,256,512")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    widths = [int(width) for width in options.widths.split(",")]
    images = torch.rand(options.images, 1, options.size, options.size, device=options.device)
    with tempfile.TemporaryDirectory() as folder:
        pairs = _pairs(Path(folder) / "network", widths, options.device, images)
    device, most = torch.device(options.device), options.rounds
    for pair in pairs:
        timings = interleave(pair, device, options.seconds, least=min(10, most), most=most)
        print(json.dumps(_report(*timings), indent=2), flush=True)


def _pairs(folder: Path, widths: list[int], device: str, images: torch.Tensor) -> list[list[Work]]:
    """Each a baseline and what is held against it."""
    baseline = _trained("baseline", widths, device)
    exported = export(_trained("fre", widths, "cpu"), ORIGIN, folder, [])
    loaded = load(exported.folder, device)
    pairs = [
        [
            Work("baseline", lambda: baseline.logits(images)),
            Work("exported", lambda: loaded.logits(images)),
        ]
    ]
    if not graph.missing() and device == "cpu":
        plain = _trained("baseline", widths, device, Engine("float32"))
        session = _session(folder / "model.onnx")
        pairs.append(
            [
                Work("baseline, float32", lambda: plain.logits(images)),
                Work("ONNX, float32", lambda: session.run(None, {"image": images.numpy()})),
            ]
        )
    return pairs


def _session(path: Path) -> Any:
    """With as many threads as torch has, which do not go on turning while the other arm runs."""
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(path, options)


def _trained(
    method: str, widths: list[int], device: str, engine: Engine | None = None
) -> TrainedNetwork:
    """A network as best.pt would give it, with the weights of its initialisation."""
    recipe = Recipe("benchmark", None, {"dataset": "drosophila"})
    spec: Spec = resolve(recipe, method, {"model.widths": widths}).spec
    kept = {
        "state": build_network(spec, 1, len(CLASSES), seed=0).state_dict(),
        "spec": spec.to_json(),
        "parameters": "{}",
        "classes": CLASSES,
        "channels": 1,
        "epoch": 1,
        "miou": 0.0,
    }
    return from_bytes(checkpoint.to_bytes(kept), "best.pt", device, engine)


def _report(base: Timing, arm: Timing) -> dict[str, Any]:
    """Times of an arm as a share of its baseline's, with the 95 % interval of the paired ratios."""
    ratio = compare(arm, base)
    return {
        "milliseconds": {t.name: round(t.median * 1e3, 2) for t in (base, arm)},
        "rounds": len(base.rounds),
        f"{arm.name} / {base.name}": [round(v, 4) for v in (ratio.median, ratio.low, ratio.high)],
    }


if __name__ == "__main__":
    main()
