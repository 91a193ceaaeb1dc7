"""Contours of planes, on one scale of colors for all or on one for each encoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from sharpscope.errors import MisuseError
from sharpscope.figures.panels import SIDE_BY_SIDE, fit_height, legend
from sharpscope.figures.paths import at_model, draw_paths, marks_told, paths_of, points_of
from sharpscope.figures.planes import (
    arranged,
    axis_labels,
    caption_of,
    check_planes,
    grid_of,
    label_of,
    titles_of,
)
from sharpscope.figures.profiles import caption_profiles, draw_profiles
from sharpscope.figures.scales import check_columns, scales_of, sharing_told
from sharpscope.figures.style import WIDTHS, looks
from sharpscope.figures.ticks import told_apart
from sharpscope.results import LandscapeResult

_LEVELS = 12
_ROOM = 0.07  # of a panel, around the label of a contour
# Inches that a panel is tall at most: one alone fills its width, beside others it need not.
_TALLEST, _TALLEST_ALONE = 2.6, 4.2
_SLIVER = 4.0  # sides of a plane whose ratio is beyond it are not drawn to one scale


@looks()
def draw_landscape(
    results: Sequence[LandscapeResult],
    *,
    width: str = "text",
    quantity: str | None = None,
    colors: str = "shared",
) -> Figure:
    """Return filled and labelled contours, a panel each, or the profiles of lines.

    A scale of colors is logarithmic for a loss that is above 0 and spans a factor of 3; what is
    not finite is a hatched hole, a cross is the model, and the checkpoints of runs that the plane
    was made from are paths with a ring at the first and a star at the last. Where the star is the
    model, there is no cross.

    Args:
        results: Lines or planes, all of one kind.
        width: ``column``, ``text`` or ``page``.
        quantity: ``loss`` or ``metric``; of planes the loss if left out, of lines both.
        colors: ``shared``, one scale for all planes; or ``encoder``, one for each column of them,
            where one encoder would leave the others a single color.

    Raises:
        MisuseError: If there is none, a volume among them, lines and planes together, no metric,
            or no column of panels for each encoder.
    """
    check_planes(results, width, quantity or "loss", (1, 2))
    if results[0].values.ndim == 1:
        if colors != "shared":
            raise MisuseError(f"colors {colors!r} is of planes; lines have no scale of colors")
        return draw_profiles(results, width=width, quantity=quantity)
    return _contours(results, width, quantity or "loss", colors)


def caption_landscape(
    results: Sequence[LandscapeResult], *, quantity: str | None = None, colors: str = "shared"
) -> str:
    """Return what the figure shows, with units and settings."""
    if results[0].values.ndim == 1:
        return caption_profiles(results, quantity=quantity)
    quantity = quantity or "loss"
    return caption_of(
        "Contours around each encoder",
        results,
        [quantity],
        sharing_told(scales_of(results, quantity, colors), colors, "the scale of colors"),
        marks_told(results, titles_of(results)),
        "lines are the checkpoints of each run, projected into the plane, from ring to star"
        if any(result.runs for result in results)
        else "",
        "lengths along x and y are drawn to different scales"
        if any(r.axes in ("line", "pca") and not _isometric(r) for r in results)
        else "",
    )


def _contours(results: Sequence[LandscapeResult], width: str, quantity: str, colors: str) -> Figure:
    scales = scales_of(results, quantity, colors)
    apart = colors == "encoder" and len(scales) > 1
    # Beside a column's panels colors take room, and below them they do not; more than three panels
    # one below the other are higher than a page.
    alone = width == "column" and not apart and len(results) <= 3
    most = 1 if alone else SIDE_BY_SIDE[width]
    rows, columns, results = arranged(results, most)
    if apart:
        check_columns(results, columns, most)
    tall = max(_shape(result) for result in results)
    # Too high at first, and as high as the panels need in the end.
    height = rows * (1 + WIDTHS[width] * tall / columns)
    figure = Figure(figsize=(WIDTHS[width], height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    filled: dict[str, Any] = {}
    for place, result, title in zip(axes.ravel(), results, titles_of(results), strict=False):
        filled[result.modality] = _panel(place, result, quantity, scales[result.modality])
        place.set_title(title)
    for empty in axes.ravel()[len(results) :]:
        empty.set_axis_off()
    label = label_of(results, quantity)
    if apart:
        for column, (name, scale) in zip(axes.T, scales.items(), strict=True):
            how: dict[str, Any] = {"ax": column, "location": "bottom", "aspect": 25}
            _colors(figure.colorbar(filled[name], **how), scale, f"{label}, {name}")
    else:
        bar = figure.colorbar(next(iter(filled.values())), ax=axes, aspect=25)
        _colors(bar, next(iter(scales.values())), label)
    legend(figure, list(axes.ravel()))
    fit_height(figure, axes, tall, _TALLEST if columns > 1 else _TALLEST_ALONE)
    return figure


def _panel(place: Any, result: LandscapeResult, quantity: str, scale: Normalize) -> Any:
    """Draw one plane; return its filled contours."""
    levels, names = _levels(scale)
    values = grid_of(result, quantity)
    place.patch.set(hatch="xxxx", edgecolor="0.6")
    filled = place.contourf(result.x, result.y, values, levels=levels, norm=scale, cmap="viridis")
    lines = place.contour(
        result.x, result.y, values, levels=list(names)[1:-1], colors="white", linewidths=0.5
    )
    draw_paths(place, result)
    halo = [effects.withStroke(linewidth=1.2, foreground=(0, 0, 0, 0.65))]
    where = _free_places(lines, result)
    for text in place.clabel(lines, fontsize=5, fmt=dict(names), manual=where) if where else ():
        text.set_path_effects(halo)
    if at_model(result) is None:
        place.plot(0, 0, marker="+", color="black", markersize=7, markeredgewidth=2)
        place.plot(0, 0, marker="+", color="white", markersize=6, markeredgewidth=1)
    words = axis_labels(result)
    place.set_xlabel(words[0])
    place.set_ylabel(words[1])
    place.set_aspect("equal" if _isometric(result) else "auto")
    return filled


def _free_places(lines: Any, result: LandscapeResult) -> list[tuple[float, float]]:
    """Return the point of each contour that is farthest from the border, the model and the paths.

    A contour that stays near them, such as one around a corner, has no room for a label.
    """
    low = np.array([result.x.min(), _y(result).min()])
    reach = np.array([np.ptp(result.x), np.ptp(_y(result))])
    taken = np.concatenate([np.zeros((1, 2)), *(points_of(path) for path in paths_of(result))])
    found: list[tuple[float, float]] = []
    for collected in lines.get_paths():
        for contour in collected.to_polygons(closed_only=False):
            share = (contour - low) / reach
            border = np.minimum(share, 1 - share).min(axis=1)
            others = np.abs((contour[:, None] - taken) / reach).max(axis=2).min(axis=1)
            room = np.minimum(border, others)
            if room.max() > _ROOM:
                x, y = contour[room.argmax()]
                found.append((float(x), float(y)))
    return found


def _isometric(result: LandscapeResult) -> bool:
    """Whether a unit along y is drawn as long as one along x."""
    # Between checkpoints distances are true along both axes, and so are they drawn, unless that
    # left a sliver of which nothing could be read.
    ratio = float(np.ptp(_y(result)) / np.ptp(result.x))
    return ratio == 1 or (result.axes in ("line", "pca") and 1 / _SLIVER < ratio < _SLIVER)


def _shape(result: LandscapeResult) -> float:
    """Return the height of a panel over its width."""
    return float(np.ptp(_y(result)) / np.ptp(result.x)) if _isometric(result) else 1.0


def _y(result: LandscapeResult) -> np.ndarray:
    assert result.y is not None
    return result.y


def _levels(scale: Normalize) -> tuple[np.ndarray, Mapping[float, str]]:
    """Return the edges of the filled steps, and what every third of them is labelled."""
    low, high = float(scale.vmin or 0.0), float(scale.vmax or 1.0)
    spaced = np.geomspace if isinstance(scale, LogNorm) else np.linspace
    levels = spaced(low, high, _LEVELS + 1)
    shown = levels[::3].tolist()
    levels[[0, -1]] = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return levels, dict(zip(shown, told_apart(shown), strict=True))


def _colors(bar: Any, scale: Normalize, label: str) -> None:
    """Label a bar of colors as the contours are."""
    _, names = _levels(scale)
    bar.set_label(label)
    bar.ax.minorticks_off()
    bar.set_ticks(list(names), labels=list(names.values()))
