"""Extreme eigenvalues at both ends by Lanczos with full reorthogonalization."""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from sharpscope.checks import at_least, positive
from sharpscope.errors import MisuseError
from sharpscope.estimators.common import as_operator, record
from sharpscope.estimators.cost import Meter, Watcher
from sharpscope.estimators.krylov import Krylov, going_on
from sharpscope.estimators.probing import all_finite
from sharpscope.estimators.statistics import data_errors_of_forms, shares
from sharpscope.operators import SymmetricOperator
from sharpscope.results import EigenResult, Outcome
from sharpscope.subject import Subject

# The share of the largest eigenvalue down to which a small one is found by its own size.
_RESOLVED = 0.01


@dataclass(frozen=True, kw_only=True)
class TopEigenvalues:
    """Find the k largest and the k smallest eigenvalues, signs kept.

    Lanczos with full reorthogonalization from a random start (Lanczos, 1950; Parlett, 1998), until
    the bound ``|β_m s_{m,i}|`` of every wanted Ritz pair is at most ``rtol · |θ_i|``, or rtol times
    a hundredth of the largest where θ_i is smaller than that. The vectors found are then multiplied
    once more: values and residuals printed are those of that product, not the bound. A Ritz value
    never lies outside the spectrum.

    Args:
        k: Eigenvalues wanted at each end, at most as many as the operator has rows.
        rtol: Residual ``‖Ax − λx‖`` to reach, relative to the largest ``|λ|``.
        budget: Products that may be spent; at least 2k + 2.
        max_seconds: Seconds that may be spent.
        seed: Names the random start.
        keep_vectors: Put the eigenvectors into the result.

    Raises:
        MisuseError: If a setting is out of its range.

    Example:
        >>> import torch
        >>> from sharpscope.estimators import TopEigenvalues
        >>> from sharpscope.operators import DenseOperator
        >>> found = TopEigenvalues()(DenseOperator(torch.diag(torch.tensor([1.0, -3.0, 2.0]))))
        >>> [round(value, 4) for value in (found.largest, found.smallest, found.largest_magnitude)]
        [2.0, -3.0, -3.0]
    """

    k: int = 1
    rtol: float = 1e-3
    budget: int = 2000
    max_seconds: float | None = None
    seed: int = 0
    keep_vectors: bool = False

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)
        positive("rtol", self.rtol)
        least = 2 * self.k + 2
        at_least("budget", self.budget, least, f"products; {2 * self.k} check the eigenvectors")
        if self.max_seconds is not None:
            positive("max_seconds", self.max_seconds)
        at_least("seed", self.seed, 0)

    def __call__(
        self,
        target: Subject | SymmetricOperator,
        modality: str | None = None,
        *,
        loss: str | None = None,
        watcher: Watcher | None = None,
        krylov: Krylov | None = None,
    ) -> EigenResult:
        """Return the extremes of an operator, or of a subject's Hessian on ``modality``.

        Args:
            target: A subject, or an operator.
            modality: Name of the subject's Selection.
            loss: Name of the subject's loss.
            watcher: Told how far the measurement is.
            krylov: A basis to go on with, such as the one of its trace, made in the same session
                of this operator; its products are not counted again.
        """
        operator = as_operator(target, modality, loss)
        check_k(self.k, operator.dim, modality)
        meter = Meter(self.budget, self.max_seconds, watcher)
        with operator.session():
            krylov = going_on(krylov, operator, self.seed)
            outcome = self._grow(krylov, meter)
            if outcome is Outcome.NOT_FINITE:
                return self._result(operator, meter, outcome)
            return self._checked(krylov, meter, outcome)

    def _grow(self, krylov: Krylov, meter: Meter) -> Outcome:
        """Add Lanczos vectors until both ends have converged, or something is spent."""
        wanted = min(krylov.operator.dim, 2 * self.k)
        check = wanted
        if krylov.size == krylov.operator.dim or (
            krylov.size >= wanted and self._converged(krylov)
        ):
            return Outcome.CONVERGED  # by what came before
        while True:
            if krylov.step(meter) is None:
                return Outcome.NOT_FINITE
            size = krylov.size
            meter.tell(meter.budget)
            spent = meter.left < 2 * self.k + 1 or meter.late
            if size == krylov.operator.dim:
                return Outcome.CONVERGED
            if size >= wanted and (size >= check or spent):
                if self._converged(krylov):
                    return Outcome.CONVERGED
                # Each look costs a small eigenproblem; looks every few percent cost little.
                check = size + max(1, size // 16)
            if spent:
                return Outcome.BUDGET_SPENT

    def _converged(self, krylov: Krylov) -> bool:
        # An invariant subspace shows one copy of a repeated eigenvalue for each start, so k starts
        # must have been explored; on closing, the next one is drawn already.
        if krylov.closed:
            return krylov.starts > self.k
        if 1 < krylov.starts < self.k:
            return False
        # The bound is that of the newest subspace: the closed ones before it are exact.
        first = max((i + 1 for i, beta in enumerate(krylov.beta) if beta == 0), default=0)
        values, _, bounds = krylov.ritz(first)
        ends = _ends(len(values), self.k)
        # Small ones by their own size, or a bound that fits the largest would span several.
        least = _RESOLVED * abs(krylov.ritz()[0]).max()
        return bool((bounds[ends] <= self.rtol * np.maximum(abs(values[ends]), least)).all())

    def _checked(self, krylov: Krylov, meter: Meter, outcome: Outcome) -> EigenResult:
        """Return the record after one more product with each vector found."""
        values, small, _ = krylov.ritz()
        ends = _ends(len(values), self.k)
        coefficients = torch.from_numpy(np.ascontiguousarray(small[:, ends]))
        vectors = krylov.combine(coefficients)
        products = meter.timed(krylov.operator, vectors)
        if not all_finite(products):
            return self._result(krylov.operator, meter, Outcome.NOT_FINITE)
        quotients = products.quadratic / vectors.double().square().sum(0)
        scale = max(abs(values).max(), quotients.abs().max().item())
        remainder = products.columns.double() - vectors.double() * quotients
        residuals = remainder.norm(dim=0) / scale if scale > 0 else remainder.norm(dim=0)
        if outcome is Outcome.CONVERGED and residuals.max() > self.rtol:
            outcome = Outcome.STAGNATED
        order = quotients.argsort(descending=True)
        errors = data_errors_of_forms(products.forms, products.weights)
        parts = (products.forms[:, order] / products.weights.sum()).tolist()
        return self._result(
            krylov.operator,
            meter,
            outcome,
            eigenvalues=tuple(quotients[order].tolist()),
            residuals=tuple(residuals[order].tolist()),
            data_errors=tuple(errors[i] for i in order.tolist()) if errors else None,
            batch_parts=tuple(map(tuple, parts)),
            batch_shares=shares(products.weights),
            vectors=vectors.T[order].cpu().numpy() if self.keep_vectors else None,
        )

    def _result(
        self,
        operator: SymmetricOperator,
        meter: Meter,
        outcome: Outcome,
        *,
        eigenvalues: tuple[float, ...] = (),
        residuals: tuple[float, ...] = (),
        data_errors: tuple[float, ...] | None = None,
        batch_parts: tuple[tuple[float, ...], ...] = (),
        batch_shares: tuple[float, ...] = (),
        vectors: np.ndarray | None = None,
    ) -> EigenResult:
        report = operator.report()
        return EigenResult(
            eigenvalues=eigenvalues,
            residuals=residuals,
            largest=eigenvalues[0] if eigenvalues else None,
            smallest=eigenvalues[-1] if eigenvalues else None,
            largest_magnitude=max(eigenvalues, key=abs) if eigenvalues else None,
            data_errors=data_errors,
            batch_parts=batch_parts,
            batch_shares=batch_shares,
            vectors=vectors,
            outcome=outcome,
            method="lanczos",
            notes=report.notes,
            **record(operator, report, meter, asdict(self)),
        )


def check_k(k: int, dim: int, modality: str | None = None) -> None:
    """Refuse more eigenvalues at each end than there are.

    Raises:
        MisuseError: If ``k`` exceeds ``dim``.
    """
    if k > dim:
        whose = "rows of the operator" if modality is None else f"parameters of {modality!r}"
        raise MisuseError(f"k must be at most {dim:,}, the {whose}; got {k}")


def _ends(size: int, k: int) -> list[int]:
    """Return the places of the k smallest and the k largest of ``size`` ascending values."""
    return sorted({*range(min(k, size)), *range(max(0, size - k), size)})
