"""Shares of the eigenvalues on one side of a number, with the bounds of Gauss quadrature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from sharpscope.estimators.statistics import mean


class Counted(NamedTuple):
    """A share by one quadrature: what its nodes say, and what it can be at least and at most."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Quadrature:
    """Nodes and weights of one run.

    Attributes:
        theta: Nodes, ascending.
        tau: Weights, which add up to 1.
        exact: Whether the run ended in an invariant subspace.
    """

    theta: np.ndarray
    tau: np.ndarray
    exact: bool

    def below(self, at: float, *, included: bool = False) -> Counted:
        """Return the share of the spectral measure below ``at``.

        With k nodes below, it is at least the weight of the first k - 1 and at most that of the
        first k + 1 (the inequalities of Chebyshev, Markov and Stieltjes; Szegő, 1939, 3.41). One
        node stands for all eigenvalues that the run does not tell apart: what it counts to one
        side may lie on the other, in all runs alike.

        Args:
            at: The number.
            included: Whether eigenvalues equal to it count.
        """
        count = int(np.searchsorted(self.theta, at, side="right" if included else "left"))
        sums = np.concatenate([[0.0], np.cumsum(self.tau), [1.0]])
        value = float(sums[count])
        if self.exact:
            return Counted(value, value, value)
        return Counted(float(sums[max(0, count - 1)]), value, float(min(1.0, sums[count + 1])))

    def within(self, size: float) -> Counted:
        """Return the share of the eigenvalues with ``|λ| ≤ size``."""
        above, under = self.below(size, included=True), self.below(-size)
        return Counted(
            max(0.0, above.low - under.high),
            above.value - under.value,
            min(1.0, above.high - under.low),
        )


def over_runs(found: Sequence[Counted]) -> tuple[float, float, tuple[float, float]]:
    """Return the mean share, its standard error over runs, and both bounds of what it can be.

    The measure of a random start has the share as its mean, so that the means of the bounds hold
    it but for the noise of the starts: one standard error is added on each side.
    """
    values, lows, highs = (
        mean(torch.tensor([one[place] for one in found], dtype=torch.float64))
        for place in (1, 0, 2)
    )
    bounds = max(0.0, lows.value - lows.error), min(1.0, highs.value + highs.error)
    return values.value, values.error, bounds
