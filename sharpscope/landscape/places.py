"""Where a point of the grid lies, and how the loss rises on the way there."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from sharpscope.subject.points import Points


def moved_by(directions: Sequence[Tensor], steps: Sequence[float]) -> Tensor | None:
    """Return the displacement of a point; None at the center, which is the model itself."""
    if not any(steps):
        return None
    total = steps[0] * directions[0]
    for direction, step in zip(directions[1:], steps[1:], strict=True):
        total.add_(direction, alpha=step)
    return total


def rise_of(points: Points, directions: Sequence[Tensor]) -> Callable[[float], float]:
    """Return the loss at a distance along all directions, the mean of both ways."""

    def loss(distance: float) -> float:
        found = [points.value(sign * distance * d) for d in directions for sign in (1, -1)]
        return math.fsum(found) / len(found) if all(map(math.isfinite, found)) else math.inf

    return loss
