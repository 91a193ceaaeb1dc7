"""Means over processes, since ``autograd.grad`` bypasses the hooks of DistributedDataParallel."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from sharpscope.optim.arithmetic import Gradients


def processes(group: Any = None) -> int:
    """Return how many processes train together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size(group)


def mean_gradients(gradients: Gradients, parameters: Sequence[Tensor], group: Any) -> Gradients:
    """Return the mean over processes; a tensor that is absent on some counts as zero there.

    Args:
        gradients: Of this process.
        parameters: What they belong to.
        group: The processes.
    """
    count = processes(group)
    if count == 1:
        return gradients
    found: Gradients = list(gradients)
    kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, parameter in enumerate(parameters):
        kinds.setdefault((parameter.device, parameter.dtype), []).append(place)
    for (device, dtype), places in kinds.items():
        there = [gradients[place] is not None for place in places]
        pieces = [
            torch.zeros_like(parameters[place]) if (g := gradients[place]) is None else g
            for place in places
        ]
        flat = torch.cat(
            [
                *(piece.reshape(-1) for piece in pieces),
                torch.tensor(there, dtype=dtype, device=device),
            ]
        )
        distributed.all_reduce(flat, group=group)
        flat, present = flat[: -len(places)] / count, flat[-len(places) :].tolist()
        for place, piece, any_there in zip(
            places, flat.split([p.numel() for p in pieces]), present, strict=True
        ):
            found[place] = piece.view_as(parameters[place]) if any_there else None
    return found


def summed(values: Sequence[float], device: torch.device, group: Any) -> list[float]:
    """Return the sums of numbers over processes."""
    if processes(group) == 1:
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(tensor, group=group)
    return tensor.tolist()
