"""Hutch++: the large eigenvalues exactly, the rest by probes."""

import math
from dataclasses import dataclass

import torch

from sharpscope.checks import at_least
from sharpscope.estimators.common import as_operator
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.deflation import Deflation
from sharpscope.estimators.draws import Draws
from sharpscope.estimators.growth import PILOTS
from sharpscope.estimators.krylov import Krylov, going_on
from sharpscope.estimators.probing import ProbeSettings, Probing, all_finite
from sharpscope.estimators.sketch import exact_trace, products_with, sketched_basis
from sharpscope.estimators.statistics import INTERVAL_PROBES
from sharpscope.estimators.traced import trace_result
from sharpscope.operators import Products, SymmetricOperator
from sharpscope.results import Outcome, TraceResult
from sharpscope.subject import Subject

# A matrix of at most so many rows costs no more exactly than a basis and an interval do.
_SMALL = 2 * INTERVAL_PROBES


@dataclass(frozen=True, kw_only=True)
class HutchPlusPlus(ProbeSettings):
    """Estimate ``tr(A) = tr(QᵀAQ) + tr((I − QQᵀ)A(I − QQᵀ))``, the second part by probes.

    The orthonormal Q takes out exactly what makes plain probes noisy: the large eigenvalues.
    Unbiased for any symmetric A, since Q does not depend on the probes (Hutch++: Meyer, Musco,
    Musco, Woodruff, 2021, arXiv 2010.09649).

    By default Q is the Krylov basis of Lanczos, one product a vector (Chen, Hallman, 2022, arXiv
    2205.01736), and adapts: the first six probes, whose remainders follow the basis without
    further products, tell how many more of them Q would leave to draw, its recurrence tells what
    each step saves, and Q grows while that costs fewer products in all (in the spirit of Persson,
    Cortinovis, Kressner, 2022, arXiv 2109.10659). On a flat spectrum it stays small. Where probes
    would cost more products than A has rows, it grows to the whole space, and the trace is exact.

    Args:
        rank: Take Q as an orthonormal basis of ``AS`` with so many columns, S random, as in the
            original: two products a column. Fewer columns where the budget is small.
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

    rank: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank is not None:
            at_least("rank", self.rank, 0)

    def __call__(
        self,
        target: Subject | SymmetricOperator,
        modality: str | None = None,
        *,
        loss: str | None = None,
        watcher: Watcher | None = None,
        krylov: Krylov | None = None,
        draws: Draws | None = None,
    ) -> TraceResult:
        """Return the trace of an operator, or of a subject's Hessian on ``modality``.

        Args:
            target: A subject, or an operator.
            modality: Name of the subject's Selection.
            loss: Name of the subject's loss.
            watcher: Told how far the measurement is.
            krylov: A basis to go on with, such as the one of its eigenvalues, made in the same
                session of this operator; its products are not counted again.
            draws: Which probes are drawn and what they make, by default new ones and their mean.
        """
        operator = as_operator(target, modality, loss)
        meter = Meter(self.budget, self.max_seconds, watcher)
        with operator.session():
            small = operator.dim <= min(_SMALL, self.budget)
            if small and self.probes is None and self.rank is None:
                return exact_trace(operator, self, meter, method="hutch++")
            if self.rank is not None:
                return self._sketched(operator, meter, self.rank)
            krylov = going_on(krylov, operator, self.seed)
            return self._adapted(operator, meter, krylov, draws or Draws())

    def _sketched(self, operator: SymmetricOperator, meter: Meter, rank: int) -> TraceResult:
        """Return the trace by the original algorithm."""
        if rank >= operator.dim and operator.dim <= self.budget:
            return exact_trace(operator, self, meter, method="hutch++")
        basis = sketched_basis(operator, self, meter, rank)
        after = self.probes or INTERVAL_PROBES
        exact = products_with(operator, meter, basis, after=after)
        probing = Probing(
            operator, self, meter, lambda vectors: vectors - basis @ (basis.T @ vectors), exact
        )
        finite = exact is None or all_finite(exact)
        outcome = probing.run() if finite else Outcome.NOT_FINITE
        return trace_result(probing, outcome, method="hutch++", deflated=basis.shape[1])

    def _adapted(
        self, operator: SymmetricOperator, meter: Meter, krylov: Krylov, draws: Draws
    ) -> TraceResult:
        """Return the trace with a basis as large as pays for itself."""
        found = Deflation(operator, self, meter, krylov, draws)
        whole = krylov.size == operator.dim  # a basis that others have grown
        finite = whole or found.draw(min(PILOTS, self.probes or PILOTS, self.budget))
        finite = finite and (whole or found.adapt())
        exact = None
        if krylov.size:
            forms = torch.stack(krylov.forms, dim=1)
            exact = Products(krylov.rows.T, forms, krylov.weights)
        if not finite:
            probing, outcome = Probing(operator, self, meter, exact=exact), Outcome.NOT_FINITE
        elif whole or (krylov.size == operator.dim and self.probes is None):
            probing = Probing(operator, self, meter, exact=exact, complete=True)
            outcome = probing.run()
        else:
            probing = draws.probing(operator, self, meter, found.without, exact)
            probing.begin(found.drawn(), found.spread())
            first = draws.planned(probing, found.needed())
            probing.first = math.ceil(min(first, max(2, meter.left)))
            outcome = probing.run()
            draws.done(probing)
        return trace_result(probing, outcome, method="hutch++", deflated=krylov.size)
