"""The multilayer perceptron with BatchNorm, for vectors and anything that can be flattened."""

import math

from torch import Tensor, nn


class PerceptronEncoder(nn.Module):
    """Embed vectors (or flattened arrays) with one hidden layer.

    Args:
        shape: Shape of one item.
        width: Numbers in the embedding.
        hidden: Numbers in the hidden layer.
        dropout: Share of the hidden layer set to zero in training.

    Example:
        >>> import torch
        >>> PerceptronEncoder((76,), width=32).eval()(torch.zeros(2, 76)).shape
        torch.Size([2, 32])
    """

    def __init__(
        self, shape: tuple[int, ...], *, width: int = 32, hidden: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )

    def forward(self, items: Tensor) -> Tensor:
        """Map items, (N, *shape), to embeddings, (N, width)."""
        return self.layers(items)
