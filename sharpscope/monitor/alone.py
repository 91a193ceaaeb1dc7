"""Losses that one process of several computes by itself."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sharpscope.errors import SubjectError
from sharpscope.subject import Subject
from sharpscope.subject.losses import BatchLoss, LossSum

# Where torch.distributed has its collectives: those with tensors changed in place, and functional.
_COLLECTIVES = ("c10d", "_c10d_functional")


class _Alone(TorchDispatchMode):
    """Raises in place of a collective, which would wait for processes that train meanwhile."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func.namespace in _COLLECTIVES:
            name = func.name().partition("::")[2].split(".")[0].strip("_")
            raise SubjectError(
                f"the loss communicates with other processes ({name}), and the monitor measures in "
                "one: give its Subject a loss that needs its own batch alone"
            )
        return func(*args, **(kwargs or {}))


def alone(subject: Subject) -> Subject:
    """Return the same subject, whose losses raise where they would wait for other processes.

    Where there is one process, it is the subject itself.
    """
    group = torch.distributed
    together = group.is_available() and group.is_initialized() and group.get_world_size() > 1
    if not together:
        return subject
    found = copy.copy(subject)
    found.losses = {name: _by_itself(loss) for name, loss in subject.losses.items()}
    return found


def _by_itself(loss: BatchLoss) -> Callable[[nn.Module, Any], LossSum]:
    def computed(model: nn.Module, batch: Any) -> LossSum:
        with _Alone():
            return loss(model, batch)

    return computed
