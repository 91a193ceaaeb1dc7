"""Spectral densities on a logarithmic scale, with their bands."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError
from sharpscope.figures.alike import check_alike, matrix_of
from sharpscope.figures.captions import caption, data_of, methods_of, said, seeds_of, spanned
from sharpscope.figures.naming import each_named, modalities_of
from sharpscope.figures.panels import SIDE_BY_SIDE, legend
from sharpscope.figures.style import COLORS, LINES, WIDTHS, looks
from sharpscope.results.density import DensityResult

_ROW = 1.7  # inches
LEAST = 1e-5  # of the highest point: below it is the tail of a Gaussian


def draw_density(results: Sequence[DensityResult], *, width: str = "text") -> Figure:
    """Return densities, a panel for each encoder, checkpoints overlaid; one scale for all.

    Bands are one standard error over runs.

    Args:
        results: Of one or several encoders and checkpoints.
        width: ``column``, ``text`` or ``page``.

    Raises:
        MisuseError: If there is no finite result or no such width, or losses, splits or matrices
            differ.
    """
    one_of("width", width, WIDTHS)
    shown = [result for result in results if len(result.grid)]
    if not shown:
        raise MisuseError("there is no density to draw: no result is finite")
    check_alike(shown)
    names = modalities_of(shown)
    titles = each_named(shown)
    tags = list(dict.fromkeys(titles))
    columns = min(len(names), 1 if width == "column" else SIDE_BY_SIDE["text"])
    rows = math.ceil(len(names) / columns)
    with looks():
        figure = Figure(figsize=(WIDTHS[width], _ROW * rows + 0.3), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for place, name in enumerate(names):
            axes[place].set_title(name)
            for result, title in zip(shown, titles, strict=True):
                if result.modality == name:
                    _curve(axes[place], result, title, tags)
            axes[place].set_xlabel("eigenvalue λ (loss / parameter²)")
        for place in range(0, len(names), columns):
            axes[place].set_ylabel("density (parameter² / loss)")
        for empty in axes[len(names) :]:
            empty.set_axis_off()
        most = max(float(result.density.max()) for result in shown)
        axes[0].set_yscale("log")
        axes[0].set_ylim(floor_of(shown), 2 * most)
        legend(figure, list(axes[: len(names)]))
        return figure


def floor_of(results: Sequence[DensityResult]) -> float:
    """Return where the scale ends: well below the height that a single eigenvalue is expected at.

    Outliers are single ones, and random starts may give them a fraction of that height.
    """
    most = max(float(result.density.max()) for result in results)
    single = [1 / (r.parameters * r.sigma * math.sqrt(2 * math.pi)) for r in results]
    return min(LEAST * most, 0.03 * min(single))


def caption_density(results: Sequence[DensityResult]) -> str:
    """Return what the figure shows, with units and settings."""
    shown = [result for result in results if len(result.grid)]
    low = [f"{result.percent('negative')} %" for result in shown if result.negative is not None]
    return caption(
        f"Spectral density of each encoder's {matrix_of(shown[0])}: {data_of(shown)}",
        f"stochastic Lanczos quadrature, {spanned(r.runs for r in shown)} random starts of "
        f"{spanned(r.steps for r in shown)} steps, smoothed by a Gaussian of σ = "
        f"{spanned((r.sigma for r in shown), '.2g')} loss / parameter²",
        "the density integrates to 1; bands are one standard error over the starts",
        f"the scale is logarithmic from {floor_of(shown):.1g}; a single eigenvalue is expected "
        "above it",
        methods_of(shown),
        f"share of eigenvalues below -|λ|_max / 1000: {said(low)}" if low else "",
        seeds_of(shown),
    )


def _curve(axes: Any, result: DensityResult, title: str, tags: Sequence[str]) -> None:
    place = tags.index(title)
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
        linestyle=LINES[place % len(LINES)],
        label=title,
    )
    axes.axvline(0, color="0.6", linewidth=0.5, zorder=0)
