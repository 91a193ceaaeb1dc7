"""Predictions read in the pass that gives the loss."""

from typing import Any

import torch
from torch import Tensor, nn

from sharpscope.replay import ReplayRefused
from sharpscope.replay.once import once
from sharpscope.subject.losses import LossSum
from sharpscope.subject.predictions import counted, shaped
from sharpscope.subject.subject import Subject

_CLOSE = 1e-5  # of the largest logit: what folding and the order of a sum move, and no more


class Apart(ReplayRefused):
    """Loss and predictions differ from plain ones although nothing was played back."""


class Reading:
    """A loss that notes what the model predicts; what both need is computed once.

    Args:
        subject: What is under the scope.
        loss: Name of the loss.

    Attributes:
        apart: Why nothing is shared between the loss and the predictions; empty where it is.

    Raises:
        SubjectError: If nothing tells what the model predicts.
    """

    def __init__(self, subject: Subject, loss: str):
        self.apart = ""
        self._loss, self._predict = subject.loss(loss), subject.predict
        self._last: tuple[Tensor, Tensor] | None = None
        self._kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, model: nn.Module, batch: Any) -> LossSum:
        """Return the loss of a batch, and remember its predictions."""
        if self.apart:
            value = self._loss(model, batch)
            self._last = self._predictions(model, batch)
            return value
        with torch.no_grad(), once(model):
            value = self._loss(model, batch)
            self._last = self._predictions(model, batch)
        return value

    def compare(self, number: int, model: nn.Module, batch: Any) -> None:
        """Compare the predictions that came last with those of a plain pass.

        Raises:
            ReplayRefused: If they differ.
        """
        assert self._last is not None
        found, (plain, _) = self._last[0], self._predictions(model, batch)
        size = float(plain.abs().nan_to_num().max()) if plain.numel() else 0.0
        if found.shape != plain.shape or not bool(
            torch.isclose(found, plain, rtol=0.0, atol=_CLOSE * size, equal_nan=True).all()
        ):
            raise ReplayRefused(f"batch {number} has other predictions")

    def keep(self) -> None:
        """Keep the predictions of the batch that came last."""
        assert self._last is not None
        logits, target = self._last
        chosen = counted(target)
        self._kept.append((logits[chosen].double().cpu(), target[chosen].cpu()))

    def taken(self) -> tuple[Tensor, Tensor]:
        """Return logits and targets of the pass that came last."""
        logits, targets = zip(*self._kept, strict=True)
        return torch.cat(logits), torch.cat(targets)

    def clear(self) -> None:
        """Forget the pass that came last: another one begins."""
        self._kept = []

    def notes(self) -> tuple[str, ...]:
        """Return what a result should say."""
        return (f"Loss and metric were computed apart: {self.apart}.",) if self.apart else ()

    def _predictions(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return shaped(*self._predict(model, batch))
