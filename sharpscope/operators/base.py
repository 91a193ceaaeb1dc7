"""The interface of an operator: ``dim``, ``matvec``, ``matmat``, and what a result says of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from sharpscope.errors import MisuseError, SubjectError


@dataclass(frozen=True)
class Products:
    """Products with several vectors, and their quadratic forms batch by batch.

    Attributes:
        columns: ``A V``, shape ``[dim, vectors]``.
        forms: ``v_jᵀ S_b v_j`` before division by the total weight, float64 ``[batches, vectors]``.
        weights: Weight of each batch, float64 ``[batches]``; ``A = Σ_b S_b / Σ_b w_b``.
        cross: ``u_iᵀ S_b v_j`` with other vectors, float64 ``[batches, others, vectors]``, where
            others were given.
    """

    columns: Tensor
    forms: Tensor
    weights: Tensor
    cross: Tensor | None = None

    @property
    def quadratic(self) -> Tensor:
        """``v_jᵀ A v_j`` in float64, shape ``[vectors]``."""
        return self.forms.sum(0) / self.weights.sum()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a result says about the operator it came from."""

    name: str
    modality: str
    parameters: int
    samples: int
    loss: str
    loss_value: float
    gradient_norm: float | None = None
    parameter_norm: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    replayed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class SymmetricOperator(ABC):
    """A symmetric matrix known by its products.

    Attributes:
        dim: Number of rows.
        dtype: Dtype of the vectors.
        device: Device of the vectors.
        _symmetric: Whether nothing but rounding keeps the products from being symmetric.
    """

    dim: int
    dtype: torch.dtype
    device: torch.device
    _symmetric = False

    @abstractmethod
    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        """Return the products with the columns of ``vectors`` ``[dim, k]`` in one pass.

        Args:
            vectors: What to multiply.
            others: Rows ``[n, dim]`` to take the batches' bilinear forms with.
        """

    @abstractmethod
    def report(self) -> Report:
        """Return what a result says about this operator; asked inside its session."""

    def check_symmetric(self, one: float, other: float, scale: float, size: float = 1.0) -> None:
        """Refuse ``uᵀAv = one`` and ``vᵀAu = other`` where they differ by more than rounding.

        Args:
            one: The first form.
            other: The second form.
            scale: Size of the forms that their vectors could have.
            size: ``‖u‖‖v‖``, less what random directions cancel.

        Raises:
            SubjectError: If they differ, and only rounding may keep the products from symmetry.
        """
        rounding = torch.finfo(self.dtype).eps
        # 2 % in float32, 1e-4 in float64, and what rounding makes of the largest eigenvalue, which
        # random vectors in many dimensions hardly see.
        allowed = rounding**0.25 + 300 * rounding * self.dim**0.5
        if self._symmetric and abs(one - other) > allowed * scale + self._rounding() * size:
            coarse = "" if rounding < 1e-10 else f"{self.dtype} is too coarse for it, or "
            raise SubjectError(
                f"the products are not symmetric, uᵀHv = {one:.6g} and vᵀHu = {other:.6g}: "
                f"{coarse.removeprefix('torch.')}an operation has a wrong second derivative; "
                f"{'try --dtype float64, ' if coarse else ''}write it with elementary operations, "
                "or take finite differences of the gradient (--operator fd)"
            )

    def check_random(self, vectors: Tensor, columns: Tensor) -> None:
        """Refuse the products with two random vectors where no symmetric matrix has them.

        Not for vectors that the matrix chose, such as eigenvectors: their forms may be rounding.
        """
        if not self._symmetric or vectors.shape[1] < 2:
            return
        u, v = vectors[:, :2].double().unbind(1)
        au, av = columns[:, :2].double().unbind(1)
        root = self.dim**0.5
        # Forms of random vectors are as large as this, and cancel in no other way.
        scale = (u.norm() * av.norm() + v.norm() * au.norm()).item() / root
        size = (u.norm() * v.norm()).item() / root
        self.check_symmetric(torch.dot(u, av).item(), torch.dot(v, au).item(), scale, size)

    def _rounding(self) -> float:
        """Return the curvature that rounding makes where there is none."""
        return 0.0

    def part(self, name: str, rows: Tensor) -> Report:
        """Return what a result says about the block of some rows, a mask ``[dim]``."""
        return replace(self.report(), modality=name, parameters=int(rows.sum()))

    def session(self) -> AbstractContextManager[None]:
        """Return the block inside which many products cost no repeated preparation."""
        return nullcontext()

    def matmat(self, vectors: Tensor) -> Tensor:
        """Return ``A V`` for ``V`` of shape ``[dim, k]``."""
        return self.products(self._checked(vectors, ndim=2)).columns

    def matvec(self, vector: Tensor) -> Tensor:
        """Return ``A v`` for ``v`` of shape ``[dim]``."""
        return self.products(self._checked(vector, ndim=1)[:, None]).columns[:, 0]

    def as_scipy(self) -> LinearOperator:
        """Return the operator for scipy's solvers: numpy in and out, same products.

        Example:
            >>> import torch
            >>> from scipy.sparse.linalg import eigsh
            >>> from sharpscope.operators import DenseOperator
            >>> operator = DenseOperator(torch.diag(torch.tensor([1.0, -3.0, 2.0]).double()))
            >>> print(eigsh(operator.as_scipy(), k=1, which="SA")[0].round(6))
            [-3.]
        """
        return _ScipyFace(self)

    def _checked(self, vectors: Tensor, *, ndim: int) -> Tensor:
        if vectors.ndim != ndim or vectors.shape[0] != self.dim:
            wanted = f"[{self.dim}]" if ndim == 1 else f"[{self.dim}, k]"
            raise MisuseError(
                f"the vector must have the shape {wanted} of the Selection; "
                f"got {list(vectors.shape)}"
            )
        return vectors.to(self.device, self.dtype)


class _ScipyFace(LinearOperator):
    """An operator as scipy wants it; symmetric, so it is its own adjoint."""

    def __init__(self, operator: SymmetricOperator):
        self.operator = operator
        dtype = torch.empty(0, dtype=operator.dtype, device="cpu").numpy().dtype
        super().__init__(dtype, (operator.dim, operator.dim))

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        vectors = torch.from_numpy(np.ascontiguousarray(X))
        return self.operator.matmat(vectors).cpu().numpy()

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x.reshape(-1, 1)).reshape(x.shape)

    def _adjoint(self) -> "_ScipyFace":  # pyright: ignore[reportIncompatibleMethodOverride]
        return self
