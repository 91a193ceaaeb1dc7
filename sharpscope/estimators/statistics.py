"""Error bars: of probes by Student's t, of the data by batches."""

import math
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from sharpscope.results.trace import LEAST_PROBES

# Fewer values give a Student interval that a skewed spectrum breaks too easily.
INTERVAL_PROBES = LEAST_PROBES
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean of independent terms with its standard error.

    Attributes:
        value: The mean.
        error: Standard error, ``s / √n``.
        count: Number of terms; 0 for a value that is exact.
    """

    value: float
    error: float
    count: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval by Student's t, from ten terms on; a point where nothing is random."""
        if self.count == 0:
            return self.value, self.value
        if self.count < INTERVAL_PROBES:
            return None
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.count - 1)) * self.error
        return self.value - half, self.value + half


def mean(terms: Tensor) -> Mean:
    """Return the mean of at least two terms ``[n]`` and its standard error."""
    variance, center = torch.var_mean(terms.double())
    return Mean(center.item(), math.sqrt(variance.item() / len(terms)), len(terms))


class Spread:
    """The variance of the forms ``vᵀBv`` of random vectors, from their images ``Bv``.

    It is ``2‖B‖_F²`` for Gaussian v and ``2(‖B‖_F² − Σ B_ii²)`` for Rademacher v, and
    ``E‖Bv‖² = ‖B‖_F²``, ``E[v ∘ Bv] = diag B``. Where few eigenvalues dominate, forms are skewed:
    most samples miss the long tail, and their spread is too small. The images know better.

    Args:
        rademacher: Whether the vectors are signs.
    """

    def __init__(self, *, rademacher: bool):
        self.count = 0
        self._squares = 0.0
        self._rademacher = rademacher
        self._halves: list[Tensor | None] = [None, None]
        self._counts = [0, 0]

    def add(self, vectors: Tensor, images: Tensor) -> None:
        """Add random vectors and their images, the columns of ``[dim, k]``."""
        self._squares += images.double().square().sum().item()
        if self._rademacher:
            for index in range(vectors.shape[1]):
                half = (self.count + index) % 2
                diagonal, found = vectors[:, index] * images[:, index], self._halves[half]
                self._halves[half] = diagonal if found is None else found + diagonal
                self._counts[half] += 1
        self.count += vectors.shape[1]

    def variance(self) -> float:
        """Return the variance of a form."""
        one, other = self._halves
        squared, diagonal = self._squares / self.count, 0.0
        if one is not None and other is not None:
            # By two independent halves, so that its square carries no noise of its own.
            product = torch.dot(one.double(), other.double()).item()
            diagonal = max(0.0, product / (self._counts[0] * self._counts[1]))
        return 2 * max(0.0, squared - diagonal)


def correlation(images: Tensor, before: Tensor, signs: Tensor) -> float:
    """Return the correlation of the forms ``zᵀAz`` and ``zᵀBz`` of random signs, 0 to 1.

    Their covariance is ``2(tr AB − Σ A_ii B_ii)``, of which ``E (Az)ᵀ(Bz) = tr AB`` and
    ``E z ∘ Az = diag A`` know both parts.

    Args:
        images: ``Az`` of each z as rows.
        before: ``Bz``.
        signs: The z.
    """
    a, b, z = images.double(), before.double(), signs.double()

    def covariance(one: Tensor, other: Tensor) -> float:
        inner = (one * other).sum(1).mean().item()
        # By two independent halves, so that noise of the diagonals does not enter.
        halves = [((z * one)[i::2].mean(0), (z * other)[i::2].mean(0)) for i in (0, 1)]
        crossed = torch.dot(halves[0][0], halves[1][1]) + torch.dot(halves[1][0], halves[0][1])
        return inner - crossed.item() / 2

    spreads = covariance(a, a) * covariance(b, b)
    if spreads <= 0:
        return 0.0
    return min(1.0, max(0.0, covariance(a, b) / math.sqrt(spreads)))


