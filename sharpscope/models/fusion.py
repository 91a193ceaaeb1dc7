"""Fusion: from what the modalities give to the fused logits."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Takes = Literal["features", "logits"]


class ConcatFusion(nn.Module):
    """Late fusion: ``W [z₁ ‖ … ‖ z_M] + b``.

    Args:
        modalities: Number of modalities.
        width: Width of each embedding.
        outputs: Number of classes or labels.
    """

    takes: Takes = "features"

    def __init__(self, *, modalities: int, width: int, outputs: int) -> None:
        super().__init__()
        self.classify = nn.Linear(modalities * width, outputs)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Map embeddings, each (N, width), to logits, (N, outputs)."""
        return self.classify(torch.cat(list(features.values()), dim=1))


class SumFusion(nn.Module):
    """Late fusion: the sum of the unimodal heads' logits. No parameters of its own."""

    takes: Takes = "logits"

    def forward(self, logits: Mapping[str, Tensor]) -> Tensor:
        """Add logits, each (N, outputs)."""
        return torch.stack(list(logits.values())).sum(0)


class MaxoutFusion(nn.Module):
    """Early fusion: a MaxOut layer on the concatenated embeddings, then a linear one.

    A MaxOut unit is the largest of several linear functions (Goodfellow et al., 2013,
    arXiv:1302.4389).

    Args:
        modalities: Number of modalities.
        width: Width of each embedding.
        outputs: Number of classes or labels.
        hidden: MaxOut units.
        pieces: Linear functions per unit.
    """

    takes: Takes = "features"

    def __init__(
        self, *, modalities: int, width: int, outputs: int, hidden: int = 64, pieces: int = 2
    ) -> None:
        super().__init__()
        self.pieces = pieces
        self.expand = nn.Linear(modalities * width, hidden * pieces)
        self.classify = nn.Linear(hidden, outputs)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Map embeddings, each (N, width), to logits, (N, outputs)."""
        expanded = self.expand(torch.cat(list(features.values()), dim=1))
        return self.classify(expanded.unflatten(1, (-1, self.pieces)).amax(dim=2))
