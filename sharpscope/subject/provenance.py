"""Where a number comes from: the data, the machine and the libraries behind it."""

import platform
from importlib.metadata import version
from typing import Any

import torch

from sharpscope.subject.proof import Census
from sharpscope.subject.subject import Subject


def measured_on(
    subject: Subject, census: Census, device: torch.device, dtype: torch.dtype
) -> dict[str, Any]:
    """Return the subject's own provenance with data, device, dtype and versions added."""
    return subject.provenance | {
        "data_fingerprint": census.fingerprint,
        "batches": census.batches,
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("sharpscope", "torch", "numpy")},
    }
