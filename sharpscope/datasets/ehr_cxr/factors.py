"""The latent state of a synthetic patient: what both modalities see, and what only one sees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sharpscope.streams import stream

SHARED = ("severity", "congestion", "infection")
EHR_ONLY = ("perfusion", "metabolic", "neurologic", "rhythm", "pressure")
CXR_ONLY = ("hyperinflation", "effusion", "calcification")

Array = NDArray[np.floating[Any]]
Factors = Mapping[str, Array]


def normal(shape: tuple[int, ...], *, seed: int, name: str) -> Array:
    """Return standard normal numbers from the stream that seed and name define."""
    return torch.randn(shape, generator=stream(seed, "ehr-cxr", name)).numpy()


def draw_factors(patients: int, *, seed: int) -> dict[str, Array]:
    """Return each factor as independent standard normal numbers, (patients,)."""
    return {
        factor: normal((patients,), seed=seed, name=f"factor {factor}")
        for factor in (*SHARED, *EHR_ONLY, *CXR_ONLY)
    }
