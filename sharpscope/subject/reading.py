"""Predictions read in the pass that gives the loss."""

from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.replay.once import once
from sharpscope.subject.losses import LossSum
from sharpscope.subject.predictions import counted, shaped
from sharpscope.subject.subject import Subject


class Reading:
    """A loss that notes what the model predicts; what both need is computed once.

    Args:
        subject: What is under the scope.
        loss: Name of the loss.

    Raises:
        SubjectError: If nothing tells what the model predicts.
    """

    def __init__(self, subject: Subject, loss: str):
        self._loss, self._predict = subject.loss(loss), subject.predict
        self._last: tuple[Tensor, Tensor] | None = None
        self._kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, model: nn.Module, batch: Any) -> LossSum:
        """Return the loss of a batch, and remember its predictions."""
        with torch.no_grad(), once(model):
            value = self._loss(model, batch)
            self._last = shaped(*self._predict(model, batch))
        return value

    def keep(self) -> None:
        """Keep the predictions of the batch that came last."""
        assert self._last is not None
        logits, target = self._last
        chosen = counted(target)
        self._kept.append((logits[chosen].double().cpu(), target[chosen].cpu()))

    def taken(self) -> tuple[Tensor, Tensor]:
        """Return logits and targets of all batches kept, and begin anew."""
        parts, self._kept = self._kept, []
        logits, targets = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(targets)

    def clear(self) -> None:
        """Forget a pass that was broken off."""
        self._kept = []
