"""What is checked at the door of a Subject: the model, its parameters, device and dtype."""

from typing import Any

import torch
from torch import nn
from torch.nn import DataParallel, UninitializedParameter
from torch.nn.parallel import DistributedDataParallel

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError, SubjectError

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def original(model: Any) -> nn.Module:
    """Return the module behind ``torch.compile`` and data parallel wrappers."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(inner, nn.Module):
            model = inner
        elif isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        elif isinstance(model, nn.Module):
            if any(isinstance(part, torch.jit.ScriptModule) for part in model.modules()):
                raise MisuseError(
                    "model is (partly) TorchScript, whose tensors cannot be held still: "
                    "pass the module that it was compiled from"
                )
            return model
        else:
            raise MisuseError(f"model must be a torch module; got {type(model).__name__}")


def check_parameters(model: nn.Module) -> None:
    """Raise unless every parameter has a shape, real finite values and a place in memory."""
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise SubjectError(f"parameter {name!r} has no shape yet: run one batch through first")
        if parameter.is_meta:
            raise SubjectError(f"parameter {name!r} is on the meta device: load weights first")
        if parameter.is_complex():
            raise SubjectError(f"parameter {name!r} is complex, and only real ones are measured")
        bad = int((~torch.isfinite(parameter.detach())).sum()) if parameter.numel() else 0
        if bad:
            raise SubjectError(
                f"parameter {name!r} holds {bad} NaN or infinite of {parameter.numel()} entries: "
                "the model has diverged, measure an earlier checkpoint"
            )


def measured_device(device: str | torch.device | None, model: nn.Module) -> torch.device:
    """Return the device asked for if it is there, by default the one that the model is on."""
    if device is None:
        return next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise MisuseError(f"device must be cpu, cuda or cuda:N; got {device!r}") from error
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise MisuseError(f"device {device!s} was asked for and CUDA is not there; use cpu")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise MisuseError(
            f"device {device!s} was asked for and there are {torch.cuda.device_count()} of them"
        )
    return wanted


def measured_dtype(
    dtype: str | torch.dtype | None, model: nn.Module
) -> tuple[torch.dtype | None, tuple[str, ...]]:
    """Return the dtype to measure in, None for the model's own, and what a result says of it."""
    if dtype is not None:
        name = dtype if isinstance(dtype, str) else str(dtype).removeprefix("torch.")
        return DTYPES[one_of("dtype", name, DTYPES)], ()
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    half = [kind for kind in kinds if kind.itemsize < 4]
    if not half and len(kinds) < 2:
        return None, ()
    wanted = torch.float32 if half else torch.float64
    names = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in half or kinds))
    measured = str(wanted).removeprefix("torch.")
    return wanted, (f"The model holds {names} parameters; it was measured in {measured}.",)
