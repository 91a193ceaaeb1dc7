"""The points of a landscape: axes with the center in the middle, and how far they reach."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from sharpscope.errors import MisuseError

# The loss has risen by so much at the end of an axis whose reach is found: a valley fills the
# picture, and its walls are seen.
RISE = 10.0
_LEAST_RISE = 1.0  # in the unit of the loss: at a loss of almost 0 no factor says anything
_STEPS = 12


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the number of points along each axis.

    Raises:
        MisuseError: If it has no center, is too small or has too many axes.
    """
    found = tuple(shape)
    if not 1 <= len(found) <= 3:
        raise MisuseError(
            f"shape must have one, two or three axes, such as 51x51; got {len(found)}"
        )
    for count in found:
        if count < 3 or count % 2 == 0:
            raise MisuseError(
                "every axis needs an odd number of points, 3 at least, so that one of them is the "
                f"model itself; got {'x'.join(map(str, found))}"
            )
    return found


def axis(count: int, span: float) -> np.ndarray:
    """Return coordinates from -span to span, exactly 0 in the middle and the same on both sides."""
    half = np.linspace(0.0, span, count // 2 + 1)
    return np.concatenate([-half[:0:-1], half])


def found_span(rise: Callable[[float], float], center: float) -> float:
    """Return the distance at which the loss has risen by the set factor.

    Args:
        rise: The loss at a distance along all directions, the mean of both ways.
        center: The loss at none.
    """
    goal = center + max(_LEAST_RISE, (RISE - 1) * abs(center))
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        if not rise(high) < goal:  # also where it is not finite
            break
        low, high = high, 2 * high
    else:
        return high
    for _ in range(_STEPS):
        middle = math.sqrt(low * high) if low else high / 2
        if rise(middle) < goal:
            low = middle
        else:
            high = middle
        if low and high / low < 1.05:
            break
    return float(f"{high:.2g}")  # a number for the axis of a figure
