"""Load the tensors of a checkpoint into a model: all of them, or one sentence and none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sharpscope.errors import CheckpointError
from sharpscope.subject.ignoring import ignored
from sharpscope.subject.matching import dtype_name, identities, match_state, stop_after
from sharpscope.subject.owners import clean


def load_state(
    model: nn.Module,
    state: Mapping[str, Any],
    *,
    prefix: str | None = None,
    ignore: Sequence[str] = (),
    source: str = "the checkpoint",
    spec: str | Path | None = None,
) -> tuple[str, ...]:
    """Copy a checkpoint's tensors into ``model``, all or none, and return what is worth a note.

    Args:
        model: Receives the tensors, in its own dtypes and on its own devices.
        state: Tensors by name.
        prefix: Take only the tensors under this prefix.
        ignore: Module paths or globs of tensors in the file to leave out.
        source: What to call the checkpoint in messages.
        spec: The spec that the model is built by; without one, the recipe in the file builds it.

    Returns:
        Sentences for the reader, such as that half-precision tensors became float32.

    Raises:
        CheckpointError: If they do not fit, hold NaN or infinite weights, or the model is not
            ready to receive them. The model is unchanged then.
        SpecError: If no tensor lies under the prefix, or a pattern to ignore matches none.
    """
    _check_ready(model, source)
    wanted: dict[str, Any] = model.state_dict(keep_vars=True)
    start = stop_after(prefix or "")
    out = ignored(state, ignore, prefix=start, source=source, spec=spec)
    matched = match_state(wanted, state, prefix=prefix, ignore=out, source=source, spec=spec)
    _check_finite(model, matched, source)
    check_ties(wanted, matched, source)
    before = [(v, v.detach().clone()) for v in wanted.values() if isinstance(v, Tensor)]
    try:
        model.load_state_dict(wanted | matched)
    except Exception as error:  # a module's own loading code may raise anything
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        raise CheckpointError(
            f"the model refuses {source}: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    return (*_ignored_note(out), *_notes(wanted, matched))


def _check_ready(model: nn.Module, source: str) -> None:
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(value):
            raise CheckpointError(
                f"{source} cannot be loaded: {clean(name)!r} is lazy and has no shape yet; let the "
                "model's factory run one batch through it first"
            )
        if value.is_meta:
            raise CheckpointError(
                f"{source} cannot be loaded: {clean(name)!r} is on the meta device; let the "
                'model\'s factory make it real with model.to_empty(device="cpu")'
            )


def _check_finite(model: nn.Module, matched: Mapping[str, Any], source: str) -> None:
    """Refuse NaN anywhere, and infinities except in buffers, where masks hold them on purpose."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name, value in matched.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        # Numbers of 8 bits cannot be asked whether they are finite.
        numbers = value.to(torch.float32) if value.element_size() == 1 else value
        strict = name in parameters or name.endswith(("running_mean", "running_var"))
        bad = int((~torch.isfinite(numbers) if strict else torch.isnan(numbers)).sum())
        if bad:
            raise CheckpointError(
                f"{source} has {bad} NaN or infinite of {value.numel()} entries in "
                f"{clean(name)!r}: training diverged, take an earlier checkpoint"
            )


def check_ties(wanted: Mapping[str, Any], matched: Mapping[str, Any], source: str) -> None:
    """Refuse two different tensors for one that the model uses twice: the last would win.

    Raises:
        CheckpointError: If there are some.
    """
    firsts: dict[Any, str] = {}
    for name, identity in identities(wanted).items():
        if name in matched and isinstance(matched[name], Tensor):
            first = firsts.setdefault(identity, name)
            if name != first and not torch.equal(matched[name], matched[first]):
                raise CheckpointError(
                    f"{source} does not fit the model: {clean(first)!r} and {clean(name)!r} are "
                    "one tensor in the model and differ in the file; build it without the tie"
                )


def _ignored_note(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    what = (
        "1 tensor of the file was" if len(names) == 1 else f"{len(names)} tensors of the file were"
    )
    return [f"{what} ignored, as the spec says ({shown})."]


def _notes(wanted: Mapping[str, Any], matched: Mapping[str, Any]) -> tuple[str, ...]:
    casts: dict[tuple[str, str], int] = {}
    for name, value in matched.items():
        if isinstance(value, Tensor) and value.dtype != wanted[name].dtype:
            pair = dtype_name(value), dtype_name(wanted[name])
            casts[pair] = casts.get(pair, 0) + 1
    return tuple(
        f"{count} tensors stored as {stored} were loaded as {own}."
        for (stored, own), count in casts.items()
    )
