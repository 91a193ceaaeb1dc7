"""Hutchinson's trace estimator with an honest error bar."""

from dataclasses import dataclass

from sharpscope.estimators.common import as_operator
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.probing import ProbeSettings, Probing
from sharpscope.estimators.traced import trace_result
from sharpscope.operators import SymmetricOperator
from sharpscope.results import TraceResult
from sharpscope.subject import Subject


@dataclass(frozen=True, kw_only=True)
class Hutchinson(ProbeSettings):
    """Estimate ``tr(A)`` as the mean of ``vᵀAv`` over random probes with ``E[vvᵀ] = I``.

    Unbiased for any square A. The variance of one probe is ``2 Σ_{i≠j} A_ij²`` for Rademacher
    and ``2‖A‖_F²`` for Gaussian probes (Hutchinson, 1989, doi:10.1080/03610918908812806).

    Args:
        rtol: Stop when the standard error is at most ``rtol · |estimate|``.
        probes: Draw exactly so many instead; at least 2.
        budget: Products that may be spent; at least 2.
        max_seconds: Seconds that may be spent.
        distribution: ``rademacher`` or ``gaussian``.
        seed: Names the random streams; more probes extend the draws.

    Raises:
        MisuseError: If a setting is out of its range.

    Example:
        >>> import torch
        >>> from sharpscope.estimators import Hutchinson
        >>> from sharpscope.operators import DenseOperator
        >>> Hutchinson(probes=4)(DenseOperator(torch.diag(torch.tensor([1.0, 2.0])))).value
        3.0
    """

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
            probing = Probing(operator, self, meter)
            return trace_result(probing, probing.run(), method="hutchinson")
