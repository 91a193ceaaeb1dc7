"""Contours of planes and overlaid profiles of lines, one scale for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.style import COLORS, WIDTHS, looks
from sharpscope.results.landscape import LandscapeResult

_LEVELS = 12
_LINES = ("-", "--", "-.", ":")


def draw_landscape(results: Sequence[LandscapeResult], *, width: str = "text") -> Figure:
    """Return filled and labelled contours, a panel each, or the profiles of lines in one panel.

    All share one logarithmic scale of colors (linear where a loss is not above 0); what is not
    finite is a hatched hole, and a cross is the model.

    Args:
        results: Lines or planes, all of one kind.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If there is none, a volume among them, or lines and planes together.
    """
    one_of("width", width, WIDTHS)
    kinds = {result.values.ndim for result in results}
    if kinds not in ({1}, {2}):
        raise MisuseError(
            "a figure of landscapes shows lines, or planes; got results with "
            f"{' and '.join(map(str, sorted(kinds))) or 'no'} axes"
        )
    with looks():
        return _profiles(results, width) if kinds == {1} else _contours(results, width)


def _scale(results: Sequence[LandscapeResult]) -> Normalize:
    every = np.concatenate([result.values.ravel() for result in results])
    finite = every[np.isfinite(every)]
    if not finite.size:
        raise MisuseError("there is no landscape to draw: no point is finite")
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > 3 * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1.0)


def _contours(results: Sequence[LandscapeResult], width: str) -> Figure:
    names = list(dict.fromkeys(result.modality for result in results))
    whole = len(results) == len(names) * len({result.tag for result in results})
    # A column for each encoder and a row for each checkpoint, where that comes out even.
    columns = len(names) if whole and len(names) <= 3 else min(len(results), 3)
    columns = 1 if width == "column" else columns
    rows = -(-len(results) // columns)
    side = (WIDTHS[width] - 0.8) / columns
    figure = Figure(figsize=(WIDTHS[width], side * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    scale = _scale(results)
    low, high = float(scale.vmin or 0.0), float(scale.vmax or 1.0)
    spaced = np.geomspace if isinstance(scale, LogNorm) else np.linspace
    levels = spaced(low, high, _LEVELS + 1)
    levels[[0, -1]] = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    filled: Any = None
    for place, result in zip(axes.ravel(), results, strict=False):
        assert result.y is not None
        values = np.ma.masked_invalid(result.values)
        place.patch.set(hatch="xxxx", edgecolor="0.8")
        filled = place.contourf(
            result.x, result.y, values, levels=levels, norm=scale, cmap="viridis"
        )
        lines = place.contour(
            result.x, result.y, values, levels=levels[1::2], colors="white", linewidths=0.5
        )
        place.clabel(lines, fontsize=5, fmt="%.2g")
        place.plot(0, 0, marker="+", color="white", markersize=6, markeredgewidth=1)
        place.set_title(" · ".join(part for part in (result.tag, result.modality) if part))
        place.set_xlabel(result.labels[0])
        place.set_ylabel(result.labels[1])
        place.set_aspect("equal" if np.ptp(result.x) == np.ptp(result.y) else "auto")
    for empty in axes.ravel()[len(results) :]:
        empty.set_axis_off()
    bar = figure.colorbar(filled, ax=axes, shrink=0.9)
    bar.set_label(f"{results[0].loss} loss")
    bar.ax.minorticks_off()
    bar.set_ticks(levels[::3].tolist(), labels=[f"{level:.2g}" for level in levels[::3]])
    return figure


def _profiles(results: Sequence[LandscapeResult], width: str) -> Figure:
    figure = Figure(figsize=(WIDTHS[width], min(2.6, WIDTHS[width] * 0.6)), layout="constrained")
    axes: Any = figure.subplots()
    for place, result in enumerate(results):
        axes.plot(
            result.x,
            np.ma.masked_invalid(result.values),
            color=COLORS[place % len(COLORS)],
            linestyle=_LINES[place % len(_LINES)],
            label=" · ".join(part for part in (result.tag, result.modality) if part),
        )
    if isinstance(_scale(results), LogNorm):
        axes.set_yscale("log")
    axes.axvline(0, color="0.6", linewidth=0.5, zorder=0)
    axes.set_xlabel(f"{results[0].labels[0]} (units of the direction)")
    axes.set_ylabel(f"{results[0].loss} loss")
    axes.legend()
    return figure
