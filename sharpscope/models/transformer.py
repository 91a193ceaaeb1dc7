"""The transformer for series: one token per time step, mean over time at the end."""

import torch
from torch import Tensor, nn


class TransformerEncoder(nn.Module):
    """Embed series with self-attention over time (Vaswani et al., 2017, arXiv:1706.03762).

    Layers normalize first. Positions are learned.

    Args:
        shape: (channels, time) of one series.
        width: Numbers in the embedding.
        tokens: Numbers per time step inside; a multiple of ``heads``.
        heads: Attention heads.
        depth: Layers.
        dropout: Share set to zero in both residual branches and the hidden layer, in training.

    Example:
        >>> import torch
        >>> TransformerEncoder((24, 48), width=32).eval()(torch.zeros(2, 24, 48)).shape
        torch.Size([2, 32])
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int = 32,
        tokens: int = 48,
        heads: int = 4,
        depth: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, time = shape
        self.embed = nn.Linear(channels, tokens)
        self.positions = nn.Parameter(0.02 * torch.randn(time, 1, tokens))
        # Time comes before the batch: with batch_first, layers in eval mode switch to fused kernels
        # when no gradient is asked for, and a loss would differ in its last digits from the same
        # loss under a gradient. The layers are made one by one because nn.TransformerEncoder
        # copies one, initial values included.
        layers = [
            nn.TransformerEncoderLayer(
                tokens, heads, dim_feedforward=2 * tokens, dropout=dropout, norm_first=True
            )
            for _ in range(depth)
        ]
        for layer in layers:
            layer.self_attn.dropout = 0.0  # on attention weights it doubles the time of training
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(tokens)
        self.project = nn.Linear(tokens, width)

    def forward(self, series: Tensor) -> Tensor:
        """Map series, (N, channels, time), to embeddings, (N, width)."""
        steps = self.embed(series.permute(2, 0, 1)) + self.positions
        return self.project(self.norm(self.layers(steps)).mean(0))
