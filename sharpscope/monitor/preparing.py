"""What a monitor measures on: a subject whose batches are read once."""

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from sharpscope.errors import MisuseError
from sharpscope.monitor.alone import alone
from sharpscope.monitor.measuring import under_autocast
from sharpscope.subject import Subject
from sharpscope.subject.door import measured_device
from sharpscope.subject.fixing import fixed

SubjectOrFactory: TypeAlias = Subject | Callable[..., Subject]


def prepared(
    source: SubjectOrFactory,
    model: nn.Module | None,
    *,
    samples: int | None,
    seed: int,
    autocast: torch.dtype | None,
) -> Subject:
    """Return the subject, on a fixed choice of its batches and where its model is by now.

    Args:
        source: A subject, or a function from the model to one.
        model: What trains.
        samples: Items of the choice at least; None takes all.
        seed: Names the choice.
        autocast: As for the monitor.

    Raises:
        MisuseError: If the function returns something else.
        SubjectError: If the loader gives no batch or raises.
    """
    subject = alone(fixed(_subject(source, model), samples, seed=seed))
    subject.device = measured_device(None, subject.model)
    return subject if autocast is None else under_autocast(subject, autocast)


def check_whole(source: SubjectOrFactory, model: nn.Module | None) -> None:
    """Raise where each process holds a part of the parameters, in every process.

    One process alone would wait for the others in its first forward pass.

    Raises:
        MisuseError: If the parameters are spread over processes.
    """
    watched = source.model if isinstance(source, Subject) else model
    tensors = sys.modules.get("torch.distributed.tensor")
    spread = () if tensors is None else (tensors.DTensor,)
    for name, parameter in () if watched is None else watched.named_parameters():
        # What FullyShardedDataParallel and DeepSpeed's ZeRO-3 leave on the parameters they cut up.
        marked = any(hasattr(parameter, mark) for mark in ("_fsdp_flattened", "ds_id"))
        if marked or isinstance(parameter.data, spread):
            raise MisuseError(
                f"parameter {name!r} is spread over processes (FSDP, ZeRO-3, tensor parallel), and "
                "the monitor measures in one: train with DDP, or measure checkpoints"
            )


def check_same(subject: Subject, model: nn.Module | None) -> None:
    """Raise unless a model is the one that is measured.

    Raises:
        MisuseError: If it is another one.
    """
    mine = {id(parameter) for parameter in subject.model.parameters()}
    if model is not None and mine.isdisjoint(id(parameter) for parameter in model.parameters()):
        raise MisuseError("a monitor watches one model: make another monitor for another model")


def check_source(source: Any) -> None:
    """Raise unless it is a subject or a function.

    Raises:
        MisuseError: If it is neither.
    """
    if not isinstance(source, Subject) and not callable(source):
        raise MisuseError(
            "subject must be a Subject, or a function from the model to one; got "
            f"{type(source).__name__}"
        )


def _subject(source: SubjectOrFactory, model: nn.Module | None) -> Subject:
    if isinstance(source, Subject):
        return source
    found: Any = source(model) if inspect.signature(source).parameters else source()
    if not isinstance(found, Subject):
        raise MisuseError(
            "the function that makes the monitor's subject must return a Subject; it returned "
            f"{type(found).__name__}"
        )
    return found
