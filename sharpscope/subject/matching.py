"""Bring the names in a checkpoint and the names in a model together, or say how they differ."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from sharpscope.checks import nearest
from sharpscope.errors import CheckpointError, SpecError
from sharpscope.subject.ignoring import ignore_line
from sharpscope.subject.owners import clean
from sharpscope.subject.wrappers import prefixes, strippings

_SHOWN = 3


class _Fit(NamedTuple):
    """One reading of the file's names.

    ``matched`` maps names in the model to names in the file.
    """

    matched: dict[str, str]
    missing: list[str]
    unexpected: list[str]
    misfits: list[str]

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.misfits)


def match_state(
    wanted: Mapping[str, Any],
    state: Mapping[str, Any],
    *,
    prefix: str | None = None,
    ignore: Collection[str] = (),
    source: str = "the checkpoint",
    spec: str | Path | None = None,
) -> dict[str, Any]:
    """Return the checkpoint's tensors under the model's own names.

    The prefixes ``module.``, ``model.`` and ``_orig_mod.``, however nested, are stripped where the
    names fit the model's best without them. A tensor that the model uses under two names may be
    saved under one of them, and the counters of BatchNorm may be absent.

    Args:
        wanted: The model's ``state_dict(keep_vars=True)``.
        state: The checkpoint's.
        prefix: Take only the tensors under this prefix.
        ignore: Names in the file to leave out.
        source: What to call the checkpoint in messages.
        spec: The spec that the model is built by; without one, the recipe in the file builds it.

    Raises:
        CheckpointError: If a tensor is missing, left over or of another shape.
        SpecError: If no tensor lies under the prefix.
    """
    kept = {name: value for name, value in state.items() if name not in ignore}
    if prefix is not None:
        state, kept = (_under(part, prefix, source, spec) for part in (state, kept))
    fit = _best_fit(wanted, kept)
    if fit.faults:
        differences = _differences(fit, wanted)
        if fit.missing and ignore and len(_best_fit(wanted, state).missing) < len(fit.missing):
            advice = f"ignore in [model] of {spec} leaves out what the model needs: shorten it"
        else:
            advice = _advice(fit, wanted, kept, spec)
        raise CheckpointError(f"{source} does not fit the model: {differences}; {advice}")
    return {own: kept[name] for own, name in fit.matched.items()}


def identities(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return for each name what it shares with the other names of the same tensor."""
    return {name: _identity(value) for name, value in wanted.items()}


def dtype_name(value: Tensor) -> str:
    """Return a dtype without its library."""
    return str(value.dtype).removeprefix("torch.")


