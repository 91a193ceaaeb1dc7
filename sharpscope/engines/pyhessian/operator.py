"""PyHessian's Hessian-vector product behind our operator's interface."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from sharpscope.engines.pyhessian.costume import Loader, Model, criterion
from sharpscope.engines.pyhessian.library import NEVER, library, quiet
from sharpscope.errors import SubjectError
from sharpscope.operators import HessianOperator, Products, Report
from sharpscope.operators.missing import named_in
from sharpscope.subject import Subject


class PyHessianOperator(HessianOperator):
    """The Hessian of a subject's mean loss on one Selection, multiplied by PyHessian.

    ``Hv = Σ_b w_b ∇(vᵀ∇(S_b / w_b)) / Σ_b w_b``: PyHessian's product over a data loader (Yao et
    al., 2020, arXiv 1912.07145), with our weight w in the place of its batch size. It runs the
    model once per vector and batch. The model is held still as for ``HessianOperator``.

    Args:
        subject: What is under the scope.
        modality: Name of the Selection: a modality, ``shared``, ``all`` or a glob.
        loss: Name of the loss: ``fusion``, ``total`` or a modality.

    Raises:
        MisuseError: If PyHessian is not installed, or the Selection or the loss is unknown.
        SubjectError: From the first product on, if the subject cannot be measured, or cannot be
            measured by PyHessian: unused parameters, a loss linear in some of them.

    Example:
        >>> import torch, sharpscope as ss
        >>> from sharpscope.engines import PyHessianOperator
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1))]
        >>> loss = torch.nn.functional.mse_loss
        >>> subject = ss.Subject(model, data, loss=loss, encoders={"x": "weight"})
        >>> PyHessianOperator(subject, "x").matvec(torch.tensor([1.0, 1.0]))
        tensor([1., 4.])
    """

    name = "pyhessian"
    economical = False  # the library runs the whole model for each product

    def __init__(self, subject: Subject, modality: str, *, loss: str = "fusion"):
        library()
        super().__init__(subject, modality, loss=loss)
        self._loader = Loader(subject, loss)
        if self.device.type == "cuda":
            torch.cuda.init()  # so that a session finds, and restores, the state PyHessian draws on

    @contextmanager
    def session(self) -> Generator[None]:
        """Hold the subject still; the first session proves that it does and can be multiplied."""
        with super().session():
            if self._custom is None:
                # PyHessian loses what custom functions do not record, without an error.
                self._custom = self._check_custom(*next(self._graphs()))
            yield

    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        """Return ``H V``, a pass over the data per vector; all batches count as one."""
        with self.session():
            hessian = self.hessian()
            found = [
                hessian.dataloader_hv_product(self.selection.split(vector.contiguous()))
                for vector in vectors.unbind(1)
            ]
            columns = [self.selection.flatten(pieces) for _, pieces in found]
            values = [value for value, _ in found]
            return self._products(values, torch.stack(columns, dim=1), others)

    def probe(self, count: int) -> Products:
        """Return what PyHessian's ``trace`` finds with so many probes of its own.

        It draws them from torch's global random state and keeps the products to itself, so that
        there are no columns.
        """
        with self.session(), quiet():
            values = self.hessian().trace(maxIter=count, tol=NEVER)
            return self._products(values, torch.empty(self.dim, 0, device=self.device))

    def hessian(self) -> Any:
        """Return a new object of PyHessian on this data; made and used inside a session."""
        made = library().hessian(
            Model(self.selection), criterion, dataloader=self._loader, cuda=False
        )
        made.device = self.device  # it knows no other than the first GPU
        product = made.dataloader_hv_product

        def guarded(vector: list[Tensor]) -> tuple[float, list[Tensor]]:
            with quiet(), self._explained():
                return product(vector)

        made.dataloader_hv_product = guarded
        return made

    def report(self) -> Report:
        """Return what a result says, PyHessian's version included."""
        report = super().report()
        versions = report.provenance["versions"] | {"pyhessian": version("pyhessian")}
        provenance = {**report.provenance, "versions": versions}
        return replace(report, provenance=provenance)

    def _products(
        self, values: list[float], columns: Tensor, others: Tensor | None = None
    ) -> Products:
        one = torch.ones(1, dtype=torch.float64, device=self.device)
        cross = None if others is None else (others @ columns).double()[None]
        return Products(columns, one.new_tensor([values]), one, cross)

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Turn PyHessian's failures into one sentence each; all other errors pass unchanged."""
        try:
            yield
        except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
            total = self._loader.total
            if total is None or isinstance(error, torch.OutOfMemoryError):
                raise
            sentence = named_in(error) or self._beyond(total)
            if sentence is None:
                raise
            raise SubjectError(f"batch {self._loader.number}: {sentence}") from error

    def _beyond(self, total: Tensor) -> str | None:
        """Return why PyHessian cannot measure a batch, or None if that is not what happened."""
        gradient = self._gradient(total, create_graph=True)
        named = list(zip(self.selection.names, gradient, strict=True))
        reasons = {
            "has no effect on the loss": [name for name, g in named if g is None],
            "enters the loss linearly": [
                name for name, g in named if g is not None and not g.requires_grad
            ],
        }
        for reason, names in reasons.items():
            if names:
                more = f" (nor can {len(names) - 1} more like it)" if len(names) > 1 else ""
                return (
                    f"PyHessian cannot measure {names[0]!r}, which {reason}{more}; "
                    "use --engine native"
                )
        return None
