"""What a model predicts for a batch, and the modules whose outputs are an encoder's features."""

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn

from sharpscope.errors import SubjectError
from sharpscope.subject.batches import logits, run, separate
from sharpscope.subject.losses import is_criterion
from sharpscope.subject.owners import Owners

Predict: TypeAlias = Callable[[nn.Module, Any], tuple[Tensor, Tensor]]


def as_predict(
    predict: Any, loss: Any, *, call: str | None = None, target: str | None = None
) -> Predict | None:
    """Return what gives logits and target of a batch; None where nothing tells them.

    Args:
        predict: ``callable(model, batch)`` that returns them, or None.
        loss: Where it takes (output, target), it tells what they are.
        call: How a batch becomes a call of the model.
        target: Key of the target in a mapping batch.
    """
    if predict is not None:
        return _checked(predict)
    if not (isinstance(loss, str) or is_criterion(loss)):
        return None

    def found(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        inputs, wanted = separate(batch, target=target)
        return logits(run(model, inputs, call=call)), wanted

    return found


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

    Containers that are no layer of their own (lists, dictionaries) are looked into.
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
    return tuple(dict.fromkeys(found))
