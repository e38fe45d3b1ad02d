"""What torch sees of this machine, as one line of JSON: ``python -m fre_hpo.training.torch_facts``.

A process of its own, for a damaged torch or driver may hang, or end the process that loads it.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import torch


def torch_facts() -> dict[str, Any]:
    """version; built_for: the CUDA (or ROCm) version, None of a build for CPUs; gpus: name and memory in
    bytes of each; trouble: what torch says where it cannot compute on one; mps: Apple's GPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gpus = _gpus() if torch.cuda.is_available() else []
        trouble = _trouble(len(gpus)) or " ".join(str(w.message) for w in caught)
    return {
        "version": torch.__version__,
        "built_for": torch.version.cuda or torch.version.hip,
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
        "trouble": " ".join(trouble.split()),
    }


def _gpus() -> list[dict[str, Any]]:
    properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [{"name": found.name, "memory": found.total_memory} for found in properties]


def _trouble(gpus: int) -> str:
    """Why a GPU that is seen does not compute: torch may have no code for one so old or so new."""
    for index in range(gpus):
        try:
            torch.ones(2, device=f"cuda:{index}").sum().item()
        except RuntimeError as error:
            return f"GPU {index}: {str(error).splitlines()[0]}"
    return ""


if __name__ == "__main__":
    print(json.dumps(torch_facts()))
