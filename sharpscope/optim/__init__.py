"""Sharpness-aware optimizers for models of several modalities; each wraps a torch optimizer."""

from sharpscope.optim.losses import Losses as Losses
from sharpscope.optim.masam import MASAM as MASAM
from sharpscope.optim.msam import MSAM as MSAM
from sharpscope.optim.performance import MaskedPerformance as MaskedPerformance
from sharpscope.optim.performance import masked_performance as masked_performance
from sharpscope.optim.records import MASAMStep as MASAMStep
from sharpscope.optim.records import MSAMStep as MSAMStep
from sharpscope.optim.records import Step as Step
from sharpscope.optim.sam import ASAM as ASAM
from sharpscope.optim.sam import SAM as SAM

__all__ = [
    "ASAM",
    "MASAM",
    "MSAM",
    "SAM",
    "Losses",
    "MASAMStep",
    "MSAMStep",
    "MaskedPerformance",
    "Step",
    "masked_performance",
]
