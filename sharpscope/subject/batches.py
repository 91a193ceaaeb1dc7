"""What a batch is: how long, how it becomes a call, how it moves, how it is recognized again."""

import hashlib
import itertools
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sharpscope.checks import at_least, nearest, one_of
from sharpscope.errors import SubjectError

Length: TypeAlias = Callable[[Any], int]

TARGET_KEYS = ("target", "label", "labels", "y")
CALLS = ("args", "kwargs", "whole")


def length(batch: Any) -> int:
    """Return the length of the first axis of the first tensor in ``batch``."""
    for leaf in leaves(batch):
        if isinstance(leaf, PackedSequence):
            return int(leaf.batch_sizes[0])
        if isinstance(leaf, Tensor) and leaf.ndim > 0:
            return leaf.shape[0]
    raise SubjectError(
        f"a batch of type {type(batch).__name__} holds no tensor to count its items by; "
        "pass batch_size=, a function from a batch to its number of items"
    )


def separate(batch: Any, *, target: str | None = None) -> tuple[Any, Any]:
    """Return (inputs, target) of a tuple ``(*inputs, target)`` or a mapping with a target."""
    fields = getattr(batch, "_fields", None)
    if fields and any(key in fields for key in (target, *TARGET_KEYS)):
        batch = batch._asdict()
    if isinstance(batch, Mapping):
        if target is not None and target not in batch:
            known = [str(key) for key in batch]
            raise SubjectError(
                f"no target {target!r} in the batch{nearest(target, known)}; its keys are "
                f"{', '.join(known)}"
            )
        keys = [target] if target else [key for key in TARGET_KEYS if key in batch]
        if len(keys) != 1:
            raise SubjectError(
                f"a mapping batch needs one target among the keys {', '.join(TARGET_KEYS)}; this "
                f"one has the keys {', '.join(map(str, batch))}: say which with target="
            )
        return {key: value for key, value in batch.items() if key != keys[0]}, batch[keys[0]]
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        return tuple(batch[:-1]), batch[-1]
    raise SubjectError(
        "a batch must be a tuple (*inputs, target) or a mapping with a target; got "
        f"{type(batch).__name__}: pass loss=callable(model, batch) for any other form"
    )


def run(model: nn.Module, inputs: Any, *, call: str | None = None) -> Any:
    """Return the model's output: ``model(*inputs)``, ``model(**inputs)`` or ``model(inputs)``."""
    how = call or ("kwargs" if isinstance(inputs, Mapping) else "args")
    one_of("call", how, CALLS)
    if how == "whole":
        return model(inputs)
    if how == "kwargs" and isinstance(inputs, Mapping):
        return model(**cast(Mapping[str, Any], inputs))
    if how == "args":
        return model(*(inputs.values() if isinstance(inputs, Mapping) else inputs))
    raise SubjectError("call='kwargs' needs mapping batches; these are tuples: use call='args'")


def logits(output: Any) -> Tensor:
    """Return the tensor of an output: itself, its ``logits`` attribute or its "logits" entry."""
    if isinstance(output, Tensor):
        return output
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return named
    raise SubjectError(
        f"the model returned a {type(output).__name__} without logits, and which part the loss "
        "means is not for us to guess: pass loss=callable(model, batch)"
    )


