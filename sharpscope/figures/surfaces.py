"""Planes as surfaces in rows: one camera, and one scale for all or for each encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sharpscope.checks import positive
from sharpscope.errors import MisuseError
from sharpscope.figures.captions import said
from sharpscope.figures.panels import legend
from sharpscope.figures.paths import draw_raised, paths_of
from sharpscope.figures.planes import (
    arranged,
    axis_labels,
    caption_of,
    check_planes,
    grid_of,
    label_of,
    titles_of,
)
from sharpscope.figures.scales import check_columns, scales_of, sharing_told
from sharpscope.figures.style import WIDTHS, looks
from sharpscope.figures.ticks import told_apart
from sharpscope.results import LandscapeResult

CAMERA = (28.0, -52.0)  # elevation and azimuth in degrees
# Inches: beside all panels for the colors, or below each column; above a panel for its title.
_BAR, _BELOW, _TITLE = 0.7, 0.45, 0.14
_EDGE = 0.12  # inches beside the last column for its numbers, where there are no colors
_LEGEND = 0.25  # inches above all for the names of runs
_MARGIN = 1 / 48  # of an axis, at each end
_TALL = 0.93  # height of a panel over its width
Box = tuple[float, float, float, float]
_MOST = {"column": 2, "text": 4, "page": 5}


@looks()
def draw_surfaces(
    results: Sequence[LandscapeResult],
    *,
    width: str = "text",
    quantity: str = "loss",
    ceiling: float | None = None,
    colors: str = "shared",
) -> Figure:
    """Return surfaces, a row for each method and a column for each encoder.

    All share one camera, one linear range of z and one scale of colors (logarithmic for a loss
    above 0 that spans a factor of 3, so that a flat surface beside a steep one has contours).
    The checkpoints of runs that a plane was made from are paths on its surface.

    Args:
        results: Planes.
        width: ``column``, ``text`` or ``page``.
        quantity: ``loss`` or ``metric``.
        ceiling: Cut surfaces off above this value; what is above is left out and told in the
            caption. By default nothing is cut.
        colors: ``shared``, one range of z and scale of colors for all; or ``encoder``, one of
            each for each column, where one encoder would leave the others flat.

    Raises:
        MisuseError: If there is none, one is no plane, nothing is finite below the ceiling, or
            there is no column of panels for each encoder.
    """
    check_planes(results, width, quantity, (2,))
    if ceiling is not None:
        positive("ceiling", ceiling)
    scales = scales_of(results, quantity, colors, ceiling=ceiling)
    apart = colors == "encoder" and len(scales) > 1
    rows, columns, results = arranged(results, _MOST[width])
    if apart:
        check_columns(results, columns, _MOST[width])
    right = WIDTHS[width] - (_EDGE if apart else _BAR)
    below = _BELOW if apart else 0.0
    side = right / columns
    above = _LEGEND if len({p.name for r in results for p in paths_of(r)}) > 1 else 0.0
    height = rows * (side * _TALL + _TITLE) + below + above
    figure = Figure(figsize=(WIDTHS[width], height))
    drawn: list[Any] = []
    for place, (result, title) in enumerate(zip(results, titles_of(results), strict=True)):
        left = side * (place % columns)
        top = height - above - (side * _TALL + _TITLE) * (place // columns)
        bottom = top - _TITLE - side * _TALL
        # A square is as wide as its panel, and only its middle has something in it.
        square = (left, bottom - side * (1 - _TALL) / 2, side, side)
        axes: Any = figure.add_axes(_shares(figure, square), projection="3d")
        _surface(axes, result, quantity, scales[result.modality], ceiling)
        drawn.append(axes)
        x, y = (left + side / 2) / WIDTHS[width], (top - _TITLE) / height
        figure.text(x, y, title, ha="center", va="bottom", fontsize=7.5)
    label = label_of(results, quantity)
    if apart:
        for column, (name, scale) in enumerate(scales.items()):
            box = (side * (column + 0.2), _BELOW - 0.12, side * 0.6, 0.09)
            _colors(figure, box, scale, f"{label}, {name}", orientation="horizontal")
    else:
        box = (right + 0.22, height * 0.25, 0.09, height * 0.5)
        bar = _colors(figure, box, next(iter(scales.values())), label)
        bar.ax.yaxis.set_label_position("left")
    legend(figure, drawn, loc="upper center")
    return figure


def caption_surfaces(
    results: Sequence[LandscapeResult],
    *,
    quantity: str = "loss",
    ceiling: float | None = None,
    colors: str = "shared",
) -> str:
    """Return what the figure shows, with units and settings."""
    cut = sum(int((grid_of(r, quantity) > ceiling).sum()) for r in results) if ceiling else 0
    scales = scales_of(results, quantity, colors, ceiling=ceiling)
    every = sum(r.values.size for r in results)
    bottom = said(f"{_range_of_z(scale)[0]:.3g}" for scale in scales.values())
    return caption_of(
        "Surfaces around each encoder",
        results,
        [quantity],
        sharing_told(scales, colors, "the range of z and the scale of colors"),
        f"z is linear, from {bottom} to where the colors end, and all panels share the camera "
        f"(elevation {CAMERA[0]:g}°, azimuth {CAMERA[1]:g}°)",
        f"{cut} of {every} points above {ceiling:g} are cut off" if cut else "nothing is cut off",
        "lines are the checkpoints of each run, projected into the plane and drawn at the height "
        "of its surface, from ring to star"
        if any(result.runs for result in results)
        else "",
    )


def _colors(
    figure: Figure, box: Box, scale: Normalize, label: str, *, orientation: str = "vertical"
) -> Any:
    """Draw a bar of colors into a box in inches."""
    bar = figure.colorbar(
        ScalarMappable(scale, "viridis"),
        cax=figure.add_axes(_shares(figure, box)),
        orientation=orientation,
    )
    bar.set_label(label)
    if isinstance(scale, LogNorm):
        ticks = np.geomspace(float(scale.vmin or 1.0), float(scale.vmax or 1.0), 5)
        bar.ax.minorticks_off()
        bar.set_ticks(ticks.tolist(), labels=told_apart(ticks.tolist()))
    return bar


def _range_of_z(norm: Normalize) -> tuple[float, float]:
    """Return the range of z: from 0 where everything is above it."""
    return min(0.0, float(norm.vmin or 0.0)), float(norm.vmax or 1.0)


def _wider(along: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis with a margin."""
    margin = _MARGIN * float(np.ptp(along))
    return float(along.min()) - margin, float(along.max()) + margin


