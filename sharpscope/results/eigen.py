"""Extreme eigenvalues at both ends, each under its own name."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sharpscope.results.record import Result, significant, within


@dataclass(frozen=True, kw_only=True, repr=False)
class EigenResult(Result):
    """Extreme eigenvalues of the operator on one Selection, in loss per squared parameter unit.

    Attributes:
        eigenvalues: Those found, descending: the k largest and the k smallest.
        residuals: ``‖Hx − λx‖ / max|λ|`` of each unit eigenvector, in the same order; an
            eigenvalue of H lies within residual · max|λ| of the value printed.
        largest: Largest algebraic eigenvalue, λ_max.
        smallest: Smallest algebraic eigenvalue, λ_min; negative at a saddle.
        largest_magnitude: The one of largest |λ|, with its sign.
        data_errors: Standard error of each eigenvalue over batches as a sample of the data (to
            first order, eigenvectors held fixed); ``None`` below two batches.
        batch_parts: For each batch its part of each eigenvalue, in the same order.
        batch_shares: Each batch's share of the weight, which add up to 1.
        vectors: Eigenvectors, shape ``(found, parameters)``, where they were asked for.
    """

    schema: ClassVar[str] = "sharpscope/eigen"

    eigenvalues: tuple[float, ...]
    residuals: tuple[float, ...]
    largest: float | None
    smallest: float | None
    largest_magnitude: float | None
    data_errors: tuple[float, ...] | None
    batch_parts: tuple[tuple[float, ...], ...] = ()
    batch_shares: tuple[float, ...] = ()
    vectors: np.ndarray | None = field(default=None, compare=False)

    def shown(self, value: float | None, digits: int = 6) -> str:
        """Return one of the eigenvalues to the places that its residual supports, for people."""
        if value is None or value not in self.eigenvalues or self.largest_magnitude is None:
            return significant(value)
        residual = self.residuals[self.eigenvalues.index(value)]
        return within(value, residual * abs(self.largest_magnitude), digits)

    def __repr__(self) -> str:
        named = {
            "λ_max": self.largest,
            "λ_min": self.smallest,
            "largest |λ|": self.largest_magnitude,
        }
        # An engine that finds only the largest magnitude leaves the ends unknown.
        shown = [f"{name} {self.shown(v)}" for name, v in named.items() if v is not None]
        values = ", ".join(shown[:2]) or "not finite"
        return (
            f"EigenResult({values}, {self.method}, {self.matvecs:g} products, {self.seconds:.1f} s)"
        )
