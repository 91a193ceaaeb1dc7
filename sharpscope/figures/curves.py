"""Curves over training: a mean over seeds with its band, or one run with its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from matplotlib.collections import PolyCollection

from sharpscope.figures.style import color_of, line_of, marker_of
from sharpscope.figures.summary import is_number, over_seeds
from sharpscope.figures.ticks import logarithmic

At = TypeVar("At", int, float)
MARKED = 12
_SPAN = 30.0  # a larger factor between values is drawn on a logarithmic scale


class Point(NamedTuple):
    """What a run has at an epoch; ``low`` and ``high`` bound its 95 % interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


class Curve(NamedTuple):
    """A line: epochs or steps, values, and the ends of the band, None where there is none."""

    x: list[float]
    values: list[float]
    low: list[float | None]
    high: list[float | None]
    seeds: int


def curve(runs: Sequence[Mapping[At, Point]]) -> Curve:
    """Return the line of some runs: one run with its own band, several as their mean.

    The band of several is the 95 % interval of the mean by Student's t. That of two runs would be
    nine times as wide as they are apart and hide all else: their band reaches from one to the
    other. An epoch that some of them lack is left out, since a mean over other runs would be
    another line.
    """
    shared = set(runs[0]).intersection(*runs)
    found = Curve([], [], [], [], len(runs))
    for epoch in sorted(shared):
        points = [run[epoch] for run in runs]
        if not all(is_number(point.value) for point in points):
            continue
        low, high = points[0].low, points[0].high
        value = points[0].value
        if len(runs) > 1:
            values = [point.value for point in points]
            mean = over_seeds(values)
            value, half = mean.value, mean.half_width or 0.0
            low, high = value - half, value + half
            if len(runs) == 2:
                low, high = min(values), max(values)
        found.x.append(epoch)
        found.values.append(value)
        found.low.append(low)
        found.high.append(high)
    return found


def lacking(lines: Mapping[str, Sequence[Mapping[At, Point]]], word: str = "epoch") -> str:
    """Return which places are left out of which lines, as a sentence; empty where none is.

    Args:
        lines: Runs behind each line.
        word: What a place is.
    """
    told: list[str] = []
    for name, runs in lines.items():
        every = {epoch for run in runs for epoch in run}
        gone = sorted(every - set(curve(runs).x)) if runs else []
        if gone:
            several = word if len(gone) == 1 else f"{word}s"
            told.append(f"{several} {', '.join(f'{at:.10g}' for at in gone)} of {name}")
    return f"left out, not finite or missing in a seed: {'; '.join(told)}" if told else ""


Ends = tuple[float | None, float | None]


def within(line: Curve, ends: Ends) -> Curve:
    """Return a line whose band is cut at the ends of the range that its number has."""
    least, most = ends

    def cut(values: list[float | None]) -> list[float | None]:
        bounded = [v if v is None or least is None else max(v, least) for v in values]
        return [v if v is None or most is None else min(v, most) for v in bounded]

    return line._replace(low=cut(line.low), high=cut(line.high))


def cut_told(lines: Iterable[tuple[Curve, Ends]], why: str) -> str:
    """Return that bands are cut and why, as a sentence; empty where none is."""
    cut = any(within(line, ends) != line for line, ends in lines)
    return f"bands are cut at {why}" if cut else ""


def draw_curve(
    axes: Any, line: Curve, name: str, names: Sequence[str], *, most: int = MARKED
) -> None:
    """Draw a line with markers and, behind it, its band.

    Args:
        axes: Where.
        line: What.
        name: Of the line; by its place among ``names`` it has color, kind and marker.
        names: Of all lines.
        most: Markers on it, each line's begun at another point; more would hide its kind.
    """
    color = color_of(name, names)
    every = -(-len(line.x) // most)
    banded = [
        (epoch, low, high)
        for epoch, low, high in zip(line.x, line.low, line.high, strict=True)
        if low is not None and high is not None
    ]
    if banded:
        axes.fill_between(*zip(*banded, strict=True), color=color, alpha=0.22, linewidth=0)
    axes.plot(
        line.x,
        line.values,
        color=color,
        linestyle=line_of(name, names),
        marker=marker_of(name, names),
        markersize=2.6,
        markevery=(list(names).index(name) % every, every) if every > 1 else None,
        label=name,
    )


def fit_scale(axes: Any, lines: Iterable[Curve], values: Sequence[float]) -> None:
    """Make y logarithmic where all values are above 0 and span more than a factor of 30.

    Args:
        axes: With everything drawn.
        lines: Whose bands stay in the picture.
        values: What the scale is chosen by; at least one.
    """
    if min(values) <= 0:
        axes.axhline(0, color="0.6", linewidth=0.5, zorder=0)
        return
    if max(values) <= _SPAN * min(values):
        return
    found = list(lines)
    lows = [low for line in found for low in line.low if low is not None and low > 0]
    highs = [high for line in found for high in line.high if high is not None]
    # A band may reach below 0, which a logarithm has no place for: it is cut there.
    bottom = max(0.6 * min([*lows, *values]), 0.1 * min(values))
    for panel in axes.get_shared_y_axes().get_siblings(axes):
        for band in panel.collections:
            paths: Any = band.get_paths() if isinstance(band, PolyCollection) else ()
            for path in paths:
                path.vertices[:, 1] = np.maximum(path.vertices[:, 1], bottom)
    axes.set_ylim(bottom, 1.6 * max([*highs, *values]))
    logarithmic(axes)
