"""Quadratic losses, whose Hessian is known without computing it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.subject import Subject


def quadratic(spectrum: Sequence[float]) -> Subject:
    """Return a subject whose Hessian on ``x`` is diagonal with this spectrum, in float64."""
    values = torch.tensor(spectrum, dtype=torch.float64)

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        w: Any = model.weight
        return 0.5 * (values * w**2).sum()

    model = nn.Linear(len(spectrum), 1, bias=False).double()
    data = [torch.zeros(3), torch.zeros(1)]
    return Subject(model, data, loss=loss, encoders={"x": "weight"})
