"""What one pass over the data adds up, batch by batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sharpscope.operators.base import Products


class Sums:
    """The products of one pass, batch by batch.

    Args:
        vectors: The columns ``[dim, k]`` that are multiplied.
        others: Rows ``[n, dim]`` of the bilinear forms, or None.
    """

    def __init__(self, vectors: Tensor, others: Tensor | None):
        self.rows = vectors.T.contiguous()
        self.others = others
        self.found = torch.zeros_like(self.rows)
        self._forms: list[Tensor] = []
        self._cross: list[Tensor] = []
        self._weights: list[float] = []

    def add(self, weight: float, products: Sequence[Tensor | None]) -> None:
        """Add a batch: its weight, and its product with each vector, None for zeros."""
        self.begin(weight)
        for index, product in enumerate(products):
            if product is not None:
                self.put(len(self._weights), index, product)

    def begin(self, weight: float) -> None:
        """Add the next batch without its products."""
        others = 0 if self.others is None else len(self.others)
        self._forms.append(self.rows.new_zeros(len(self.rows), dtype=torch.float64))
        self._cross.append(self.rows.new_zeros(others, len(self.rows), dtype=torch.float64))
        self._weights.append(weight)

    def put(self, number: int, index: int, product: Tensor) -> None:
        """Add to the product of batch ``number``, from 1, with the vector ``index``."""
        self.found[index] += product
        form = torch.dot(self.rows[index].double(), product.double())
        self._forms[number - 1][index] += form
        if self.others is not None:
            self._cross[number - 1][:, index] += self.others @ product

    def products(self) -> Products:
        """Return the mean over the items."""
        weights = torch.tensor(self._weights, dtype=torch.float64, device=self.rows.device)
        columns = self.found.T / weights.sum().to(self.rows.dtype)
        cross = None if self.others is None else torch.stack(self._cross)
        return Products(columns, torch.stack(self._forms), weights, cross)
