"""Contours of planes and overlaid profiles of lines, one scale for all."""

from collections.abc import Sequence
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from sharpscope.figures.panels import SIDE_BY_SIDE, legend
from sharpscope.figures.paths import draw_marks, draw_paths
from sharpscope.figures.planes import (
    arranged,
    axis_labels,
    caption_of,
    check_planes,
    grid_of,
    label_of,
    scale_of,
    titles_of,
    told_apart,
)
from sharpscope.figures.style import COLORS, LINES, WIDTHS, looks
from sharpscope.results import LandscapeResult

_LEVELS = 12


def draw_landscape(
    results: Sequence[LandscapeResult], *, width: str = "text", quantity: str = "loss"
) -> Figure:
    """Return filled and labelled contours, a panel each, or the profiles of lines in one panel.

    All share one scale of colors, logarithmic for a loss that is above 0 and spans a factor of 3;
    what is not finite is a hatched hole, a cross is the model, and the checkpoints of runs that
    the plane was made from are paths with a ring at the first and a star at the last.

    Args:
        results: Lines or planes, all of one kind.
        width: ``column``, ``text`` or ``page``.
        quantity: ``loss`` or ``metric``.

    Raises:
        MisuseError: If there is none, a volume among them, lines and planes together, or no metric.
    """
    check_planes(results, width, quantity, (1, 2))
    with looks():
        if results[0].values.ndim == 1:
            return _profiles(results, width, quantity)
        return _contours(results, width, quantity)


def caption_landscape(results: Sequence[LandscapeResult], *, quantity: str = "loss") -> str:
    """Return what the figure shows, with units and settings."""
    scale = scale_of(results, quantity)
    kind = "logarithmic" if isinstance(scale, LogNorm) else "linear"
    ends = f"{kind} from {scale.vmin:.3g} to {scale.vmax:.3g}"
    paths = any(result.runs for result in results)
    if results[0].values.ndim == 1:
        return caption_of(
            "Profiles around each encoder",
            results,
            quantity,
            f"the scale is {ends}",
            "markers are checkpoints" if paths else "the model is at 0",
        )
    return caption_of(
        "Contours around each encoder",
        results,
        quantity,
        f"all panels share the scale of colors, {ends}",
        "a cross is the model",
        "lines are the checkpoints of each run, projected into the plane, from ring to star"
        if paths
        else "",
    )


def _contours(results: Sequence[LandscapeResult], width: str, quantity: str) -> Figure:
    rows, columns, results = arranged(results, 1 if width == "column" else SIDE_BY_SIDE[width])
    # One panel alone fills its width; beside others it need not.
    side = min((WIDTHS[width] - 0.8) / columns, 2.6 if columns > 1 else 4.2)
    figure = Figure(figsize=(WIDTHS[width], side * rows + 0.1), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    scale = scale_of(results, quantity)
    levels, shown = _levels(scale)
    names = dict(zip(shown.tolist(), told_apart(shown.tolist()), strict=True))
    filled: Any = None
    titles = titles_of(results)
    for number, (place, result) in enumerate(zip(axes.ravel(), results, strict=False)):
        place.patch.set(hatch="xxxx", edgecolor="0.6")
        values = grid_of(result, quantity)
        filled = place.contourf(
            result.x, result.y, values, levels=levels, norm=scale, cmap="viridis"
        )
        lines = place.contour(
            result.x, result.y, values, levels=shown[1:-1], colors="white", linewidths=0.5
        )
        halo = [effects.withStroke(linewidth=1.2, foreground=(0, 0, 0, 0.65))]
        for label in place.clabel(lines, fontsize=5, fmt=names):
            label.set_path_effects(halo)
        draw_paths(place, result)
        place.plot(0, 0, marker="+", color="black", markersize=7, markeredgewidth=2)
        place.plot(0, 0, marker="+", color="white", markersize=6, markeredgewidth=1)
        place.set_title(titles[number])
        words = axis_labels(result)
        place.set_xlabel(words[0])
        place.set_ylabel(words[1])
        assert result.y is not None
        # Between checkpoints distances are true along both axes, and so are they drawn.
        isometric = result.axes in ("line", "pca") or np.ptp(result.x) == np.ptp(result.y)
        place.set_aspect("equal" if isometric else "auto")
    for empty in axes.ravel()[len(results) :]:
        empty.set_axis_off()
    bar = figure.colorbar(filled, ax=axes, shrink=0.9, aspect=25)
    bar.set_label(label_of(results, quantity))
    bar.ax.minorticks_off()
    bar.set_ticks(shown.tolist(), labels=list(names.values()))
    legend(figure, list(axes.ravel()))
    return figure


def _levels(scale: Normalize) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the filled steps, and every third of them, which is labelled."""
    low, high = float(scale.vmin or 0.0), float(scale.vmax or 1.0)
    spaced = np.geomspace if isinstance(scale, LogNorm) else np.linspace
    levels = spaced(low, high, _LEVELS + 1)
    shown = levels[::3].copy()
    levels[[0, -1]] = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return levels, shown


def _profiles(results: Sequence[LandscapeResult], width: str, quantity: str) -> Figure:
    figure = Figure(figsize=(WIDTHS[width], min(2.6, WIDTHS[width] * 0.6)), layout="constrained")
    axes: Any = figure.subplots()
    for place, (result, title) in enumerate(zip(results, titles_of(results), strict=True)):
        axes.plot(
            result.x,
            grid_of(result, quantity),
            color=COLORS[place % len(COLORS)],
            linestyle=LINES[place % len(LINES)],
            label=title,
        )
        if quantity == "loss":
            draw_marks(axes, result, COLORS[place % len(COLORS)])
    if isinstance(scale_of(results, quantity), LogNorm):
        axes.set_yscale("log")
    axes.axvline(0, color="0.6", linewidth=0.5, zorder=0)
    words = " or ".join(dict.fromkeys(axis_labels(result)[0] for result in results))
    units = " or ".join(dict.fromkeys(result.axis_unit for result in results))
    axes.set_xlabel(f"{words} ({units})")
    axes.set_ylabel(label_of(results, quantity))
    legend(figure, [axes])
    return figure
