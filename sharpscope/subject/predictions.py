"""What a model predicts for a batch, and the modules whose outputs are an encoder's features."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from sharpscope.errors import MisuseError, SubjectError
from sharpscope.subject.batches import logits, run, separate
from sharpscope.subject.losses import NAMED_LOSSES, unwrapped
from sharpscope.subject.owners import Owners

Predict: TypeAlias = Callable[[nn.Module, Any], tuple[Tensor, Tensor]]


def as_predict(
    predict: Any, loss: Any, *, call: str | None = None, target: str | None = None
) -> Predict | None:
    """Return what gives logits and target of a batch; None where nothing tells them.

    A class that the loss ignores comes back as -100.

    Args:
        predict: ``callable(model, batch)`` that returns them, or None.
        loss: Cross entropy of classes and of labels tell what they are.
        call: How a batch becomes a call of the model.
        target: Key of the target in a mapping batch.

    Raises:
        MisuseError: If ``predict`` cannot be called.
    """
    if predict is not None:
        if not callable(predict):
            raise MisuseError(
                f"predict must be a callable(model, batch); got {type(predict).__name__}"
            )
        return _checked(predict)
    kind, settings = unwrapped(NAMED_LOSSES.get(loss, loss) if isinstance(loss, str) else loss)
    classes = kind in _CLASSES or type(kind) in (nn.CrossEntropyLoss, nn.NLLLoss)
    if not (classes or kind is _LABELS or type(kind) is nn.BCEWithLogitsLoss):
        return None
    ignored = settings.get("ignore_index", getattr(kind, "ignore_index", None))

    def found(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        inputs, wanted = separate(batch, target=target)
        output = logits(run(model, inputs, call=call))
        if classes and (wanted.is_floating_point() or wanted.shape == output.shape):
            raise SubjectError(
                "the target of the cross entropy is a probability for each class; pass predict="
                "callable(model, batch), which returns logits and classes"
            )
        if classes and ignored is not None:
            wanted = torch.where(wanted == ignored, -100, wanted)
        return output, wanted

    return found


_CLASSES = (functional.cross_entropy, functional.nll_loss)
_LABELS = functional.binary_cross_entropy_with_logits


def _checked(predict: Any) -> Predict:
    def found(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        pair = predict(model, batch)
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(part, Tensor) for part in pair)
        ):
            raise SubjectError(
                f"predict must return a pair of tensors (logits, target); got {type(pair).__name__}"
            )
        return pair

    return found


def encoder_modules(model: nn.Module, owners: Owners, name: str) -> tuple[nn.Module, ...]:
    """Return the topmost modules whose parameters all belong to one encoder, in their order.

    Containers that are no layer of their own (lists, dictionaries) are looked into. Nothing where
    the encoder has parameters beside them, which work outside of what modules return.
    """
    own = {id(p) for p in owners.of(name).values()}
    found: list[nn.Module] = []

    def look(module: nn.Module) -> None:
        parameters = [p for p in module.parameters() if p.is_floating_point()]
        if not any(id(p) in own for p in parameters):
            return
        runs = type(module).forward is not nn.Module.forward
        whole = all(id(p) in own for p in parameters)
        if whole and runs and not isinstance(module, nn.ModuleList | nn.ModuleDict):
            found.append(module)
            return
        for child in module.children():
            look(child)

    look(model)
    inside = {id(p) for module in found for p in module.parameters()}
    return tuple(dict.fromkeys(found)) if own <= inside else ()


def shaped(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits ``[items, outputs]`` and a target that fits, one label as a column."""
    labels = target.is_floating_point() or target.dtype == torch.bool
    if labels and logits.dim() in (1, 2) and logits.numel() == target.numel() == len(logits):
        logits, target = logits.reshape(-1, 1), target.reshape(-1, 1)
    fits = logits.dim() == 2 and (
        target.shape == logits.shape
        if target.dim() == 2
        else target.dim() == 1 and len(target) == len(logits) and logits.shape[1] > 1
    )
    if not fits or (target.dim() == 1 and labels) or not logits.shape[1]:
        raise SubjectError(
            "predictions must be logits [items, classes] and classes [items], or labels of 0 and "
            f"1 in the shape of the logits; got {list(logits.shape)} and {target.dtype} "
            f"{list(target.shape)}"
        )
    if target.dim() == 2 and not bool(((target == 0) | (target == 1)).all()):
        raise SubjectError(
            "labels must be 0 or 1: replace those that are missing, or return their items' rows "
            "alone from predict"
        )
    if target.dim() == 1 and len(target) and int(target.max()) >= logits.shape[1]:
        raise SubjectError(
            f"there are {logits.shape[1]} classes and the target has {int(target.max())}: a class "
            "below 0 is one to ignore"
        )
    return logits, target


def counted(target: Tensor) -> Tensor:
    """Return which items count, ``[items]``: a class below 0 is one that losses ignore."""
    if target.dim() == 2:
        return torch.ones(len(target), dtype=torch.bool, device=target.device)
    return target >= 0
