"""Sums, products and norms of lists of tensors, some absent; none of it waits for a device."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

Gradients = list[Tensor | None]

# A norm below it is no direction.
TINY = 1e-12

_foreach_add: Any = vars(torch)["_foreach_add"]
_foreach_add_: Any = vars(torch)["_foreach_add_"]
_foreach_copy_: Any = vars(torch)["_foreach_copy_"]
_foreach_lerp: Any = vars(torch)["_foreach_lerp"]
_foreach_mul: Any = vars(torch)["_foreach_mul"]
_foreach_norm: Any = vars(torch)["_foreach_norm"]


def norm(tensors: Sequence[Tensor | None]) -> Tensor:
    """Return the Euclidean norm of all tensors together, in float64 and 0-dimensional."""
    there = [t for t in tensors if t is not None]
    if not there:
        return torch.zeros((), dtype=torch.float64)
    norms = [n.double().to(there[0].device) for n in _foreach_norm(there)]
    return torch.linalg.vector_norm(torch.stack(norms))


def dot(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> Tensor:
    """Return the inner product of two lists, in float64 and 0-dimensional."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if not pairs:
        return torch.zeros((), dtype=torch.float64)
    device = pairs[0][0].device
    return torch.stack([(a * b).sum(dtype=torch.float64).to(device) for a, b in pairs]).sum()


def cosine(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> Tensor:
    """Return the cosine of the angle between two lists; 0 where one of them has no direction."""
    first, second = norm(one), norm(other)
    inner = dot(one, other).to(first.device)
    second = second.to(first.device)
    fine = (first >= TINY) & (second >= TINY)
    return torch.where(fine, inner / (first * second), torch.zeros_like(inner)).clamp(-1, 1)


def added(one: Gradients, other: Gradients) -> Gradients:
    """Return the sum of two lists; an absent tensor is zero."""
    found = [b if a is None else a for a, b in zip(one, other, strict=True)]
    both = [
        i
        for i, (a, b) in enumerate(zip(one, other, strict=True))
        if a is not None and b is not None
    ]
    sums = _foreach_add([one[i] for i in both], [other[i] for i in both]) if both else []
    for i, value in zip(both, sums, strict=True):
        found[i] = value
    return found


def mixed(one: Gradients, other: Gradients, weight: float) -> Gradients:
    """Return ``one + weight (other - one)``; exactly ``other`` where the weight is 1."""
    found: Gradients = [None] * len(one)
    there = [
        i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a is not None or b is not None
    ]
    if there:
        pairs = [_both(one[i], other[i]) for i in there]
        values = _foreach_lerp([a for a, _ in pairs], [b for _, b in pairs], weight)
        for i, value in zip(there, values, strict=True):
            found[i] = value
    return found


def _both(one: Tensor | None, other: Tensor | None) -> tuple[Tensor, Tensor]:
    there = other if one is None else one
    assert there is not None
    zero = torch.zeros_like(there)
    return (zero if one is None else one), (zero if other is None else other)


def scaled(tensors: Gradients, factor: float | Tensor) -> Gradients:
    """Return every tensor times one number."""
    there = [i for i, t in enumerate(tensors) if t is not None]
    found: Gradients = [None] * len(tensors)
    chosen: list[Any] = [tensors[i] for i in there]
    if isinstance(factor, Tensor) and len({(t.device, t.dtype) for t in chosen}) > 1:
        values = [t * factor.to(t.device, t.dtype) for t in chosen]
    elif chosen:
        if isinstance(factor, Tensor):
            factor = factor.to(chosen[0].device, chosen[0].dtype)
        values = _foreach_mul(chosen, factor)
    else:
        values = []
    for i, value in zip(there, values, strict=True):
        found[i] = value
    return found


def only(tensors: Gradients, places: Sequence[int]) -> Gradients:
    """Return the list with everything absent but at some places."""
    chosen = set(places)
    return [t if i in chosen else None for i, t in enumerate(tensors)]


def to_length(tensors: Gradients, length: float | Tensor) -> Gradients:
    """Return the tensors scaled to a joint norm of ``length``; zeros where they have no direction.

    Args:
        tensors: What gives the direction.
        length: The norm wanted; a negative one turns around.
    """
    size = norm(tensors)
    fine = torch.isfinite(size) & (size > 0)
    return scaled(tensors, torch.where(fine, length / (size + TINY), torch.zeros_like(size)))


@contextmanager
def displaced(parameters: Sequence[Tensor], direction: Gradients) -> Generator[None]:
    """Move parameters by ``direction`` inside the block; afterwards they are as they were.

    They are put back from a copy, bit for bit, whatever happens inside.
    """
    pairs = [(p, e) for p, e in zip(parameters, direction, strict=True) if e is not None]
    moved = [p for p, _ in pairs]
    saved = [p.detach().clone() for p in moved]
    try:
        with torch.no_grad():
            if moved:
                _foreach_add_(moved, [e for _, e in pairs])
        torch.clear_autocast_cache()  # or half-precision copies of before would be used again
        yield
    finally:
        with torch.no_grad():
            if moved:
                _foreach_copy_(moved, saved)
        torch.clear_autocast_cache()
