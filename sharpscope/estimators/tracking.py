"""Trace and largest eigenvalue from one basis, begun with what is known from the last time."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sharpscope.checks import at_least, positive
from sharpscope.estimators.cost import Meter
from sharpscope.estimators.hutchplusplus import HutchPlusPlus
from sharpscope.estimators.krylov import Krylov
from sharpscope.estimators.rotation import Panel, Seen
from sharpscope.operators import Report, SymmetricOperator
from sharpscope.results import Outcome, TraceResult
from sharpscope.streams import gaussian, stream

# Steps that the largest eigenvalue is given to show itself: residuals prove an eigenvalue, and not
# that there is none above it. Of spectra whose largest eigenvalue is a tenth above the second, a
# stop as soon as the residual allowed it missed it in 15 % of random starts; with 8 steps 5 %, and
# 10 % where the start knew the others and not this one.
_SEARCH = 8
# Vectors from before point where the operator still sends them, or they are stale.
_ALIVE = 0.5


@dataclass(frozen=True, eq=False)
class Known:
    """What one measurement of an operator leaves for the next one.

    Attributes:
        vectors: Leading Ritz vectors as rows ``[k, dim]``, on the CPU.
        values: Their Ritz values ``[k]``.
        seen: Probes of the trace; None where it was exact, or not asked for.
    """

    vectors: Tensor
    values: Tensor
    seen: Seen | None


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
        known: What the next measurement may begin with; None where a product was not finite.
        stale: Whether vectors from before were found to say little of this operator; None where
            there were none, or where no basis was made.
        matched: Probes that were drawn for the last trace too.
        correlation: Of what they say with what they said; None where too few tell.
    """

    report: Report
    trace: TraceResult | None
    largest: float | None
    residual: float | None
    bound: float | None
    converged: bool
    products: int
    known: Known | None
    stale: bool | None
    matched: int
    correlation: float | None


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Estimate trace and largest eigenvalue of an operator that changes a little at a time.

    One Lanczos basis serves both. It starts from ``Σ |θ_i| v_i + r`` with the leading Ritz pairs of
    the last measurement and a random r of the same length: while the leading space moves slowly,
    that is nearly what a first product would have made of a random start. A start that has become
    stale is as good as a random one, and a larger eigenvalue that is new shows itself from r.

    The trace is that of ``HutchPlusPlus`` with this basis, unbiased whatever the basis is. Half of
    its probes were drawn for the last trace too, see ``Rotation``: where the operator has changed
    little, few are needed. The errors of consecutive traces are then correlated.

    Args:
        rtol: Standard error of the trace to reach, relative to it.
        eigen_rtol: Residual of the largest eigenvalue to reach, relative to the largest ``|θ|``.
        budget: Products that may be spent.
        max_seconds: Seconds that may be spent.
        keep: Vectors to keep for the next time, at most.
        seed: Names the random draws.

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
    keep: int = 10
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
        known: Known | None = None,
        *,
        trace: bool = True,
        largest: bool = True,
    ) -> Tracked:
        """Return trace and largest eigenvalue of an operator.

        Args:
            operator: The operator.
            known: What the last measurement left; None begins anew.
            trace: Whether the trace is wanted.
            largest: Whether the largest eigenvalue is.
        """
        if known is not None and known.vectors.shape[1] != operator.dim:
            known = None  # other parameters are trained by now
        meter, panel = Meter(self.budget, self.max_seconds), Panel(known and known.seen)
        warm = known if known is not None and known.values.any() else None
        with operator.session():
            krylov = Krylov(operator, self.seed, warm and self._start(operator, warm))
            share = self.budget // 2 if trace else self.budget
            finite = not largest or self._grow(krylov, meter, share)
            traced = self._trace(operator, krylov, meter, panel) if trace and finite else None
            report = operator.report()
        products = meter.products + (0 if traced is None else int(traced.matvecs))
        finite &= traced is None or traced.outcome is not Outcome.NOT_FINITE
        top, residual, bound = None, None, None
        if finite and largest:
            top, residual, bound = _largest(krylov)
        return Tracked(
            report=report,
            trace=traced,
            largest=top,
            residual=residual,
            bound=bound,
            converged=residual is not None and residual <= self.eigen_rtol,
            products=products,
            known=self._known(krylov, panel.left) if finite else None,
            stale=_stale(krylov, warm) if warm is not None and finite and krylov.size else None,
            matched=panel.matched,
            correlation=panel.correlation,
        )

    def _start(self, operator: SymmetricOperator, known: Known) -> Tensor:
        """Return the vector to begin with."""
        vectors = known.vectors.to(operator.device, operator.dtype)
        sizes = known.values.abs() / known.values.abs().max()  # squares of tiny ones underflow
        before = vectors.T @ sizes.to(vectors)
        drawn = gaussian(operator.dim, stream(self.seed, "eigen", 0))
        drawn = drawn.to(operator.device, operator.dtype)
        start = before / before.norm() + drawn / drawn.norm()
        return start / start.norm()

    def _grow(self, krylov: Krylov, meter: Meter, most: int) -> bool:
        """Grow the basis until the largest eigenvalue has converged; whether all is finite."""
        while krylov.size < krylov.operator.dim and meter.products < most:
            if meter.products and meter.late:
                break
            if krylov.step(meter) is None:
                return False
            if krylov.size >= _SEARCH and _largest(krylov)[1] <= self.eigen_rtol:
                break
        return True

    def _trace(
        self, operator: SymmetricOperator, krylov: Krylov, meter: Meter, panel: Panel
    ) -> TraceResult:
        """Return the trace, with what the budget and the time leave."""
        seconds = None
        if self.max_seconds is not None:
            seconds = max(1e-3, self.max_seconds - meter.seconds)
        left = max(2, self.budget - meter.products)
        probing = HutchPlusPlus(rtol=self.rtol, budget=left, max_seconds=seconds, seed=self.seed)
        found = probing(operator, krylov=krylov, draws=panel)
        if panel.matched:  # the value is not the mean of these
            found = replace(found, terms=(), batch_parts=())
        return found

    def _known(self, krylov: Krylov, seen: Seen | None) -> Known:
        if not krylov.size:
            return Known(torch.empty(0, krylov.operator.dim), torch.empty(0), seen)
        values, vectors, _ = krylov.ritz()
        chosen = np.argsort(-np.abs(values), kind="stable")[: self.keep]
        rows = krylov.combine(torch.from_numpy(np.ascontiguousarray(vectors[:, chosen]))).T
        return Known(rows.cpu(), torch.from_numpy(values[chosen]), seen)


def _stale(krylov: Krylov, known: Known) -> bool:
    """Whether the first image is far from the one that vectors from before would make of it.

    Both without the part that the bulk of the spectrum makes, about whose center the last step of
    Lanczos knows: it says nothing of vectors.
    """
    center, values = krylov.alpha[-1], known.values
    expected = known.vectors.double().T @ ((values - center) * values.abs())
    image = np.array([krylov.alpha[0] - center, krylov.beta[0]])[: krylov.size]
    parts = (krylov.rows[:2].cpu().double() @ expected).numpy()
    scale = float(np.linalg.norm(image)) * expected.norm().item()
    return abs(float(image @ parts)) < _ALIVE * scale


def _largest(krylov: Krylov) -> tuple[float, float, float]:
    """Return the largest Ritz value, and its residual relative to the largest and as it is."""
    values, _, bounds = krylov.ritz()
    scale, bound = float(np.abs(values).max()), float(bounds[-1])
    return float(values[-1]), bound / scale if scale else 0.0, bound
