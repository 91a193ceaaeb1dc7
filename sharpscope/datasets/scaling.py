"""Scaling with numbers that come from the training rows alone."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sharpscope.datasets.partition import Rows

Array = NDArray[np.floating[Any]]


def standardized(values: Array, *, train: Rows, axis: int | tuple[int, ...]) -> Array:
    """Return values with mean 0 and standard deviation 1 over ``axis`` of the training rows."""
    sample = values[train].astype(np.float64)  # sums of a million pixels need the digits
    mean, deviation = (
        statistic(axis=axis, keepdims=True).astype(np.float32)
        for statistic in (sample.mean, sample.std)
    )
    return (values - mean) / (deviation + np.float32(1e-6))


def low_rank(values: Array, *, train: Rows, energy: float) -> Array:
    """Keep the leading principal components that hold ``energy`` of the training variance.

    This is how AV-MNIST weakens its images: with a quarter of the energy a digit is a blur.

    Args:
        values: (items, features).
        train: Rows that define mean and components.
        energy: Share of the variance to keep, in (0, 1].
    """
    sample = torch.from_numpy(values[train].astype(np.float64))
    mean = sample.mean(0)
    # Components are eigenvectors of the scatter matrix: much cheaper than a decomposition of all
    # rows, and exact enough in float64.
    spectrum, vectors = torch.linalg.eigh((sample - mean).T @ (sample - mean))
    share = spectrum.flip(0).cumsum(0) / spectrum.sum()
    rank = int(torch.searchsorted(share, energy)) + 1
    basis = vectors[:, -rank:].to(torch.float32).numpy()
    center = mean.to(torch.float32).numpy()
    return (values - center) @ basis @ basis.T + center
