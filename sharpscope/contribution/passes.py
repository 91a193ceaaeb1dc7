"""One walk over the data: logits with each set of modalities present, and features."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.replay import MaskedPasses, Reel
from sharpscope.subject import Subject

Present = frozenset[str]

IN_FULL = (
    "Features were not played back: those of an encoder depend on what is masked, so that every "
    "set of modalities was run in full."
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a model makes of a split.

    Attributes:
        logits: Per set of modalities present, ``[items, outputs]`` in float64 on CPU.
        target: Classes ``[items]`` or labels ``[items, outputs]``.
        features: Of each modality, ``[items, numbers]``, where its encoder shows them.
        notes: Sentences for the reader.
    """

    logits: Mapping[Present, Tensor]
    target: Tensor
    features: Mapping[str, Tensor]
    notes: tuple[str, ...]


def look(subject: Subject, sets: Sequence[Present], *, mask: str) -> Seen:
    """Return logits for each set of modalities, encoders run once for all of them.

    The subject is held still by the caller.

    Raises:
        MisuseError: If a modality cannot be masked that way.
        SubjectError: If the model's predictions cannot be read.
    """
    names = subject.owners.modalities
    modules = {name: subject.encoder(name) for name in names}
    means = _means(subject, modules) if mask == "mean_feature" else {}
    logits: dict[Present, list[Tensor]] = {present: [] for present in sets}
    targets: list[Tensor] = []
    features: dict[str, list[Tensor]] = {name: [] for name in names}
    replay = True
    for number, batch in enumerate(subject.walk()):
        one = _Batch(subject, modules, batch)
        passes = MaskedPasses(
            one.run, modules, change=_change(mask, means), replay=replay and subject.replay
        )
        with torch.no_grad():
            if number == 0 and passes.replay:
                some = [frozenset(names) - {name} for name in names]
                passes.replay = replay = all(map(passes.agrees, [frozenset[str](), *some]))
            found = {present: passes(present) for present in sets}
            keep = _counted(one.target)
            for present, values in found.items():
                logits[present].append(values[keep].double().cpu())
            targets.append(one.target[keep].cpu())
            for name in names if any(modules.values()) else ():
                values = _features(passes.real, name, len(keep))
                if values is not None:
                    features[name].append(values[keep].double().cpu())
    whole = torch.cat(targets)
    told = {
        name: torch.cat(parts)
        for name, parts in features.items()
        if len(parts) == len(targets) and len({p.shape[1] for p in parts}) == 1
    }
    joined = {present: torch.cat(parts) for present, parts in logits.items()}
    return Seen(
        logits=joined,
        target=whole,
        features=told,
        notes=() if replay or not subject.replay else (IN_FULL,),
    )


class _Batch:
    """One batch: runs the model with the inputs of some modalities at zero."""

    def __init__(self, subject: Subject, modules: Mapping[str, Sequence[nn.Module]], batch: Any):
        self.subject, self.modules, self.batch = subject, modules, batch
        self.target = torch.empty(0)

    def run(self, absent: Present) -> Tensor:
        batch, hooked = self.batch, absent
        if isinstance(batch, Mapping) and set(self.modules) <= set(batch):
            batch, hooked = {**batch, **{name: _zeros(batch[name], name) for name in absent}}, ()
        with ExitStack() as stack:
            for name in sorted(hooked):
                stack.enter_context(_blind(name, self.modules[name]))
            logits, target = self.subject.predict(self.subject.model, batch)
        logits, self.target = _shaped(logits, target)
        return logits


