"""What a closure returns: the losses of one forward pass."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sharpscope.checks import listed
from sharpscope.errors import MisuseError, SharpscopeError

_CONTRACT = (
    "the closure must run the forward pass and return one loss tensor or "
    "Losses(fusion=..., unimodal={...}), and leave backward() to the optimizer"
)


@dataclass(frozen=True)
class Losses:
    """The losses of one forward pass, each a scalar tensor with its graph.

    Args:
        fusion: ``L_fuse``, of the fused prediction.
        unimodal: ``L_m`` of each modality's own prediction. One that is missing from a batch is
            left out.
        scores: For ``MASAM(score="given")`` what the dominant modality is the largest of, such as
            the summed probability of the true class (Peng et al., 2022, arXiv 2203.15332).
    """

    fusion: Tensor
    unimodal: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    scores: Mapping[str, float | Tensor] | None = None

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """Return ``L_fuse + Σ_m λ_m L_m``."""
        weighted = self.weighted(weights)
        return self.fusion if weighted is None else self.fusion + weighted

    def weighted(self, weights: Mapping[str, float]) -> Tensor | None:
        """Return ``Σ_m λ_m L_m``, None where there is nothing to add."""
        parts = [
            loss if weights[name] == 1 else weights[name] * loss
            for name, loss in self.unimodal.items()
            if weights[name]
        ]
        return sum(parts[1:], parts[0]) if parts else None


def read_losses(found: Any, names: Container[str], *, played: bool = False) -> Losses:
    """Return what a closure returned as losses.

    Args:
        found: What it returned.
        names: The encoders.
        played: Whether encoders were played back, so that a loss may have no gradient.

    Raises:
        MisuseError: If it is something else.
    """
    if isinstance(found, Tensor):
        found = Losses(found)
    if not isinstance(found, Losses):
        raise MisuseError(f"{_CONTRACT}; got {type(found).__name__}")
    for name, loss in {"fusion": found.fusion, **found.unimodal}.items():
        if not isinstance(loss, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MisuseError(f"{_CONTRACT}; the loss {name!r} is of type {type(loss).__name__}")
        if loss.dim():
            raise MisuseError(
                f"the loss {name!r} must be one number, a mean over the batch; got the shape "
                f"{tuple(loss.shape)}"
            )
        if not loss.requires_grad and not played:
            raise MisuseError(
                f"the loss {name!r} has no gradient: it was detached or computed under no_grad, or "
                f"backward() was called and item() returned. {_CONTRACT[0].upper()}{_CONTRACT[1:]}"
            )
    unknown = [name for name in found.unimodal if name not in names]
    if unknown:
        allowed = listed(names) if isinstance(names, Sequence | Mapping) else "the encoders"
        raise MisuseError(f"unimodal losses are those of {allowed}; got {unknown[0]!r}")
    return found


def check_finite(values: Mapping[str, float]) -> None:
    """Raise if a loss is not finite."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise SharpscopeError(
                f"the loss {name!r} is {value}; parameters and optimizer are as before this step: "
                "lower the learning rate, or look for NaN in the batch"
            )


def floats(tensors: Sequence[Tensor]) -> list[float]:
    """Return 0-dimensional tensors as numbers, in one transfer from the device."""
    if not tensors:
        return []
    device = tensors[0].device
    return torch.stack([t.detach().double().to(device) for t in tensors]).tolist()
