"""The trace of a Hessian, with two error bars: one of the probes, one of the data."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from sharpscope.results.outcome import Outcome
from sharpscope.results.record import Result, significant

# Below so many probes neither an interval is told nor convergence.
LEAST_PROBES = 10


@dataclass(frozen=True, kw_only=True, repr=False)
class TraceResult(Result):
    """Trace of the operator on one Selection, in loss per squared parameter unit.

    Attributes:
        value: The estimate; ``None`` where a product was not finite.
        standard_error: Standard error over probes: what more probes would shrink.
        interval: 95 % interval over probes by Student's t; ``None`` below 10 random probes,
            those counted that a last measurement stands for (monitor).
        data_error: Standard error over batches as a sample of the data: what other data of the
            same kind would change. ``None`` where there are fewer than two batches.
        probes: Number of random probes behind ``standard_error``.
        deflated: Number of vectors whose part of the trace is exact (Hutch++).
        terms: The probes' values ``vᵀHv`` (Hutch++: of the deflated remainder).
        exact_part: The part of the trace that carries no probe error.
        batch_parts: Each batch's part of the trace, by the probes of even and by those of odd
            number: parts of two models on the same batches give the data error of their difference.
        batch_shares: Each batch's share of the weight, which add up to 1.
        normalized: ``per_parameter`` (trace / parameters), ``per_gradient_norm``
            (trace / ‖∇L‖) and ``times_squared_norm`` (trace · ‖θ‖²), each over the Selection.
    """

    schema: ClassVar[str] = "sharpscope/trace"

    value: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    data_error: float | None
    probes: int
    deflated: int = 0
    terms: tuple[float, ...] = ()
    exact_part: float = 0.0
    batch_parts: tuple[tuple[float, float], ...] = ()
    batch_shares: tuple[float, ...] = ()
    normalized: Mapping[str, float | None] = field(default_factory=dict[str, "float | None"])

    @property
    def needed(self) -> float | None:
        """Products that the target would have needed, extrapolated from the error reached.

        The error falls as one over the root of the number of probes, so that probes grow as its
        square; what came before the probes is spent once. ``None`` where nothing tells.
        """
        rtol, asked = self.settings.get("rtol"), self.settings.get("probes")
        if self.value is None or self.standard_error is None or not isinstance(rtol, int | float):
            return None
        target = rtol * abs(self.value)
        if asked is not None:
            probes = float(asked)
        elif target == 0:
            return None
        else:
            probes = max(LEAST_PROBES, self.probes * (self.standard_error / target) ** 2)
        return max(self.matvecs + 1, self.matvecs - self.probes + probes)

    @property
    def advice(self) -> str:
        """What the outcome means and what to change; about how many products it takes."""
        needed = self.needed
        if self.outcome is not Outcome.BUDGET_SPENT or needed is None or not self.matvecs:
            return super().advice
        seconds = max(1.0, self.seconds * needed / self.matvecs)
        return (
            f"The budget was spent before the target was reached, which needs about "
            f"{_roughly(needed)} products ({_roughly(seconds)} s at this pace): raise --budget or "
            "--max-seconds, or accept the error with a larger --rtol."
        )

    def __repr__(self) -> str:
        return (
            f"TraceResult({with_error(self.value, self.standard_error)}, {self.method}, "
            f"{self.matvecs:g} products, {self.seconds:.1f} s)"
        )


def _roughly(number: float) -> str:
    """Return a forecast to two digits: ``9,700``, or ``2e+09`` where nobody will wait for it."""
    if number >= 1e7:
        return f"{number:.0e}"
    return f"{float(f'{number:.1e}'):,.0f}"


# Below this share of the value, the error is no place of the value that can be printed.
_ROUNDING = 1e-11


def with_error(value: float | None, error: float | None) -> str:
    """Return ``925.6 ± 8.7``: the error to two digits, the value to the error's last place."""
    if value is None or error is None or not math.isfinite(value) or not math.isfinite(error):
        return significant(value)
    if error < sys.float_info.min:
        return f"{significant(value, 6)} ± 0"
    if error < _ROUNDING * abs(value):  # digits that float64 does not have
        return f"{significant(value, 12)} ± {error:.1e}"
    places = 1 - math.floor(math.log10(error))
    # An error outside these bounds reads better with a power of ten than with a row of zeros.
    if places > 4 or places < -4:
        power = math.floor(math.log10(max(abs(value), error)))
        places += power
        scale = 10.0**power
        return f"({value / scale:.{max(places, 0)}f} ± {error / scale:.{max(places, 0)}f})e{power}"
    value, error = (round(number, places) if places < 0 else number for number in (value, error))
    return f"{value:.{max(places, 0)}f} ± {error:.{max(places, 0)}f}"
