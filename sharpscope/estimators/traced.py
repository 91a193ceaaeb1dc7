"""The record of a finished trace, whatever estimated it."""

from dataclasses import asdict
from typing import Protocol

from torch import Tensor

from sharpscope.estimators.common import record
from sharpscope.estimators.cost import Meter
from sharpscope.estimators.probing import ProbeSettings
from sharpscope.estimators.statistics import Mean
from sharpscope.operators import Report, SymmetricOperator
from sharpscope.results import Outcome, TraceResult


class Probed(Protocol):
    """What a record of a trace is made from."""

    operator: SymmetricOperator
    meter: Meter

    @property
    def settings(self) -> ProbeSettings:
        """When to stop and what to draw."""
        ...

    @property
    def count(self) -> int:
        """Number of probes drawn."""
        ...

    @property
    def batches(self) -> int:
        """Number of batches."""
        ...

    def trace(self) -> Mean:
        """Return the estimate with its standard error."""
        ...

    def terms(self) -> Tensor:
        """Return the terms whose mean and spread these are, float64."""
        ...

    def exact_part(self) -> float:
        """Return what is added to their mean without error."""
        ...

    def data_error(self) -> float | None:
        """Return the standard error over batches as a sample of the data."""
        ...

    def batch_parts(self) -> tuple[tuple[float, float], ...]:
        """Return each batch's part of the trace, by either half of the probes."""
        ...

    def batch_shares(self) -> tuple[float, ...]:
        """Return each batch's share of the weight."""
        ...


def trace_result(
    probing: Probed,
    outcome: Outcome,
    *,
    method: str,
    deflated: int = 0,
    report: Report | None = None,
    way: str = "by itself",
) -> TraceResult:
    """Return the record of a finished probing; called inside the operator's session.

    Args:
        probing: What was drawn.
        outcome: Why it ended.
        method: Name of the estimator.
        deflated: Vectors whose part is exact.
        report: What to say of the operator, by default its own report.
        way: Whether a block was measured by itself or with others in one sweep.
    """
    operator, meter = probing.operator, probing.meter
    report = report or operator.report()
    fields = record(operator, report, meter, asdict(probing.settings) | {"way": way})
    if outcome is Outcome.NOT_FINITE:
        return TraceResult(
            value=None,
            standard_error=None,
            interval=None,
            data_error=None,
            probes=probing.count,
            deflated=deflated,
            outcome=outcome,
            method=method,
            notes=report.notes,
            **fields,
        )
    found = probing.trace()
    data_error = probing.data_error()
    hidden = data_error is None and probing.batches >= 2
    notes = ("The error over batches is smaller than these probes can resolve.",) if hidden else ()
    return TraceResult(
        value=found.value,
        standard_error=found.error,
        interval=found.interval,
        data_error=data_error,
        probes=probing.count,
        deflated=deflated,
        terms=tuple(probing.terms().tolist()),
        exact_part=probing.exact_part(),
        batch_parts=probing.batch_parts(),
        batch_shares=probing.batch_shares(),
        normalized=normalized(found.value, report),
        outcome=outcome,
        method=method,
        notes=(*report.notes, *notes),
        **fields,
    )


def normalized(trace: float, report: Report) -> dict[str, float | None]:
    """Return the trace in the normalizations that papers use; None where one does not apply."""
    gradient, norm = report.gradient_norm, report.parameter_norm
    return {
        "per_parameter": trace / report.parameters,
        "per_gradient_norm": trace / gradient if gradient else None,
        "times_squared_norm": trace * norm**2 if norm is not None else None,
    }
