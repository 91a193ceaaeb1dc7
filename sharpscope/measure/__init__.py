"""The public functions: each builds a frozen estimator and calls it."""

from sharpscope.measure.contributions import contribution as contribution
from sharpscope.measure.curvature import ENGINES as ENGINES
from sharpscope.measure.curvature import TRACE_METHODS as TRACE_METHODS
from sharpscope.measure.curvature import WAYS as WAYS
from sharpscope.measure.curvature import density as density
from sharpscope.measure.curvature import eigenvalues as eigenvalues
from sharpscope.measure.curvature import swept as swept
from sharpscope.measure.curvature import trace as trace
from sharpscope.measure.curvature import traces as traces
from sharpscope.measure.landscapes import landscape as landscape
from sharpscope.measure.sharpness import SHARPNESS as SHARPNESS
from sharpscope.measure.sharpness import coupling as coupling
from sharpscope.measure.sharpness import generalization_gap as generalization_gap
from sharpscope.measure.sharpness import sharpness as sharpness

__all__ = [
    "ENGINES",
    "SHARPNESS",
    "TRACE_METHODS",
    "WAYS",
    "contribution",
    "coupling",
    "density",
    "eigenvalues",
    "generalization_gap",
    "landscape",
    "sharpness",
    "swept",
    "trace",
    "traces",
]
