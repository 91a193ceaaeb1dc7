"""A matrix in memory behind the operator's interface: for tests, and for anybody's own matrix."""

import torch
from torch import Tensor

from sharpscope.errors import MisuseError
from sharpscope.operators.base import Products, Report, SymmetricOperator


class DenseOperator(SymmetricOperator):
    """A symmetric matrix ``[dim, dim]`` as an operator.

    Args:
        matrix: The matrix, symmetric to rounding.

    Raises:
        MisuseError: If it is not a square symmetric matrix of floating-point numbers.

    Example:
        >>> import torch
        >>> from sharpscope.operators import DenseOperator
        >>> DenseOperator(torch.eye(2)).matvec(torch.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """

    def __init__(self, matrix: Tensor):
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.is_floating_point():
            raise MisuseError(
                f"matrix must be square with floating-point entries; got {matrix.dtype} of shape "
                f"{list(matrix.shape)}"
            )
        skew = (matrix - matrix.T).abs().max()
        if skew > 1e3 * torch.finfo(matrix.dtype).eps * matrix.abs().max():
            raise MisuseError(
                f"matrix must be symmetric; entries differ from their mirror by up to {skew:.3g}"
            )
        self.matrix = matrix
        self.dim = matrix.shape[0]
        self.dtype = matrix.dtype
        self.device = matrix.device

    def products(self, vectors: Tensor, others: Tensor | None = None) -> Products:
        """Return ``A V``; the whole matrix counts as one batch."""
        columns = self.matrix @ vectors
        forms = (vectors.double() * columns.double()).sum(0, keepdim=True)
        one = torch.ones(1, dtype=torch.float64, device=self.device)
        cross = None if others is None else (others @ columns).double()[None]
        return Products(columns, forms, one, cross)

    def report(self) -> Report:
        """Return a report without a model: no samples, no loss."""
        return Report(
            name="dense",
            modality="matrix",
            parameters=self.dim,
            samples=0,
            loss="none",
            loss_value=0.0,
            provenance={
                "device": str(self.device),
                "dtype": str(self.dtype).removeprefix("torch."),
            },
        )
