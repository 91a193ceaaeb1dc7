"""A Lanczos basis that grows by one product a step and stays orthonormal."""

import math
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.estimators.cost import Meter
from sharpscope.operators import Products, SymmetricOperator
from sharpscope.streams import gaussian, stream


class Krylov:
    """A basis that trace and eigenvalues can share, grown by Lanczos.

    The basis ``q_1 … q_m`` and the tridiagonal matrix ``QᵀAQ`` of the Lanczos recurrence.

    Args:
        operator: The operator A.
        seed: Names the random starts.
        start: Where to begin instead, a unit vector ``[dim]``.

    Attributes:
        alpha: Diagonal, one entry a step.
        beta: What couples step j to step j + 1; 0 where a subspace closed and a new random
            start follows.
        starts: Number of random starts so far.
        forms: Each batch's form under each basis vector, float64 ``[batches]`` a step.
        weights: Weight of each batch, ``[batches]``.
    """

    def __init__(self, operator: SymmetricOperator, seed: int, start: Tensor | None = None):
        self.operator = operator
        self.alpha: list[float] = []
        self.beta: list[float] = []
        self.starts = 0
        self.forms: list[Tensor] = []
        self.weights = torch.zeros(0, device=operator.device)
        self._seed = seed
        self._rows = torch.empty(0, operator.dim, dtype=operator.dtype, device=operator.device)
        self._next = self._start() if start is None else start

    @property
    def size(self) -> int:
        """Number of basis vectors."""
        return len(self.alpha)

    @property
    def closed(self) -> bool:
        """Whether the basis spans an invariant subspace: its Ritz pairs are exact."""
        return bool(self.beta) and self.beta[-1] == 0

    @property
    def rows(self) -> Tensor:
        """The basis vectors as rows ``[size, dim]``."""
        return self._rows[: self.size]

    @property
    def upcoming(self) -> Tensor:
        """The vector that the next step adds."""
        return self._next

    def step(self, meter: Meter, others: Tensor | None = None) -> Products | None:
        """Add one vector and return its product, None where that is not finite.

        Args:
            meter: Counts and times the product.
            others: Rows to take bilinear forms with.
        """
        self._store(self.size, self._next)
        product = meter.timed(self.operator, self._next[:, None], others)
        image = product.columns[:, 0]
        self.alpha.append(product.quadratic.item())
        self.forms.append(product.forms[:, 0])
        self.weights = product.weights
        if not (math.isfinite(self.alpha[-1]) and bool(torch.isfinite(image).all())):
            return None
        scale = max(image.double().norm().item(), max(map(abs, self.alpha)))
        if self.size > 1:
            back = torch.dot(self.rows[-2].double(), image.double()).item()
            self.operator.check_symmetric(self.beta[-1], back, scale)
        rest = self._orthogonal(image)
        beta = rest.double().norm().item()
        # A remainder of the size of rounding is no direction: the subspace has closed.
        if beta <= 32 * torch.finfo(rest.dtype).eps * scale:
            self.beta.append(0.0)
            if self.size < self.operator.dim:
                self._next = self._start()
        else:
            self.beta.append(beta)
            self._next = rest / beta
        return product

    def ritz(self, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Ritz values, ascending, their coefficients as columns, and ``‖Ax − θx‖``.

        Args:
            first: The first of the vectors that count.
        """
        found: Any = eigh_tridiagonal(np.array(self.alpha[first:]), np.array(self.beta[first:-1]))
        return found[0], found[1], abs(self.beta[-1] * found[1][-1])

    def combine(self, coefficients: Tensor) -> Tensor:
        """Return unit vectors ``Q s`` for the columns s of ``coefficients`` ``[size, k]``."""
        vectors = self.rows.T @ coefficients.to(self._rows)
        return vectors / vectors.norm(dim=0)

    def _start(self) -> Tensor:
        vector = gaussian(self.operator.dim, stream(self._seed, "eigen", self.starts))
        self.starts += 1
        vector = self._orthogonal(vector.to(self.operator.device, self.operator.dtype))
        return vector / vector.norm()

    def _orthogonal(self, vector: Tensor) -> Tensor:
        """Return what is left of ``vector`` outside the basis; twice is enough (Kahan, Parlett)."""
        for _ in range(2):
            vector = vector - self.rows.T @ (self.rows @ vector)
        return vector

    def _store(self, index: int, vector: Tensor) -> None:
        self._rows = with_row(self._rows, index, vector)


def with_row(rows: Tensor, index: int, vector: Tensor) -> Tensor:
    """Return rows ``[room, dim]`` with a vector at an index, in twice the room where it is full."""
    if index == len(rows):
        grown = rows.new_empty(min(rows.shape[1], max(16, 2 * index)), rows.shape[1])
        grown[:index] = rows
        rows = grown
    rows[index] = vector
    return rows


def going_on(krylov: Krylov | None, operator: SymmetricOperator, seed: int) -> Krylov:
    """Return the basis to go on with: the one given, or a new one.

    Raises:
        MisuseError: If the one given belongs to another operator.
    """
    if krylov is None:
        return Krylov(operator, seed)
    if krylov.operator is not operator:
        raise MisuseError("krylov must be a basis of this operator; it was grown on another one")
    return krylov
