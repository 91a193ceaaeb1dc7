"""Stage 3: the loss on lines, planes and in volumes around the parameters."""

from sharpscope.landscape.directions import NORMALIZE as NORMALIZE
from sharpscope.landscape.directions import Drawing as Drawing
from sharpscope.landscape.directions import random_directions as random_directions
from sharpscope.landscape.surface import AXES as AXES
from sharpscope.landscape.surface import Landscape as Landscape

__all__ = ["AXES", "NORMALIZE", "Drawing", "Landscape", "random_directions"]
