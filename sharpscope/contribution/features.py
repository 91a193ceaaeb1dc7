"""The features of each encoder over a split, for probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sharpscope.contribution.passes import Batch
from sharpscope.errors import SubjectError
from sharpscope.replay import MaskedPasses, Reel
from sharpscope.subject import Subject

_MOST = 20_000  # numbers per item: beyond, a logistic regression is no longer a probe


@dataclass(frozen=True, kw_only=True)
class Held:
    """Features of a split.

    Attributes:
        features: Of each modality that shows them, ``[items, numbers]``.
        target: Of the items.
        missing: Why a modality has none.
    """

    features: Mapping[str, np.ndarray]
    target: np.ndarray
    missing: Mapping[str, str]


def features_of(subject: Subject) -> Held:
    """Return the features of a split, in eval mode; the order of its items does not matter.

    Those of an encoder are what its module returns, or the last of its modules where that depends
    on each of the others.

    Raises:
        SubjectError: If the model's predictions cannot be read.
    """
    names = subject.owners.modalities
    modules = {name: subject.encoder(name) for name in names}
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    missing: dict[str, str] = {}
    targets: list[Tensor] = []
    with subject.still(), torch.no_grad():
        for number, batch in enumerate(subject.walk(), start=1):
            one = Batch(subject, batch, number)
            passes = MaskedPasses(one.run, modules)
            one.checked(passes.run_through)
            keep = one.counted
            targets.append(one.target[keep].cpu())
            for name in names:
                if name in missing:
                    continue
                values = _features(passes, modules[name], name, len(keep), chain=number == 1)
                if isinstance(values, str):
                    missing[name] = values
                else:
                    found[name].append(values[keep].flatten(1).cpu())
    if not targets:
        raise SubjectError("the data is empty: the loader gave no batch")
    kept = {name: parts for name, parts in found.items() if name not in missing}
    for name, parts in kept.items():
        widths = {part.shape[1] for part in parts}
        if len(widths) > 1:
            missing[name] = "its features differ in width from batch to batch"
        elif max(widths) > _MOST:
            missing[name] = f"its features have more than {_MOST:,} numbers"
        elif not max(widths):
            missing[name] = "its features are empty"
    joined = {name: torch.cat(parts) for name, parts in kept.items() if name not in missing}
    for name in [n for n, values in joined.items() if not bool(torch.isfinite(values).all())]:
        missing[name] = "its features are not finite"
    return Held(
        features={n: v.double().numpy() for n, v in joined.items() if n not in missing},
        target=torch.cat(targets).numpy(),
        missing=missing,
    )


def _features(
    passes: MaskedPasses, modules: Sequence[nn.Module], name: str, items: int, *, chain: bool
) -> Tensor | str:
    """Return what an encoder returns, a row for each item, or why that cannot be told."""
    reel = passes.real
    if not modules or name in reel.refused:
        return "its encoder shows no tensors"
    places = [place for key, place in reel.calls if key == name and reel.calls[key, place]]
    if any(len(reel.calls[name, place]) != 1 for place in places) or not places:
        return "its encoder is not called once in a pass"
    last = max(places, key=lambda place: reel.calls[name, place][0].order)
    leaves = [t for t in _tensors(reel, name, last) if t.is_floating_point()]
    if len(leaves) != 1 or not leaves[0].dim() or len(leaves[0]) != items:
        return "its encoder shows no features, one tensor with a row for each item"
    if chain and any(not passes.feeds(name, place, last) for place in places if place != last):
        return "its modules stand side by side, and which features are its own cannot be told"
    return leaves[0] if leaves[0].dim() > 1 else leaves[0][:, None]


def _tensors(reel: Reel, name: str, place: int) -> list[Tensor]:
    (call,) = reel.calls[name, place]
    return [leaf for leaf in call.recording.leaves if isinstance(leaf, Tensor)]
