"""Encoders and fusions by name: the only way from a name in a checkpoint to code."""

from collections.abc import Callable, Mapping

from torch import nn

from sharpscope.checks import one_of
from sharpscope.models.convolution import ConvEncoder1d, ConvEncoder2d
from sharpscope.models.fusion import ConcatFusion, MaxoutFusion, SumFusion
from sharpscope.models.perceptron import PerceptronEncoder
from sharpscope.models.transformer import TransformerEncoder

Fusion = ConcatFusion | SumFusion | MaxoutFusion

ENCODERS: Mapping[str, Mapping[str, Callable[..., nn.Module]]] = {
    "image": {"conv": ConvEncoder2d, "mlp": PerceptronEncoder},
    "series": {"conv": ConvEncoder1d, "transformer": TransformerEncoder, "mlp": PerceptronEncoder},
    "vector": {"mlp": PerceptronEncoder},
}
FUSIONS: Mapping[str, Callable[..., Fusion]] = {
    "concat": ConcatFusion,
    "sum": lambda **_: SumFusion(),
    "maxout": MaxoutFusion,
}


def build_encoder(
    name: str, *, kind: str, shape: tuple[int, ...], width: int = 32, dropout: float = 0.0
) -> nn.Module:
    """Build an encoder for inputs of a kind, initialized from torch's current random state.

    Args:
        name: One of the encoders for that kind.
        kind: ``image``, ``series`` or ``vector``.
        shape: Shape of one item.
        width: Numbers in the embedding.
        dropout: Share of activations set to zero in training.

    Raises:
        MisuseError: If kind or name is unknown.
    """
    choices = ENCODERS[one_of("kind", kind, ENCODERS)]
    build = choices[one_of(f"{kind} encoder", name, choices)]
    return build(shape, width=width, dropout=dropout)


def build_fusion(name: str, *, modalities: int, width: int, outputs: int) -> Fusion:
    """Build a fusion, initialized from torch's current random state.

    Args:
        name: ``concat``, ``sum`` or ``maxout``.
        modalities: Number of modalities.
        width: Width of each embedding.
        outputs: Number of classes or labels.

    Raises:
        MisuseError: If the name is unknown.
    """
    build = FUSIONS[one_of("fusion", name, FUSIONS)]
    return build(modalities=modalities, width=width, outputs=outputs)
