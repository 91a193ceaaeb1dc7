"""Hutch++: the large eigenvalues exactly, the rest by probes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpscope.checks import at_least
from sharpscope.estimators.common import as_operator
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.probing import (
    ProbeSettings,
    Probing,
    all_finite,
    draw_block,
    trace_result,
)
from sharpscope.estimators.statistics import INTERVAL_PROBES
from sharpscope.operators import Products, SymmetricOperator
from sharpscope.results import Outcome, TraceResult
from sharpscope.subject import Subject


@dataclass(frozen=True, kw_only=True)
class HutchPlusPlus(ProbeSettings):
    """Estimate ``tr(A) = tr(QᵀAQ) + tr((I − QQᵀ)A(I − QQᵀ))``, the second part by probes.

    Q is an orthonormal basis of ``AS`` for random S, so that the eigenvalues that make plain
    probes noisy are taken out exactly. Unbiased for any symmetric A, since Q does not depend on
    the probes; the gain grows with the decay of the spectrum (Meyer, Musco, Musco, Woodruff,
    2021, arXiv 2010.09649). An A of at most ``rank`` rows is measured exactly.

    Args:
        rank: Columns of Q; they cost two products each. Fewer where the budget is small.
        rtol: Stop when the standard error is at most ``rtol · |estimate|``.
        probes: Draw exactly so many probes of the remainder instead; at least 2.
        budget: Products that may be spent, on Q and on probes; at least 2.
        max_seconds: Seconds that may be spent.
        distribution: ``rademacher`` or ``gaussian``.
        seed: Names the random streams; more probes extend the draws.

    Raises:
        MisuseError: If a setting is out of its range.

    Example:
        >>> import torch
        >>> from sharpscope.estimators import HutchPlusPlus
        >>> from sharpscope.operators import DenseOperator
        >>> HutchPlusPlus()(DenseOperator(torch.tensor([[2.0, 1.0], [1.0, -3.0]]))).value
        -1.0
    """

    rank: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("rank", self.rank, 0)

    def __call__(
        self,
        target: Subject | SymmetricOperator,
        modality: str | None = None,
        *,
        loss: str | None = None,
        watcher: Watcher | None = None,
    ) -> TraceResult:
        """Return the trace of an operator, or of a subject's Hessian on ``modality``."""
        operator = as_operator(target, modality, loss)
        meter = Meter(self.budget, self.max_seconds, watcher)
        with operator.session():
            basis = self._basis(operator, meter)
            exact = self._exact(operator, meter, basis)
            complete = basis.shape[1] == operator.dim
            probing = Probing(operator, self, meter, _without(basis), exact, complete)
            finite = exact is None or all_finite(exact)
            outcome = probing.run() if finite else Outcome.NOT_FINITE
            return trace_result(probing, outcome, method="hutch++", deflated=basis.shape[1])

    def _basis(self, operator: SymmetricOperator, meter: Meter) -> Tensor:
        """Return Q ``[dim, rank]``, with fewer columns where the budget or the time is short."""
        reserve = self.probes or INTERVAL_PROBES
        rank = max(0, min(self.rank, operator.dim, (self.budget - reserve) // 2))
        if rank == operator.dim:  # the unit vectors span everything at half the price
            return torch.eye(rank, dtype=operator.dtype, device=operator.device)
        images = torch.zeros(operator.dim, 0, dtype=operator.dtype, device=operator.device)
        while images.shape[1] < rank and not self._third_spent(meter):
            first = images.shape[1]
            sketch = draw_block(operator, self, first, meter.block(rank - first), "sketch")
            found = meter.timed(operator, sketch).columns
            meter.tell(2 * rank + reserve)
            if not torch.isfinite(found).all():
                # One column is enough to carry the number that is not finite to the outcome.
                return found[:, ~torch.isfinite(found).all(0)][:, :1]
            images = torch.cat([images, found], dim=1)
        return torch.linalg.qr(images).Q

    def _exact(self, operator: SymmetricOperator, meter: Meter, basis: Tensor) -> Products | None:
        """Return the products with Q, whose quadratic forms add up to ``tr(QᵀAQ)``."""
        rank = basis.shape[1]
        blocks: list[Products] = []
        while (done := sum(block.forms.shape[1] for block in blocks)) < rank:
            columns = basis[:, done : done + meter.block(rank - done)]
            blocks.append(meter.timed(operator, columns))
            meter.tell(meter.products + rank - done + (self.probes or INTERVAL_PROBES))
        if not blocks:
            return None
        forms = torch.cat([block.forms for block in blocks], dim=1)
        return Products(torch.cat([b.columns for b in blocks], dim=1), forms, blocks[0].weights)

    def _third_spent(self, meter: Meter) -> bool:
        """Whether Q has cost a third of the time: its products and the probes need theirs."""
        return self.max_seconds is not None and meter.seconds > self.max_seconds / 3


def _without(basis: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the projection ``V ↦ (I − QQᵀ) V``."""
    return lambda vectors: vectors - basis @ (basis.T @ vectors)