def leaves(value: Any) -> Generator[Any]:
    """Yield the leaves of nested mappings, tuples and lists, in order."""
    if isinstance(value, PackedSequence):  # a tuple by its type alone
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from leaves(entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from leaves(entry)
    else:
        yield value


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return ``value`` with ``function`` applied to its leaves, containers of the same kind."""
    if isinstance(value, PackedSequence):
        return function(value)
    if isinstance(value, Mapping):
        entries = {key: mapped(entry, function) for key, entry in value.items()}
        return entries if type(value) is dict else rebuilt(value, entries)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(entry, function) for entry in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(entry, function) for entry in value)
    return function(value)


def rebuilt(value: Any, entries: dict[Any, Any]) -> Any:
    """Return a mapping of the same kind with other entries, a dictionary where there is none."""
    try:
        return type(value)(entries)
    except TypeError:
        return entries


def moved(batch: Any, device: torch.device, dtype: torch.dtype | None) -> Any:
    """Return the batch on ``device``, its floating tensors in ``dtype`` where one is given."""

    def move(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            there = leaf.to(device, dtype if leaf.is_floating_point() else None)
            return there.clone() if there.is_inference() else there  # autograd takes no other
        if isinstance(leaf, PackedSequence):
            kind = dtype if leaf.data.is_floating_point() else None
            return leaf.to(device, kind)  # pyright: ignore[reportArgumentType]
        # Graph batches, packed sequences and their like know how to move themselves.
        return leaf.to(device) if callable(getattr(leaf, "to", None)) else leaf

    return mapped(batch, move)


class Again:
    """What a function walks, as something that can be walked again and again."""

    def __init__(self, walk: Callable[[], Generator[Any]]):
        self.walk = walk

    def __iter__(self) -> Generator[Any]:
        return self.walk()


class FirstBatch:
    """The first of some batches, walked when it is asked for: an error comes where others do."""

    def __init__(self, batches: Iterable[Any]):
        self.batches = batches

    def __iter__(self) -> Generator[Any]:
        yield from itertools.islice(self.batches, 1)


class FirstSamples:
    """The first ``count`` items of replayable batches, the last batch cut to fit."""

    def __init__(self, batches: Iterable[Any], count: int, *, length: Length = length):
        self.batches = batches
        self.count = at_least("samples", count, 1)
        self.length = length

    def __iter__(self) -> Generator[Any]:
        left = self.count
        for batch in self.batches:
            items = self.length(batch)
            yield batch if items <= left else _cut(batch, items, left)
            left -= items
            if left <= 0:
                return


def _cut(batch: Any, items: int, keep: int) -> Any:
    def refusal(what: str) -> SubjectError:
        return SubjectError(
            f"cannot cut a batch that holds {what} to {keep} of its {items} items: choose "
            "--samples so that it ends with a whole batch"
        )

    def cut(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf[:keep] if leaf.ndim > 0 and leaf.shape[0] == items else leaf
        if isinstance(leaf, _Names):
            return leaf.entries[:keep] if len(leaf.entries) == items else leaf.entries
        if isinstance(leaf, str | int | float | bool | None):
            return leaf
        raise refusal(f"a {type(leaf).__name__}")

    tensors = [leaf for leaf in leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim > 0]
    if tensors and tensors[0].shape[0] != items:
        raise refusal(f"a tensor of shape {tuple(tensors[0].shape)}")
    return mapped(_with_names(batch), cut)


class _Names:
    """A list with one plain entry per item, such as captions: cut like a tensor."""

    def __init__(self, entries: list[Any]):
        self.entries = entries


def _with_names(value: Any) -> Any:
    """Return ``value`` with lists of plain entries as leaves of their own."""
    if isinstance(value, list) and all(isinstance(x, str | int | float | None) for x in value):
        return _Names(value)
    if isinstance(value, Mapping):
        entries = {key: _with_names(entry) for key, entry in value.items()}
        return entries if type(value) is dict else rebuilt(value, entries)
    if type(value) in (tuple, list):
        return type(value)(_with_names(entry) for entry in value)
    return value


def fingerprint(batch: Any) -> str:
    """Return a hash of the batch's tensors, numbers and strings."""
    digest = hashlib.blake2b(digest_size=16)
    for leaf in leaves(batch):
        if isinstance(leaf, PackedSequence):
            digest.update(fingerprint(tuple(leaf)).encode())
        elif isinstance(leaf, Tensor):
            dense = leaf.to_dense() if leaf.layout is not torch.strided else leaf
            plain = dense.detach().resolve_conj().resolve_neg().to("cpu").contiguous()
            digest.update(f"{plain.dtype}{tuple(plain.shape)};".encode())
            # Bytes, not numbers: every dtype has them, bfloat16 included.
            digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(leaf, np.ndarray) and not leaf.dtype.hasobject:
            digest.update(f"{leaf.dtype}{leaf.shape};".encode() + leaf.tobytes())
        elif isinstance(leaf, str | int | float | bool | bytes | np.generic | None):
            digest.update(f"{leaf!r};".encode())
        else:
            digest.update(f"{type(leaf).__name__};".encode())
    return digest.hexdigest()
