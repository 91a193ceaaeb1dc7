"""Projected gradient ascent with momentum and shrinking steps (Auto-PGD)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Slope = Callable[[Tensor], tuple[float, Tensor]]

_MOMENTUM = 0.75
_RISES = 0.75  # share of the steps that must have risen for the step to stay


def ascend(slope: Slope, start: Tensor, radius: float, norm: str, iterations: int) -> float:
    """Return the largest value visited in the ball ``‖u‖ ≤ radius``.

    The step begins at twice the radius and is halved at checkpoints, more and more often, where
    too few steps rose or the best value stayed; the search then goes on from the best point.

    Args:
        slope: Value and gradient at a point.
        start: Where to begin, inside the ball.
        radius: Of the ball.
        norm: ``l2`` or ``linf``.
        iterations: Steps.

    Source: Croce and Hein, 2020, arXiv 2003.01690, algorithm 1.
    """
    value, gradient = slope(start)
    best, best_point, best_gradient = value, start, gradient
    point = before = start
    step, rises, since = 2 * radius, 0, 0
    checkpoints = _checkpoints(iterations)
    last_best, last_halved = best, True
    for number in range(1, iterations + 1):
        ahead = project(point + step * _direction(gradient, norm), radius, norm)
        share = 1.0 if number == 1 else _MOMENTUM
        moved = point + share * (ahead - point) + (1 - share) * (point - before)
        before, point = point, project(moved, radius, norm)
        earlier = value
        value, gradient = slope(point)
        if not math.isfinite(value):
            return math.inf
        rises += value > earlier
        since += 1
        if value > best:
            best, best_point, best_gradient = value, point, gradient
        if number in checkpoints:
            stuck = not last_halved and best == last_best
            last_halved = rises < _RISES * since or stuck
            if last_halved:
                step /= 2
                point = before = best_point
                value, gradient = best, best_gradient
            last_best, rises, since = best, 0, 0
    return best


def _checkpoints(iterations: int) -> set[int]:
    """Return the iterations at which the step may be halved."""
    places = [0.0, 0.22]
    while places[-1] < 1:
        places.append(places[-1] + max(places[-1] - places[-2] - 0.03, 0.06))
    return {math.ceil(place * iterations) for place in places[1:]}


def _direction(gradient: Tensor, norm: str) -> Tensor:
    """Return the steepest direction of length 1."""
    if norm == "linf":
        return gradient.sign()
    size = gradient.norm()
    return gradient / size if size > 0 else gradient


def project(point: Tensor, radius: float, norm: str) -> Tensor:
    """Return the nearest point of the ball."""
    if norm == "linf":
        return point.clamp(-radius, radius)
    size = point.norm()
    return point * (radius / size) if size > radius else torch.as_tensor(point)
