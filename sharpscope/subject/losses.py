"""A loss as (sum, weight): what every measurement accumulates and divides once, at the end."""

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.loss import _Loss  # pyright: ignore[reportPrivateUsage]

from sharpscope.checks import one_of
from sharpscope.errors import MisuseError, SubjectError
from sharpscope.subject.batches import Length, leaves, logits, run, separate
from sharpscope.subject.batches import length as batch_length
from sharpscope.subject.descriptions import taken_as


class LossSum(NamedTuple):
    """A loss before division: the sum over items, and the weight that the mean divides by."""

    total: Tensor
    weight: float


BatchLoss: TypeAlias = Callable[[nn.Module, Any], LossSum]

NAMED_LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "mse": functional.mse_loss,
}
# These average over the targets that count, by their class weight; the others over all elements.
_INDEXED_FUNCTIONS = (functional.cross_entropy, functional.nll_loss)
_INDEXED_MODULES = (nn.CrossEntropyLoss, nn.NLLLoss)
# These compare element by element. Torch spreads the smaller of two shapes over the larger one with
# a warning, and [8, 1] against [8] becomes a mean over 64 pairs.
_ELEMENTWISE_FUNCTIONS = (
    functional.mse_loss,
    functional.l1_loss,
    functional.smooth_l1_loss,
    functional.huber_loss,
)
_ELEMENTWISE_MODULES = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
# And these by the weight of each element, where one is given.
_WEIGHTED = (functional.mse_loss, functional.l1_loss)


def as_batch_loss(
    loss: Any, *, length: Length, call: str | None = None, target: str | None = None
) -> BatchLoss:
    """Return ``loss`` as a function of (model, batch) that gives its sum and its weight.

    Args:
        loss: One of the names in ``NAMED_LOSSES``; a torch loss, function or module, used
            through its sum and its weight whatever its ``reduction`` (class weights and ignored
            targets included); any other module, called as ``module(output, target)`` and taken
            as the batch's mean; or ``callable(model, batch)`` that returns the batch's mean or a
            pair (sum, weight).
        length: Number of items in a batch, the weight of a mean.
        call: How a batch becomes a call: ``args``, ``kwargs`` or ``whole``; by default the first
            for a tuple and the second for a mapping.
        target: Key of the target in a mapping; "target", "label", "labels", "y" are found.

    Raises:
        MisuseError: If the loss is neither of these.
    """
    if isinstance(loss, str):
        loss = NAMED_LOSSES[one_of("loss", loss, NAMED_LOSSES)]
    if isinstance(loss, type) or not callable(loss):
        hint = ", a class: make one of it first" if isinstance(loss, type) else ""
        raise MisuseError(
            f"loss must be a name, a torch loss or a callable(model, batch); got {loss!r}{hint}"
        )

    def items(batch: Any) -> int:
        if length is batch_length:
            _check_first_axes(batch)
        return length(batch)

    def measured(model: nn.Module, batch: Any) -> LossSum:
        inputs, wanted = separate(batch, target=target)
        try:
            output = logits(run(model, inputs, call=call))
            if _is_torch_loss(loss):
                return torch_loss_sum(loss, output, wanted)
            return _mean_times(loss(output, wanted), items(batch))
        except SubjectError:
            raise
        except Exception as error:
            # The model's own words seldom tell that an input was taken for the target.
            error.add_note(taken_as(inputs, wanted))
            raise

    def called(model: nn.Module, batch: Any) -> LossSum:
        value = loss(model, batch)
        if isinstance(value, tuple) and len(value) == 2:
            return LossSum(_scalar(value[0]), _weight(value[1]))
        return _mean_times(value, items(batch))

    return measured if is_criterion(loss) else called


def total_loss(fusion: BatchLoss, unimodal: Mapping[str, BatchLoss], weight: float) -> BatchLoss:
    """Return ``L_fusion + λ Σ_m L_m``, each a mean; all must weigh a batch alike."""

    def loss(model: nn.Module, batch: Any) -> LossSum:
        first = fusion(model, batch)
        total = first.total
        for name, term in unimodal.items():
            part = term(model, batch)
            if abs(part.weight - first.weight) > 1e-6 * abs(first.weight):
                raise SubjectError(
                    f"the total loss needs losses that weigh a batch alike: fusion weighs "
                    f"{first.weight:g} and {name} weighs {part.weight:g}; measure them one by one"
                )
            total = total + weight * part.total
        return LossSum(total, first.weight)

    return loss


