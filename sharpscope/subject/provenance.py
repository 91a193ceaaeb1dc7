"""Where a number comes from: the data, the machine and the libraries behind it."""

import hashlib
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
        "model_fingerprint": model_fingerprint(subject),
        "data_fingerprint": census.fingerprint,
        "batches": census.batches,
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("sharpscope", "torch", "numpy")},
    }


def model_fingerprint(subject: Subject) -> str:
    """Return a hash of the names and shapes of all parameters and of who owns them.

    Two models that share it get the same random vectors, entry by entry.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in subject.parts:
        for name, parameter in subject.owners.of(part).items():
            digest.update(f"{part}:{name}{tuple(parameter.shape)};".encode())
    return digest.hexdigest()