def probes_needed(found: Mean, target: float) -> float:
    """Return how many terms in all would bring the standard error down to ``target``.

    Few terms know their own spread badly, and a search for the moment at which it is small finds
    the moment at which it is underestimated. So the error counts as Student's t has it: as large
    as the interval that a normal error would need, ``t s / (1.96 √n)``.
    """
    if found.error == 0:
        return found.count
    if target == 0:
        return math.inf
    level = (1 + CONFIDENCE) / 2
    caution = float(stats.t.ppf(level, found.count - 1)) / float(stats.norm.ppf(level))
    return found.count * (caution * found.error / target) ** 2


def expected_probes(variance: float, target: float) -> float:
    """Return how many terms of a known variance an error of ``target`` will ask for."""
    least = (math.sqrt(variance) / target) ** 2 if target else math.inf if variance else 0.0
    count = int(min(max(INTERVAL_PROBES, least), 1e9))
    planned = Mean(0.0, math.sqrt(variance / count), count)
    return max(INTERVAL_PROBES, probes_needed(planned, target))


def data_error_of_probes(forms: Tensor, weights: Tensor, exact: Tensor) -> float | None:
    """Return the standard error of a trace over batches as a sample of the data.

    With residuals ``r_bp = e_b + f_bp − R_p w_b`` of batch b under probe p, products of residuals
    under two different probes are free of probe noise: ``mean_{p≠q} r_bp r_bq`` is unbiased for
    the square of batch b's true residual. The variance of the ratio ``Σ S_b / Σ w_b`` is then
    ``B / (B − 1) Σ_b mean_{p≠q} r_bp r_bq / (Σ w_b)²``.

    Args:
        forms: ``f_bp``, float64 ``[batches, probes]``, sums over items.
        weights: ``w_b``, ``[batches]``.
        exact: ``e_b``, the part without probe noise, ``[batches]``.

    Returns:
        The error; None below two batches or two probes, or where probe noise hides it.
    """
    batches, probes = forms.shape
    if batches < 2 or probes < 2:
        return None
    terms = forms + exact[:, None]
    residuals = terms - weights[:, None] * (terms.sum(0) / weights.sum())
    crossed = residuals.sum(1).square() - residuals.square().sum(1)
    squares = (crossed / (probes * (probes - 1))).sum().item()
    return _ratio_error(squares, batches, weights) if squares > 0 else None


def batch_halves(forms: Tensor, weights: Tensor, exact: Tensor) -> tuple[tuple[float, float], ...]:
    """Return each batch's part of a trace twice: by the probes of even and by those of odd number.

    Parts add up to the trace that each half of the probes finds. What differs between batches in
    both halves is no probe noise, also in the difference of two models under the same probes.

    Args:
        forms: Sums over items, float64 ``[batches, probes]``; no probes where all is exact.
        weights: Weight of each batch, ``[batches]``.
        exact: The part without probe noise, ``[batches]``.
    """
    if forms.shape[1] == 0:
        halves = torch.zeros_like(exact)[:, None].expand(-1, 2)
    else:
        halves = torch.stack([forms[:, half::2].mean(1) for half in (0, 1)], dim=1)
    pairs = ((halves + exact[:, None]) / weights.sum()).tolist()
    return tuple((even, odd) for even, odd in pairs)


def shares(weights: Tensor) -> tuple[float, ...]:
    """Return what share of the weight each batch has."""
    return tuple((weights / weights.sum()).tolist())


def data_errors_of_forms(forms: Tensor, weights: Tensor) -> tuple[float, ...] | None:
    """Return the standard error of each quadratic form ``[batches, k]`` over batches, or None."""
    batches = len(weights)
    if batches < 2:
        return None
    residuals = forms - weights[:, None] * (forms.sum(0) / weights.sum())
    squares = residuals.square().sum(0)
    return tuple(_ratio_error(square.item(), batches, weights) for square in squares)


def _ratio_error(squares: float, batches: int, weights: Tensor) -> float:
    return math.sqrt(batches / (batches - 1) * squares) / weights.sum().item()
