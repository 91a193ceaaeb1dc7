"""The checkpoints of runs, where a landscape was made from them: in a plane, and on a surface."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib.patheffects as effects
import numpy as np

from sharpscope.figures.captions import said
from sharpscope.figures.naming import METHOD_WORDS, recipe_of
from sharpscope.figures.style import LINES, MARKERS
from sharpscope.results import LandscapeResult

_INK = ("white", "#E69F00", "#56B4E9", "black")  # each with an edge of the other end of grey
_NEAR = 1e-6  # of the reach of an axis: a checkpoint so near the model is the model
_FINE = 20  # points of a path between two checkpoints, so that it follows a surface


class Path(NamedTuple):
    """The way of a run: where its checkpoints lie, and how it is drawn."""

    name: str
    x: np.ndarray
    y: np.ndarray
    number: int

    @property
    def ink(self) -> str:
        """The color of the line."""
        return _INK[self.number % len(_INK)]

    @property
    def edge(self) -> str:
        """The color around it."""
        return "white" if self.ink == "black" else "black"

    @property
    def line(self) -> dict[str, Any]:
        """How the line looks."""
        edge = effects.Stroke(linewidth=2.0, foreground=self.edge)
        return {
            "color": self.ink,
            "linestyle": LINES[self.number % len(LINES)],
            "linewidth": 1.1,
            "path_effects": [edge, effects.Normal()],
        }

    @property
    def marks(self) -> dict[str, Any]:
        """How its checkpoints look."""
        return {
            "marker": MARKERS[self.number % len(MARKERS)],
            "markersize": 2.8,
            "markeredgecolor": self.edge,
            "markeredgewidth": 0.4,
        }

    @property
    def ends(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """How a ring at the first checkpoint looks, and a star at the last."""
        how = {"color": self.ink, "markeredgecolor": self.edge, "linestyle": "none"}
        ring = {"marker": "o", "markersize": 5, "fillstyle": "none"}
        return ring | how, {"marker": "*", "markersize": 8, "markeredgewidth": 0.5} | how


def paths_of(result: LandscapeResult) -> Iterator[Path]:
    """Return the way of each run that a plane was made from; none of another plane."""
    if result.path_x is None or result.path_y is None or result.path_run is None:
        return
    for number, run in enumerate(result.runs):
        own = result.path_run.astype(int) == number
        if own.any():
            yield Path(worded(result, run), result.path_x[own], result.path_y[own], number)


def points_of(path: Path) -> np.ndarray:
    """Return points ``[point, xy]`` all along a path, between its checkpoints too."""
    return np.stack([_finer(path.x), _finer(path.y)], axis=1)


def worded(result: LandscapeResult, name: str) -> str:
    """Return what a run is called: by the method's usual name, where it bears that of a method.

    Only names that this library gave are read so: those of models that it trained.
    """
    return METHOD_WORDS.get(name, name) if recipe_of(result) else name


def at_model(result: LandscapeResult) -> str | None:
    """Return the run whose last checkpoint is the model, so that its star marks it."""
    reach_x, reach_y = float(np.ptp(result.x)), float(np.ptp(_there(result.y)))
    for path in paths_of(result):
        if abs(path.x[-1]) <= _NEAR * reach_x and abs(path.y[-1]) <= _NEAR * reach_y:
            return path.name
    return None


def draw_paths(axes: Any, result: LandscapeResult) -> None:
    """Draw a line for each run over contours: a ring at its first checkpoint, a star at its last.

    The axes keep the range of the grid: a checkpoint outside is cut off.
    """
    for path in paths_of(result):
        axes.plot(path.x, path.y, label=path.name, **path.line, **path.marks)
        ring, star = path.ends
        axes.plot(path.x[:1], path.y[:1], zorder=4, **ring)
        axes.plot(path.x[-1:], path.y[-1:], zorder=4, **star)
    y = _there(result.y)
    axes.set_xlim(result.x.min(), result.x.max())
    axes.set_ylim(y.min(), y.max())


def draw_raised(axes: Any, result: LandscapeResult, values: np.ndarray) -> None:
    """Draw the same on a surface, at its height: the full weights have a loss of their own.

    Args:
        axes: Of three dimensions.
        result: The plane.
        values: What the surface shows, NaN where there is none; a path has a gap there.
    """
    for path in paths_of(result):
        x, y = points_of(path).T
        axes.plot(x, y, height_at(result, values, x, y), **path.line, zorder=5)
        z = height_at(result, values, path.x, path.y)
        marks = path.marks | {"color": path.ink, "linestyle": "none"}
        axes.plot(path.x, path.y, z, zorder=6, **marks)
        # What the legend shows: line and marker, where there is nothing else to see.
        axes.plot([], [], [], label=path.name, **path.line, **path.marks)
        ring, star = path.ends
        axes.plot(path.x[:1], path.y[:1], z[:1], zorder=7, **ring)
        axes.plot(path.x[-1:], path.y[-1:], z[-1:], zorder=7, **star)


def height_at(
    result: LandscapeResult, values: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Return a grid between its points, bilinear; NaN outside, and beside a point that has none."""
    columns, across, inside_x = _cells(result.x, x)
    rows, up, inside_y = _cells(_there(result.y), y)
    low = values[rows, columns] * (1 - across) + values[rows, columns + 1] * across
    high = values[rows + 1, columns] * (1 - across) + values[rows + 1, columns + 1] * across
    return np.where(inside_x & inside_y, low * (1 - up) + high * up, np.nan)


def marks_told(results: Sequence[LandscapeResult], titles: Sequence[str]) -> str:
    """Return what marks the model in contours, as a sentence."""
    stars = {title: at_model(result) for result, title in zip(results, titles, strict=True)}
    if not any(stars.values()):
        return "a cross is the model"
    alone = len(set(stars.values())) == 1
    told = said(
        f"the star of {name}{'' if alone else f' ({title})'}"
        for title, name in stars.items()
        if name
    )
    return f"{told} is the model" if all(stars.values()) else f"a cross is the model, or {told}"


def _finer(values: np.ndarray) -> np.ndarray:
    """Return points on the straight lines between points."""
    places = np.arange(len(values))
    return np.interp(np.linspace(0, places[-1], _FINE * places[-1] + 1), places, values)


def _cells(grid: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cell of each coordinate, how far into it, and whether the grid reaches it."""
    place = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(grid) - 2)
    share = (at - grid[place]) / (grid[place + 1] - grid[place])
    return place, share, (at >= grid[0]) & (at <= grid[-1])


def _there(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values
