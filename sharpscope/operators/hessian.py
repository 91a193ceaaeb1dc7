"""Hessian-vector products by reverse over reverse."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sharpscope.operators.graphs import Graph
from sharpscope.operators.measured import MeasuredOperator
from sharpscope.operators.missing import check_custom_functions, explained
from sharpscope.operators.sums import Sums
from sharpscope.replay import Tape
from sharpscope.subject import Census


class HessianOperator(MeasuredOperator):
    """The Hessian of a subject's mean loss with respect to one Selection.

    ``Hv = Σ_b ∇(vᵀ∇S_b) / Σ_b w_b`` with the loss sum S and the weight w of each batch. Reverse
    over reverse, because ``jacrev`` inside ``jvp`` is silently wrong through LayerNorm. Inside a
    session the graphs of ``∇S_b`` are kept for all products as far as the subject's memory goes;
    the others are built once for all the vectors of a pass.

    Args:
        subject: What is under the scope.
        modality: Name of the Selection: a modality, ``shared``, ``all`` or a glob.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.

    Raises:
        MisuseError: If the Selection or the loss is unknown.
        SubjectError: From the first product on, if the subject does not stand still, a batch is
            refused, or an operation has no second derivative.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.operators import HessianOperator
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> HessianOperator(subject, "x").matvec(torch.tensor([1.0, 1.0]))
        tensor([1., 4.])
    """

    name = "hessian"
    _symmetric = True
    _custom: tuple[str, ...] | None = None

    def _begin(self, tape: Tape, census: Census) -> None:
        super()._begin(tape, census)
        self._custom = None

    def _add(self, sums: Sums) -> None:
        pieces = [self.selection.split(row) for row in sums.rows]
        for graph, batch in self._graphs():
            if self._custom is None:
                self._custom = self._check_custom(graph, batch)
            sums.add(graph.weight, [self._directional(graph, piece) for piece in pieces])
            del graph, batch

    def _check_custom(self, graph: Graph, batch: Any) -> tuple[str, ...]:
        """Return the custom autograd functions of the first batch, once they are found sound."""

        def product(direction: Sequence[Tensor]) -> Tensor:
            found = self._directional(graph, direction)
            return torch.zeros_like(self.selection.flatten(direction)) if found is None else found

        return check_custom_functions(
            self.selection,
            graph.total,
            graph.gradient,
            lambda: self._gradient_of(batch),
            product,
        )

    def _directional(self, graph: Graph, direction: Sequence[Tensor]) -> Tensor | None:
        """Return ``∇(vᵀ∇S)``, or None where the gradient is constant: its derivative is zero."""
        pairs = [
            (g, v)
            for g, v in zip(graph.gradient, direction, strict=True)
            if g is not None and g.requires_grad
        ]
        if not pairs:
            return None
        with explained(graph.number):
            product: Sequence[Any] = torch.autograd.grad(
                [g for g, _ in pairs],
                self.selection.parameters,
                grad_outputs=[v for _, v in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        return self.selection.flatten(product)

    def _notes(self) -> list[str]:
        notes = super()._notes()
        if self._custom:
            notes.append(
                f"The loss passes through custom autograd functions ({', '.join(self._custom)}); "
                "one product was compared with a finite difference, by which no part is lost."
            )
        return notes
