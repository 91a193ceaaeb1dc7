"""A model of several modalities: one encoder and one head each, and a fusion."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from sharpscope.models.fusion import ConcatFusion, MaxoutFusion, SumFusion


class Outputs(NamedTuple):
    """Logits of one forward pass, each (N, outputs).

    Args:
        fusion: The model's prediction.
        unimodal: Each modality's own, from the same embeddings.
    """

    fusion: Tensor
    unimodal: dict[str, Tensor]


class MultimodalModel(nn.Module):
    """Encoders ``z_m = φ_m(x_m)``, a fusion of all, and a linear head on each ``z_m``.

    Inputs are a mapping from modality to tensor; other keys (``target``) are ignored, so that a
    batch can be passed as it is.

    Args:
        encoders: Per modality a module from (N, *shape) to (N, width).
        fusion: Module from a mapping of embeddings, or of unimodal logits, to fused logits.
        width: Width of each embedding.
        outputs: Number of classes or labels.

    Example:
        >>> import torch
        >>> encoders = {"x": torch.nn.Linear(3, 4)}
        >>> model = MultimodalModel(encoders, fusion=SumFusion(), width=4, outputs=2)
        >>> model({"x": torch.zeros(5, 3)}).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        *,
        fusion: ConcatFusion | SumFusion | MaxoutFusion,
        width: int,
        outputs: int,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.heads = nn.ModuleDict({name: nn.Linear(width, outputs) for name in encoders})

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the fused logits, (N, outputs)."""
        return self.fuse(self.features(inputs))

    def features(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each modality's embedding, (N, width)."""
        return {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}

    def fuse(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the fused logits from embeddings in any order, (N, outputs)."""
        if self.fusion.takes == "logits":
            return self.fusion(self.read(features))
        return self.fusion({name: features[name] for name in self.encoders})

    def read(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each head's logits from its embedding, (N, outputs)."""
        return {name: head(features[name]) for name, head in self.heads.items()}

    def outputs(self, inputs: Mapping[str, Tensor]) -> Outputs:
        """Return fused and unimodal logits of one forward pass."""
        features = self.features(inputs)
        logits = self.read(features)
        fused = self.fusion(features if self.fusion.takes == "features" else logits)
        return Outputs(fused, logits)

    def unimodal(self, name: str, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return one modality's logits, (N, outputs); only its encoder and head run."""
        return self.heads[name](self.encoders[name](inputs[name]))
