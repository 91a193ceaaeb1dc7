"""From the points of a grid to the result."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sharpscope.estimators.cost import peak_bytes
from sharpscope.landscape.frames import Frame
from sharpscope.results import LandscapeResult, Outcome
from sharpscope.results.record import significant
from sharpscope.subject.points import Points
from sharpscope.subject.provenance import measured_on

# Second differences below so many rounding errors of the loss are none.
_ROUNDING = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """What was found.

    Attributes:
        frame: The axes.
        grid: Coordinates along each.
        values: The loss, ``[z, y, x]``.
        scores: The metric, likewise; NaN where there is none.
        passed: The loss at each checkpoint of the frame.
        late: Whether time ran out.
        settings: Of the landscape, as they were used.
        keep_directions: Whether the result holds the directions.
        seconds: That it took.
        before: Passes of earlier runs whose points are in it.
        flat: Whether the loss did not rise as far as a reach to be found needs.
    """

    frame: Frame
    grid: Sequence[np.ndarray]
    values: np.ndarray
    scores: np.ndarray
    passed: Sequence[float]
    late: bool
    settings: Mapping[str, Any]
    keep_directions: bool
    seconds: float
    before: float = 0.0
    flat: bool = False


def result_of(points: Points, told: Told) -> LandscapeResult:
    """Return the result, inside the session of the points."""
    census, subject, frame, grid = points.census, points.subject, told.frame, told.grid
    outcome = Outcome.COMPLETED if np.isfinite(told.values).all() else Outcome.NOT_FINITE
    lengths = tuple(float(direction.norm()) for direction in frame.directions)
    there: dict[str, Any] = {
        name: grid[n] if n < len(grid) else None for n, name in enumerate("xyz")
    }
    if told.keep_directions:
        there |= {
            f"direction_{n}": d.numpy() for n, d in zip("xyz", frame.directions, strict=False)
        }
    metric = told.settings["metric"]
    rounding = torch.finfo(points.dtype).eps
    found = [_curvature(told, n, lengths[n], rounding) for n in range(len(grid))]
    rounded = [name for name, (_, lost) in zip(frame.labels, found, strict=True) if lost]
    curvatures = tuple(value for value, _ in found)
    return LandscapeResult(
        modality=points.selection.name,
        parameters=points.dim,
        samples=census.samples,
        loss=points.loss,
        loss_value=census.loss_value,
        outcome=Outcome.BUDGET_SPENT if told.late else outcome,
        method=f"loss on {told.settings['axes']} directions",
        matvecs=0.0,
        evaluations=points.evaluations + told.before,
        seconds=told.seconds,
        peak_bytes=peak_bytes(subject.device),
        seed=told.settings["seed"],
        settings={key: v for key, v in told.settings.items() if key != "seed"},
        provenance=measured_on(subject, census, subject.device, points.dtype),
        replayed=points.replayed,
        notes=(
            *points.notes(),
            *frame.notes,
            *_recalibrated(points, told),
            *_rounded(rounded),
            *_flat(told),
            *_fused(points, told),
        ),
        axes=told.settings["axes"],
        labels=frame.labels,
        values=told.values,
        lengths=lengths,
        curvatures=curvatures,
        metric=metric,
        metric_values=None if metric is None else told.scores,
        explained=frame.explained,
        **there,
        **_path(told),
    )


def _path(told: Told) -> dict[str, Any]:
    """Return where the checkpoints lie, run by run."""
    points = told.frame.points
    if not points:
        return {}
    runs = tuple(dict.fromkeys(point.run for point in points))
    places = told.frame.coordinates.numpy()
    return {
        "runs": runs,
        "path_names": tuple(point.name for point in points),
        "path_run": np.array([runs.index(point.run) for point in points], dtype=float),
        "path_loss": np.array(told.passed),
        **{f"path_{name}": column.copy() for name, column in zip("xyz", places.T, strict=False)},
    }


def _recalibrated(points: Points, told: Told) -> tuple[str, ...]:
    if not points.recalibrates:
        return ()
    center = tuple(int(np.flatnonzero(axis == 0)[0]) for axis in reversed(told.grid))
    own, anew = points.census.loss_value, float(told.values[center])
    both = f", whose loss is {significant(own)} with its own and {significant(anew)} with these"
    return (
        f"BatchNorm statistics were taken anew at every point on the same "
        f"{points.census.samples:,} samples, also at the model itself"
        f"{both if math.isfinite(anew) else ''}.",
    )


def _fused(points: Points, told: Told) -> tuple[str, ...]:
    if told.settings["metric"] is None or points.loss == "fusion":
        return ()
    return (f"The metric is that of the fused prediction, and the loss is {points.loss!r}.",)


def _flat(told: Told) -> tuple[str, ...]:
    if not told.flat:
        return ()
    return (
        f"The loss did not rise tenfold (nor by 1) within {told.settings['span']:g} units of the "
        "directions, where the search ended.",
    )


def _rounded(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    axes = " and ".join(map(repr, names))
    return (
        f"The curvature along {axes} is lost in rounding over one step of the grid: a larger "
        "span, fewer points or --dtype float64 shows it.",
    )


def _curvature(
    told: Told, number: int, length: float, rounding: float
) -> tuple[float | None, bool]:
    """Return the second difference along an axis at the model per unit of length, if it is one.

    The second value tells whether it is lost in the rounding of the losses.
    """
    middle = [int(np.flatnonzero(axis == 0)[0]) for axis in reversed(told.grid)]
    along, place = told.grid[number], len(told.grid) - 1 - number
    if not 0 < middle[place] < len(along) - 1:
        return None, False
    three: list[float] = []
    for shift in (-1, 0, 1):
        around = list(middle)
        around[place] += shift
        three.append(float(told.values[tuple(around)]))
    step = float(along[middle[place] + 1]) * length
    second = three[0] - 2 * three[1] + three[2]
    if not math.isfinite(second):
        return None, False
    if 0 < abs(second) < _ROUNDING * rounding * max(map(abs, three)):
        return None, True
    return second / step**2, False
