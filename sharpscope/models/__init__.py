"""Small multimodal models that learn the embedded data in seconds on one core.

Encoders by kind of input, fusions, and the model that joins them with a head per modality. All of
them have second derivatives.
"""

from sharpscope.models.convolution import ConvEncoder1d as ConvEncoder1d
from sharpscope.models.convolution import ConvEncoder2d as ConvEncoder2d
from sharpscope.models.fusion import ConcatFusion as ConcatFusion
from sharpscope.models.fusion import MaxoutFusion as MaxoutFusion
from sharpscope.models.fusion import SumFusion as SumFusion
from sharpscope.models.multimodal import MultimodalModel as MultimodalModel
from sharpscope.models.multimodal import Outputs as Outputs
from sharpscope.models.perceptron import PerceptronEncoder as PerceptronEncoder
from sharpscope.models.registry import ENCODERS as ENCODERS
from sharpscope.models.registry import FUSIONS as FUSIONS
from sharpscope.models.registry import build_encoder as build_encoder
from sharpscope.models.registry import build_fusion as build_fusion
from sharpscope.models.transformer import TransformerEncoder as TransformerEncoder

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "ConcatFusion",
    "ConvEncoder1d",
    "ConvEncoder2d",
    "MaxoutFusion",
    "MultimodalModel",
    "Outputs",
    "PerceptronEncoder",
    "SumFusion",
    "TransformerEncoder",
    "build_encoder",
    "build_fusion",
]
