"""The library loss-landscapes (De Bernardi, 2019) at the points of our grid."""

from sharpscope.engines.loss_landscapes.points import LossLandscapesPoints as LossLandscapesPoints

__all__ = ["LossLandscapesPoints"]
