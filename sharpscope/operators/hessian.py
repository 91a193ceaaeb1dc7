"""Hessian-vector products by reverse over reverse."""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from sharpscope.errors import SubjectError
from sharpscope.operators.base import Products, Report, SymmetricOperator
from sharpscope.operators.missing import check_custom_functions, named_in
from sharpscope.subject import Census, Subject
from sharpscope.subject.provenance import measured_on


class HessianOperator(SymmetricOperator):
    """The Hessian of a subject's mean loss with respect to one Selection.

    ``Hv = Σ_b ∇(vᵀ∇S_b) / Σ_b w_b`` with the loss sum S and the weight w of each batch. Reverse
    over reverse, because ``jacrev`` inside ``jvp`` is silently wrong through LayerNorm. Several
    vectors share one visit of a batch: one forward and one gradient graph for all of them.

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

    def __init__(self, subject: Subject, modality: str, *, loss: str = "fusion"):
        self.subject = subject
        self.selection = subject.select(modality)
        self.loss = loss
        subject.loss(loss)  # an unknown name is refused here, not in the first product
        self.dim = self.selection.dim
        self.device = subject.device
        self.dtype = subject.dtype or self.selection.parameters[0].dtype
        self._frozen = self.selection.frozen
        self._open = False
        self._census: Census | None = None
        self._used: list[bool] | None = None
        self._custom: tuple[str, ...] | None = None

    @contextmanager
    def session(self) -> Generator[None]:
        """Hold the subject still for many products, after a proof that it does stand still.

        Each session proves anew, since the model may have been trained in between; sessions nest.
        """
        if self._open:
            yield
            return
        self._frozen = self.selection.frozen
        with self.subject.studying(self.selection):
            self._census = self.subject.census(self.loss)
            self._used, self._custom = None, None
            self._open = True
            try:
                yield
            finally:
                self._open = False

    def _ready(self) -> AbstractContextManager[None]:
        """Return the block of a bare product: a proof before the first one is enough."""
        return self.session() if self._census is None else self.subject.studying(self.selection)

    def products(self, vectors: Tensor) -> Products:
        """Return ``H V`` and the batches' quadratic forms in one pass over the data."""
        with self._ready():
            pieces = [self.selection.split(v.contiguous()) for v in vectors.unbind(1)]
            columns = torch.zeros_like(vectors)
            forms: list[Tensor] = []
            weights: list[float] = []
            for number, batch, value in self.subject.visits(self.loss):
                gradient = self._gradient(value.total, create_graph=True)
                if self._custom is None:
                    self._custom = self._check_custom(number, batch, value.total, gradient)
                form = torch.zeros(len(pieces), dtype=torch.float64, device=self.device)
                for index, piece in enumerate(pieces):
                    product = self._directional(number, gradient, piece)
                    if product is not None:
                        columns[:, index] += product
                        form[index] = torch.dot(vectors[:, index].double(), product.double())
                forms.append(form)
                weights.append(value.weight)
            weight = torch.tensor(weights, dtype=torch.float64, device=self.device)
            return Products(columns / weight.sum().to(self.dtype), torch.stack(forms), weight)

    def gradient(self) -> Tensor:
        """Return the gradient of the mean loss over the Selection, shape ``[dim]``."""
        with self._ready():
            total, weight = torch.zeros(self.dim, dtype=self.dtype, device=self.device), 0.0
            for _, _, value in self.subject.visits(self.loss):
                total += self.selection.flatten(self._gradient(value.total, create_graph=False))
                weight += value.weight
            return total / weight

    def report(self) -> Report:
        """Return what a result says: sizes, loss, norms, provenance and notes."""
        with self.session():
            gradient = self.gradient().double().norm().item()
            norm = self.selection.flatten(self.selection.parameters).double().norm().item()
            census = self._census
            assert census is not None  # the session has made it
            return Report(
                name="hessian",
                modality=self.selection.name,
                parameters=self.dim,
                samples=census.samples,
                loss=self.loss,
                loss_value=census.loss_value,
                gradient_norm=gradient,
                parameter_norm=norm,
                provenance=measured_on(self.subject, census, self.device, self.dtype),
                notes=(*self.subject.notes, *self._notes(census.samples)),
            )

    def _gradient(self, total: Tensor, *, create_graph: bool) -> list[Tensor | None]:
        """Return the gradient of a batch's loss sum; None where the loss does not reach."""
        if total.requires_grad:
            found = torch.autograd.grad(
                total, self.selection.parameters, create_graph=create_graph, allow_unused=True
            )
        else:
            found = (None,) * len(self.selection.parameters)
        before = self._used or [False] * len(found)
        self._used = [used or g is not None for used, g in zip(before, found, strict=True)]
        return list(found)

    def _check_custom(
        self, number: int, batch: Any, total: Tensor, gradient: Sequence[Tensor | None]
    ) -> tuple[str, ...]:
        """Return the custom autograd functions of the first batch, once they are found sound."""

        def gradient_again() -> Tensor:
            value = self.subject.loss(self.loss)(self.subject.model, batch)
            return self.selection.flatten(self._gradient(value.total, create_graph=False))

        def product(direction: Sequence[Tensor]) -> Tensor:
            found = self._directional(number, gradient, direction)
            return (
                torch.zeros(self.dim, dtype=self.dtype, device=self.device)
                if found is None
                else found
            )

        return check_custom_functions(self.selection, total, gradient, gradient_again, product)

    def _directional(
        self,
        number: int,
        gradient: Sequence[Tensor | None],
        direction: Sequence[Tensor],
    ) -> Tensor | None:
        """Return ``∇(vᵀ∇S)``, or None where the gradient is constant: its derivative is zero."""
        pairs = [
            (g, v)
            for g, v in zip(gradient, direction, strict=True)
            if g is not None and g.requires_grad
        ]
        if not pairs:
            return None
        try:
            product: Sequence[Any] = torch.autograd.grad(
                [g for g, _ in pairs],
                self.selection.parameters,
                grad_outputs=[v for _, v in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        except (RuntimeError, NotImplementedError) as error:
            sentence = named_in(error)
            if sentence is None:
                raise
            raise SubjectError(f"batch {number}: {sentence}") from error
        return self.selection.flatten(product)

    def _notes(self, samples: int) -> list[str]:
        notes: list[str] = []
        asked = self.subject.samples
        if asked is not None and asked > samples:
            notes.append(
                f"{asked:,} samples were asked for and there are only {samples:,}: all of them "
                "were measured."
            )
        if self._frozen:
            notes.append(
                f"{self._frozen:,} of the {self.dim:,} parameters are frozen; they were measured "
                "and given back frozen."
            )
        if self._custom:
            notes.append(
                f"The loss passes through custom autograd functions ({', '.join(self._custom)}); "
                "one product was compared with a finite difference, by which no part is lost."
            )
        used = self._used or []
        unused = [n for n, u in zip(self.selection.names, used, strict=True) if not u]
        if unused:
            shown = ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else "")
            notes.append(
                f"{len(unused)} of the {len(used)} parameter tensors have no effect on the loss "
                f"and a zero block ({shown})."
            )
        return notes
