"""Spectral densities on a logarithmic scale, with their bands."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.style import COLORS, WIDTHS, looks
from sharpscope.results.density import DensityResult

_ROW = 1.7  # inches
_LINES = ("-", "--", "-.", ":")  # told apart in grey
_LEAST = 1e-5  # of the highest point: below it is the tail of a Gaussian


def draw_density(results: Sequence[DensityResult], *, width: str = "text") -> Figure:
    """Return densities, a panel for each encoder, checkpoints overlaid; one scale for all.

    Bands are one standard error over runs.

    Args:
        results: Of one or several encoders and checkpoints.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If there is no finite result, or no such width.
    """
    one_of("width", width, WIDTHS)
    shown = [result for result in results if len(result.grid)]
    if not shown:
        raise MisuseError("there is no density to draw: no result is finite")
    names = list(dict.fromkeys(result.modality for result in shown))
    tags = list(dict.fromkeys(result.tag for result in shown))
    columns = min(len(names), 1 if width == "column" else 3)
    rows = math.ceil(len(names) / columns)
    with looks():
        figure = Figure(figsize=(WIDTHS[width], _ROW * rows + 0.3), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for place, name in enumerate(names):
            axes[place].set_title(name)
            for result in (one for one in shown if one.modality == name):
                _curve(axes[place], result, tags)
            axes[place].set_xlabel("eigenvalue λ (loss / parameter²)")
        for place in range(0, len(names), columns):
            axes[place].set_ylabel("density (parameter² / loss)")
        for empty in axes[len(names) :]:
            empty.set_axis_off()
        most = max(float(result.density.max()) for result in shown)
        axes[0].set_yscale("log")
        axes[0].set_ylim(_LEAST * most, 2 * most)
        if len(tags) > 1:
            handles, labels = axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return figure


def _curve(axes: Any, result: DensityResult, tags: Sequence[str | None]) -> None:
    place = tags.index(result.tag)
    color = COLORS[place % len(COLORS)]
    floor = np.full_like(result.density, np.finfo(float).tiny)
    low = np.maximum(result.density - result.density_error, floor)
    axes.fill_between(
        result.grid, low, result.density + result.density_error, color=color, alpha=0.25, lw=0
    )
    axes.plot(
        result.grid,
        np.maximum(result.density, floor),
        color=color,
        linestyle=_LINES[place % len(_LINES)],
        label=result.tag or result.modality,
    )
    axes.axvline(0, color="0.6", linewidth=0.5, zorder=0)
