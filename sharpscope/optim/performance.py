"""The performance of a batch with only some modalities present."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.checks import listed, one_of
from sharpscope.errors import MisuseError
from sharpscope.modes import evaluating
from sharpscope.replay import MASKS, MaskedPasses

KINDS = ("accuracy", "neg_loss", "true_prob")


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
        self._passes = self._masked(dict.fromkeys(inputs, ()), replay=False)

    def __call__(self, present: frozenset[str]) -> float:
        """Return the performance with these modalities present."""
        total, weight = self.sums(present)
        return total.item() / weight

    def sums(self, present: frozenset[str]) -> tuple[Tensor, float]:
        """Return the summed performance and its weight, so that batches can be joined."""
        found = scored(self.kind, self.logits(present), self.target)
        return found.sum(), float(len(found))

    def bind(self, modules: Mapping[str, Sequence[nn.Module]], *, replay: bool) -> None:
        """Name the encoders' modules; with ``replay`` each of them is run once."""
        names = [name for name in self.inputs if name in modules]
        if not names:
            raise MisuseError(
                f"the inputs of the performance are {listed(self.inputs)} and the encoders "
                f"{listed(modules)}: name the inputs by modality"
            )
        self._passes = self._masked({name: modules[name] for name in names}, replay=replay)

    def logits(self, present: frozenset[str]) -> Tensor:
        """Return the fused logits with these modalities present."""
        with evaluating(self.model), torch.no_grad():
            return self._passes(present)

    def agrees(self, present: frozenset[str]) -> bool:
        """Return whether played features give the logits of a plain pass."""
        with evaluating(self.model), torch.no_grad():
            return self._passes.agrees(present)

    def _masked(self, modules: Mapping[str, Sequence[nn.Module]], *, replay: bool) -> MaskedPasses:
        return MaskedPasses(
            self._run,
            modules,
            change=_CHANGES[self.mask],
            replay=replay,
            alone=self._alone,
            size=len(self.target),
        )

    def _run(self, absent: frozenset[str]) -> Tensor:
        masked = {
            name: zeros(values, name) for name, values in self.inputs.items() if name in absent
        }
        return fused(self.model(self.inputs | masked))

    def _alone(self) -> None:
        names = self._passes.names
        alone = {name: _first(values) for name, values in self.inputs.items()}
        self.model(alone | {name: zeros(alone[name], name) for name in alone if name in names})


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


def scored(kind: str, logits: Tensor, target: Tensor) -> Tensor:
    """Return the performance on each item, ``[N]`` in float64: its mean over labels.

    Raises:
        MisuseError: If the target does not fit.
    """
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
            loss = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
            return -loss.mean(1)
        if kind == "accuracy":
            return ((logits > 0) == (truth > 0.5)).double().mean(1)
        there = logits.sigmoid()
        return (truth * there + (1 - truth) * (1 - there)).mean(1)
    if kind == "neg_loss":
        return -functional.cross_entropy(logits, target, reduction="none")
    if kind == "accuracy":
        return (logits.argmax(1) == target).double()
    return logits.softmax(1).gather(1, target[:, None])[:, 0]


def fused(found: Any) -> Tensor:
    """Return the fused logits of what a model returned.

    Raises:
        MisuseError: If there are none.
    """
    logits = found if isinstance(found, Tensor) else found[0] if isinstance(found, tuple) else None
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        kind = tuple(logits.shape) if isinstance(logits, Tensor) else type(found).__name__
        raise MisuseError(
            "the model must return fused logits of shape [items, classes], alone or as the first "
            f"of a tuple; got {kind}"
        )
    return logits


def zeros(values: Any, name: str) -> Tensor:
    """Return a masked input.

    Raises:
        MisuseError: If it is no tensor.
    """
    if not isinstance(values, Tensor):
        raise MisuseError(
            f"mask='zero_input' needs tensors as inputs; that of {name!r} is a "
            f"{type(values).__name__}: mask features"
        )
    return torch.zeros_like(values)


def _first(values: Any) -> Any:
    """Return the first item of what is no modality, such as lengths or masks."""
    return values[:1] if isinstance(values, Tensor) and values.dim() else values


_CHANGES: Mapping[str, Callable[[str, Tensor], Tensor] | None] = {
    "zero_input": None,
    # Lengths and masks that come with features stay as they are.
    "zero_feature": lambda _, t: torch.zeros_like(t) if t.is_floating_point() else t,
    "mean_feature": lambda _, t: (
        t.mean(0, keepdim=True).expand_as(t) if t.is_floating_point() and t.dim() else t
    ),
}
