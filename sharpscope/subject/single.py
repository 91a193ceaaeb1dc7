"""One batch at a time: its loss as a function of the displacement, its number in its errors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sharpscope.errors import SubjectError
from sharpscope.replay import ReplayRefused
from sharpscope.subject.losses import LossSum


class Slope(NamedTuple):
    """A loss and its gradient over the Selection, ``[dim]``."""

    value: float
    gradient: Tensor


def told_apart(number: int, work: Callable[[], LossSum]) -> LossSum:
    """Return a batch's loss; an error of the model or the loss comes with its number."""
    try:
        return work()
    except (ReplayRefused, torch.OutOfMemoryError):
        raise
    except SubjectError as error:
        raise SubjectError(f"batch {number}: {error}") from error
    except Exception as error:
        words = " ".join(str(error).split()) or "no message"
        raise SubjectError(
            f"batch {number}: the model or its loss raised {type(error).__name__}: {words}"
        ) from error


class OneBatch:
    """The mean loss of one batch, as a function of the displacement.

    Args:
        slope_of: Gives the loss of a batch by its number, with its gradient.
        number: Of the batch.
        batch: The batch.
    """

    def __init__(self, slope_of: Callable[[int, Any, Tensor], Slope], number: int, batch: Any):
        self._slope_of, self._number, self._batch = slope_of, number, batch

    def slope(self, displacement: Tensor) -> Slope:
        """Return the batch's mean loss at a point and its gradient there."""
        return self._slope_of(self._number, self._batch, displacement)