def _shares(figure: Figure, box: Box) -> Box:
    """Return a box in inches as shares of the figure."""
    wide, tall = figure.get_size_inches()
    return box[0] / wide, box[1] / tall, box[2] / wide, box[3] / tall


def _surface(
    axes: Any, result: LandscapeResult, quantity: str, norm: Normalize, ceiling: float | None
) -> None:
    if result.y is None:
        raise MisuseError("a surface needs a plane")
    values = np.ma.filled(grid_of(result, quantity), np.nan)
    if ceiling is not None:
        values = np.where(values > ceiling, np.nan, values)
    x, y = np.meshgrid(result.x, result.y)
    axes.plot_surface(
        x,
        y,
        values,
        cmap="viridis",
        norm=norm,
        rcount=values.shape[0],
        ccount=values.shape[1],
        edgecolor=(0, 0, 0, 0.35),
        linewidth=0.15,
        antialiased=True,
        rasterized=True,  # thousands of polygons would make the file slow to open
    )
    # By itself each artist stands before those behind its middle: a path would sink in.
    axes.computed_zorder = False
    draw_raised(axes, result, values)
    # Paths may reach beyond the plane, and the numbers of two axes would meet in the corner.
    axes.set_xlim(*_wider(result.x))
    axes.set_ylim(*_wider(result.y))
    axes.set_zlim(*_range_of_z(norm))
    axes.patch.set_visible(False)
    axes.view_init(*CAMERA)
    axes.set_box_aspect((1, 1, 0.75), zoom=0.98)
    names = axis_labels(result)
    axes.set_xlabel(names[0], labelpad=-12, fontsize=5.5)
    axes.set_ylabel(names[1], labelpad=-12, fontsize=5.5)
    axes.tick_params(labelsize=5, pad=-4.5, length=1)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis._axinfo["grid"].update(linewidth=0.3, color="0.85")
    axes.locator_params(nbins=3)
    axes.zaxis.set_major_locator(MaxNLocator(4))
