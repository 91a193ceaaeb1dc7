"""The methods written down plainly: clone everything, compute everything again, loop."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.optim import Losses

Forward = Callable[[nn.Module], Losses]
Vector = dict[str, Tensor]


def gradient(model: nn.Module, forward: Forward, pick: Callable[[Losses], Any], rng: Any) -> Vector:
    """Return a gradient by name, at a fresh copy of the model, with the given random state."""
    other = copy.deepcopy(model)
    torch.set_rng_state(rng)
    loss = pick(forward(other))
    table = dict(other.named_parameters())
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return {name: torch.zeros_like(p) for name, p in table.items()}
    found: Any = torch.autograd.grad(loss, list(table.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(table.items(), found, strict=True)
    }


def moved(model: nn.Module, by: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of the model with some parameters moved."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in other.named_parameters():
            if name in by:
                p.add_(by[name])
    return other


def flat(vector: Mapping[str, Tensor]) -> Tensor:
    """Return one vector."""
    return torch.cat([t.reshape(-1).double() for t in vector.values()])


def cosine(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the cosine between two vectors, 0 where one is zero."""
    a, b = flat(one), flat(other)
    if a.norm() < 1e-12 or b.norm() < 1e-12:
        return 0.0
    return (a @ b / (a.norm() * b.norm())).item()


def block(vector: Mapping[str, Tensor], name: str) -> Vector:
    """Return the part of an encoder."""
    return {key: t for key, t in vector.items() if key.startswith(f"encoders.{name}.")}


def total(losses: Losses) -> Tensor:
    """Return the sum of all losses."""
    return losses.fusion + sum(losses.unimodal.values())


class Naive(ABC):
    """A method on one model: ``step`` sets the final gradient and lets the base step."""

    def __init__(self, model: nn.Module, base: torch.optim.Optimizer, rho: float):
        self.model, self.base, self.rho = model, base, rho
        self.averages: dict[str, float] = {}
        self.losses: dict[str, float] = {}

    def step(self, forward: Forward, **more: Any) -> Any:
        """Take a step; the model sees the batch once in the ordinary way, for its buffers."""
        rng = torch.get_rng_state()
        final, told = self.final(forward, rng, **more)
        torch.set_rng_state(rng)
        with torch.no_grad():
            forward(self.model)
        for name, p in self.model.named_parameters():
            p.grad = final[name]
        self.base.step()
        self.base.zero_grad()
        return told

    @abstractmethod
    def final(self, forward: Forward, rng: Any, **more: Any) -> tuple[Vector, Any]:
        """Return the final gradient."""


class NaiveSAM(Naive):
    """SAM on the total loss."""

    def final(self, forward: Forward, rng: Any, **more: Any) -> tuple[Vector, Any]:
        plain = gradient(self.model, forward, total, rng)
        size = flat(plain).norm()
        there = moved(self.model, {n: self.rho * g / size.to(g.dtype) for n, g in plain.items()})
        return gradient(there, forward, total, rng), None


class NaiveMSAM(Naive):
    """Algorithm 1 with two separate losses."""

    def final(self, forward: Forward, rng: Any, **more: Any) -> tuple[Vector, Any]:
        shares: dict[str, float] = more["shares"]
        top = max(shares.values())
        dominant = gradient(self.model, forward, lambda found: top * total(found), rng)
        rest = gradient(self.model, forward, lambda found: (1 - top) * total(found), rng)
        size = flat(dominant).norm()
        there = moved(self.model, {n: self.rho * g / size.to(g.dtype) for n, g in dominant.items()})
        perturbed = gradient(there, forward, lambda found: top * total(found), rng)
        return {name: perturbed[name] + rest[name] for name in rest}, None


class NaiveMASAM(Naive):
    """Equations 7 to 13, one gradient for each of their terms."""

    alpha, beta = 0.3, 0.9

    def final(self, forward: Forward, rng: Any, **more: Any) -> tuple[Vector, Any]:
        torch.set_rng_state(rng)
        losses = forward(copy.deepcopy(self.model))
        fusion = gradient(self.model, forward, lambda found: found.fusion, rng)
        result = dict(fusion)
        scores: dict[str, float] = {}
        gammas: dict[str, float] = {}
        unimodal: dict[str, Vector] = {}
        for name, loss in losses.unimodal.items():
            unimodal[name] = gradient(
                self.model, forward, lambda found, name=name: found.unimodal[name], rng
            )
            value = loss.item()
            average = self.beta * self.averages.get(name, value) + (1 - self.beta) * value
            decay = max(0.0, self.losses.get(name, value) - average)
            self.averages[name], self.losses[name] = average, value
            gammas[name] = cosine(block(fusion, name), block(unimodal[name], name))
            scores[name] = self.alpha * decay + (1 - self.alpha) * gammas[name]
            result = {key: result[key] + g for key, g in unimodal[name].items()}
        dominant = max(scores, key=lambda name: scores[name])
        along = block(fusion, dominant)
        size = flat(along).norm()
        there = moved(
            self.model,
            {k: self.rho * gammas[dominant] * g / size.to(g.dtype) for k, g in along.items()},
        )
        perturbed = gradient(there, forward, lambda found: found.fusion, rng)
        for key in along:
            result[key] = perturbed[key] + unimodal[dominant][key]
        return result, dominant
