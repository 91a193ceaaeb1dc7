"""Trace and largest eigenvalue from one basis, begun with what is known from the last time."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sharpscope.checks import at_least, positive
from sharpscope.estimators.cost import Meter
from sharpscope.estimators.hutchplusplus import HutchPlusPlus
from sharpscope.estimators.ritz import RitzBasis
from sharpscope.estimators.statistics import expected_probes
from sharpscope.operators import Report, SymmetricOperator
from sharpscope.results import Outcome, TraceResult

# Steps that look for a larger eigenvalue beside vectors from before.
_SEARCH = 6


@dataclass(frozen=True, eq=False)
class Tracked:
    """What is known of an operator, and what the next measurement begins with.

    Attributes:
        report: What the operator says of itself.
        trace: The trace, with its error; None where it was not asked for.
        largest: The largest eigenvalue; None where a product was not finite, or where it was not
            asked for.
        residual: ``‖Ax − λx‖ / max|θ|`` of its unit vector.
        bound: ``‖Ax − λx‖``: an eigenvalue lies so near.
        converged: Whether that is as small as was asked for.
        products: Products spent in all.
        vectors: Leading Ritz vectors as rows ``[k, dim]``, on the CPU.
        reused: Vectors from before that were multiplied.
        stale: Whether vectors from before were found to say little of this operator.
    """

    report: Report
    trace: TraceResult | None
    largest: float | None
    residual: float | None
    bound: float | None
    converged: bool
    products: int
    vectors: Tensor
    reused: int
    stale: bool


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Estimate trace and largest eigenvalue of an operator that changes a little at a time.

    One basis serves both. It begins with the leading Ritz vectors of the last measurement: while
    the leading space moves slowly, they are nearly eigenvectors, a product each takes exactly what
    Lanczos takes several to find, and residuals correct them. Where they do not keep their images
    in their space they are stale, and the rest of them is dropped. Beside vectors from before, a
    larger eigenvalue is looked for from a random vector. The trace is that
    of ``HutchPlusPlus`` with this basis: unbiased whatever the basis is, since it does not depend
    on the probes.

    Args:
        rtol: Standard error of the trace to reach, relative to it.
        eigen_rtol: Residual of the largest eigenvalue to reach, relative to the largest ``|θ|``.
        budget: Products that may be spent.
        max_seconds: Seconds that may be spent.
        keep: Vectors to keep for the next time, at most.
        seed: Names the random draws. The same probes every time: what changes is the operator.

    Raises:
        MisuseError: If a setting is out of its range.

    Example:
        >>> import torch
        >>> from sharpscope.estimators.tracking import Tracking
        >>> from sharpscope.operators import DenseOperator
        >>> found = Tracking()(DenseOperator(torch.diag(torch.tensor([1.0, -3.0, 2.0]))))
        >>> round(found.largest, 4), found.trace.value
        (2.0, 0.0)
    """

    rtol: float = 0.05
    eigen_rtol: float = 0.02
    budget: int = 400
    max_seconds: float | None = None
    keep: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        positive("eigen_rtol", self.eigen_rtol)
        at_least("budget", self.budget, 4, "products; two probes make a standard error")
        at_least("keep", self.keep, 1)
        at_least("seed", self.seed, 0)
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)

    def __call__(
        self,
        operator: SymmetricOperator,
        warm: Tensor | None = None,
        *,
        trace: bool = True,
        largest: bool = True,
    ) -> Tracked:
        """Return trace and largest eigenvalue of an operator.

        Args:
            operator: The operator.
            warm: ``vectors`` of the last time; None begins anew.
            trace: Whether the trace is wanted.
            largest: Whether the largest eigenvalue is.
        """
        meter = Meter(self.budget, self.max_seconds)
        with operator.session():
            basis = RitzBasis(operator, self.seed, warm)
            share = self.budget // 2 if trace else self.budget
            finite = not largest or self._grow(basis, meter, share)
            traced = self._trace(operator, basis, meter) if trace and finite else None
            report = operator.report()
        products = meter.products + (0 if traced is None else int(traced.matvecs))
        none = torch.empty(0, operator.dim, dtype=operator.dtype)
        top, residual, bound = None, None, None
        finite &= traced is None or traced.outcome is not Outcome.NOT_FINITE
        if finite and largest:
            top, residual = _largest(basis)
            bound = float(basis.ritz()[2][-1])
        return Tracked(
            report=report,
            trace=traced,
            largest=top,
            residual=residual,
            bound=bound,
            converged=residual is not None and residual <= self.eigen_rtol,
            products=products,
            vectors=self._kept(basis, traced) if finite and basis.size else none,
            reused=basis.used,
            stale=basis.stale,
        )

    def _grow(self, basis: RitzBasis, meter: Meter, most: int) -> bool:
        """Grow the basis until the largest eigenvalue has converged; whether all is finite."""
        while basis.size < basis.operator.dim and meter.products < most:
            if meter.products and meter.late:
                break
            if not basis.step_towards_largest(meter):
                return False
            top, residual = _largest(basis)
            # A residual proves an eigenvalue and not that there is none above it. From a random
            # start the largest one comes first; beside a vector from before it must be looked for.
            # A stale one may still have most of its length along one that is no longer the largest.
            searched = not basis.used or (basis.random >= _SEARCH and basis.reaches() <= top)
            if residual <= self.eigen_rtol and searched:
                break
        return True

    def _trace(self, operator: SymmetricOperator, basis: RitzBasis, meter: Meter) -> TraceResult:
        """Return the trace, with what the budget and the time leave."""
        seconds = None
        if self.max_seconds is not None:
            seconds = max(1e-3, self.max_seconds - meter.seconds)
        left = max(2, self.budget - meter.products)
        probing = HutchPlusPlus(rtol=self.rtol, budget=left, max_seconds=seconds, seed=self.seed)
        return probing(operator, krylov=basis)

    def _kept(self, basis: RitzBasis, trace: TraceResult | None) -> Tensor:
        if trace is None and basis.size <= _SEARCH + 2:
            return basis.rows[:0].cpu()  # a search costs as much as beginning anew
        if trace is None:
            return basis.leading(
                self._worth(basis, trace), lambda values: np.argsort(-values)
            ).cpu()
        return basis.leading(self._worth(basis, trace), _by_size).cpu()

    def _worth(self, basis: RitzBasis, trace: TraceResult | None) -> int:
        """Return how many vectors leave the fewest products for the next time, one at least."""
        if trace is None:
            return min(2, basis.size)
        if trace.value is None or not trace.standard_error:
            return min(self.keep, basis.size)
        values = np.sort(np.abs(basis.ritz()[0]))[::-1]
        squares = np.cumsum((values**2)[::-1])[::-1]  # of the vectors from each place on
        beyond = trace.standard_error**2 * trace.probes
        target = self.rtol * abs(trace.value)
        most = min(self.keep, basis.size)
        rest = [float(squares[count]) if count < basis.size else 0.0 for count in range(most + 1)]
        costs = [
            count + expected_probes(beyond + 2 * left, target) for count, left in enumerate(rest)
        ]
        return max(1, int(np.argmin(costs)))


def _largest(basis: RitzBasis) -> tuple[float, float]:
    """Return the largest Ritz value and its residual relative to the largest in magnitude."""
    values, _, residuals = basis.ritz()
    scale = float(np.abs(values).max())
    return float(values[-1]), float(residuals[-1]) / scale if scale else 0.0


def _by_size(values: np.ndarray) -> np.ndarray:
    """Return an order of Ritz values: the largest one, then the others by magnitude."""
    order = np.argsort(-np.abs(values), kind="stable")
    top = int(values.argmax())
    return np.concatenate([[top], order[order != top]])
