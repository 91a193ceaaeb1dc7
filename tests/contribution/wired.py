"""Encoders that are called in other ways than one would think."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.subject import Subject


class Wired(nn.Module):
    """Encoders that are called in other ways than one would think."""

    def __init__(self, way: str):
        super().__init__()
        self.way, self.a, self.b = way, nn.Linear(3, 3), nn.Linear(3, 3)
        self.extra = nn.Parameter(torch.ones(3))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if self.way == "function":
            return functional.linear(a, self.a.weight) + self.b(b)
        if self.way == "both":
            return self.a(a + b) + self.b(a - b)
        if self.way == "twice":
            return self.a(a) + self.a(a.relu()) + self.b(b)
        if self.way == "pair":
            return self.a(a) + self.b(b) + self.extra
        if self.way == "nan":
            z = self.a(a) - self.a.bias
            return z / z.norm(dim=1, keepdim=True) + self.b(b)
        if self.way == "raises" and not a.any():
            raise ValueError("nothing to see")
        return self.a(a) + self.b(b) + self.extra * a


def wired(way: str, **more: Any) -> Subject:
    torch.manual_seed(0)
    data = [(torch.randn(6, 3), torch.randn(6, 3), torch.randint(3, (6,))) for _ in range(2)]
    arguments: dict[str, Any] = {
        "loss": functional.cross_entropy,
        "encoders": {"a": "a", "b": "b"},
    } | more
    return Subject(Wired(way), data, **arguments)
