"""What a monitor measures and how, and the subject it measures on, whose batches are read once."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import torch
from torch import nn

from sharpscope.checks import at_least, listed, one_of, positive
from sharpscope.errors import MisuseError
from sharpscope.estimators import Coupling
from sharpscope.estimators.tracking import Tracking
from sharpscope.monitor.alone import alone
from sharpscope.monitor.measuring import MEASURES, Measuring
from sharpscope.subject import Subject
from sharpscope.subject.door import measured_device
from sharpscope.subject.fixing import fixed, length_of
from sharpscope.subject.losses import BatchLoss, LossSum

# Losses that may be trained.
TRAINED = ("fusion", "total")
SubjectOrFactory: TypeAlias = Subject | Callable[..., Subject]


class Plan:
    """What will be measured and how, checked before there is a model to measure.

    Args:
        source: As for the monitor, like all others.
        measure: Likewise.
        samples: Likewise.
        rtol: Likewise.
        eigen_rtol: Likewise.
        products: Likewise.
        autocast: Likewise.
        warm: Likewise.
        trained: Likewise.
        seed: Likewise.

    Attributes:
        settings: All of it that is written down.

    Raises:
        MisuseError: If an argument is not allowed.
    """

    def __init__(
        self,
        source: SubjectOrFactory,
        measure: Iterable[str],
        *,
        samples: int | None,
        rtol: float,
        eigen_rtol: float,
        products: int,
        autocast: torch.dtype | None,
        warm: bool,
        trained: str | None,
        seed: int,
    ):
        _check_source(source)
        self._source, self._asked, self._warm = source, _asked(measure), warm
        if samples is not None:
            at_least("samples", samples, 1)
        positive("rtol", rtol)
        if trained is not None:
            one_of("trained", trained, TRAINED)
        self._trained = trained
        self._tracking = Tracking(rtol=rtol, eigen_rtol=eigen_rtol, budget=products, seed=seed)
        self._coupling = Coupling(rtol=max(0.3, rtol), budget=max(40, products), seed=seed)
        self._samples, self._seed, self._autocast = samples, seed, autocast
        self.settings: dict[str, Any] = {
            "samples": samples,
            "autocast": None if autocast is None else str(autocast).removeprefix("torch."),
            "warm": warm,
            "trained": trained,
            "rtol": rtol,
            "eigen_rtol": eigen_rtol,
            "products": products,
            "seed": seed,
        }

    def check_whole(self, model: nn.Module | None) -> None:
        """Raise where each process holds a part of the parameters, in every process.

        One process alone would wait for the others in its first forward pass.

        Raises:
            MisuseError: If the parameters are spread over processes.
        """
        watched = self._source.model if isinstance(self._source, Subject) else model
        tensors = sys.modules.get("torch.distributed.tensor")
        spread = () if tensors is None else (tensors.DTensor,)
        for name, parameter in () if watched is None else watched.named_parameters():
            # What FullyShardedDataParallel and DeepSpeed's ZeRO-3 leave on what they cut up.
            marked = any(hasattr(parameter, mark) for mark in ("_fsdp_flattened", "ds_id"))
            if marked or isinstance(parameter.data, spread):
                raise MisuseError(
                    f"parameter {name!r} is spread over processes (FSDP, ZeRO-3, tensor parallel), "
                    "and the monitor measures in one: train with DDP, or measure checkpoints"
                )

    def measuring(self, model: nn.Module | None) -> Measuring:
        """Return what measures a model, on a fixed choice of batches and where the model is by now.

        Args:
            model: What trains.

        Raises:
            MisuseError: If the function that makes the subject needs a model and there is none, or
                returns something else, or ``autocast`` is another dtype than ``torch.bfloat16``
                and ``torch.float16``, or the subject has no such loss as ``trained``.
            SubjectError: If the loader gives no batch or raises.
        """
        whole = _subject(self._source, model)
        subject = alone(fixed(whole, self._samples, seed=self._seed))
        batches = length_of(whole.batches) or length_of(subject.batches) or 1
        subject.device = measured_device(None, subject.model)
        if self._autocast is not None:
            subject = _under_autocast(subject, self._autocast)
        return Measuring(
            subject,
            self._asked,
            self._tracking,
            self._coupling,
            warm=self._warm,
            epoch_steps=batches,
            trained=self._trained,
        )


def first_process() -> bool:
    """Whether this is the first of the processes that train together, or the only one."""
    group = torch.distributed
    return not (group.is_available() and group.is_initialized() and group.get_rank())


def check_same(subject: Subject, model: nn.Module | None) -> None:
    """Raise unless a model is the one that is measured.

    Raises:
        MisuseError: If it is another one.
    """
    mine = {id(parameter) for parameter in subject.model.parameters()}
    if model is not None and mine.isdisjoint(id(parameter) for parameter in model.parameters()):
        raise MisuseError("a monitor watches one model: make another monitor for another model")


def _check_source(source: Any) -> None:
    wanted = "subject must be a Subject, or a function from the model to one; got"
    if isinstance(source, nn.Module):  # which can be called
        raise MisuseError(
            f"{wanted} the module {type(source).__name__}: wrap it in Subject(model, batches, "
            "loss=..., encoders=...)"
        )
    if isinstance(source, Subject):
        return
    if not callable(source):
        raise MisuseError(f"{wanted} {type(source).__name__}")
    if not _takes(source, 1) and not _takes(source, 0):
        needed = [
            f"{one.name}=" if one.kind is one.KEYWORD_ONLY else one.name
            for one in inspect.signature(source).parameters.values()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
        raise MisuseError(
            "the function that makes the monitor's subject is called with the model alone, or with "
            f"nothing, and it needs {', '.join(needed)}: wrap it in a lambda model: ..."
        )


def _takes(source: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments by their places."""
    try:
        inspect.signature(source).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # of a builtin, which tells none
        return True
    return True


def _under_autocast(subject: Subject, kind: torch.dtype) -> Subject:
    """Return the same subject whose losses are computed under autocast."""
    if kind not in (torch.bfloat16, torch.float16):
        raise MisuseError(f"autocast must be torch.bfloat16 or torch.float16; got {kind}")
    found = copy.copy(subject)
    found.losses = {name: _cast(loss, subject, kind) for name, loss in subject.losses.items()}
    return found


def _cast(loss: BatchLoss, subject: Subject, kind: torch.dtype) -> BatchLoss:
    def computed(model: nn.Module, batch: Any) -> LossSum:
        # Casts that the training has cached are those of earlier weights.
        with torch.autocast(subject.device.type, dtype=kind, cache_enabled=False):
            return loss(model, batch)

    return computed


def _subject(source: SubjectOrFactory, model: nn.Module | None) -> Subject:
    if isinstance(source, Subject):
        return source
    if model is None and not _takes(source, 0):
        raise MisuseError(
            "the monitor has a function from the model to its Subject, and was given no model: "
            "call begin(model) before the first step"
        )
    found: Any = source() if model is None or not _takes(source, 1) else source(model)
    if not isinstance(found, Subject):
        raise MisuseError(
            "the function that makes the monitor's subject must return a Subject; it returned "
            f"{type(found).__name__}"
        )
    return found


def _asked(measure: Iterable[str]) -> tuple[str, ...]:
    names = (measure,) if isinstance(measure, str) else tuple(dict.fromkeys(measure))
    if not names:
        raise MisuseError(f"measure must name something: {listed(MEASURES)}")
    for name in names:
        one_of("measure", name, MEASURES)
    return names