def _identity(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.numel() == 0 or value.is_meta:
        return id(value)
    return value.device, value.data_ptr(), value.shape, value.stride()


def stop_after(prefix: str) -> str:
    """Return a prefix as names have it, with its full stop."""
    start = clean(prefix)
    return start if not start or start.endswith(".") else f"{start}."


def _under(
    state: Mapping[str, Any], prefix: str, source: str, spec: str | Path | None
) -> dict[str, Any]:
    """Return the tensors under ``prefix``, without it."""
    start = stop_after(prefix)
    chosen = {
        clean(name).removeprefix(start): value
        for name, value in state.items()
        if clean(name).startswith(start)
    }
    if not chosen:
        firsts = _firsts(state)
        raise SpecError(
            f"{source} has no tensor under {prefix!r}, the prefix of [model] in {spec}"
            f"{nearest(start, firsts)}; its names begin with {_some(firsts)}"
        )
    return chosen


def _firsts(names: Iterable[str]) -> list[str]:
    parts = (clean(name).partition(".") for name in names)
    return list(dict.fromkeys(first + stop for first, stop, _ in parts))


def _best_fit(wanted: Mapping[str, Any], state: Mapping[str, Any]) -> _Fit:
    shared = identities(wanted)
    fits = [
        _fit(wanted, ours, shared, state, theirs)
        for ours in strippings(wanted)
        for theirs in strippings(state)
    ]
    return min(fits, key=lambda fit: fit.faults)


def _fit(
    wanted: Mapping[str, Any],
    ours: Mapping[str, str],
    shared: Mapping[str, Any],
    state: Mapping[str, Any],
    theirs: Mapping[str, str],
) -> _Fit:
    """Compare one reading of the model's names with one of the file's."""
    matched: dict[str, str] = {}
    absent: list[str] = []
    misfits: list[str] = []
    for name, own in ours.items():
        if name not in theirs:
            absent.append(own)
        elif difference := _difference(wanted[own], state[theirs[name]]):
            misfits.append(f"{own!r} {difference}")
        else:
            matched[own] = theirs[name]
    twins = {shared[own]: name for own, name in matched.items()}
    matched |= {own: twins[shared[own]] for own in absent if shared[own] in twins}
    missing = [
        own for own in absent if own not in matched and not own.endswith("num_batches_tracked")
    ]
    return _Fit(matched, missing, [theirs[name] for name in theirs if name not in ours], misfits)


def _difference(own: Any, value: Any) -> str:
    """Return how an entry of the file differs from the model's in shape or kind, or nothing."""
    if not isinstance(own, Tensor) or not isinstance(value, Tensor):
        same = isinstance(own, Tensor) == isinstance(value, Tensor)
        kinds = type(value).__name__, type(own).__name__
        return "" if same else f"is a {kinds[0]} in the file and a {kinds[1]} in the model"
    if own.shape != value.shape:
        return f"is {list(value.shape)} in the file and {list(own.shape)} in the model"
    if _kind(own) != _kind(value):
        return f"is {dtype_name(value)} in the file and {dtype_name(own)} in the model"
    return ""


def _kind(value: Tensor) -> str:
    if value.is_quantized or value.is_complex():
        return dtype_name(value)
    return "floating" if value.is_floating_point() else "whole"


def _differences(fit: _Fit, wanted: Mapping[str, Any]) -> str:
    parts: list[str] = []
    if fit.missing:
        parts.append(f"missing {len(fit.missing)} of {len(wanted)} ({_some(fit.missing)})")
    if fit.unexpected:
        parts.append(f"unexpected {len(fit.unexpected)} ({_some(fit.unexpected)})")
    if fit.misfits:
        parts.append(f"different {len(fit.misfits)} ({_some(fit.misfits, '{}', '; ')})")
    return f"tensors {', '.join(parts)}"


def _some(names: Sequence[str], form: str = "{!r}", between: str = ", ") -> str:
    shown = [form.format(name) for name in names[:_SHOWN]]
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return between.join(shown + more)


def _advice(
    fit: _Fit, wanted: Mapping[str, Any], state: Mapping[str, Any], spec: str | Path | None
) -> str:
    if spec is None:
        return "its recipe builds another model here: it was changed, or saved by another version"
    for first in (first for first in _firsts(state) if first.endswith(".")):
        if _best_fit(wanted, _under(state, first, "", spec)).faults == 0:
            return (
                f'all of it is there under one prefix: set prefix = "{first}" in [model] of {spec}'
            )
    if not fit.matched and not fit.misfits:
        parts = [part for part, _, _ in prefixes(state)]
        return f"no name agrees (the file's parts are {_some(parts)}), this is another architecture"
    if fit.missing and fit.unexpected:
        like = difflib.get_close_matches(fit.missing[0], fit.unexpected, n=1, cutoff=0.6)
        if like:
            return f"is {like[0]!r} in the file an older name of {fit.missing[0]!r}?"
    if not fit.missing and not fit.misfits:
        return (
            "the model has no place for them: build it as it was trained (kwargs in [model] of "
            f"{spec}), or leave them out with {ignore_line(fit.unexpected, fit.matched.values())} "
            "there"
        )
    return f"build the model as it was trained: compare the kwargs in [model] of {spec}"
