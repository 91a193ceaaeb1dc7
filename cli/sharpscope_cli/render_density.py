"""Densities as text for people."""

from collections.abc import Sequence

from sharpscope.results import DensityResult
from sharpscope.results.record import significant, within
from sharpscope.results.trace import with_error
from sharpscope_cli.output import Column, emit_facts, emit_table
from sharpscope_cli.render import (
    ABSENT,
    UNIT,
    after,
    common_facts,
    cost_cells,
    heading,
    matrix,
    name_cells,
    names_of,
    outcome_column,
    subject_of,
)

MEANING = (
    "± is one standard error over runs. λ is given by Ritz values, which lie inside the spectrum. "
    "below 0: share of the eigenvalues that are negative by more than a thousandth of the largest "
    "|λ|; near 0: that are at most a hundredth of it; from what it is at least to what it is at "
    "most, since a quadrature does not tell close eigenvalues apart: more --steps help. "
)


def show_densities(results: Sequence[DensityResult], *, quiet: bool = False) -> None:
    """Print what is read off densities: one as a list of facts, several as a table."""
    if len(results) == 1:
        (result,) = results
        emit_facts(f"{matrix(results)} spectrum of {subject_of(result)}", _facts(result))
    else:
        heading(f"{matrix(results)} spectrum", results)
        columns: list[Column] = [
            *names_of(results),
            ("λ_min", "right"),
            ("λ_max", "right"),
            ("below 0\n%", "right"),
            ("near 0\n%", "right"),
            ("trace ± error", "right"),
            ("products", "right"),
            ("seconds", "right"),
            *outcome_column(results),
        ]
        emit_table(columns, [_row(result, results) for result in results])
    after(results, "" if quiet else MEANING + UNIT, quiet=quiet)


def _end(result: DensityResult, value: float | None) -> str:
    if value is None or result.largest is None or result.smallest is None:
        return significant(value)
    return within(value, max(abs(result.largest), abs(result.smallest)) * 1e-3, 4)


def _facts(result: DensityResult) -> list[tuple[str, str]]:
    return [
        ("λ_min", _end(result, result.smallest)),
        ("λ_max", _end(result, result.largest)),
        ("below 0", f"{result.percent('negative')} %"),
        ("near 0", f"{result.percent('near_zero')} %"),
        ("trace", with_error(result.trace, result.trace_error)),
        ("data error", significant(result.data_error, 2) if result.data_error else ABSENT),
        ("smoothed by", f"a Gaussian of σ = {significant(result.sigma, 2)}"),
        ("runs", f"{result.runs} of {result.steps} steps"),
        *common_facts(result),
    ]


def _row(result: DensityResult, results: Sequence[DensityResult]) -> list[str]:
    return [
        *name_cells(result, results),
        _end(result, result.smallest),
        _end(result, result.largest),
        result.percent("negative"),
        result.percent("near_zero"),
        with_error(result.trace, result.trace_error),
        *cost_cells(result, results),
    ]
