"""The performance of a batch with only some modalities present."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_map_only

from sharpscope.checks import listed, one_of
from sharpscope.errors import MisuseError
from sharpscope.modes import evaluating
from sharpscope.replay import Features, Reel

KINDS = ("accuracy", "neg_loss", "true_prob")
MASKS = ("zero_input", "zero_feature", "mean_feature")

# Logits by played features and by a plain pass: rounding of kernels for other batch sizes.
_RTOL = 1e-4


class MaskedPerformance:
    """``Φ(S)`` of one batch: how well the model does when all but the modalities S are masked.

    Evaluated in eval mode and without gradients. Once an optimizer has told it the encoders, each
    encodes the batch once and its masked input once, as a batch of one; the subsets then run the
    fusion alone. ``masked_performance`` makes one.
    """

    def __init__(
        self, model: nn.Module, inputs: Mapping[str, Any], target: Tensor, *, kind: str, mask: str
    ):
        self.model, self.inputs, self.target = model, dict(inputs), target
        self.kind, self.mask = kind, mask
        self._modules: Mapping[str, Sequence[nn.Module]] = {}
        self._names = set(self.inputs)  # what can be masked
        self._reels: tuple[Reel, Reel] | None = None
        self._features: Features | None = None

    def __call__(self, present: frozenset[str]) -> float:
        """Return the performance with these modalities present."""
        total, weight = self.sums(present)
        return total.item() / weight

    def sums(self, present: frozenset[str]) -> tuple[Tensor, float]:
        """Return the summed performance and its weight, so that batches can be joined."""
        return _score(self.kind, self.logits(present), self.target)

    def bind(self, modules: Mapping[str, Sequence[nn.Module]], *, replay: bool) -> None:
        """Name the encoders' modules; with ``replay`` each of them is run once."""
        self._modules = modules
        self._names = {name for name in self.inputs if name in modules}
        if not self._names:
            raise MisuseError(
                f"the inputs of the performance are {listed(self.inputs)} and the encoders "
                f"{listed(modules)}: name the inputs by modality"
            )
        self._features = None
        if replay and all(modules[name] for name in self._names):
            self._features = Features({name: modules[name] for name in self._names})
        self._reels = None

    def logits(self, present: frozenset[str]) -> Tensor:
        """Return the fused logits with these modalities present."""
        with evaluating(self.model), torch.no_grad():
            if self._features is None:
                return self._plain(present)
            real, masked = self._recorded(self._features)
            calls = {key: (real if key[0] in present else masked).calls[key] for key in real.calls}
            with self._features.playing(Reel(calls), self._names):
                return _fused(self.model(self.inputs))

    def agrees(self, present: frozenset[str]) -> bool:
        """Return whether played features give the logits of a plain pass."""
        with evaluating(self.model), torch.no_grad():
            plain = self._plain(present)
        try:
            played = self.logits(present)
        except (RuntimeError, IndexError, TypeError):
            return False  # features whose first axis is not that of the items, for one
        if played.shape != plain.shape:
            return False
        return bool((played - plain).norm() <= _RTOL * plain.norm() + 1e-6)

    def _plain(self, present: frozenset[str]) -> Tensor:
        absent = [name for name in self.inputs if name in self._names - present]
        if self.mask == "zero_input":
            masked = {name: _zeros(self.inputs[name]) for name in absent}
            return _fused(self.model(self.inputs | masked))
        if missing := [name for name in absent if not self._modules.get(name)]:
            raise MisuseError(
                f"mask={self.mask!r} masks what the encoder of {missing[0]!r} returns: give the "
                "optimizer that encoder by its modules, or take mask='zero_input'"
            )
        handles = [
            self._modules[name][-1].register_forward_hook(_masking(self.mask)) for name in absent
        ]
        try:
            return _fused(self.model(self.inputs))
        finally:
            for handle in handles:
                handle.remove()

    def _recorded(self, features: Features) -> tuple[Reel, Reel]:
        """Return the encoders' calls on the batch and on what is masked."""
        if self._reels is None:
            with features.recording() as real:
                self.model(self.inputs)
            if self.mask == "zero_input":
                alone = {name: _first(values) for name, values in self.inputs.items()}
                alone |= {name: _zeros(self.inputs[name])[:1] for name in self._names}
                with features.recording() as masked:
                    self.model(alone)
                size = len(self.target)
                masked = masked.changed(lambda t: t.expand(size, *t.shape[1:]))
            else:
                masked = real.changed(_of_features(self.mask))
            self._reels = real, masked
        return self._reels