def _shaped(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits ``[items, outputs]`` and a target that fits, one label as a column."""
    if target.is_floating_point() and logits.numel() == target.numel() == len(logits):
        return logits.reshape(-1, 1), target.reshape(-1, 1)
    classes = target.dim() == 1 and not target.is_floating_point() and target.dtype != torch.bool
    fits = len(target) == len(logits) if classes else target.shape == logits.shape
    if logits.dim() != 2 or not fits:
        raise SubjectError(
            "the contribution needs logits [items, classes] and classes [items], or labels of 0 "
            f"and 1 in the shape of the logits; got {list(logits.shape)} and {target.dtype} "
            f"{list(target.shape)}"
        )
    return logits, target


def _counted(target: Tensor) -> Tensor:
    """Return which items count: a class below 0 is one that losses ignore."""
    if target.dim() == 2:
        return torch.ones(len(target), dtype=torch.bool, device=target.device)
    return target >= 0


def _zeros(values: Any, name: str) -> Tensor:
    if not isinstance(values, Tensor) or not values.is_floating_point():
        kind = str(values.dtype) if isinstance(values, Tensor) else type(values).__name__
        raise MisuseError(
            f"the input of {name!r} is a {kind}, for which zero is no absence: mask='zero_feature' "
            "or 'mean_feature' masks what its encoder returns"
        )
    return torch.zeros_like(values)


@contextmanager
def _blind(name: str, modules: Sequence[nn.Module]) -> Generator[None]:
    """Let an encoder see zeros: floating tensors among its arguments, not lengths or masks."""
    if len(modules) != 1:
        raise MisuseError(
            f"which input is that of {name!r} cannot be told: its encoder has {len(modules)} "
            "modules and the batch is no mapping by modality; mask='zero_feature' or "
            "'mean_feature' masks what the encoder returns"
        )

    def hook(_: nn.Module, args: Any, kwargs: Any) -> Any:
        seen = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        if not any(v.is_floating_point() for v in seen):
            _zeros(next(iter(seen), None), name)

        def masked(value: Any) -> Any:
            floating = isinstance(value, Tensor) and value.is_floating_point()
            return torch.zeros_like(value) if floating else value

        return tuple(map(masked, args)), {key: masked(value) for key, value in kwargs.items()}

    handle = modules[0].register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _means(subject: Subject, modules: Mapping[str, Sequence[nn.Module]]) -> dict[str, list[Tensor]]:
    """Return the mean over the split of each tensor that each encoder returns, in their order."""
    sums: dict[str, list[Tensor]] = {}
    items = 0
    for batch in subject.walk():
        one = _Batch(subject, modules, batch)
        with torch.no_grad():
            real = MaskedPasses(one.run, modules).real
            keep = _counted(one.target)
        items += int(keep.sum())
        for name in modules:
            found = _tensors(real, name)
            if any(len(t) != len(keep) for t in found):
                raise MisuseError(
                    f"the features of {name!r} have no row for each item, so that they have no "
                    "mean over items: take mask='zero_feature' or 'zero_input'"
                )
            new = [t[keep].double().sum(0) for t in found]
            old = sums.setdefault(name, [torch.zeros_like(t) for t in new])
            if [t.shape for t in old] != [t.shape for t in new]:
                raise MisuseError(
                    f"the features of {name!r} differ in shape from batch to batch, so that they "
                    "have no mean: take mask='zero_feature' or 'zero_input'"
                )
            sums[name] = [a + b for a, b in zip(old, new, strict=True)]
    return {name: [t / items for t in found] for name, found in sums.items()}


def _change(mask: str, means: Mapping[str, Sequence[Tensor]]) -> Any:
    """Return what masks a feature, or None where inputs are masked."""
    if mask == "zero_input":
        return None
    if mask == "zero_feature":
        return lambda _, t: torch.zeros_like(t)
    waiting = {name: iter(found) for name, found in means.items()}
    return lambda name, t: next(waiting[name]).to(t.dtype).expand_as(t)


def _tensors(reel: Reel, name: str) -> list[Tensor]:
    """Return the tensors that an encoder returned, in the order in which they are masked."""
    return [
        leaf for call in reel.of(name) for leaf in call.recording.leaves if isinstance(leaf, Tensor)
    ]


def _features(reel: Reel, name: str, items: int) -> Tensor | None:
    """Return what the last module of an encoder returned, a row for each item."""
    found = [t for t in _tensors(reel, name) if t.is_floating_point() and t.dim() > 0]
    if not found or name in reel.refused or len(found[-1]) != items:
        return None
    return found[-1].flatten(1) if found[-1].dim() > 1 else found[-1][:, None]
