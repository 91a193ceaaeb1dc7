"""Losses that are known functions of their parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.subject import Subject


class Point(nn.Module):
    """Parameters and nothing else: one vector of an encoder, one that is shared."""

    def __init__(self, values: list[float]):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(values, dtype=torch.float64))
        self.rest = nn.Parameter(torch.ones(1, dtype=torch.float64))


def subject_of(
    values: list[float], function: Callable[[Tensor], Tensor], *, batches: int = 1, **more: Any
) -> Subject:
    """Return a subject whose loss on batch b is ``function(theta)`` plus nothing of the data."""
    data = [torch.zeros(2, 1, dtype=torch.float64) + place for place in range(batches)]

    def loss(model: Any, batch: Tensor) -> Tensor:
        return function(model.theta) + 0 * batch.sum() + 0 * model.rest.sum()

    return Subject(Point(values), data, loss=loss, encoders={"x": "theta"}, **more)


def q2(theta: Tensor) -> Tensor:
    """Return ``(4 x² + y²) / 2``; methods.md calls it Q2."""
    return (4 * theta[0] ** 2 + theta[1] ** 2) / 2
