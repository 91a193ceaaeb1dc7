"""What results hold of each encoder: finding a number, its error, and both in words."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from sharpscope.results.contribution import METRIC_WORDS, ContributionResult
from sharpscope.results.coupling import CouplingResult
from sharpscope.results.density import DensityResult
from sharpscope.results.eigen import EigenResult
from sharpscope.results.gap import GapResult
from sharpscope.results.record import significant, within
from sharpscope.results.sharpness import SharpnessResult
from sharpscope.results.trace import TraceResult, with_error


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of one encoder.

    Args:
        modality: Whose it is; ``a+b`` of a pair.
        value: The number; None where it is not finite.
        error: One standard error, or a bound on the error where nothing was drawn.
        text: Value and error as people read them.
        more: What else must be known to judge it, such as the data error.
        data_error: The part of the error that is over the data, where that is known.
    """

    modality: str
    value: float | None
    error: float | None
    text: str
    more: str = ""
    data_error: float | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """What else must be known, in pieces that a narrow cell puts one below the other."""
        return tuple(part for part in re.split("[,;] ", self.more) if part)


Find: TypeAlias = Callable[[Any], Iterator[Measure]]
_DIGITS = 4  # of an eigenvalue, as of every number without an error


def measure(
    modality: str,
    value: float | None,
    error: float | None,
    more: str = "",
    text: str | None = None,
    data: float | None = None,
) -> Measure:
    """Return a number with its error in its text."""
    if text is None:
        text = with_error(value, error) if error else significant(value)
    return Measure(
        modality=modality, value=value, error=error, text=text, more=more, data_error=data
    )


def together(*errors: float | None) -> float | None:
    """Return the error of independent ones; None where there is none of them."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) if known else None


def trace(result: Any) -> Iterator[Measure]:
    """Yield the trace; its error bar holds the data error as well."""
    if isinstance(result, TraceResult):
        data = result.data_error
        more = "" if data is None else f"data ± {significant(data, 2)}"
        text = with_error(result.value, result.standard_error)
        error = together(result.standard_error, data)
        yield measure(result.modality, result.value, error, more, text, data)


def normalized(name: str) -> Find:
    """Return what finds the trace over or times another number."""

    def find(result: Any) -> Iterator[Measure]:
        if isinstance(result, TraceResult) and (value := result.normalized.get(name)) is not None:
            factor = abs(value / result.value) if result.value else 0.0
            own = None if result.standard_error is None else factor * result.standard_error
            data = None if result.data_error is None else factor * result.data_error
            yield measure(result.modality, value, together(own, data), text=with_error(value, own))

    return find


def end(name: str) -> Find:
    """Return what finds an end of the spectrum, to the places that its errors support.

    The residual's bound may be that of float32 alone: where the data leave the second digit of
    their error open, more would say nothing.
    """

    def find(result: Any) -> Iterator[Measure]:
        if not isinstance(result, EigenResult):
            return
        value, most = getattr(result, name), result.largest_magnitude
        if value is None or most is None or value not in result.eigenvalues:
            return
        place = result.eigenvalues.index(value)
        residual = result.residuals[place]
        data = None if result.data_errors is None else result.data_errors[place]
        bound = residual * abs(most)
        told = "" if data is None else f"data ± {significant(data, 2)}, "
        yield measure(
            result.modality,
            value,
            together(bound, data),
            f"{told}residual {residual:.1e}",
            within(value, max(bound, (data or 0.0) / 10), _DIGITS),
            data,
        )

    return find


def spectral_share(name: str) -> Find:
    """Return what finds a share of the eigenvalues, in percent."""

    def find(result: Any) -> Iterator[Measure]:
        if isinstance(result, DensityResult):
            value, error = getattr(result, name), getattr(result, f"{name}_error")
            value, error = (None if part is None else 100 * part for part in (value, error))
            yield measure(result.modality, value, error, text=result.percent(name))

    return find


def _is_keskar(result: SharpnessResult) -> bool:
    return result.method.startswith("Keskar")


def sharpness(*, keskar: bool) -> Find:
    """Return what finds Keskar's Q, or the sharpness in a ball."""

    def find(result: Any) -> Iterator[Measure]:
        if isinstance(result, SharpnessResult) and _is_keskar(result) == keskar:
            more = result.method.removeprefix("Keskar's Q, ")
            if result.spread is not None:
                more += f"; spread {significant(result.spread, 2)}"
            yield measure(result.modality, result.value, result.standard_error, more)

    return find


def gap(result: Any) -> Iterator[Measure]:
    """Yield the generalization gap."""
    if isinstance(result, GapResult):
        ends = result.interval
        between = "" if ends is None else f"95 %: {ends[0]:.3g} to {ends[1]:.3g}"
        yield measure(result.modality, result.value, result.standard_error, between)


def gap_metric(split: str) -> Find:
    """Return what finds the metric of a gap on one split."""

    def find(result: Any) -> Iterator[Measure]:
        if isinstance(result, GapResult):
            value, error = getattr(result, split), getattr(result, f"{split}_error")
            items = result.samples if split == "test" else result.train_samples
            more = f"{METRIC_WORDS[result.metric]}, {items:,} items"
            yield measure(result.modality, value, error, more)

    return find


def of_each(name: str, error: str) -> Find:
    """Return what finds a number of each modality."""

    def find(result: Any) -> Iterator[Measure]:
        if isinstance(result, ContributionResult):
            errors = getattr(result, error)
            where = f"{result.samples:,} {result.provenance.get('split', '')} items"
            for modality, value in getattr(result, name).items():
                yield measure(modality, value, errors.get(modality), where.replace("  ", " "))

    return find


def coupling(result: Any) -> Iterator[Measure]:
    """Yield the share of the Hessian between each pair."""
    if isinstance(result, CouplingResult):
        for pair, value in result.shares.items():
            yield measure(pair, value, result.share_error[pair])
