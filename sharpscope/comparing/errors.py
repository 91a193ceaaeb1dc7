"""Errors of differences and of ratios: what two measurements share cancels, the rest adds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sharpscope.comparing.measurement import Measurement
from sharpscope.results.comparison import Interval
from sharpscope.results.trace import LEAST_PROBES

# Measurements with their coefficients: a run, an interpolation between two, a mean over runs.
Side = Sequence[tuple[float, Measurement]]
CONFIDENCE = 0.95
_ROUNDING = 1e-9
_LEAST_REPLICATES = 50  # fewer of them say little of an error


@dataclass(frozen=True)
class Spread:
    """Variances of two numbers and their covariance, by one source of error.

    Attributes:
        one: Variance of the first.
        other: Variance of the second.
        both: Their covariance.
        freedom: Degrees of freedom behind them; infinite where they are exact.
        paired: Whether the covariance is known, and not taken to be 0.
        whole: Whether every part of both is known; else the variances are lower bounds.
    """

    one: float
    other: float
    both: float
    freedom: float
    paired: bool
    whole: bool = True

    def variance(self) -> float:
        """Return the variance of the difference."""
        return max(0.0, self.one + self.other - 2 * self.both)


def value_of(side: Side) -> float | None:
    """Return the number of a side; None where a part of it is not finite."""
    values = [(weight, found.value) for weight, found in side]
    if any(value is None or not math.isfinite(value) for _, value in values):
        return None
    return math.fsum(weight * (value or 0.0) for weight, value in values)


def bound_of(side: Side) -> float:
    """Return how far the solvers of a side may be from the truth."""
    return math.fsum(abs(weight) * found.bound for weight, found in side)


def probe_spread(one: Side, other: Side) -> Spread | None:
    """Return the spread over random draws; None where the error of one is not known.

    Terms under the same probe are correlated, and the means of n and m of them, the first of which
    are of the same probes, have the covariance ``ρ e_n e_m √(min(n, m) / max(n, m))``: for equal
    numbers the error of the difference is that of the paired differences. The errors ``e`` are
    those of the results, which know more of a skewed spectrum than its terms do.
    """
    everything = [found for _, found in (*one, *other)]
    if any(found.probe_error is None for found in everything):
        return None
    counts = [found.probes for found in everything if found.probes]
    return Spread(
        _probe_covariance(one, one),
        _probe_covariance(other, other),
        _probe_covariance(one, other),
        min(counts) - 1 if counts else math.inf,
        any(_correlation(a, b) is not None for _, a in one for _, b in other),
    )


def data_spread(one: Side, other: Side) -> Spread | None:
    """Return the spread over batches as a sample of the data; None where it is not known.

    The same batches are behind both: with the residuals ``r_b`` of each batch's part, the
    covariance is ``B / (B − 1) Σ_b r_b s_b``, the two factors from different halves of the probes,
    so that probe noise adds nothing to it. Replicates of the same draws of items are paired draw by
    draw. Where errors alone are known, runs of one side err on the same items, and add up; what one
    side lacks leaves a lower bound.
    """
    everything = [found for _, found in (*one, *other)]
    if (drawn := _replicated(one, other)) is not None:
        return drawn
    sizes = {len(found.parts) for found in everything}
    if len(sizes) == 1 and (batches := sizes.pop()) >= 2:
        a, b = _residuals(one), _residuals(other)
        scale = batches / (batches - 1)

        def crossed(left: np.ndarray, right: np.ndarray) -> float:
            return scale * float((left * right[:, ::-1]).sum()) / 2

        return Spread(crossed(a, a), crossed(b, b), crossed(a, b), batches - 1, True)
    known = [found.data_error is not None for found in everything]
    if not any(known):
        return None
    first, second = (
        math.fsum(abs(weight) * (found.data_error or 0.0) for weight, found in side) ** 2
        for side in (one, other)
    )
    return Spread(first, second, 0.0, math.inf, False, whole=all(known))


def _replicated(one: Side, other: Side) -> Spread | None:
    """Return the spread over replicates of the same draws; None where there are none."""
    everything = [found for _, found in (*one, *other)]
    sizes = {len(found.replicates) for found in everything}
    if len(sizes) > 1 or sizes <= {0} or len({found.samples for found in everything}) > 1:
        return None
    first, second = (sum(weight * found.replicates for weight, found in s) for s in (one, other))
    finite = np.isfinite(first) & np.isfinite(second)
    if finite.sum() < _LEAST_REPLICATES:
        return None
    table = np.cov(np.array([first, second])[:, finite])
    return Spread(table[0, 0], table[1, 1], table[0, 1], math.inf, True)


def seed_spread(one: Sequence[float], other: Sequence[float], *, paired: bool) -> Spread | None:
    """Return the spread of two means over runs; None where one of them is of a single run."""
    if min(len(one), len(other)) < 2:
        return None
    if paired:
        table = np.cov(np.array([one, other])) / len(one)
        return Spread(table[0, 0], table[1, 1], table[0, 1], len(one) - 1, True)
    first, second = (float(np.var(values, ddof=1)) / len(values) for values in (one, other))
    freedom = _joint((first, second), (len(one) - 1, len(other) - 1))
    return Spread(first, second, 0.0, freedom, False)


def enough(side: Side) -> bool:
    """Whether an interval can be told: nothing random, or enough probes."""
    return all(found.probes == 0 or found.probes >= LEAST_PROBES for _, found in side)


def half_width(spreads: Sequence[Spread]) -> float:
    """Return half of a difference's 95 % interval by Student's t."""
    return _quantile(spreads) * math.sqrt(math.fsum(spread.variance() for spread in spreads))


def ratio_interval(one: float, other: float, spreads: Sequence[Spread]) -> Interval | None:
    """Return the 95 % interval of a ratio, which holds 1 if and only if the difference's holds 0.

    It is the set of all r for which ``one - r other`` is no further from 0 than its error allows;
    None where that is unbounded, since the lower number may be 0.

    Source: Fieller, 1954, J. Royal Statistical Society B 16.
    """
    square = _quantile(spreads) ** 2
    known = [spread for spread in spreads if spread.variance() > 0]
    first = one**2 - square * math.fsum(spread.one for spread in known)
    middle = one * other - square * math.fsum(spread.both for spread in known)
    last = other**2 - square * math.fsum(spread.other for spread in known)
    root = middle**2 - first * last
    if last <= 0 or root < -_ROUNDING * middle**2:
        return None
    # Two numbers that err by the same share have a ratio without error, and rounding decides.
    half = math.sqrt(max(0.0, root))
    return (middle - half) / last, (middle + half) / last


def _quantile(spreads: Sequence[Spread]) -> float:
    """Return Student's t; of several errors by the rule of Welch and Satterthwaite."""
    variances = [spread.variance() for spread in spreads]
    freedom = _joint(variances, [spread.freedom for spread in spreads])
    level = (1 + CONFIDENCE) / 2
    found = stats.t.ppf(level, freedom) if math.isfinite(freedom) else stats.norm.ppf(level)
    return float(found)


