"""Convolutional encoders: conv, BatchNorm, ReLU, pool, until little is left to see."""

from torch import Tensor, nn

SMALLEST = 4  # halve until the shortest side is at most this
LARGE = 32  # a longer side is halved by the first convolution already, as residual networks do


def _halvings(side: int) -> int:
    count = 0
    while side > SMALLEST:
        side //= 2
        count += 1
    return max(count, 1)


def _embedding(features: int, width: int, dropout: float) -> list[nn.Module]:
    """Return the last layers, which every convolutional encoder has."""
    return [
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(features, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
    ]


class ConvEncoder2d(nn.Module):
    """Embed images.

    Args:
        shape: (channels, height, width) of one image.
        width: Numbers in the embedding.
        channels: Filters of the first block; each later one has twice as many.
        dropout: Share of the last feature map set to zero in training.

    Example:
        >>> import torch
        >>> ConvEncoder2d((1, 28, 28), width=32).eval()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 32])
    """

    def __init__(
        self, shape: tuple[int, ...], *, width: int = 32, channels: int = 8, dropout: float = 0.0
    ) -> None:
        super().__init__()
        depth, height, breadth = shape
        layers: list[nn.Module] = []
        stem = 2 if min(height, breadth) > LARGE else 1
        height, breadth = -(-height // stem), -(-breadth // stem)
        for block in range(_halvings(min(height, breadth))):
            filters = channels * 2**block
            stride = stem if block == 0 else 1
            layers += [
                nn.Conv2d(depth, filters, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            depth, height, breadth = filters, height // 2, breadth // 2
        self.layers = nn.Sequential(*layers, *_embedding(depth * height * breadth, width, dropout))

    def forward(self, images: Tensor) -> Tensor:
        """Map images, (N, channels, height, width), to embeddings, (N, width)."""
        return self.layers(images)


class ConvEncoder1d(nn.Module):
    """Embed series.

    Args:
        shape: (channels, time) of one series.
        width: Numbers in the embedding.
        channels: Filters of the first block; each later one has twice as many.
        dropout: Share of the last feature map set to zero in training.

    Example:
        >>> import torch
        >>> ConvEncoder1d((13, 32), width=32).eval()(torch.zeros(2, 13, 32)).shape
        torch.Size([2, 32])
    """

    def __init__(
        self, shape: tuple[int, ...], *, width: int = 32, channels: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        depth, time = shape
        layers: list[nn.Module] = []
        for block in range(_halvings(time)):
            filters = channels * 2**block
            layers += [
                nn.Conv1d(depth, filters, 3, padding=1, bias=False),
                nn.BatchNorm1d(filters),
                nn.ReLU(),
                nn.AvgPool1d(2),
            ]
            depth, time = filters, time // 2
        self.layers = nn.Sequential(*layers, *_embedding(depth * time, width, dropout))

    def forward(self, series: Tensor) -> Tensor:
        """Map series, (N, channels, time), to embeddings, (N, width)."""
        return self.layers(series)
