"""Hessian-vector products by finite differences of the gradient."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch

from sharpscope.errors import SubjectError
from sharpscope.operators.measured import MeasuredOperator
from sharpscope.operators.sums import Sums
from sharpscope.replay import Tape
from sharpscope.subject import Census, Subject


class FiniteDifferenceHessian(MeasuredOperator):
    """The Hessian of a subject's mean loss, multiplied by central differences of the gradient.

    ``Hv ≈ (∇L(θ + hv) − ∇L(θ − hv)) / 2h`` with ``h‖v‖ = √ε max(1, ‖θ‖)``. Two gradients a
    vector and no second derivative: for operations that have none. It is symmetric, and equal to
    ``HessianOperator``, up to rounding over h, about 1e-7. A kink of ReLU or max between the two
    points adds its jump, over ``2h``. So the step is shorter than the ``ε^⅓`` that suits a smooth
    function, and always in float64: with the step that float32 needs, traces of trained networks
    came out up to three times too large.

    Args:
        subject: What is under the scope.
        modality: Name of the Selection: a modality, ``shared``, ``all`` or a glob.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.

    Raises:
        MisuseError: If the Selection or the loss is unknown.
        SubjectError: From the first product on, if the subject does not stand still or a batch is
            refused.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.operators import FiniteDifferenceHessian
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> data = [(torch.eye(2).double(), torch.zeros(2, 1).double())]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> FiniteDifferenceHessian(subject, "x").matvec(torch.tensor([1.0, 3.0])).round(decimals=6)
        tensor([1., 3.], dtype=torch.float64)
    """

    name = "finite-difference"
    _reach = 0.0
    _weights: Sequence[float] = ()

    def __init__(self, subject: Subject, modality: str, *, loss: str = "fusion"):
        super().__init__(subject.in_double(), modality, loss=loss)

    @contextmanager
    def session(self) -> Generator[None]:
        """Hold the subject still, in float64."""
        try:
            with super().session():
                yield
        except SubjectError as error:
            if not re.search(
                "Float and Double|Double and Float|same dtype|scalar type", str(error)
            ):
                raise
            raise SubjectError(
                f"{error} (finite differences are taken in float64: float32 that is fixed in the "
                "model or its loss must follow its inputs)"
            ) from error

    def _begin(self, tape: Tape, census: Census) -> None:
        super()._begin(tape, census)
        size = self.selection.flatten(self.selection.parameters).double().norm().item()
        self._reach = torch.finfo(self.dtype).eps ** 0.5 * max(1.0, size)
        self._weights = []

    def _add(self, sums: Sums) -> None:
        if not self._weights:
            self._visit_once()
        for weight in self._weights:
            sums.begin(weight)
        for index, row in enumerate(sums.rows):
            if not (length := row.double().norm().item()):
                continue
            step = self._reach / length
            for sign in (1, -1):
                with self.selection.displaced(sign * step * row):
                    for number, _, value in self.subject.visits(self.loss, tape=self._tape):
                        gradient = self._gradient(value.total, create_graph=False)
                        flat = self.selection.flatten(gradient)
                        sums.put(number, index, flat * (sign / (2 * step)))

    def _visit_once(self) -> None:
        """Take the weights, and compare replayed batches with plain ones, where θ is as it was."""
        weights: list[float] = []
        for number, batch, value in self.subject.visits(self.loss, tape=self._tape):
            gradient = self._gradient(value.total, create_graph=False)
            self._compare(number, batch, value.total, gradient)
            weights.append(value.weight)
        self._weights = weights

    def _notes(self) -> list[str]:
        return [
            *super()._notes(),
            "Products are central differences of the gradient, taken in float64; a kink between "
            "their two ends (ReLU, max pooling) counts as curvature.",
        ]
