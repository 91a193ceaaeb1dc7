"""Say in words what a batch was taken for, where the model or its loss refuses it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_BEGINS = "taken as "


def taken_as(inputs: Any, target: Any) -> str:
    """Return what of a batch became inputs and what became the target.

    Example:
        >>> import torch
        >>> taken_as((torch.ones(8, 3), torch.ones(8, 1, 4, 4)), torch.arange(8))
        'taken as 2 inputs (8×3 float32, 8×1×4×4 float32) and target (8 int64)'
        >>> taken_as({"ehr": torch.ones(8, 3)}, ["a", "b"])
        'taken as 1 input (ehr: 8×3 float32) and target (list of 2)'
    """
    named: bool = isinstance(inputs, Mapping)
    entries = [
        f"{key}: {_described(value)}" if named else _described(value)
        for key, value in (inputs.items() if named else enumerate(inputs))
    ]
    count = f"{len(entries)} input{'' if len(entries) == 1 else 's'}"
    return f"{_BEGINS}{count} ({', '.join(entries)}) and target ({_described(target)})"


def taken_note(error: BaseException) -> str:
    """Return the note that an error carries on what the batch was taken as, in brackets."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_BEGINS)]
    return f" ({notes[0]})" if notes else ""


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        shape = "×".join(map(str, value.shape)) or "scalar"
        return f"{shape} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
