"""Where MASAM moves an encoder to, and how well its two gradients are aligned."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sharpscope.optim.arithmetic import (
    TINY,
    Gradients,
    added,
    cosine,
    dot,
    norm,
    scaled,
    to_length,
)

DIRECTIONS = ("fusion", "difference", "orthogonal")


def direction(kind: str, fusion: Gradients, unimodal: Gradients) -> Gradients:
    """Return the direction of a perturbation, of any length.

    Args:
        kind: ``fusion``: the fusion gradient a. ``difference``: ``a - b``. ``orthogonal``: b
            without its part along a.
        fusion: ``a = ∇L_fuse`` of the encoder.
        unimodal: ``b = ∇L_m``.
    """
    if kind == "fusion":
        return fusion
    if kind == "difference":
        return added(fusion, scaled(unimodal, -1.0))
    size = norm(fusion)
    part = dot(fusion, unimodal).to(size.device) / size.square().clamp(min=TINY**2)
    return added(unimodal, scaled(fusion, -part))


def tensorwise(fusion: Gradients, unimodal: Gradients) -> Tensor:
    """Return the mean of the cosines of the single tensors, as the public code of MASAM does."""
    cosines = [cosine([a], [b]) for a, b in _pairs(fusion, unimodal)]
    return torch.stack(cosines).mean() if cosines else torch.zeros((), dtype=torch.float64)


def official(fusion: Gradients, unimodal: Gradients, rho: float, *, scale: bool) -> Gradients:
    """Return the perturbation of MASAM's public code.

    Tensor by tensor the unimodal gradient's projection on the fusion gradient, or the whole fusion
    gradient where the two are opposed; then one length for all, ρ times the cosine of the last
    tensor where that is positive.
    """
    parts: Gradients = [None] * len(fusion)
    last = torch.zeros((), dtype=torch.float64)
    for i, (a, b) in enumerate(zip(fusion, unimodal, strict=True)):
        if a is None or b is None:
            continue
        inner, size = dot([a], [b]), norm([a]).square()
        part = torch.where(inner < 0, 1.0, inner / size.clamp(min=TINY**2))
        parts[i] = a * part.to(a.dtype)
        last = cosine([a], [b])
    factor = torch.where(last > 0, last, 1.0) if scale else torch.ones_like(last)
    return to_length(parts, rho * factor)


def _pairs(one: Gradients, other: Gradients) -> Sequence[tuple[Tensor, Tensor]]:
    pairs = zip(one, other, strict=True)
    return [(a, b) for a, b in pairs if a is not None and b is not None]
