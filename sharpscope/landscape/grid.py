"""The points of a landscape: axes on which the model itself is a point, and how far they reach."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from sharpscope.errors import MisuseError

# The loss has risen by so much at the end of an axis whose reach is found: a valley fills the
# picture, and its walls are seen.
RISE = 10.0
_LEAST_RISE = 1.0  # in the unit of the loss: at a loss of almost 0 no factor says anything
_STEPS = 12


def check_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return the number of points along each axis.

    Raises:
        MisuseError: If it has no center, is too small or has too many axes.
    """
    found = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(isinstance(count, int) for count in found):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(f"shape must be whole numbers of points, such as (51, 51); got {shape!r}")
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


def axis_over(count: int, low: float, high: float, *, ends: bool = False) -> np.ndarray:
    """Return even coordinates from ``low`` or below to ``high`` or above, exactly 0 at one of them.

    Args:
        count: Number of points.
        low: Not above 0.
        high: Above ``low`` and not below 0.
        ends: Whether 1 must be a point as well.

    Raises:
        MisuseError: If there are too few points for that.

    Example:
        >>> axis_over(5, -0.5, 1.5, ends=True).tolist()
        [-0.5, 0.0, 0.5, 1.0, 1.5]
    """
    steps = count - 1
    if ends:
        for parts in range(steps, 0, -1):
            below, above = (math.ceil(end * parts - 1e-9) for end in (-low, high))
            if below + above <= steps:
                below += (steps - below - above) // 2
                return (np.arange(count) - below) / parts
        raise MisuseError(
            f"an axis from {low:.3g} to {high:.3g} with both models on it needs "
            f"{2 * ((math.ceil(-low) + math.ceil(high) + 1) // 2) + 1} points at least; got {count}"
        )
    first, last = (1 if low < 0 else 0), (steps - 1 if high > 0 else steps)
    below = min(
        range(first, last + 1),
        key=lambda n: max(-low / n if n else 0.0, high / (steps - n) if n < steps else 0.0),
    )
    step = max(-low / below if below else 0.0, high / (steps - below) if below < steps else 0.0)
    return (np.arange(count) - below) * step


def found_span(rise: Callable[[float], float], center: float) -> tuple[float, bool]:
    """Return the distance at which the loss has risen by the set factor, and whether it has.

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
        return high, False
    for _ in range(_STEPS):
        middle = math.sqrt(low * high) if low else high / 2
        if rise(middle) < goal:
            low = middle
        else:
            high = middle
        if low and high / low < 1.05:
            break
    return float(f"{high:.2g}"), True  # a number for the axis of a figure