def masked_performance(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: Tensor,
    kind: str = "accuracy",
    mask: str = "zero_input",
) -> MaskedPerformance:
    """Return the performance of a batch as a function of the modalities that are present.

    Args:
        model: Called as ``model(inputs)`` with the mapping; it returns logits ``[N, K]``, alone or
            as the first of several outputs.
        inputs: Tensor of each modality, items along the first axis.
        target: Classes ``[N]``, or labels of 0 and 1 ``[N, K]``.
        kind: ``accuracy``: share of right classes or labels. ``neg_loss``: minus the cross entropy
            per item (and label), for unbalanced labels, whose accuracy is almost constant.
            ``true_prob``: mean probability of what is true.
        mask: What is absent is zero at the input (``zero_input``), or its features are zero
            (``zero_feature``) or the mean of the batch (``mean_feature``). For token ids zero is
            the padding id: mask features instead.

    Raises:
        MisuseError: If an argument is not allowed.

    Source: Nowdeh et al., 2025, arXiv 2510.24919; masked inputs as in Li et al., 2023, arXiv
    2308.07686.

    Example:
        >>> import torch
        >>> class Sum(torch.nn.Module):
        ...     def forward(self, inputs):
        ...         return inputs["a"] + inputs["b"]
        >>> a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> performance = masked_performance(Sum(), {"a": a, "b": b}, torch.tensor([0]))
        >>> performance(frozenset({"a", "b"})), performance(frozenset({"b"}))
        (1.0, 0.0)
    """
    one_of("kind", kind, KINDS)
    one_of("mask", mask, MASKS)
    if not isinstance(inputs, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(
            "inputs must be a mapping from modality to tensor, which the model is called with; got "
            f"{type(inputs).__name__}"
        )
    return MaskedPerformance(model, inputs, target, kind=kind, mask=mask)


def _score(kind: str, logits: Tensor, target: Tensor) -> tuple[Tensor, float]:
    logits = logits.double()
    labels = target.dim() == 2
    if target.shape != (logits.shape if labels else logits.shape[:1]) or (
        not labels and (target.is_floating_point() or target.dtype == torch.bool)
    ):
        raise MisuseError(
            "the target must be classes [items], whole numbers, or labels of 0 and 1 "
            f"[items, labels] for logits of shape {tuple(logits.shape)}; got {target.dtype} of "
            f"shape {tuple(target.shape)}"
        )
    if labels:
        truth = target.double()
        if kind == "neg_loss":
            summed = -functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        elif kind == "accuracy":
            summed = ((logits > 0) == (truth > 0.5)).double().sum()
        else:
            there = logits.sigmoid()
            summed = (truth * there + (1 - truth) * (1 - there)).sum()
        return summed, float(target.numel())
    if kind == "neg_loss":
        summed = -functional.cross_entropy(logits, target, reduction="sum")
    elif kind == "accuracy":
        summed = (logits.argmax(1) == target).double().sum()
    else:
        summed = logits.softmax(1).gather(1, target[:, None]).sum()
    return summed, float(len(target))


def _fused(found: Any) -> Tensor:
    logits = found if isinstance(found, Tensor) else found[0] if isinstance(found, tuple) else None
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        kind = tuple(logits.shape) if isinstance(logits, Tensor) else type(found).__name__
        raise MisuseError(
            "the model must return fused logits of shape [items, classes], alone or as the first "
            f"of a tuple; got {kind}"
        )
    return logits


def _zeros(values: Any) -> Tensor:
    if not isinstance(values, Tensor):
        raise MisuseError(
            f"mask='zero_input' needs tensors as inputs; got {type(values).__name__}: mask features"
        )
    return torch.zeros_like(values)


def _first(values: Any) -> Any:
    """Return the first item of what is no modality, such as lengths or masks."""
    return values[:1] if isinstance(values, Tensor) and values.dim() else values


def _of_features(mask: str) -> Callable[[Tensor], Tensor]:
    if mask == "zero_feature":
        return torch.zeros_like
    return lambda t: t.mean(0, keepdim=True).expand_as(t)


def _masking(mask: str) -> Callable[..., Any]:
    change = _of_features(mask)
    return lambda module, inputs, output: tree_map_only(Tensor, change, output)
