"""A half of a step that is taken back where the other half fails."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch.nn import Parameter
from torch.optim import Optimizer


def remembered(base: Optimizer, parameters: Sequence[Parameter]) -> Callable[[], None]:
    """Return what puts parameters and their entries in an optimizer's state back as they are now.

    Args:
        base: The optimizer.
        parameters: Those that it is about to move.
    """
    values = [p.detach().clone() for p in parameters]
    entries = [copy.deepcopy(base.state[p]) if p in base.state else None for p in parameters]

    def undo() -> None:
        for parameter, value, entry in zip(parameters, values, entries, strict=True):
            with torch.no_grad():
                parameter.copy_(value)
            base.state.pop(parameter, None)
            if entry is not None:
                base.state[parameter] = entry

    return undo
