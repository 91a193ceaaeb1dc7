"""Scaling with numbers that come from the training rows alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpscope.datasets.partition import Rows

Array = NDArray[np.floating[Any]]


def standardized(values: Array, *, train: Rows, axis: int | tuple[int, ...]) -> Array:
    """Return values with mean 0 and standard deviation 1 over ``axis`` of the training rows."""
    sample = values[train]
    mean = sample.mean(axis, keepdims=True)
    return (values - mean) / (sample.std(axis, keepdims=True) + np.float32(1e-6))


def low_rank(values: Array, *, train: Rows, energy: float) -> Array:
    """Keep the leading principal components that hold ``energy`` of the training variance.

    This is how AV-MNIST weakens its images: with a quarter of the energy a digit is a blur.

    Args:
        values: (items, features).
        train: Rows that define mean and components.
        energy: Share of the variance to keep, in (0, 1].
    """
    mean = values[train].mean(0)
    _, singular, components = np.linalg.svd(values[train] - mean, full_matrices=False)
    share = np.cumsum(singular**2) / np.sum(singular**2)
    basis = components[: int(np.searchsorted(share, energy)) + 1]
    return (values - mean) @ basis.T @ basis + mean
