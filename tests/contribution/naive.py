"""The obvious way: every subset run in full, sums over permutations, one batch left out by hand."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.subject import Subject

SIZES = (5, 5, 3)
CLASSES = 3


class Joined(nn.Module):
    """Any number of encoders; a fusion that is not additive, so that they interact."""

    def __init__(self, names: Sequence[str], *, norm: bool = True):
        super().__init__()
        self.encoders = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(3 + place, 4),
                    nn.BatchNorm1d(4) if norm else nn.Identity(),
                    nn.Tanh(),
                    nn.Dropout(0.3),
                )
                for place, name in enumerate(names)
            }
        )
        self.mix = nn.Linear(4 * len(names), 6)
        self.out = nn.Linear(6, CLASSES)
        self.heads = nn.ModuleDict({name: nn.Linear(4, CLASSES) for name in names})

    def forward(self, *inputs: Tensor) -> Tensor:
        pairs = zip(self.encoders.values(), inputs, strict=True)
        return self.fuse([encoder(x) for encoder, x in pairs])

    def fuse(self, features: Sequence[Tensor]) -> Tensor:
        return self.out(self.mix(torch.cat(list(features), 1)).relu())


@dataclass
class Problem:
    """A model, its data, and its subject."""

    model: Joined
    batches: list[Any]
    names: tuple[str, ...]

    def subject(self, **more: Any) -> Subject:
        return Subject(
            self.model,
            self.batches,
            loss=functional.cross_entropy,
            encoders={name: f"encoders.{name}" for name in self.names},
            unimodal={name: self.unimodal(place) for place, name in enumerate(self.names)},
            **more,
        )

    def unimodal(self, place: int) -> Callable[[Any, Any], Tensor]:
        name = self.names[place]

        def loss(model: Any, batch: Any) -> Tensor:
            z = model.encoders[name](batch[place])
            return functional.cross_entropy(model.heads[name](z), batch[-1])

        return loss

    def joined(self) -> tuple[list[Tensor], Tensor]:
        columns = [torch.cat(parts) for parts in zip(*self.batches, strict=True)]
        return columns[:-1], columns[-1]

    @torch.no_grad()
    def logits(self, present: frozenset[str], mask: str) -> Tensor:
        """Return logits of all items with some modalities masked, in one plain pass."""
        self.model.eval()
        inputs, _ = self.joined()
        features: list[Tensor] = []
        for name, x in zip(self.names, inputs, strict=True):
            encoder = self.model.encoders[name]
            z = encoder(x)
            if name not in present:
                z = {
                    "zero_input": lambda e=encoder, x=x: e(torch.zeros_like(x)),
                    "zero_feature": lambda z=z: torch.zeros_like(z),
                    "mean_feature": lambda z=z: z.mean(0, keepdim=True).expand_as(z),
                }[mask]()
            features.append(z)
        return self.model.fuse(features)


def problem(names: Sequence[str], *, seed: int = 0) -> Problem:
    """Return a model in float64 whose norms have seen data, and items that it half gets right."""
    torch.manual_seed(seed)
    model = Joined(names).double()
    batches: list[Any] = []
    for size in SIZES:
        target = torch.randint(CLASSES, (size,))
        inputs = [
            torch.randn(size, 3 + place, dtype=torch.float64) + target[:, None] * (place + 1) / 2
            for place, _ in enumerate(names)
        ]
        batches.append((*inputs, target))
        model.train()
        model(*inputs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(20):
        for *inputs, target in batches:
            optimizer.zero_grad()
            functional.cross_entropy(model(*inputs), target).backward()
            optimizer.step()
    optimizer.zero_grad()
    return Problem(model, batches, tuple(names))


def by_permutations(
    names: Sequence[str], value: Callable[[frozenset[str]], Any]
) -> Mapping[str, Any]:
    """Return Shapley values: the mean gain over all orders of arrival."""
    orders = list(itertools.permutations(names))
    found: dict[str, Any] = dict.fromkeys(names, 0.0)
    for order in orders:
        for place, name in enumerate(order):
            before = frozenset(order[:place])
            found[name] = found[name] + (value(before | {name}) - value(before)) / len(orders)
    return found


def gradients(p: Problem, name: str, batches: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Return the gradient sums of fusion and unimodal loss over some batches."""
    p.model.eval()
    parameters = list(p.model.encoders[name].parameters())
    place = p.names.index(name)
    pair: list[Tensor] = []
    for kind in ("fusion", "unimodal"):
        total = torch.zeros((), dtype=torch.float64)
        for batch in batches:
            *inputs, target = batch
            mean = (
                functional.cross_entropy(p.model(*inputs), target)
                if kind == "fusion"
                else p.unimodal(place)(p.model, batch)
            )
            total = total + mean * len(target)
        found = torch.autograd.grad(total, parameters)
        pair.append(torch.cat([g.reshape(-1) for g in found]))
    return pair[0], pair[1]
