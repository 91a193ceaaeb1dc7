"""Which inputs of a batch are those of which modality, and what a batch is without them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sharpscope.errors import MisuseError
from sharpscope.replay import Features
from sharpscope.subject import Subject
from sharpscope.subject.batches import leaves, mapped, rebuilt

_ELSE = "mask='zero_feature' or 'mean_feature' masks what its encoder returns"


class Places:
    """Where each modality's inputs stand in a batch.

    A mapping by modality says it. Elsewhere it is tried on the first batch: the items of one
    tensor after the other are put in another order, and what an encoder returns shows whether it
    has seen that tensor. One that several encoders see belongs to the one that sees no other.

    Args:
        subject: Held still by the caller.
        modules: The modules of each encoder.

    Raises:
        MisuseError: If the inputs of a modality cannot be told.
    """

    def __init__(self, subject: Subject, modules: Mapping[str, Sequence[nn.Module]]):
        self.names = tuple(modules)
        first = next(iter(subject.walk()))
        self.by_name = isinstance(first, Mapping) and set(self.names) <= set(first)
        self.of = {} if self.by_name else _found(subject, modules, first)

    def without(self, batch: Any, absent: frozenset[str]) -> Any:
        """Return a batch in which the inputs of some modalities are zero.

        Raises:
            MisuseError: If zero is no absence for one of them.
        """
        if not absent:
            return batch
        if self.by_name:
            return rebuilt(batch, {**batch, **{name: _zeros(batch[name], name) for name in absent}})
        owner = {place: name for name in absent for place in self.of[name]}
        for name in absent:
            if not any(_floating(leaf) for leaf in self._leaves(batch, name)):
                raise MisuseError(_no_zero(self._leaves(batch, name), name))
        count = -1

        def masked(leaf: Any) -> Any:
            nonlocal count
            count += 1
            # Lengths and masks go with what they are of.
            return _blank(leaf, owner[count]) if count in owner else leaf

        return mapped(batch, masked)

    def _leaves(self, batch: Any, name: str) -> list[Any]:
        every = list(leaves(batch))
        return [every[place] for place in self.of[name]]


def _found(
    subject: Subject, modules: Mapping[str, Sequence[nn.Module]], batch: Any
) -> dict[str, list[int]]:
    """Return the places of the leaves that are those of each modality alone."""
    features = Features(modules)

    def seen(batch: Any) -> dict[str, list[Tensor]]:
        with torch.no_grad(), features.recording() as reel:
            subject.predict(subject.model, batch)
        return {name: reel.tensors(name) for name in modules}

    plain = seen(batch)
    reached: dict[str, list[int]] = {name: [] for name in modules}
    for place, leaf in enumerate(leaves(batch)):
        if not _has_items(leaf, subject.length(batch)):
            continue
        count = -1

        def turned(one: Any, place: int = place) -> Any:
            nonlocal count
            count += 1
            return _turned(one) if count == place else one

        other = seen(mapped(batch, turned))
        for name in modules:
            if not _same(plain[name], other[name]):
                reached[name].append(place)
    alone = {found[0]: name for name, found in reached.items() if len(found) == 1}
    own = {
        name: [place for place in found if alone.get(place, name) == name]
        for name, found in reached.items()
    }
    for name, found in own.items():
        others = {place for other, there in own.items() if other != name for place in there}
        if not found or others & set(found):
            why = "other encoders see it too" if found else "no input reaches its modules"
            raise MisuseError(
                f"which input is that of {name!r} cannot be told, since {why}: name the inputs of "
                f"a mapping batch by modality, or {_ELSE}"
            )
    return own


def _has_items(leaf: Any, items: int) -> bool:
    if isinstance(leaf, PackedSequence):
        return True
    return isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) == items


def _turned(leaf: Any) -> Any:
    """Return the items in another order, of a packed sequence the steps; one item changed."""
    if isinstance(leaf, PackedSequence):
        return leaf._replace(data=leaf.data.roll(1, 0))
    if len(leaf) == 1:
        return leaf + 1 if leaf.is_floating_point() else leaf.flip(-1)
    return leaf.roll(1, 0)


def _same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


def _floating(leaf: Any) -> bool:
    values = leaf.data if isinstance(leaf, PackedSequence) else leaf
    return isinstance(values, Tensor) and values.is_floating_point()


def _zeros(values: Any, name: str) -> Any:
    """Return a modality of a mapping batch at zero: floating tensors, not lengths or masks."""
    inside = list(leaves(values))
    if not any(map(_floating, inside)):
        raise MisuseError(_no_zero(inside, name))
    return mapped(values, lambda leaf: _blank(leaf, name))


def _blank(leaf: Any, name: str) -> Any:
    if isinstance(leaf, PackedSequence):
        return leaf._replace(data=torch.zeros_like(leaf.data))
    if _floating(leaf):
        return torch.zeros_like(leaf)
    if isinstance(leaf, Tensor) and leaf.dim() > 1 and leaf.dtype != torch.bool:
        raise MisuseError(_no_zero([leaf], name))
    return leaf


def _no_zero(found: Sequence[Any], name: str) -> str:
    kinds = [str(x.dtype) if isinstance(x, Tensor) else type(x).__name__ for x in found]
    return f"the input of {name!r} is {', '.join(kinds)}, for which zero is no absence: {_ELSE}"
