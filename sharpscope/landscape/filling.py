"""Measure what is missing of a grid, and keep what is there."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor

from sharpscope.contribution.scores import score_alone
from sharpscope.landscape.frames import Frame
from sharpscope.landscape.places import moved_by
from sharpscope.landscape.unfinished import Unfinished
from sharpscope.results import LandscapeResult
from sharpscope.subject.points import Points

_KEEP_SECONDS = 2.0  # between two writes of the points so far


class Measured(Protocol):
    """What gives the loss at places of a grid."""

    def value(self, place: tuple[int, ...], displacement: Tensor | None) -> float:
        """Return the loss at a place."""
        ...

    def told(self, result: LandscapeResult) -> LandscapeResult:
        """Return a result that says how its points were measured."""
        ...


def fill(
    points: Points,
    measured: Measured,
    frame: Frame,
    grid: list[np.ndarray],
    kept: Unfinished,
    *,
    metric: str | None,
    max_seconds: float | None,
    began: float,
    tell: Callable[[str], None],
) -> bool:
    """Measure what is missing; return whether time ran out.

    Args:
        points: Inside a session.
        measured: What gives the loss.
        frame: The directions.
        grid: Coordinates along each.
        kept: The points so far.
        metric: What to measure beside the loss.
        max_seconds: Seconds for points; one is measured in any case, so that repeating goes on.
        began: When the run did, as ``time.perf_counter`` tells it.
        tell: Called with how far it is.
    """

    def keep() -> None:
        kept.keep(points.evaluations, time.perf_counter() - began)

    def at(place: tuple[int, ...]) -> float:
        steps = [float(grid[n][where]) for n, where in enumerate(reversed(place))]
        return measured.value(place, moved_by(frame.directions, steps))

    if kept.done.any():
        tell(f"going on with {int(kept.done.sum())} points that were kept")
        # What the first point says of faster passes, it says in any run.
        at((0,) * len(grid))
    total, first = kept.done.size, time.perf_counter()
    written, before = first, int(kept.done.sum())
    for place in np.ndindex(kept.done.shape):
        if kept.done[place]:
            continue
        made = int(kept.done.sum()) - before
        if max_seconds is not None and made and time.perf_counter() - first > max_seconds:
            keep()
            return True
        kept.values[place] = at(place)
        if points.reading is not None:
            logits, target = points.reading.taken()
            kept.scores[place] = score_alone(logits.numpy(), target.numpy(), str(metric))
        kept.done[place] = True
        now, done = time.perf_counter(), before + made + 1
        if now - written > _KEEP_SECONDS:
            keep()
            written = now
        tell(f"{done} of {total} points, {(now - first) / (made + 1) * (total - done):.0f} s left")
    keep()
    return False
