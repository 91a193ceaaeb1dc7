"""A basis that begins with vectors from an earlier measurement and goes on as Lanczos does."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sharpscope.estimators.cost import Meter
from sharpscope.estimators.krylov import Krylov, with_row
from sharpscope.operators import Products, SymmetricOperator

# A vector from before is alive where at least so much of its squared image stays in the space
# that it comes from. Of a stale one less does, also where all eigenvalues have one sign.
_ALIVE = 0.9
# What is left of a vector from before outside the basis must be worth a product.
_NEW = 0.3


class RitzBasis(Krylov):
    """An orthonormal basis Q with all of ``QᵀAQ`` and of the remainders ``(I − QQᵀ)AQ``.

    The next vector is one from before, as long as those are alive, or the direction of the largest
    residual ``Ax − θx`` of a Ritz pair. From a random start that is the Lanczos recurrence, in
    which all residuals have one direction; from the leading eigenvectors of a matrix that has
    changed a little it corrects them one by one (generalized Davidson without a preconditioner:
    Morgan and Scott, 1986). ``beta`` holds the norm of each remainder when its vector was added,
    which for Lanczos is what couples two steps.

    Args:
        operator: The operator A.
        seed: Names the random starts.
        warm: Vectors from before as rows ``[k, dim]``, the most important first.

    Attributes:
        stale: Whether the vectors from before were found to say little of this operator.
        used: How many of them were multiplied.
        random: Steps towards the largest eigenvalue since there is a random vector in the basis.
    """

    def __init__(self, operator: SymmetricOperator, seed: int, warm: Tensor | None = None):
        none = torch.empty(0, operator.dim, dtype=operator.dtype, device=operator.device)
        self._warm = none if warm is None else warm.to(operator.device, operator.dtype)
        self._rest = none
        self._small = np.zeros((0, 0))
        self.stale = False
        self.used = self.random = 0
        self._fresh = False
        super().__init__(operator, seed)

    @property
    def left(self) -> int:
        """Number of vectors from before that were not multiplied yet."""
        return len(self._warm)

    @property
    def remainders(self) -> Tensor:
        """The rows ``(I − QQᵀ)A q_j``, ``[size, dim]``."""
        return self._rest[: self.size]

    @property
    def closed(self) -> bool:
        """Whether the basis spans an invariant subspace: its Ritz pairs are exact."""
        return bool(self.size) and self.remainders.abs().max().item() <= self._nothing()

    def ritz(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Ritz values, ascending, their coefficients as columns, and residual norms."""
        values, vectors = np.linalg.eigh(self._small)
        gram = self.remainders.double() @ self.remainders.double().T
        squares = np.einsum("ij,ij->j", vectors, gram.cpu().numpy() @ vectors)
        return values, vectors, np.sqrt(np.maximum(squares, 0.0))

    def step_towards_largest(self, meter: Meter) -> bool:
        """Add what may show a larger eigenvalue; whether all is finite.

        After a vector from before comes a random one, as eigenvectors know of no other eigenvalue;
        then residuals of the Ritz pair whose value and residual together reach highest.
        """
        if not self.size:
            self._take()
        elif self.used and not self.random:
            self._next, self.random = self._start(), 1
            return self._grown(meter) is not None
        else:
            values, vectors, residuals = self.ritz()
            self._next = self._direction(vectors[:, int((values + residuals).argmax())])
        self.random += bool(self.random) or not self.used
        return self._grown(meter) is not None

    def reaches(self) -> float:
        """Return how high the Ritz pairs but the largest reach with their residuals."""
        values, _, residuals = self.ritz()
        return float((values + residuals)[:-1].max(initial=-math.inf))

    def step(self, meter: Meter, others: Tensor | None = None) -> Products | None:
        """Add one vector, from before or the largest residual, and return its product.

        Args:
            meter: Counts and times the product.
            others: Rows to take bilinear forms with.
        """
        if not self._take() and self.size:
            _, vectors, residuals = self.ritz()
            self._next = self._direction(vectors[:, int(residuals.argmax())])
        return self._grown(meter, others)

    def leading(self, count: int, order: Callable[[np.ndarray], np.ndarray]) -> Tensor:
        """Return Ritz vectors as rows ``[count, dim]``, in an order of their values."""
        values, vectors, _ = self.ritz()
        chosen = vectors[:, order(values)[:count]]
        return self.combine(torch.from_numpy(np.ascontiguousarray(chosen))).T

    def _take(self) -> bool:
        """Make the next vector from before the upcoming one; whether there is one."""
        while self.left:
            vector = self._orthogonal(self._warm[0])
            self._warm = self._warm[1:]
            size = vector.norm().item()
            if size > _NEW:
                self._next = vector / size
                self.used += 1
                self._fresh = True
                return True
        return False

    def _direction(self, coefficients: np.ndarray) -> Tensor:
        """Return the residual of a Ritz pair as a unit vector, a random one where it is none."""
        weights = torch.from_numpy(np.ascontiguousarray(coefficients)).to(self.remainders)
        vector = self._orthogonal(weights @ self.remainders)
        size = vector.double().norm().item()
        if size <= self._nothing():
            return self._start() if self.size < self.operator.dim else vector
        return vector / size

    def _nothing(self) -> float:
        """Return the size of a remainder that is rounding."""
        scale = float(np.abs(self._small).max(initial=0.0))
        return 32 * torch.finfo(self.operator.dtype).eps * scale

    def _grown(self, meter: Meter, others: Tensor | None = None) -> Products | None:
        fresh, self._fresh = self._fresh, False
        vector, size = self._next, self.size
        self._store(size, vector)
        product = meter.timed(self.operator, vector[:, None], others)
        image = product.columns[:, 0]
        self.alpha.append(product.quadratic.item())
        self.forms.append(product.forms[:, 0])
        self.weights = product.weights
        if not (math.isfinite(self.alpha[-1]) and bool(torch.isfinite(image).all())):
            return None
        back = (self._rest[:size].double() @ vector.double()).cpu().numpy()
        there = (self.rows.double() @ image.double()).cpu().numpy()
        self._symmetric(back, there, image)
        grown = np.zeros((size + 1, size + 1))
        grown[:size, :size] = self._small
        grown[size, :size] = grown[:size, size] = (back + there[:size]) / 2
        grown[size, size] = self.alpha[-1]
        self._small = grown
        rest = self._orthogonal(image)
        outside = rest
        if fresh and self.left:
            outside = rest - self._warm.T @ (self._warm @ rest)
        whole = image.double().square().sum().item()
        if fresh and outside.double().square().sum().item() > (1 - _ALIVE) * whole:
            self.stale = True
            self._warm = self._warm[:0]
        known = self._rest[:size]
        known.addr_(known @ vector, vector, alpha=-1)
        self._rest = with_row(self._rest, size, rest)
        beta = rest.double().norm().item()
        self.beta.append(0.0 if beta <= self._nothing() else beta)
        return product

    def _symmetric(self, back: np.ndarray, there: np.ndarray, image: Tensor) -> None:
        """Refuse products that no symmetric matrix has."""
        if not len(back):
            return
        scale = max(image.double().norm().item(), float(np.abs(self._small).max()))
        place = int(np.abs(back - there[:-1]).argmax())
        self.operator.check_symmetric(float(back[place]), float(there[place]), scale)