def _joint(variances: Sequence[float], freedoms: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of independent variances."""
    total = math.fsum(variances)
    spent = math.fsum(v**2 / f for v, f in zip(variances, freedoms, strict=True) if f)
    return total**2 / spent if spent else math.inf


def _probe_covariance(one: Side, other: Side) -> float:
    return math.fsum(u * v * _covariance(a, b) for u, a in one for v, b in other)


def _covariance(one: Measurement, other: Measurement) -> float:
    first, second = one.probe_error or 0.0, other.probe_error or 0.0
    if one is other:
        return first**2
    fewer, more = sorted((one.probes, other.probes))
    return (_correlation(one, other) or 0.0) * first * second * math.sqrt(fewer / max(1, more))


def _correlation(one: Measurement, other: Measurement) -> float | None:
    """Return the correlation of terms of the same draws; None where they have none."""
    common = min(len(one.terms), len(other.terms))
    if one.draws is None or one.draws != other.draws or common < 2:
        return None
    a, b = (found.terms[:common] - found.terms[:common].mean() for found in (one, other))
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else 0.0


def _residuals(side: Side) -> np.ndarray:
    """Return what each batch has above its share, ``[batches, 2]``."""
    return sum(
        weight * (found.parts - np.outer(found.shares, found.parts.sum(0)))
        for weight, found in side
    )  # pyright: ignore[reportReturnType]
