"""What steps the model that trains: one optimizer or several, also inside wrappers."""

import warnings
from typing import Any

from torch import nn
from torch.optim import Optimizer

from sharpscope.errors import MisuseError
from sharpscope.subject import Subject

# What wrappers of training frameworks call the optimizer inside.
_INSIDE = ("optimizer", "_optimizer")


def plain(optimizer: Any) -> list[Any]:
    """Return the optimizers that something means, each without wrappers of training frameworks.

    Args:
        optimizer: One, a list or tuple of them, or None for none.
    """
    if optimizer is None:
        return []
    many: Any = optimizer if isinstance(optimizer, list | tuple) else [optimizer]
    return [_inside(one) for one in many]


def check_optimizer(optimizer: Any) -> Any:
    """Return an optimizer, several, or None as they are.

    Raises:
        MisuseError: If it is something else.
    """
    for one in plain(optimizer):
        # Anything that steps: those of frameworks need not be torch's.
        if isinstance(one, type) or not callable(getattr(one, "step", None)):
            got = f"the class {one.__name__}" if isinstance(one, type) else type(one).__name__
            raise MisuseError(
                "optimizer must be an optimizer such as torch.optim.SGD(...), or a list of them; "
                f"got {got}"
            )
    return optimizer


def stepped(optimizers: list[Any]) -> set[int]:
    """Return the ids of all parameters that optimizers step, as far as they are torch's."""
    groups = [g for one in optimizers if isinstance(one, Optimizer) for g in one.param_groups]
    return {id(parameter) for group in groups for parameter in group["params"]}


def warn_of_stranger(subject: Subject, model: nn.Module | None, optimizer: Any) -> bool:
    """Warn where the measured model has no parameter in common with what trains.

    Args:
        subject: What is measured.
        model: What trains, where it is known.
        optimizer: What steps it, likewise.

    Returns:
        Whether it has none; False where nobody says what trains.
    """
    # Both: some optimizers hold copies of the parameters, in another dtype.
    trained = stepped(plain(optimizer)) | _parameters(model)
    stranger = bool(trained) and trained.isdisjoint(_parameters(subject.model))
    if stranger:
        warnings.warn(
            "the monitor measures a model that does not train, as none of its parameters is among "
            "the trained ones: right for a copy such as a moving average of the weights; else give "
            "the monitor a function from the model to its Subject",
            stacklevel=2,
        )
    return stranger


def _parameters(model: nn.Module | None) -> set[int]:
    return set() if model is None else {id(parameter) for parameter in model.parameters()}


def _inside(optimizer: Any) -> Any:
    while not isinstance(optimizer, Optimizer) or type(optimizer).__module__.startswith(
        ("accelerate", "lightning")
    ):
        inner = next(
            (getattr(optimizer, name) for name in _INSIDE if hasattr(optimizer, name)), None
        )
        if inner is None:
            break
        optimizer = inner
    return optimizer
