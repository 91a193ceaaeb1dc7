"""Overlaid profiles of lines: the loss, and below it the metric where one was measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from sharpscope.figures.panels import legend
from sharpscope.figures.paths import worded
from sharpscope.figures.planes import (
    axis_labels,
    caption_of,
    check_planes,
    grid_of,
    label_of,
    one_metric,
    titles_of,
)
from sharpscope.figures.scales import ends_of, scale_of
from sharpscope.figures.style import COLORS, LINES, WIDTHS, looks
from sharpscope.figures.ticks import logarithmic
from sharpscope.results import LandscapeResult

_TALLEST, _TALL = 2.6, 0.6  # inches of the upper panel, and the most of its width
_LOWER = 0.6  # height of the panel of the metric over that of the loss


@looks()
def draw_profiles(
    results: Sequence[LandscapeResult], *, width: str = "text", quantity: str | None = None
) -> Figure:
    """Return profiles in one panel, all on one scale, a checkpoint's name at its mark.

    Where all measured one metric, it stands in a second panel below the loss, on the same x.

    Args:
        results: Lines.
        width: ``column``, ``text`` or ``page``.
        quantity: ``loss`` or ``metric``, to draw that alone.

    Raises:
        MisuseError: If there is none, one is no line, or the metric asked for was not measured.
    """
    check_planes(results, width, quantity or "loss", (1,))
    shown = quantities_of(results, quantity)
    upper = min(_TALLEST, WIDTHS[width] * _TALL)
    heights = [upper, upper * _LOWER][: len(shown)]
    figure = Figure(figsize=(WIDTHS[width], sum(heights)), layout="constrained")
    column = figure.subplots(len(shown), 1, squeeze=False, sharex=True, height_ratios=heights)
    axes: list[Any] = list(column.ravel())
    for place, what in zip(axes, shown, strict=True):
        _lines(place, results, what)
    words = " or ".join(dict.fromkeys(axis_labels(result)[0] for result in results))
    units = " or ".join(dict.fromkeys(result.axis_unit for result in results))
    axes[-1].set_xlabel(f"{words} ({units})")
    legend(figure, axes)
    return figure


def caption_profiles(results: Sequence[LandscapeResult], *, quantity: str | None = None) -> str:
    """Return what the figure shows, with units and settings."""
    shown = quantities_of(results, quantity)
    scales = [ends_of(scale_of(results, what)) for what in shown]
    marks = any(result.runs for result in results) and "loss" in shown
    return caption_of(
        "Profiles around each encoder",
        results,
        shown,
        f"the scale is {scales[0]}"
        if len(shown) == 1
        else f"above, the loss on a scale {scales[0]}; below, {label_of(results, 'metric')}, "
        f"{scales[1]}",
        "markers are checkpoints" if marks else "the model is at 0",
    )


def quantities_of(results: Sequence[LandscapeResult], quantity: str | None) -> tuple[str, ...]:
    """Return what is drawn: the one asked for, else the loss and the metric that all measured."""
    if quantity is not None:
        return (quantity,)
    return ("loss", "metric") if one_metric(results) else ("loss",)


def _lines(axes: Any, results: Sequence[LandscapeResult], quantity: str) -> None:
    for place, (result, title) in enumerate(zip(results, titles_of(results), strict=True)):
        color = COLORS[place % len(COLORS)]
        line = LINES[place % len(LINES)]
        axes.plot(result.x, grid_of(result, quantity), color=color, linestyle=line, label=title)
        if quantity == "loss":
            _marks(axes, result, color)
    axes.axvline(0, color="0.6", linewidth=0.5, zorder=0)
    axes.set_ylabel(label_of(results, quantity))
    if isinstance(scale_of(results, quantity), LogNorm):
        logarithmic(axes)


def _marks(axes: Any, result: LandscapeResult, color: str) -> None:
    """Mark the checkpoints on a profile, each with its name beside it; of a line both its ends."""
    if result.path_x is None or result.path_loss is None:
        return
    marks = list(zip(result.path_x, result.path_loss, result.path_names, strict=True))
    if result.axes == "line" and result.path_x.all():  # none of them is the model
        marks.insert(0, (0.0, result.center, result.tag or "the model"))
    axes.plot(
        [x for x, _, _ in marks],
        [y for _, y, _ in marks],
        linestyle="none",
        marker="o",
        markersize=3.5,
        color=color,
        markeredgecolor="black",
        markeredgewidth=0.4,
    )
    for x, y, name in marks:
        if np.isfinite(y):
            where = _free_side(result, x)
            axes.annotate(
                worded(result, name), (x, y), textcoords="offset points", size=5.5, **where
            )


def _free_side(result: LandscapeResult, x: float) -> dict[str, Any]:
    """Return where a label does not cross the curve: on the outer side of its slope."""
    step = float(np.ptp(result.x)) / 10  # about as far as a label reaches
    left, here, right = np.interp([x - step, x, x + step], result.x, result.values)
    if left > here < right:
        return {"xytext": (0, -4), "ha": "center", "va": "top"}
    if left > right:
        return {"xytext": (3, 4), "ha": "left"}
    return {"xytext": (-3, 4), "ha": "right"}
