"""Landscapes as text for people."""

from collections.abc import Sequence

import numpy as np

from sharpscope.results import LandscapeResult
from sharpscope.results.record import significant
from sharpscope_cli.output import Column, emit_lines, emit_table
from sharpscope_cli.render import ABSENT, after, heading, name_cells, names_of, outcome_column

MEANING = (
    "reach: of the x axis, in units of its direction; the model is at 0. curvature: second "
    "difference of the loss over one step of the grid at the center, along each unit direction, "
    "loss / parameter². A slice shows a weighted mean of curvatures and hides saddles: look at "
    "sharpscope eigen as well."
)


def show_landscapes(results: Sequence[LandscapeResult], *, quiet: bool = False) -> None:
    """Print what is read off landscapes as a table."""
    first = results[0]
    shape = "x".join(str(count) for count in reversed(first.values.shape))
    heading(f"{shape} landscape", results)
    columns: list[Column] = [
        *names_of(results),
        ("center", "right"),
        ("least", "right"),
        ("largest", "right"),
        ("reach of x" if len(first.labels) > 1 else "reach", "right"),
        ("curvature", "right"),
        *([(first.metric, "right")] if first.metric else []),
        ("seconds", "right"),
        *outcome_column(results),
    ]
    emit_table(columns, [_row(result, results) for result in results])
    emit_lines(
        [
            f"{result.modality}: {' and '.join(result.labels)} explain "
            f"{' and '.join(f'{100 * share:.1f} %' for share in result.explained)} of the variance "
            "of the checkpoints."
            for result in results
            if result.explained
        ]
    )
    after(results, "" if quiet else MEANING, quiet=quiet)


def _row(result: LandscapeResult, results: Sequence[LandscapeResult]) -> list[str]:
    finite = result.values[np.isfinite(result.values)]
    ends = [float(finite.min()), float(finite.max())] if finite.size else [None, None]
    curvatures = [ABSENT if c is None else significant(c, 3) for c in result.curvatures]
    return [
        *name_cells(result, results),
        significant(result.center),
        *(significant(end) for end in ends),
        _reach(result),
        ", ".join(curvatures),
        *([_metric(result)] if results[0].metric else []),
        f"{result.seconds:.1f}",
        *([str(result.outcome).replace("_", " ")] if outcome_column(results) else []),
    ]


def _metric(result: LandscapeResult) -> str:
    """Return the metric at the model, and its range over the grid."""
    assert result.metric_values is not None
    values = result.metric_values[np.isfinite(result.metric_values)]
    if not values.size:
        return ABSENT
    here = result.at_center(result.metric_values)
    ends = " to ".join(significant(float(end), 3) for end in (values.min(), values.max()))
    return f"{significant(here, 3)} ({ends})"


def _reach(result: LandscapeResult) -> str:
    low, high = (significant(float(end), 3) for end in (result.x[0], result.x[-1]))
    return f"±{high}" if low == f"-{high}" else f"{low} to {high}"
