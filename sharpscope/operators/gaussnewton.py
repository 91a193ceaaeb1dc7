"""Products with the generalized Gauss-Newton matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sharpscope.errors import SubjectError
from sharpscope.operators.graphs import Graph
from sharpscope.operators.measured import MeasuredOperator
from sharpscope.operators.missing import explained, fixed_direction
from sharpscope.operators.sums import Sums
from sharpscope.subject.losses import LossSum

_LOSSES = {
    functional.cross_entropy: "cross_entropy",
    functional.binary_cross_entropy_with_logits: "binary_cross_entropy_with_logits",
    functional.mse_loss: "mse_loss",
}
_ROUNDING = 1e-3


@dataclass(frozen=True)
class OutputGraph(Graph):
    """What the Gauss-Newton product of one batch goes through.

    Attributes:
        outputs: What the loss functions were given, ``z``.
        slopes: ``∂S/∂z``, with the graph that ``∂²S/∂z²`` needs.
        weights: Zeros ``u`` of the outputs' shapes.
        pulled: ``Jᵀu``, linear in u, with the graph that ``Jv`` needs.
    """

    outputs: Sequence[Tensor] = ()
    slopes: Sequence[Tensor] = ()
    weights: Sequence[Tensor] = ()
    pulled: Sequence[Tensor | None] = ()

    @property
    def roots(self) -> Sequence[Tensor | None]:
        """The tensors that hold the graph."""
        return [*self.pulled, *self.slopes]


class GaussNewtonOperator(MeasuredOperator):
    """The generalized Gauss-Newton matrix of a subject's mean loss on one Selection.

    ``G = Σ_b J_bᵀ (∂²S_b/∂z²) J_b / Σ_b w_b`` with the Jacobian J of the outputs z that the loss
    function is given: the Hessian without the curvature of the network itself, so positive
    semidefinite for a loss convex in z (Schraudolph, 2002; Martens, 2020, arXiv 1412.1193).
    Exact for losses made of ``cross_entropy``, ``binary_cross_entropy_with_logits`` and
    ``mse_loss``, as functions or as modules; a sum of them is one, too.

    Args:
        subject: What is under the scope.
        modality: Name of the Selection: a modality, ``shared``, ``all`` or a glob.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.

    Raises:
        MisuseError: If the Selection or the loss is unknown.
        SubjectError: From the first product on, if the subject cannot be measured or its loss
            depends on the Selection in another way than through those functions.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.operators import GaussNewtonOperator
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> GaussNewtonOperator(subject, "x").matvec(torch.tensor([1.0, 1.0]))
        tensor([1., 4.])
    """

    name = "gauss-newton"
    _symmetric = True
    _seen: Sequence[Tensor] = ()

    def _add(self, sums: Sums) -> None:
        pieces = [self.selection.split(row) for row in sums.rows]
        for graph, _ in self._graphs():
            assert isinstance(graph, OutputGraph)
            sums.add(graph.weight, [self._directional(graph, piece) for piece in pieces])
            del graph

    def _batch_loss(self, model: nn.Module, batch: Any) -> LossSum:
        with _Outputs() as seen:
            value = super()._batch_loss(model, batch)
        self._seen = seen.outputs
        return value

    def _build(self, number: int, value: LossSum) -> Graph:
        outputs, self._seen = [z for z in self._seen if z.requires_grad], ()
        gradient = self._gradient(value.total, create_graph=False, retain_graph=True)
        parameters = self.selection.parameters
        if not outputs or not value.total.requires_grad:
            if any(g is not None and bool(g.any()) for g in gradient):
                raise _not_through_outputs(number)
            return OutputGraph(number, gradient, value.weight, value.total)
        with explained(number):
            found: Any = torch.autograd.grad(
                value.total, outputs, create_graph=True, allow_unused=True
            )
            # A loss that is computed for a log alone does not count.
            pairs = [(z, s) for z, s in zip(outputs, found, strict=True) if s is not None]
            outputs, slopes = [z for z, _ in pairs], [s for _, s in pairs]
            weights = [torch.zeros_like(z, requires_grad=True) for z in outputs]
            pulled = torch.autograd.grad(
                outputs, parameters, weights, create_graph=True, allow_unused=True
            )
            whole = torch.autograd.grad(
                outputs,
                parameters,
                [s.detach() for s in slopes],
                retain_graph=True,
                allow_unused=True,
            )
        true, through = self.selection.flatten(gradient), self.selection.flatten(whole)
        if (true - through).norm() > _ROUNDING * true.norm():
            raise _not_through_outputs(number)
        graph = OutputGraph(
            number, gradient, value.weight, value.total, outputs, slopes, weights, pulled
        )
        self._check_transpose(graph, true)
        return graph

    def _check_transpose(self, graph: OutputGraph, gradient: Tensor) -> None:
        """Raise unless ``⟨s, Jv⟩ = ⟨Jᵀs, v⟩``: a backward pass that is not recorded loses Jv."""
        direction = fixed_direction(self.selection)
        pushed = self._pushed(graph, self.selection.split(direction))
        pairs = list(zip(graph.slopes, pushed, strict=True))
        one = sum(torch.sum(s.double() * p.double()).item() for s, p in pairs)
        other = torch.dot(gradient.double(), direction.double()).item()
        size = sum(s.double().norm().item() * p.double().norm().item() for s, p in pairs)
        if abs(one - other) > _ROUNDING * max(size, abs(other)):
            raise SubjectError(
                f"batch {graph.number}: an operation between the Selection and the loss loses its "
                "second derivative without an error, such as a custom autograd function that is "
                "differentiable once: take finite differences of the gradient (--operator fd)"
            )

    def _pushed(self, graph: OutputGraph, direction: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return ``Jv`` for each output."""
        pairs = [
            (p, v)
            for p, v in zip(graph.pulled, direction, strict=True)
            if p is not None and p.requires_grad
        ]
        if not pairs:
            return [torch.zeros_like(z) for z in graph.outputs]
        found: Any = torch.autograd.grad(
            [p for p, _ in pairs],
            graph.weights,
            [v for _, v in pairs],
            retain_graph=True,
            materialize_grads=True,
        )
        return found

    def _directional(self, graph: OutputGraph, direction: Sequence[Tensor]) -> Tensor | None:
        """Return ``Jᵀ (∂²S/∂z²) J v`` of a batch, None for zeros."""
        if not graph.outputs:
            return None
        with explained(graph.number):
            pushed = self._pushed(graph, direction)
            bent: Any = torch.autograd.grad(
                graph.slopes, graph.outputs, pushed, retain_graph=True, materialize_grads=True
            )
            product = torch.autograd.grad(
                graph.outputs,
                self.selection.parameters,
                bent,
                retain_graph=True,
                allow_unused=True,
            )
        return self.selection.flatten(product)


def _not_through_outputs(number: int) -> SubjectError:
    return SubjectError(
        f"batch {number}: the Gauss-Newton matrix is that of losses made of "
        f"{', '.join(_LOSSES.values())} alone, and this one depends on the Selection in another "
        "way as well: use --operator hessian"
    )


class _Outputs(TorchFunctionMode):
    """Notes what the loss functions are given; they read it through a node of its own."""

    def __init__(self):
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _LOSSES and torch.is_grad_enabled():
            given = args[0] if args else kwargs.pop("input")
            # A node of its own: one output may be made from another, or be given twice.
            self.outputs.append(given.view_as(given))
            args = (self.outputs[-1], *args[1:])
        return func(*args, **kwargs)
