"""Planes as surfaces in rows: one range of z, one camera and one scale of colors for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sharpscope.checks import positive
from sharpscope.errors import MisuseError
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
from sharpscope.figures.style import WIDTHS, looks
from sharpscope.results import LandscapeResult

CAMERA = (28.0, -52.0)  # elevation and azimuth in degrees
# Inches: beside the panels for the colors, above each for its title.
_BAR, _TITLE = 0.6, 0.14
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
) -> Figure:
    """Return surfaces, a row for each method and a column for each encoder.

    All share one linear range of z, one camera and one scale of colors (logarithmic for a loss
    above 0 that spans a factor of 3, so that a flat surface beside a steep one has contours).

    Args:
        results: Planes.
        width: ``column``, ``text`` or ``page``.
        quantity: ``loss`` or ``metric``.
        ceiling: Cut surfaces off above this value; what is above is left out and told in the
            caption. By default nothing is cut.

    Raises:
        MisuseError: If there is none, one is no plane, or nothing is finite below the ceiling.
    """
    check_planes(results, width, quantity, (2,))
    if ceiling is not None:
        positive("ceiling", ceiling)
    scale = scale_of(results, quantity, ceiling=ceiling)
    rows, columns, results = arranged(results, _MOST[width])
    right = WIDTHS[width] - _BAR
    side = right / columns
    height = rows * (side * _TALL + _TITLE)
    figure = Figure(figsize=(WIDTHS[width], height))
    for place, (result, title) in enumerate(zip(results, titles_of(results), strict=True)):
        left, top = side * (place % columns), height - (side * _TALL + _TITLE) * (place // columns)
        bottom = top - _TITLE - side * _TALL
        # A square is as wide as its panel, and only its middle has something in it.
        square = (left, bottom - side * (1 - _TALL) / 2, side, side)
        axes: Any = figure.add_axes(_shares(figure, square), projection="3d")
        _surface(axes, result, quantity, scale, ceiling)
        x, y = (left + side / 2) / WIDTHS[width], (top - _TITLE) / height
        figure.text(x, y, title, ha="center", va="bottom", fontsize=7.5)
    bar = figure.colorbar(
        ScalarMappable(scale, "viridis"),
        cax=figure.add_axes(_shares(figure, (right + 0.12, height * 0.25, 0.09, height * 0.5))),
    )
    bar.set_label(label_of(results, quantity))
    bar.ax.yaxis.set_label_position("left")
    if isinstance(scale, LogNorm):
        ticks = np.geomspace(float(scale.vmin or 1.0), float(scale.vmax or 1.0), 5)
        bar.ax.minorticks_off()
        bar.set_ticks(ticks.tolist(), labels=told_apart(ticks.tolist()))
    return figure


def caption_surfaces(
    results: Sequence[LandscapeResult], *, quantity: str = "loss", ceiling: float | None = None
) -> str:
    """Return what the figure shows, with units and settings."""
    cut = sum(int((grid_of(r, quantity) > ceiling).sum()) for r in results) if ceiling else 0
    scale = scale_of(results, quantity, ceiling=ceiling)
    every = sum(r.values.size for r in results)
    return caption_of(
        "Surfaces around each encoder",
        results,
        quantity,
        f"all panels share the range of z, {_range_of_z(scale)[0]:.3g} to {scale.vmax:.3g}, the "
        f"scale of colors, {'logarithmic' if isinstance(scale, LogNorm) else 'linear'} from "
        f"{scale.vmin:.3g}, and the camera (elevation {CAMERA[0]:g}°, azimuth {CAMERA[1]:g}°)",
        f"{cut} of {every} points above {ceiling:g} are cut off" if cut else "nothing is cut off",
    )


def _range_of_z(norm: Normalize) -> tuple[float, float]:
    """Return the range of z: from 0 where everything is above it."""
    return min(0.0, float(norm.vmin or 0.0)), float(norm.vmax or 1.0)


def _shares(
    figure: Figure, box: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
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
