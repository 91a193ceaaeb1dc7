"""Losses that are known functions of two parameters."""

from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.landscape.directions import Drawing, random_directions
from sharpscope.subject import Subject


class Known(nn.Module):
    """Two encoders of one weight each, whose loss is a function of both."""

    def __init__(self, a: float = 1.0, b: float = 1.0):
        super().__init__()
        self.a, self.b = (nn.Linear(1, 1, bias=False).double() for _ in "ab")
        nn.init.constant_(self.a.weight, a)
        nn.init.constant_(self.b.weight, b)


def known(function: Any, **more: Any) -> Subject:
    model = Known(**more)

    def loss(model: Any, batch: Tensor) -> Tensor:
        one = torch.ones(1, 1, dtype=torch.float64)
        a, b = model.a(one).squeeze(), model.b(one).squeeze()
        return function(a, b) + 0 * batch.sum()

    return Subject(model, [torch.zeros(2, 1)], loss=loss, encoders={"a": "a", "b": "b"})


def signs(subject: Subject, name: str, seed: int = 0) -> list[float]:
    """Return the directions of single weights: as long as they are, either way."""
    return random_directions(subject, subject.select(name), 1, Drawing(seed=seed))[0].tolist()