def torch_loss_sum(loss: Any, output: Tensor, target: Tensor) -> LossSum:
    """Return a torch loss as its sum and the weight by which its own mean divides."""
    function, settings = unwrapped(loss)
    _check_shapes(function, output, target)
    if isinstance(function, nn.Module):
        # The criterion is the user's: its class weights follow the output on a copy.
        each = copy.deepcopy(function).to(output)
        each.reduction = "none"  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        values = each(output, target)
        settings = {name: getattr(function, name, None) for name in ("weight", "ignore_index")}
    else:
        moved = {k: v.to(output) if isinstance(v, Tensor) else v for k, v in settings.items()}
        values = function(output, target, **(moved | {"reduction": "none"}))
    indexed = function in _INDEXED_FUNCTIONS or isinstance(function, _INDEXED_MODULES)
    if indexed and not target.is_floating_point():
        kept = target != (
            -100 if settings.get("ignore_index") is None else settings["ignore_index"]
        )
        weights = settings.get("weight")
        if weights is None:
            return LossSum(values.sum(), float(kept.sum()))
        each = weights.to(target.device, torch.float64)[target[kept]]
        return LossSum(values.sum(), float(each.sum()))
    each = settings.get("weight")
    if function in _WEIGHTED and each is not None:
        return LossSum(values.sum(), float(each.double().sum()))
    if getattr(function, "reduction", settings.get("reduction")) == "batchmean":
        return LossSum(values.sum(), float(len(values)))
    return LossSum(values.sum(), float(values.numel()))


def _check_shapes(function: Any, output: Tensor, target: Tensor) -> None:
    """Refuse shapes that would be broadcast: a wrong number that looks right."""
    elementwise = function in _ELEMENTWISE_FUNCTIONS or isinstance(function, _ELEMENTWISE_MODULES)
    if elementwise and output.shape != target.shape:
        name = getattr(function, "__name__", type(function).__name__)
        raise SubjectError(
            f"{name} needs a prediction and a target of one shape; got "
            f"{list(output.shape)} and {list(target.shape)}: reshape one of them in the model or "
            "in the data"
        )


def unwrapped(loss: Any) -> tuple[Any, dict[str, Any]]:
    """Return the function behind a partial one and the settings that it was given."""
    if isinstance(loss, functools.partial) and not loss.args:
        return loss.func, dict(loss.keywords)
    return loss, {}


def is_criterion(loss: Any) -> bool:
    """Whether a loss takes (output, target): a torch loss or another module."""
    return _is_torch_loss(loss) or isinstance(loss, nn.Module)


def _is_torch_loss(loss: Any) -> bool:
    function, _ = unwrapped(loss)
    if isinstance(function, _Loss):
        # A subclass with a forward of its own may reduce as it likes: it is a mean like any other.
        return type(function).forward.__module__ == nn.CrossEntropyLoss.__module__
    return (
        getattr(function, "__module__", None) == functional.__name__
        and getattr(functional, getattr(function, "__name__", ""), None) is function
    )


def _check_first_axes(batch: Any) -> None:
    """Refuse a batch whose tensors leave it open how many items it has."""
    tensors = [leaf for leaf in leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim > 0]
    # What has one row beside many belongs to the batch as a whole, unless it is counted.
    sizes = {tensor.shape[0] for tensor in tensors[1:] if tensor.shape[0] != 1}
    if tensors and sizes - {tensors[0].shape[0]}:
        shown = ", ".join(str(list(tensor.shape)) for tensor in tensors[:6])
        raise SubjectError(
            f"the loss is a mean, and the tensors of the batch ({shown}) do not agree on over how "
            "many items: pass batch_size=, a function from a batch to that number, or return a "
            "pair (sum, weight) from the loss"
        )


def _mean_times(value: Any, items: int) -> LossSum:
    return LossSum(_scalar(value) * items, float(items))


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise SubjectError(
            "the loss must return a tensor with one number, the batch's mean, or a pair "
            f"(sum, weight); got {_in_words(value)}"
        )
    return value.reshape(())


def _in_words(value: Any) -> str:
    """Return what a loss returned, without the numbers in it."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):  # what models of transformers return is one too
        names = [str(name) for name in value]
        advice = ": return its entry 'loss'" if "loss" in names else ""
        return f"{type(value).__name__} of {', '.join(names[:6]) or 'nothing'}{advice}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)


def _weight(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SubjectError(
            "the weight of a loss pair (sum, weight) must be one number; got "
            f"{type(value).__name__}"
        ) from error


def is_finite(value: LossSum) -> bool:
    """Whether a batch's sum and weight are finite numbers and its weight is not negative."""
    return bool(torch.isfinite(value.total)) and 0 <= value.weight < float("inf")
