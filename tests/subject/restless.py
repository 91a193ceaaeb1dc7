"""A small model that does in its forward pass whatever a model can do to itself."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.operators import HessianOperator
from sharpscope.subject import Subject


class Restless(nn.Module):
    """Draws, counts, caches, registers and overwrites in every forward pass."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2)
        self.register_buffer("seen", torch.zeros(2))
        self.register_buffer("hidden", torch.ones(1), persistent=False)
        self.register_buffer("nothing", None)
        self.counter = 0
        self.plain = torch.zeros(2)
        self.cache: dict[Any, Tensor] = {}
        self.log: list[int] = []
        self.fails: BaseException | None = None
        self.fails_after = 1_000_000

    def forward(self, x: Tensor) -> Tensor:
        torch.rand(1)
        np.random.rand()
        random.random()
        self.counter += 1
        self.plain.add_(1)
        self.cache[x.dtype] = x.detach()
        self.log.append(self.counter)
        self.get_buffer("seen").add_(1)
        self.hidden = self.get_buffer("hidden") * 1.0
        self.register_buffer("late", torch.ones(1), persistent=False)
        with torch.no_grad():
            self.last.bias.add_(0)
            self.last.bias.data.mul_(1.0)
        self.norm.get_buffer("num_batches_tracked").add_(1)
        if self.fails is not None and self.counter > self.fails_after:
            raise self.fails
        return self.last(self.norm(self.first(x)).tanh())


def restless() -> Restless:
    torch.manual_seed(1)
    model = Restless().train()
    model.norm.eval()
    model.last.bias.requires_grad_(False)
    functional.cross_entropy(model(data()[0][0]), data()[0][1]).backward()
    model.first.bias.grad = None
    model.counter = 0
    return model


def data() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    return [
        (torch.randn(n, 3, generator=generator), torch.randint(0, 2, (n,), generator=generator))
        for n in (4, 3)
    ]


def subject_over(model: nn.Module, **settings: Any) -> Subject:
    defaults: dict[str, Any] = {"loss": functional.cross_entropy, "encoders": {"a": "first"}}
    return Subject(model, settings.pop("data", data()), **(defaults | settings))


def measure(subject: Subject, name: str = "a") -> Tensor:
    operator = HessianOperator(subject, name)
    return operator.matvec(torch.ones(operator.dim))
