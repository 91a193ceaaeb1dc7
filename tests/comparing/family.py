"""A family of quadratic models whose curvature is known: ``L = ½ E[(θᵀ D x)²]``, x normal."""

from typing import Any

import torch
from torch import Tensor

from sharpscope.operators import Products, Report, SymmetricOperator

DIM = 24
SIGMA = torch.linspace(0.5, 2.0, DIM, dtype=torch.float64)
# Uneven on purpose: a mean of batch means would be wrong.
SIZES = (30, 20, 40, 25, 35, 30, 20, 45, 30, 25, 40, 35, 20, 30, 40)


class Quadratic(SymmetricOperator):
    """The Hessian ``D E[xxᵀ] D`` over batches of items, ``D`` the model."""

    def __init__(self, scales: Tensor, items: Tensor, sizes: tuple[int, ...] = SIZES):
        self.dim, self.dtype = len(scales), torch.float64
        self.device = torch.device("cpu")
        scaled = items * scales
        self.sums = torch.stack([part.T @ part for part in scaled.split(list(sizes))])
        self.weights = torch.tensor(sizes, dtype=torch.float64)

    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        each = self.sums @ vectors
        forms = (vectors * each).sum(1)
        cross = None if others is None else others @ each
        return Products(each.sum(0) / self.weights.sum(), forms, self.weights, cross)

    def report(self) -> Report:
        provenance: dict[str, Any] = {"split": "train", "data_fingerprint": "family"}
        samples = int(self.weights.sum())
        return Report(
            name="quadratic",
            modality="x",
            parameters=self.dim,
            samples=samples,
            loss="fusion",
            loss_value=1.0,
            provenance=provenance,
        )


def drawn(seed: int, sizes: tuple[int, ...] = SIZES) -> Tensor:
    """Return items of a data set, correlated so that probes are noisy."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(sum(sizes), DIM, generator=generator, dtype=torch.float64, device="cpu")
    common = torch.randn(sum(sizes), 1, generator=generator, dtype=torch.float64, device="cpu")
    return (0.8 * noise + 0.6 * common) * SIGMA


def truth(scales: Tensor) -> float:
    """Return the trace over the whole population."""
    return float((scales * SIGMA).square().sum())


def hessian(scales: Tensor) -> Tensor:
    """Return the Hessian over the whole population."""
    covariance = 0.36 + 0.64 * torch.eye(DIM, dtype=torch.float64)
    root = scales * SIGMA
    return covariance * torch.outer(root, root)


# Two models that differ a little, and are flat in the same directions.
REFERENCE = torch.ones(DIM, dtype=torch.float64)
FLATTER = torch.linspace(0.85, 0.95, DIM, dtype=torch.float64)
