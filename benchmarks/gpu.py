"""Products and traces on the GPU and on the CPU of one machine: figures for benchmarks/results.

    make gpu

Both devices measure the same workload with the same probes, in turn; the file holds seconds a
product, peak memory, and by how much the traces differ.
"""

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import workload
from benchmarks.trace import CACHE
from sharpscope.estimators import Hutchinson
from sharpscope.operators import HessianOperator

RESULTS = Path(__file__).parent / "results" / "gpu.json"
PROBES, PRODUCTS = 16, 20


def main() -> None:
    """Measure every encoder on both devices.

    Raises:
        SystemExit: If there is no GPU.
    """
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here: run this on a machine that has one")
    workload.prepare(CACHE, quick=False)
    rows = [
        {
            "workload": name,
            "modality": modality,
            "device": device,
            **measured(name, modality, device),
        }
        for name, modality in workload.ENCODERS
        for device in ("cuda", "cpu")
    ]
    found = {
        "gpu": torch.cuda.get_device_name(),
        "cpu": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(RESULTS.read_text())


def measured(name: str, modality: str, device: str) -> dict[str, Any]:
    """Return the trace by a fixed number of probes, and what a product costs."""
    operator = HessianOperator(
        workload.subject_of(name, CACHE, quick=False, device=device), modality
    )
    vector = torch.ones(operator.dim)
    with operator.session():
        found = Hutchinson(probes=PROBES)(operator)
        began = _now()
        for _ in range(PRODUCTS):
            operator.matvec(vector)
        seconds = (_now() - began) / PRODUCTS
    return {
        "workload": name,
        "modality": modality,
        "device": device,
        "parameters": operator.dim,
        "trace": found.value,
        "standard_error": found.standard_error,
        "seconds_per_product": seconds,
        "peak_bytes": found.peak_bytes,
        "replayed": found.replayed,
    }


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
