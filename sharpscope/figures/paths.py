"""The checkpoints of runs, where a landscape was made from them."""

from typing import Any

import matplotlib.patheffects as effects
import numpy as np

from sharpscope.figures.style import LINES, MARKERS
from sharpscope.results import LandscapeResult

_INK = ("white", "#E69F00", "#56B4E9", "black")  # each with an edge of the other end of grey


def draw_paths(axes: Any, result: LandscapeResult) -> None:
    """Draw a line for each run over contours: a ring at its first checkpoint, a star at its last.

    The axes keep the range of the grid: a checkpoint outside is cut off.
    """
    if result.path_x is None or result.path_y is None or result.path_run is None:
        return
    limits = (result.x.min(), result.x.max()), _ends(result.y)
    for number, run in enumerate(result.runs):
        own = result.path_run.astype(int) == number
        x, y = result.path_x[own], result.path_y[own]
        if not len(x):
            continue
        ink = _INK[number % len(_INK)]
        edge = "white" if ink == "black" else "black"
        axes.plot(
            x,
            y,
            color=ink,
            linestyle=LINES[number % len(LINES)],
            linewidth=1.1,
            marker=MARKERS[number % len(MARKERS)],
            markersize=2.8,
            markeredgecolor=edge,
            markeredgewidth=0.4,
            path_effects=[effects.Stroke(linewidth=2.0, foreground=edge), effects.Normal()],
            label=run,
        )
        how = {"color": ink, "markeredgecolor": edge, "linestyle": "none", "zorder": 4}
        axes.plot(x[:1], y[:1], marker="o", markersize=5, fillstyle="none", **how)
        axes.plot(x[-1:], y[-1:], marker="*", markersize=8, markeredgewidth=0.5, **how)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def draw_marks(axes: Any, result: LandscapeResult, color: str) -> None:
    """Mark the checkpoints on a profile, each with its name above it; of a line both its ends."""
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
            axes.annotate(name, (x, y), (-3, 4), textcoords="offset points", ha="right", size=5.5)


def _ends(values: np.ndarray | None) -> tuple[float, float]:
    assert values is not None
    return float(values.min()), float(values.max())
