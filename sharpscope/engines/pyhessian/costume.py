"""A subject in the costume of a model, a loader and a criterion, as PyHessian expects them.

PyHessian asks a batch for its size before it runs the model, and weighs the batch by it. The weight
that our loss divides by (class weights, ignored targets) is known only after the loss. So the loss
is computed while the loader is walked, and what PyHessian takes for inputs, outputs and targets is
that loss.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor
from torch.nn import Parameter

from sharpscope.errors import SubjectError
from sharpscope.subject import Selection, Subject
from sharpscope.subject.losses import LossSum


@dataclass(frozen=True)
class Visit:
    """One batch's loss, in the place of its inputs and of its targets."""

    loss: LossSum

    def size(self, _axis: int) -> float:
        """Return the weight of the batch, which need not be a whole number."""
        return self.loss.weight

    def to(self, _device: Any) -> Self:
        """Return itself: the subject's batches are on the device already."""
        return self


class Loader:
    """The subject's batches, each with its loss computed.

    Attributes:
        number: Number of the batch visited last, from 1.
        total: Its loss sum, kept to explain a failure.
    """

    def __init__(self, subject: Subject, loss: str):
        self.number = 0
        self.total: Tensor | None = None
        self._subject = subject
        self._loss = loss

    def __iter__(self) -> Generator[tuple[Visit, Visit]]:
        for number, _, value in self._subject.visits(self._loss):
            self.number, self.total = number, value.total
            if value.weight == 0:
                # Nothing to average: 0 / 0 would turn the whole product into NaN.
                if value.total.item() != 0:
                    raise SubjectError(
                        f"batch {number}: its loss sum is {value.total.item():g} and its weight 0, "
                        "which PyHessian cannot average; use --engine native"
                    )
                continue
            yield Visit(value), Visit(value)


class Model:
    """The Selection's parameters, and a call that hands the mean loss of a visit through."""

    def __init__(self, selection: Selection):
        self._selection = selection

    def __call__(self, visit: Visit) -> Tensor:
        """Return the mean loss of a visit."""
        return visit.loss.total / visit.loss.weight

    def eval(self) -> Self:
        """Return itself: the session has put the model into eval mode."""
        return self

    def parameters(self) -> Iterator[Parameter]:
        """Yield the parameters under study, in the order of the Selection's flat vector."""
        return iter(self._selection.parameters)

    def zero_grad(self) -> None:
        """Forget the gradients that the last batch left."""
        for parameter in self._selection.parameters:
            parameter.grad = None


def criterion(output: Tensor, _target: Visit) -> Tensor:
    """Return the output, which is the mean loss already."""
    return output
