"""A small net with everything that training moves beside its weights, and loops that train it."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.subject import Subject


class Net(nn.Module):
    """Two encoders with dropout and BatchNorm, a head for each and one for both."""

    def __init__(self):
        super().__init__()
        self.ehr = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3))
        self.cxr = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(6 + 48, 3)
        self.heads = nn.ModuleDict({"ehr": nn.Linear(6, 3), "cxr": nn.Linear(48, 3)})

    def forward(self, ehr: Tensor, cxr: Tensor) -> Tensor:
        return self.head(torch.cat([self.ehr(ehr), self.cxr(cxr)], dim=1))

    def alone(self, name: str, values: Tensor) -> Tensor:
        return self.heads[name](getattr(self, name)(values))

    def loss(self, batch: Any) -> Tensor:
        ehr, cxr, target = batch
        total = functional.cross_entropy(self(ehr, cxr), target)
        for name, values in (("ehr", ehr), ("cxr", cxr)):
            total = total + functional.cross_entropy(self.alone(name, values), target)
        return total


def unimodal(name: str) -> Callable[[Any, Any], Tensor]:
    def loss(model: Any, batch: Any) -> Tensor:
        place = {"ehr": 0, "cxr": 1}[name]
        return functional.cross_entropy(model.alone(name, batch[place]), batch[2])

    return loss


def batches(count: int = 4, size: int = 8) -> list[tuple[Tensor, Tensor, Tensor]]:
    draws = torch.Generator().manual_seed(5)
    return [
        (
            torch.randn(size, 4, generator=draws),
            torch.randn(size, 1, 6, 6, generator=draws),
            torch.randint(3, (size,), generator=draws),
        )
        for _ in range(count)
    ]


def subject(model: nn.Module, **settings: Any) -> Subject:
    defaults: dict[str, Any] = {
        "loss": functional.cross_entropy,
        "encoders": {"ehr": "ehr", "cxr": "cxr"},
        "unimodal": {name: unimodal(name) for name in ("ehr", "cxr")},
    }
    data = settings.pop("data", batches())
    return Subject(model, data, **(defaults | settings))


def net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net()


def randomness() -> tuple[Any, ...]:
    """Return the states of all global generators."""
    numpy: Any = np.random.get_state()
    return torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2], random.getstate()


def same(one: Any, other: Any) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
