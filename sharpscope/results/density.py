"""The spectral density of a Hessian, with an error band."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sharpscope.results.outcome import Outcome
from sharpscope.results.record import Result, significant, within
from sharpscope.results.trace import with_error

_APART = 0.05  # percent within which two bounds are one number


@dataclass(frozen=True, kw_only=True, repr=False)
class DensityResult(Result):
    """How the eigenvalues of the operator on one Selection are spread, smoothed by a Gaussian.

    Attributes:
        grid: Eigenvalues at which the density is given, ``[points]``, loss / parameter².
        density: ``φ(λ)``, mean over runs; it integrates to 1.
        density_error: Standard error of it over runs at each point.
        sigma: Width of the Gaussian.
        nodes: Ritz values of each run, ``[runs, steps]``; NaN where a run closed early.
        weights: Weight of each, which add up to 1 in a run.
        largest: Largest Ritz value: at most λ_max, and near it.
        smallest: Smallest Ritz value: at least λ_min.
        trace: Trace by the same runs, ``parameters · mean Σ τ θ``.
        trace_error: Its standard error over runs.
        data_error: Standard error of the trace over batches as a sample of the data.
        negative: Share of the eigenvalues that are below 0 by more than a thousandth of the
            largest ``|λ|``; closer to 0 a sign may be rounding.
        negative_error: Its standard error over runs.
        negative_bounds: What that share can be at least and at most: a quadrature counts all
            eigenvalues that it does not tell apart to one side, in every run alike. One standard
            error is added on both sides.
        near_zero: Share of the eigenvalues that are at most a hundredth of the largest ``|λ|``.
        near_zero_error: Its standard error over runs.
        near_zero_bounds: What that share can be at least and at most.
    """

    schema: ClassVar[str] = "sharpscope/density"

    grid: np.ndarray = field(compare=False)
    density: np.ndarray = field(compare=False)
    density_error: np.ndarray = field(compare=False)
    sigma: float
    nodes: np.ndarray = field(compare=False)
    weights: np.ndarray = field(compare=False)
    largest: float | None
    smallest: float | None
    trace: float | None
    trace_error: float | None
    data_error: float | None
    negative: float | None
    negative_error: float | None
    negative_bounds: tuple[float, float] | None = None
    near_zero: float | None
    near_zero_error: float | None
    near_zero_bounds: tuple[float, float] | None = None

    @property
    def advice(self) -> str:
        """What the outcome means and what to change."""
        return {
            Outcome.COMPLETED: "All runs that were asked for were made; no target was set.",
            Outcome.BUDGET_SPENT: "The budget or the time made the runs shorter or fewer: raise "
            "--budget or --max-seconds, or ask for fewer --steps or --runs.",
        }.get(self.outcome, super().advice)

    @property
    def runs(self) -> int:
        """Random starts behind the density."""
        return len(self.nodes)

    @property
    def steps(self) -> int:
        """Lanczos steps of the longest run."""
        return self.nodes.shape[1] if self.nodes.ndim == 2 else 0

    def percent(self, share: str) -> str:
        """Return a share in percent as people read it: its bounds, where they are apart.

        Args:
            share: ``negative`` or ``near_zero``.
        """
        value, bounds = getattr(self, share), getattr(self, f"{share}_bounds")
        if value is None or bounds is None:
            return "not finite"
        error = getattr(self, f"{share}_error")
        low, high = (100 * end for end in bounds)
        if high - low <= 2 * max(100 * error, _APART):
            return with_error(100 * value, 100 * error)
        return f"{low:.3g} to {high:.3g}"

    def __repr__(self) -> str:
        if self.largest is None or self.smallest is None:
            told = "not finite"
        else:
            scale = max(abs(self.largest), abs(self.smallest)) * 1e-3
            told = f"λ {within(self.smallest, scale, 4)} to {within(self.largest, scale, 4)}"
        return (
            f"DensityResult({told}, trace {with_error(self.trace, self.trace_error)}, "
            f"σ {significant(self.sigma, 2)}, {self.runs} runs, {self.matvecs:g} products, "
            f"{self.seconds:.1f} s)"
        )
