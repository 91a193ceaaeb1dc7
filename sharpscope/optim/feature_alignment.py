"""The angle between fusion and unimodal gradient at the features, by the heads alone."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sharpscope.optim.arithmetic import TINY, dot
from sharpscope.optim.losses import Losses, floats


class FeatureAlignment:
    """Adds up inner products of the two gradients at the features, micro-batch by micro-batch.

    Args:
        outputs: From an encoder's name to what it returned in the pass that is going on.
        summed: Sums numbers over processes.
    """

    def __init__(
        self,
        outputs: Callable[[str], list[Tensor]],
        summed: Callable[[Sequence[float]], list[float]],
    ):
        self._outputs, self._summed = outputs, summed
        self._sums: dict[str, list[float]] = {}
        self.complete = True

    def add(self, losses: Losses, weighted: Tensor | None) -> None:
        """Add the gradients of a pass, whose graph stays.

        Args:
            losses: Of the pass.
            weighted: ``Σ_m λ_m L_m``.
        """
        features = {name: self._outputs(name) for name in losses.unimodal}
        self.complete &= all(features.values())
        flat = [tensor for tensors in features.values() for tensor in tensors]
        if weighted is None or not self.complete or not flat:
            return
        both: list[Any] = [
            list(torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True))
            for loss in (losses.fusion, weighted)
        ]
        parts: list[Tensor] = []
        for tensors in features.values():
            one, other = (gradients[: len(tensors)] for gradients in both)
            both = [gradients[len(tensors) :] for gradients in both]
            parts += [dot(one, other), dot(one, one), dot(other, other)]
        values = floats(parts)
        for place, name in enumerate(features):
            sums = self._sums.setdefault(name, [0.0, 0.0, 0.0])
            for i in range(3):
                sums[i] += values[3 * place + i]

    def cosines(self, names: Sequence[str]) -> dict[str, float]:
        """Return ``γ_m`` over all that was added, by all processes."""
        zeros = [0.0, 0.0, 0.0]
        sums = self._summed([value for name in names for value in self._sums.get(name, zeros)])
        found: dict[str, float] = {}
        for place, name in enumerate(names):
            inner, first, second = sums[3 * place : 3 * place + 3]
            sized = min(first, second) >= TINY**2
            found[name] = inner / math.sqrt(first * second) if sized else 0.0
        return found
